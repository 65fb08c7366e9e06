"""`nqgate up` as a newcomer meets it: one command, one key, a working store; and everything still there next time."""

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.support.bodies import MIB, body_of
from tests.support.clients import s3_client
from tests.support.gateway_process import COMMAND, IssuedKey
from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.sockets import family, listening

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("seaweedfs")]
ACCESS_KEY_ID = re.compile(r"\bNQAK[0-9a-z]{16}\b")
SECRET = re.compile(r"(?<![0-9A-Za-z/+])[0-9A-Za-z]{40}(?![0-9A-Za-z/+])")


class FirstRun:
    """`nqgate up` over `folder`/data, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3 = f"{LOOPBACK}:{free_port()}"
        self.console = f"{LOOPBACK}:{free_port()}"
        self.runs = 0

    def command(self) -> list[str]:
        where = ["--data", str(self.folder / "data"), "--s3", self.s3, "--console", self.console]
        return [COMMAND, "up", *where]

    @contextmanager
    def up(self) -> Iterator[ServerProcess]:
        self.runs += 1
        server = ServerProcess("nqgate up", self.command(), self.folder / f"up-{self.runs}.log")
        with server:
            server.wait_until(self._serves, timeout=60.0)
            server.wait_until(lambda: self.s3 in server.log_text())
            yield server

    def client(self, issued: IssuedKey) -> Any:
        return s3_client(f"http://{self.s3}", issued.access_key_id, issued.secret_access_key)

    def nqgate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A second terminal in the same folder: ./data/gateway.toml is found."""
        environment = {"PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def open_link(self, text: str) -> int:
        """The status of what the page of a sign-in link posts."""
        with closing(http.client.HTTPConnection(self.console, timeout=10)) as connection:
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
            connection.request("POST", "/link", urlencode({"link": text}), headers)
            return connection.getresponse().status

    def _serves(self) -> bool:
        host, _, port = self.console.partition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: %b\r\n\r\n" % self.console.encode())
                return connection.recv(100).split(b" ")[1] == b"200"
        except (OSError, IndexError):
            return False


@pytest.fixture
def first_run(tmp_path: Path) -> FirstRun:
    return FirstRun(tmp_path)


def _shown(log: str) -> IssuedKey:
    access_key_ids, secrets = set(ACCESS_KEY_ID.findall(log)), set(SECRET.findall(log))
    assert (len(access_key_ids), len(secrets)) == (1, 1), "one key, shown once"
    return IssuedKey(access_key_ids.pop(), secrets.pop())


def _refusal(client: Any, operation: str, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**arguments)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_one_command_gives_a_working_store_that_is_there_again_next_time(first_run: FirstRun) -> None:
    body = body_of(9 * MIB)
    with first_run.up() as server:
        issued = _shown(server.log_text())
        addresses = {address for address, _ in listening(server.pid)}
        assert addresses == {LOOPBACK}
        with first_run.client(issued) as client:
            client.create_bucket(Bucket="photos")
            client.put_object(Bucket="photos", Key="k", Body=body)
            assert client.get_object(Bucket="photos", Key="k")["Body"].read() == body
            assert _refusal(client, "delete_bucket", Bucket="photos") == (409, "BucketNotEmpty")
            assert _refusal(client, "put_object", Bucket="missing", Key="k", Body=b"") == (404, "NoSuchBucket")
        assert issued.access_key_id in first_run.nqgate("keys", "list").stdout
        [link] = re.findall(r"http://\S+/link#(\S+)", server.log_text())
        assert [first_run.open_link(link) for _ in range(2)] == [303, 403]
        children = family(server.pid)[1:]
        assert children
        assert server.stop() == 0
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    with first_run.up() as server:
        assert not SECRET.search(server.log_text())
        with first_run.client(issued) as client:
            assert client.get_object(Bucket="photos", Key="k")["Body"].read() == body


def test_ctrl_c_ends_the_store_too(first_run: FirstRun) -> None:
    with first_run.up() as server:
        children = family(server.pid)[1:]
        server.send(signal.SIGINT)
        assert server.wait(20.0) in (0, 130)
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in server.log_text()


def test_the_printed_aws_lines_work_as_they_stand(first_run: FirstRun) -> None:
    """What is printed between `export AWS_…` and the aws lines is run by a shell, unchanged."""
    with first_run.up() as server:
        lines = [line.strip() for line in server.log_text().splitlines()]
        pasted = [line for line in lines if line.startswith("export ") or re.match(r"(\S*/)?aws ", line)]
        assert any("aws " in line for line in pasted), "no aws line was printed"
        # Printed paths are relative to the checkout, where the newcomer stands.
        checkout = Path(sys.executable).parents[2]
        done = subprocess.run(
            ["bash", "-euc", "\n".join(pasted)], cwd=checkout, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _fails_with_one_sentence(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, -9)
    assert "Traceback" not in done.stderr
    words = done.stderr.strip().splitlines()
    assert len(words) == 1, done.stderr
    return words[0]


def test_a_busy_port_is_one_clear_sentence(first_run: FirstRun) -> None:
    host, _, port = first_run.s3.partition(":")
    with socket.create_server((host, int(port))):
        assert port in _fails_with_one_sentence(first_run.command())


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(first_run: FirstRun) -> None:
    (first_run.folder / "data").write_text("a file, not a folder")
    assert str(first_run.folder / "data") in _fails_with_one_sentence(first_run.command())

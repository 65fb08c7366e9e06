"""Real workers under a real supervisor, killed, stopped and ended."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from keystore.sealing import create_kek_file, load_kek_ring
from tests.support.raw_client import RawConnection, Signer
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, ok
from tests.support.server_process import free_port
from tests.support.sockets import family, workers_of
from tests.support.wire import wait_until

pytestmark = pytest.mark.server  # processes of its own, which take their time

COMMAND = str(Path(sys.executable).parent / "nqgate")
STORE_SECRET = "theSecretOfTheStore00000000000000000000X"


class Served:
    """A gateway with two workers in `folder`."""

    def __init__(self, folder: Path, upstream_port: int, workers: int = 2) -> None:
        create_kek_file(folder / "kek")
        self.folder = folder
        self.port, self.console = free_port(), free_port()
        (folder / "gateway.toml").write_text(
            f'[s3]\nlisten = "127.0.0.1:{self.port}"\n[console]\nlisten = "127.0.0.1:{self.console}"\n'
            f'[upstream]\nendpoint = "http://127.0.0.1:{upstream_port}"\naccess_key_id = "store"\n'
            '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n[limits]\ndrain_timeout = 5\n'
            f"[workers]\ncount = {workers}\n"
        )
        self.log = folder / "log"
        environment = {"NQGATE_UPSTREAM__SECRET_ACCESS_KEY": STORE_SECRET, "PATH": "/usr/bin:/bin"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen([COMMAND, "serve"], cwd=folder, stderr=log, env=environment)
        wait_until(lambda: self.ready() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log.read_text()
        issued = json.loads(self.nqgate("keys", "create", "--label", "a", "--all-buckets", "--json"))
        self.access_key_id, self.secret = issued["access_key_id"], issued["secret_access_key"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.console}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def nqgate(self, *words: str) -> str:
        environment = {"NQGATE_UPSTREAM__SECRET_ACCESS_KEY": STORE_SECRET, "PATH": "/usr/bin:/bin"}
        done = subprocess.run([COMMAND, *words], cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def workers(self) -> list[int]:
        return workers_of(self.process.pid)

    def connect(self) -> RawConnection:
        return RawConnection("127.0.0.1", self.port)

    def head(self, target: str, method: str = "GET", **more: Any) -> bytes:
        return Signer(f"127.0.0.1:{self.port}", self.access_key_id, self.secret).head(method, target, **more)

    def get(self, connection: RawConnection, target: str = "/bucket/k") -> int:
        connection.send(self.head(target))
        return connection.reply().status

    def end(self) -> None:
        if self.process.poll() is None:
            for pid in family(self.process.pid):
                os.kill(pid, signal.SIGCONT)
            self.process.terminate()
            assert self.process.wait(20) == 0, self.log.read_text()


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello"))) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, upstream: RecordingUpstream) -> Iterator[Served]:
    running = Served(tmp_path, upstream.port)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def on_each(served: Served) -> Iterator[dict[int, RawConnection]]:
    """A connection to each of the workers, with which each of them has been seen to serve."""
    found: dict[int, RawConnection] = {}
    with ExitStack() as opened:
        for _ in range(100):
            connection = opened.enter_context(served.connect())
            assert served.get(connection) == 200
            local = connection.socket.getsockname()[1]
            found[next(pid for pid in served.workers if _holds(pid, local))] = connection
            if len(found) == len(served.workers):
                break
        assert len(found) == len(served.workers), "one worker got every connection"
        yield found


def _holds(pid: int, peer_port: int) -> bool:
    """Whether the process has the other end of a loopback connection of that port."""
    inodes = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[2].rpartition(":")[2], 16) == peer_port and f"socket:[{words[9]}]" in inodes:
            return True
    return False


def test_both_workers_serve_the_one_port(served: Served, upstream: RecordingUpstream) -> None:
    assert len(served.workers) == 2
    with on_each(served) as connections:
        assert [served.get(connection) for connection in connections.values()] == [200, 200]


def test_a_worker_that_dies_takes_only_its_own_connections_and_is_replaced(served: Served) -> None:
    with on_each(served) as connections:
        (dead, lost), (_, kept) = connections.items()
        os.kill(dead, signal.SIGKILL)
        with pytest.raises((ConnectionError, EOFError)):
            served.get(lost)
        for _ in range(20):  # what waits to be accepted is taken by the other
            with served.connect() as another:
                assert served.get(another) == 200
            assert served.get(kept) == 200
    wait_until(lambda: len(served.workers) == 2 and dead not in served.workers, 20)
    assert "ended; another takes its place" in served.log.read_text()
    with on_each(served) as connections:
        assert dead not in connections


def test_a_worker_told_to_end_finishes_what_runs(served: Served, upstream: RecordingUpstream) -> None:
    def slow(exchange: Exchange) -> None:
        time.sleep(0.7)
        exchange.send(ok(b"slow"))

    with on_each(served) as connections:
        upstream.script = slow
        ended, connection = connections.popitem()
        connection.send(served.head("/bucket/slow"))
        time.sleep(0.3)
        os.kill(ended, signal.SIGTERM)
        assert connection.reply().body == b"slow"
    wait_until(lambda: len(served.workers) == 2 and ended not in served.workers, 20)


def test_a_worker_that_hangs_is_killed_and_so_confirms(served: Served) -> None:
    with on_each(served) as connections:
        (hung, lost), (_, kept) = connections.items()
        os.kill(hung, signal.SIGSTOP)
        told = json.loads(served.nqgate("keys", "revoke", served.access_key_id, "--yes", "--json"))
        assert (told["gateways"], told["confirmed"], told["lapsed"]) == (1, 1, 0)
        assert 500 < told["took_ms"] < 5000
        assert "has not applied a change" in served.log.read_text()
        assert served.get(kept) == 403
        with pytest.raises((ConnectionError, EOFError)):
            served.get(lost)


def test_the_control_plane_answers_while_every_worker_stands_still(served: Served) -> None:
    for pid in served.workers:
        os.kill(pid, signal.SIGSTOP)
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{served.console}/{path}", timeout=2) as reply:
            assert reply.status == 200
    wait_until(lambda: not served.ready(), 8)
    for pid in served.workers:
        os.kill(pid, signal.SIGCONT)
    wait_until(served.ready, 15)


def test_workers_end_with_their_supervisor(served: Served) -> None:
    workers = served.workers
    with served.connect() as connection:
        assert served.get(connection) == 200
        served.process.kill()
        served.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 15)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port)).close()


def memory_of(pid: int) -> Iterator[bytes]:
    """Everything that it has mapped and may write."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None:
                continue
            start, end = (int(edge, 16) for edge in found.groups())
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                continue


def holders(pids: list[int], octets: bytes) -> set[int]:
    return {pid for pid in pids if any(octets in part for part in memory_of(pid))}


def test_no_worker_has_a_secret_the_kek_or_the_stores_credential_in_its_memory(served: Served) -> None:
    with on_each(served) as connections:
        for connection in connections.values():
            connection.send(served.head("/bucket/k", "PUT", body=b"x") + b"x")
            assert connection.reply().status == 200
    kek = load_kek_ring(served.folder / "kek").newest._octets
    secrets: dict[str, bytes] = {
        "the store's secret": STORE_SECRET.encode(),
        "the secret of a key": served.secret.encode(),
        "the KEK": kek,
        "the KEK as it stands in its file": (served.folder / "kek").read_bytes().splitlines()[-1].rpartition(b":")[2],
    }
    everybody = [served.process.pid, *served.workers]
    found = {what: holders(everybody, octets) for what, octets in secrets.items()}
    assert {what: pids & set(served.workers) for what, pids in found.items()} == {what: set() for what in secrets}
    assert found["the store's secret"] == found["the KEK"] == {served.process.pid}, "nothing was searched"
    assert len(holders(served.workers, served.access_key_id.encode())) == 2, "nothing was searched"


@pytest.mark.parametrize("broken", ["ca_file", "spool_dir"])
def test_what_no_worker_can_serve_with_is_said_at_the_start(tmp_path: Path, broken: str) -> None:
    create_kek_file(tmp_path / "kek")
    lines: dict[str, Callable[[], str]] = {
        "ca_file": lambda: 'ca_file = "nowhere.pem"\n[limits]\n',
        "spool_dir": lambda: '[limits]\nspool_dir = "nowhere"\n',
    }
    (tmp_path / "gateway.toml").write_text(
        f'[s3]\nlisten = "127.0.0.1:{free_port()}"\n[console]\nlisten = "127.0.0.1:{free_port()}"\n'
        '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n'
        '[upstream]\nendpoint = "https://127.0.0.1:1"\naccess_key_id = "store"\nsecret_access_key = "x"\n'
        + lines[broken]()
    )
    done = subprocess.run([COMMAND, "serve"], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert broken in done.stderr
    assert "Traceback" not in done.stderr

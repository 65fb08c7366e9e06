"""The store on a Unix socket: reached, missing, full, gone."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.recording_upstream import RecordingUpstream, canned, never_answers, ok
from tests.support.wire import RunningEngine, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.sock"


@pytest.fixture
def upstream(store: Path) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello")), path=store) as running:
        yield running


def test_requests_share_a_connection_over_the_socket(upstream: RecordingUpstream, store: Path) -> None:
    with RunningEngine(1, upstream_path=store) as gateway, gateway.connect() as client:
        for _ in range(3):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().body == b"hello"
    assert upstream.connections == 1


@pytest.mark.parametrize("there", [False, True])
def test_a_store_that_does_not_listen_is_named_by_its_path(store: Path, there: bool) -> None:
    """Nothing at the path, or what a dead store left there."""
    if there:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(store))
    with RunningEngine(1, upstream_path=store) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
        assert (reply.status, reply.code) == (503, "ServiceUnavailable")
        assert str(store) not in reply.body.decode()
        said = gateway.call(lambda: gateway.engine.upstream.pool.last_error)
        assert said is not None
        assert str(store) in said
        wait_until(lambda: str(store) in "".join(gateway.said))


def test_a_store_whose_backlog_is_full_is_asked_again(store: Path) -> None:
    """connect(2): EAGAIN at once on a Unix socket, where TCP would ask again by itself."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(store))
        listener.listen(0)
        first.connect(str(store))
        with RunningEngine(1, upstream_path=store) as gateway, gateway.connect() as client:
            with socket.socket(socket.AF_UNIX) as refused:
                refused.setblocking(False)
                with pytest.raises(BlockingIOError):
                    refused.connect(str(store))
            client.send(gateway.signer.head("GET", "/bucket/k"))
            time.sleep(0.2)
            listener.settimeout(10)
            listener.accept()[0].close()
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(1000).startswith(b"GET /bucket/k ")
                accepted.sendall(ok(b"hello"))
                assert client.reply().body == b"hello"


def test_a_backlog_that_stays_full_is_503_in_time(store: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(store))
        listener.listen(0)
        first.connect(str(store))
        with (
            RunningEngine(1, upstream_path=store, upstream_connect_timeout=0.3) as gateway,
            gateway.connect() as client,
        ):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().status == 503


def test_a_store_that_restarts_is_found_again(store: Path) -> None:
    with RunningEngine(1, upstream_path=store) as gateway, gateway.connect() as client:
        for _ in range(2):
            with RecordingUpstream(canned(ok(b"hello")), path=store):
                client.send(gateway.signer.head("GET", "/bucket/k"))
                assert client.reply().status == 200
            store.unlink()
            wait_until(lambda: gateway.call(lambda: gateway.engine.upstream.pool.open) == 0)


def test_a_request_that_waits_for_the_store_is_told_when_it_ends(upstream: RecordingUpstream, store: Path) -> None:
    upstream.script = never_answers
    with RunningEngine(1, upstream_path=store) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"x") + b"x")
        upstream.wait_for_requests(1)
        upstream.drop_connections()
        assert client.reply().status == 503

"""Unix sockets on both sides. There is no reset there: what is cut short must be seen to be short without one."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.s3.errors import Code, S3Error
from gateway.wire.reply import NEEDS_HTTP_1_1
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, chunked, ok
from tests.support.wire import RunningEngine, wait_until

MIB = 1 << 20
BODY = bytes(range(256)) * 4096 * 5  # 5 MiB


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello", b"ETag: x")), path=tmp_path / "store.sock") as running:
        yield running


@pytest.fixture
def gateway(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[RunningEngine]:
    with RunningEngine(1, upstream_path=tmp_path / "store.sock", path=tmp_path / "s3.sock") as running:
        yield running


def cut(gateway: RunningEngine) -> None:
    """As a revoke in the middle of whatever runs."""
    error = S3Error(Code.ACCESS_DENIED, "the test ends it")
    gateway.call(lambda: [client.exchange.failed(error) for client in gateway.engine.clients if client.exchange])


def test_a_connection_serves_requests_and_pipelined_ones(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    head = gateway.signer.head("GET", "/bucket/k")
    with gateway.connect_here() as client:
        client.send(head + head)
        assert [client.reply().body for _ in range(2)] == [b"hello"] * 2
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"abc") + b"abc")
        assert client.reply().status == 200
    assert upstream.connections == 1
    assert bytes(upstream.requests[-1].body) == b"abc"


def test_large_bodies_pass_whole_both_ways(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(BODY))
    with gateway.connect_here() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        time.sleep(0.2)  # more is written than the socket takes
        assert client.reply().body == BODY
        client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY) + BODY)
        assert client.reply().status == 200
    assert bytes(upstream.requests[-1].body) == BODY


def test_a_download_cut_in_the_middle_is_short_of_its_length(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(ok(b"x" * 1000)[:-500])
        exchange.wait_for_end()

    upstream.script = half
    with gateway.connect_here() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.socket.recv(12) == b"HTTP/1.1 200"
        cut(gateway)
        rest = client.read_to_end()
    assert b"content-length: 1000\r\n" in rest.lower()
    assert len(rest.partition(b"\r\n\r\n")[2]) <= 500


def test_a_download_of_unknown_length_cut_in_the_middle_has_no_last_chunk(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        exchange.wait_for_end()

    upstream.script = half
    with gateway.connect_here() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.socket.recv(12) == b"HTTP/1.1 200"
        cut(gateway)
        rest = client.read_to_end()
    assert b"transfer-encoding: chunked" in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_http_1_0_gets_no_reply_whose_end_only_a_reset_could_deny(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    """Over TCP such a reply ends with the connection, and a reset tells that it is not whole."""
    older = gateway.signer.head("GET", "/bucket/k").replace(b"HTTP/1.1", b"HTTP/1.0")
    with gateway.connect_here() as client:
        client.send(older)
        assert client.reply().body == b"hello"  # its length is known
    upstream.script = chunked(b"abc")
    with gateway.connect_here() as client:
        client.send(older)
        reply = client.reply()
        assert (reply.status, reply.message) == (400, NEEDS_HTTP_1_1)
        assert b"abc" not in reply.body
    with gateway.connect() as client:
        client.send(older)
        assert client.reply().body == b"abc"


@pytest.mark.parametrize("size", [100_000, len(BODY)])
def test_an_upload_that_stops_short_never_comes_whole_to_the_store(
    gateway: RunningEngine, upstream: RecordingUpstream, size: int
) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", body=BODY[:size])
    with gateway.connect_here() as client:
        client.send(head + BODY[: size - 1])
        client.end_sending()
        assert client.reply().code == "IncompleteBody"
    assert not any(request.complete for request in upstream.requests)
    assert bool(upstream.requests) == (size > MIB)


def test_an_upload_cut_in_the_middle_is_short_at_the_store(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect_here() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY) + BODY[: 4 * MIB])
        upstream.wait_for_requests(1)
        wait_until(lambda: len(upstream.requests[0].body) > MIB)
        cut(gateway)
        assert client.reply().code == "AccessDenied"
        wait_until(lambda: gateway.call(lambda: gateway.engine.upstream.pool.open) == 0)
    assert len(upstream.only_request().body) < len(BODY)
    assert not upstream.only_request().complete


def test_a_slow_reader_is_not_a_silent_one(tmp_path: Path, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(BODY))
    with (
        RunningEngine(1, upstream_path=tmp_path / "store.sock", path=tmp_path / "s3.sock", body_idle_timeout=2) as slow,
        slow.connect_here() as client,
    ):
        client.send(slow.signer.head("GET", "/bucket/k"))
        taken = 0
        for _ in range(16):  # 4 s, never more than the kernel holds
            taken += len(client.socket.recv(40_000))
            time.sleep(0.25)
        while taken < len(BODY):
            block = client.socket.recv(MIB)
            assert block, f"cut after {taken}"
            taken += len(block)


def test_a_client_that_takes_nothing_is_ended(tmp_path: Path, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(BODY))
    with (
        RunningEngine(1, upstream_path=tmp_path / "store.sock", path=tmp_path / "s3.sock", body_idle_timeout=1) as slow,
        slow.connect_here() as client,
    ):
        client.send(slow.signer.head("GET", "/bucket/k"))
        wait_until(lambda: slow.call(lambda: slow.engine.running == 1))
        wait_until(lambda: slow.call(lambda: not slow.engine.clients))
        assert len(client.read_to_end()) < len(BODY)


def test_the_log_calls_its_peer_unix_and_nobody_is_believed(gateway: RunningEngine) -> None:
    with gateway.connect_here() as client:
        client.send(gateway.signer.head("GET", "/bucket/k", [("X-Forwarded-For", "192.0.2.7")]))
        assert client.reply().status == 200
        peers = gateway.call(lambda: [one.peer for one in gateway.engine.clients])
    assert peers == ["unix"]

"""What becomes of a request whose upstream is dead, slow, talks nonsense or breaks off."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bodies import MIB
from tests.support.gateway_process import Gateway
from tests.support.house import Recorded, recorded_store
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    canned,
    close_without_answer,
    in_turn,
    never_answers,
    ok,
    short_body,
)
from tests.support.server_process import LOOPBACK, free_port
from tests.support.stores import Store

pytestmark = pytest.mark.server  # gateways of its own


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (1 << 20) + b"\r\n\r\n",
    ],
)
def test_nonsense_is_500_and_its_connection_is_never_used_again(recorded: Recorded, nonsense: bytes) -> None:
    recorded.upstream.reset(in_turn(canned(nonsense), canned(ok(b"sound"))))
    reply = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert (reply.status, reply.code) == (500, "InternalError")
    assert recorded.ask(recorded.signer.head("GET", "/aaa/k")).body == b"sound"
    first, second = recorded.upstream.requests
    assert first.connection != second.connection


def test_bytes_after_a_reply_never_become_the_next_reply(recorded: Recorded) -> None:
    recorded.upstream.reset(in_turn(canned(ok(b"one") + ok(b"poison")), canned(ok(b"two"))))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().body == b"one"
        time.sleep(0.05)  # the poison has arrived
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().body == b"two"


def test_a_body_shorter_than_promised_kills_the_client_s_connection(recorded: Recorded) -> None:
    recorded.upstream.reset(short_body(100, b"short"))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()


def test_a_chunked_body_cut_short_never_ends_cleanly(recorded: Recorded) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        exchange.close()

    recorded.upstream.reset(script)
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()


def test_a_pooled_connection_that_died_costs_no_request(recorded: Recorded) -> None:
    for method, body in (("GET", None), ("PUT", b"body"), ("DELETE", None)):
        assert recorded.ask(recorded.signer.head("GET", "/aaa/warm")).status == 200
        recorded.upstream.drop_connections()
        time.sleep(0.1)  # the gateway has heard of it
        reply = recorded.ask(recorded.signer.head(method, "/aaa/k", body=body) + (body or b""))
        assert reply.status == 200


def _stale(exchange: Exchange) -> None:
    """Close on a request that came on a used connection, as a store does whose idle timeout struck just then."""
    exchange.close()


def test_a_get_is_tried_again_on_a_fresh_connection_and_a_put_is_not(recorded: Recorded) -> None:
    def ask(request: bytes) -> RawReply:
        client.send(request)
        return client.reply()

    with recorded.connect() as client:  # one connection: each worker has a pool of its own
        recorded.upstream.reset(in_turn(canned(ok()), _stale, canned(ok(b"again"))))
        assert ask(recorded.signer.head("GET", "/aaa/warm")).status == 200
        assert ask(recorded.signer.head("GET", "/aaa/k")).body == b"again"
        recorded.upstream.reset(in_turn(canned(ok()), _stale, canned(ok(b"again"))))
        assert ask(recorded.signer.head("GET", "/aaa/warm")).status == 200
        assert ask(recorded.signer.head("PUT", "/aaa/k", body=b"body") + b"body").status == 503
        assert len(recorded.upstream.requests) == 2


def test_an_upstream_that_closes_without_an_answer_is_503(recorded: Recorded) -> None:
    recorded.upstream.reset(close_without_answer)
    reply = recorded.ask(recorded.signer.head("PUT", "/aaa/k", body=b"x") + b"x")
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert reply.header(b"retry-after").isdigit()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Accepts nothing: its queue is full, so that a connection attempt hangs."""
    with closing(socket.socket()) as server:
        server.bind((LOOPBACK, 0))
        server.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server
        for filler in fillers:
            filler.close()


def _store_at(port: int) -> Store:
    return Store("aws", f"http://{LOOPBACK}:{port}", "UPSTREAMKEYID", "upstream-secret")


def _ask_dead(folder: Path, port: int, settings: dict[str, dict[str, float]] | None = None) -> RawReply:
    with Gateway(folder, _store_at(port), settings) as gateway, gateway.connect(timeout=5.0) as connection:
        connection.send(gateway.signer(gateway.create_key()).head("GET", "/aaa/k"))
        return connection.reply()  # TimeoutError after 5 s


def _is_unavailable(reply: RawReply) -> bool:
    named = (reply.status, reply.code) == (503, "ServiceUnavailable")
    return named and reply.header(b"retry-after").isdigit()


def test_a_store_that_refuses_connections_is_503_with_retry_after(tmp_path: Path) -> None:
    assert _is_unavailable(_ask_dead(tmp_path, free_port()))


@pytest.mark.server
def test_a_store_that_accepts_no_connections_is_503_in_under_5_seconds(tmp_path: Path, listener: socket.socket) -> None:
    assert _is_unavailable(_ask_dead(tmp_path, listener.getsockname()[1]))


def test_a_store_that_never_answers_is_503(tmp_path: Path) -> None:
    settings = {"limits": {"upstream_reply_timeout": 2.0}}
    with RecordingUpstream(never_answers) as upstream:
        assert _is_unavailable(_ask_dead(tmp_path, upstream.port, settings))


def test_an_upload_larger_than_any_buffer_reaches_a_dead_store_s_503(tmp_path: Path) -> None:
    with Gateway(tmp_path, _store_at(free_port())) as gateway, gateway.connect(timeout=5.0) as connection:
        body = bytes(16 * MIB)
        connection.send(
            gateway.signer(gateway.create_key()).head("PUT", "/aaa/k", body=body, sha256="UNSIGNED-PAYLOAD")
        )
        connection.send_slowly(body, piece=MIB, pause=0.0)
        assert _is_unavailable(connection.reply())


def test_two_gateways_of_one_store_do_not_know_each_other(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream:
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        store = recorded_store(upstream)
        with Gateway(folders[0], store) as one, Gateway(folders[1], store) as two:
            issued = one.create_key()
            with two.connect() as connection:
                connection.send(two.signer(issued).head("GET", "/aaa/k"))
                assert connection.reply().code == "InvalidAccessKeyId"
        upstream.assert_untouched()

"""The store behind answers early, stalls, breaks off or talks nonsense: what the client gets, what is committed, what
is left behind. More of it: test_upstream_failures.py, test_conversation.py.
"""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import Recorded, recorded_store
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    Script,
    canned,
    early,
    in_turn,
    ok,
)
from tests.support.wire import wait_until

pytestmark = pytest.mark.server

MIB = 1 << 20
BODY = bytes(8 * MIB)
ERROR = b"<Error><Code>%b</Code><Message>m</Message></Error>"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A gateway of one worker that waits two seconds for everything."""
    limits = {"upstream_reply_timeout": 2.0, "body_idle_timeout": 2.0}
    with RecordingUpstream() as upstream:
        store = recorded_store(upstream)
        with Gateway(
            tmp_path_factory.mktemp("impatient"), store, {"limits": limits, "workers": {"count": 1}}
        ) as gateway:
            signer = gateway.signer(gateway.create_key())
            yield Recorded(gateway, upstream, signer, signer)


def files(recorded: Recorded) -> int:
    [worker] = recorded.gateway.workers()
    return len(list(Path(f"/proc/{worker}/fd").iterdir()))


def serves(recorded: Recorded) -> bool:
    recorded.upstream.reset()
    return recorded.ask(recorded.signer.head("GET", "/aaa/k")).status == 200


def put(recorded: Recorded) -> bytes:
    return recorded.signer.head("PUT", "/aaa/k", body=BODY, sha256="UNSIGNED-PAYLOAD")


# ---- answers before the body is there ----


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (ok(b"", b"ETag: x"), 500, "InternalError"),  # it cannot have what it says that it has
        (ok(ERROR % b"NoSuchBucket", status=b"404 Not Found"), 404, "NoSuchBucket"),
        (ok(ERROR % b"SlowDown", status=b"503 Service Unavailable"), 503, "SlowDown"),
        (ok(ERROR % b"InternalError", status=b"500 Internal Server Error"), 500, "InternalError"),
    ],
)
def test_an_answer_before_the_body_is_passed_on_unless_it_says_that_all_is_stored(
    impatient: Recorded, reply: bytes, status: int, code: str
) -> None:
    impatient.upstream.reset(early(reply))
    with impatient.connect() as connection:
        connection.send(put(impatient) + BODY[:MIB])
        answered = connection.reply()
        assert (answered.status, answered.code) == (status, code)
    [request] = impatient.upstream.requests
    assert len(request.body) < len(BODY)
    assert serves(impatient)


# ---- it breaks off, or stands still ----


def _reset_connection(exchange: Exchange) -> None:
    sock = exchange._connection.socket
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    exchange.close()


def _resets_in_the_body(exchange: Exchange) -> None:
    _ = exchange._connection.take(MIB)
    _reset_connection(exchange)


def test_a_store_that_resets_in_the_middle_of_an_upload_is_503(impatient: Recorded) -> None:
    before = files(impatient)
    impatient.upstream.reset(_resets_in_the_body)
    for _ in range(5):
        with impatient.connect() as connection:
            connection.send(put(impatient) + BODY[: 2 * MIB])
            reply = connection.reply()
            assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
    assert len(impatient.upstream.requests) == 5  # each was asked once
    assert serves(impatient)
    wait_until(lambda: files(impatient) <= before + 1)


def test_a_store_that_takes_no_more_of_an_upload_is_503_in_time(impatient: Recorded) -> None:
    def stands_still(exchange: Exchange) -> None:
        time.sleep(8)
        exchange.close()

    impatient.upstream.reset(stands_still)
    with impatient.connect() as connection:
        connection.socket.settimeout(8)
        connection.send(put(impatient))
        with suppress(OSError):
            connection.send(BODY * 4)
        reply = connection.reply()
        assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert serves(impatient)


def _begins_and(then: Script) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        then(exchange)

    return script


def _stalls(exchange: Exchange) -> None:
    time.sleep(6)
    exchange.close()


@pytest.mark.parametrize("then", [_stalls, _reset_connection], ids=["stalls", "resets"])
def test_a_download_that_breaks_off_never_looks_whole(impatient: Recorded, then: Script) -> None:
    before = files(impatient)
    impatient.upstream.reset(_begins_and(then))
    with impatient.connect() as connection:
        connection.send(impatient.signer.head("GET", "/aaa/k"))
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()
    assert len(impatient.upstream.requests) == 1
    assert serves(impatient)
    wait_until(lambda: files(impatient) <= before + 1)


# ---- nonsense ----


@pytest.mark.parametrize(
    "nonsense",
    [
        b"<html>HTTP/0.9 has no head</html>\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100,
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_nonsense_is_500_and_serves_nobody_else(impatient: Recorded, nonsense: bytes, method: str) -> None:
    body = None if method == "GET" else b"body"
    impatient.upstream.reset(in_turn(canned(nonsense), canned(ok(b"sound"))))
    head = impatient.signer.head(method, "/aaa/k", body=body)
    reply = impatient.ask(head + (body or b""))
    assert (reply.status, reply.code) == (500, "InternalError")
    assert impatient.ask(impatient.signer.head("GET", "/aaa/k")).body == b"sound"
    assert "the store answered nonsense" in impatient.gateway.log_text()


def test_a_body_longer_than_announced_is_cut_where_it_was_announced(impatient: Recorded) -> None:
    impatient.upstream.reset(
        in_turn(canned(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more"), canned(ok()))
    )
    assert impatient.ask(impatient.signer.head("GET", "/aaa/k")).body == b"hello"
    assert impatient.ask(impatient.signer.head("GET", "/aaa/k")).body == b""

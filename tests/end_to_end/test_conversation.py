"""HTTP/1.1 as clients speak it: 100-continue, pipelining, keep-alive, replies without a body, early answers."""

import socket

import pytest

from tests.support.bodies import MIB, body_of
from tests.support.house import Recorded
from tests.support.raw_client import RawReply, Signer
from tests.support.recording_upstream import (
    Exchange,
    canned,
    chunked,
    early,
    in_pieces,
    in_turn,
    ok,
)

EXPECT = [("Expect", "100-continue")]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _stranger(recorded: Recorded) -> Signer:
    return Signer(recorded.gateway.host, recorded.signer.access_key_id, "not the secret")


# ---- Expect: 100-continue ----


def test_a_bad_signature_hears_403_before_any_100(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(_stranger(recorded).head("PUT", "/aaa/k", unsigned=EXPECT, body=b"x" * 1000))
        assert connection.read(12) == b"HTTP/1.1 403"
    recorded.upstream.assert_untouched()


def test_a_bucket_out_of_scope_hears_403_before_any_100(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(recorded.scoped.head("PUT", "/bbb/k", unsigned=EXPECT, body=b"x" * 1000))
        assert connection.read(12) == b"HTTP/1.1 403"
    recorded.upstream.assert_untouched()


def test_a_malformed_checksum_hears_400_before_any_100(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        head = recorded.signer.head("PUT", "/aaa/k", [("Content-MD5", "!")], unsigned=EXPECT, body=b"x" * 1000)
        connection.send(head)
        assert connection.read(12) == b"HTTP/1.1 400"
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("size", [1, 1000, 3 * MIB])
def test_an_authorized_upload_is_told_to_continue(recorded: Recorded, size: int) -> None:
    body = body_of(size)
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("PUT", "/aaa/k", unsigned=EXPECT, body=body))
        assert connection.read(len(CONTINUE)) == CONTINUE
        connection.send(body)
        assert connection.reply().status == 200
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().status == 200
    upload = recorded.upstream.requests[0]
    assert upload.body == body
    assert upload.values(b"expect") == []


def test_a_client_that_does_not_wait_is_served_as_well(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("PUT", "/aaa/k", unsigned=EXPECT, body=b"body") + b"body")
        replies = [connection.reply()]
        if replies[0].status == 100:
            replies.append(connection.reply())
        assert replies[-1].status == 200
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().status == 200


def test_an_empty_upload_is_not_asked_to_continue(recorded: Recorded) -> None:
    assert recorded.ask(recorded.signer.head("PUT", "/aaa/k", unsigned=EXPECT, body=b"")).status == 200


# ---- keep-alive and pipelining ----


def _pieces(number: int) -> list[bytes]:
    return [b"reply %d" % index for index in range(number)]


def test_pipelined_requests_are_answered_in_order(recorded: Recorded) -> None:
    recorded.upstream.reset(in_turn(*(canned(ok(body)) for body in _pieces(5))))
    with recorded.connect() as connection:
        connection.send(b"".join(recorded.signer.head("GET", f"/aaa/{index}") for index in range(5)))
        assert [connection.reply().body for _ in range(5)] == _pieces(5)
    lines = [request.line for request in recorded.upstream.requests]
    assert lines == [b"GET /aaa/%d HTTP/1.1" % index for index in range(5)]


def test_a_body_is_never_taken_for_the_next_request(recorded: Recorded) -> None:
    inner = recorded.signer.head("GET", "/bbb/inner")
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("PUT", "/aaa/k", body=inner) + inner)
        connection.send(recorded.signer.head("GET", "/aaa/next"))
        assert [connection.reply().status, connection.reply().status] == [200, 200]
    assert [request.line[:12] for request in recorded.upstream.requests] == [b"PUT /aaa/k H", b"GET /aaa/nex"]


def test_a_refused_body_is_never_taken_for_the_next_request(recorded: Recorded) -> None:
    inner = recorded.signer.head("GET", "/aaa/inner")
    with recorded.connect() as connection:
        connection.send_slowly(
            _stranger(recorded).head("PUT", "/aaa/k", body=inner) + inner + inner, piece=64, pause=0.0
        )
        assert connection.reply().status == 403
    assert len(recorded.upstream.requests) <= 1  # the pipelined one at most, never the one in the body


def test_a_request_in_single_bytes_is_the_same_request(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send_slowly(recorded.signer.head("PUT", "/aaa/k", body=b"abc") + b"abc", piece=1, pause=0.0)
        assert connection.reply().status == 200
    assert recorded.upstream.only_request().body == b"abc"


def test_close_is_honoured_and_http_1_0_closes_by_itself(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k", unsigned=[("Connection", "close")]))
        reply = connection.reply()
        assert (reply.status, reply.header(b"connection"), connection.is_closed()) == (200, b"close", True)
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k").replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        assert (connection.reply().status, connection.is_closed()) == (200, True)


# ---- replies without a body ----


def test_head_then_get_on_one_connection(recorded: Recorded) -> None:
    recorded.upstream.reset(in_turn(canned(ok(b"x" * 7).partition(b"x")[0]), canned(ok(b"x" * 7))))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("HEAD", "/aaa/k") + recorded.signer.head("GET", "/aaa/k"))
        head = connection.reply(head_request=True)
        assert (head.status, head.header(b"content-length")) == (200, b"7")
        assert connection.reply().body == b"x" * 7


def test_a_refused_head_has_no_body_and_says_why_in_headers(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(_stranger(recorded).head("HEAD", "/aaa/k") + recorded.signer.head("GET", "/aaa/k"))
        refused = connection.reply(head_request=True)
        assert (refused.status, refused.header(b"x-amz-error-code")) == (403, b"SignatureDoesNotMatch")
        assert connection.reply().status == 200


@pytest.mark.parametrize(
    "upstream_reply",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        b'HTTP/1.1 304 Not Modified\r\netag: "e"\r\n\r\n',
        b'HTTP/1.1 304 Not Modified\r\netag: "e"\r\ncontent-length: 5\r\n\r\n',
    ],
)
def test_204_and_304_end_at_their_head(recorded: Recorded, upstream_reply: bytes) -> None:
    recorded.upstream.reset(in_turn(canned(upstream_reply), canned(ok(b"next"))))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k") * 2)
        assert connection.reply().status == int(upstream_reply[9:12])
        assert connection.reply().body == b"next"


def test_interim_replies_of_the_upstream_stay_inside(recorded: Recorded) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    recorded.upstream.reset(in_pieces([CONTINUE, interim, ok(b"final")]))
    assert recorded.ask(recorded.signer.head("GET", "/aaa/k")).body == b"final"


def test_a_chunked_reply_arrives_whole(recorded: Recorded) -> None:
    blocks = [b"a", b"b" * 1000, body_of(MIB), b"c"]
    recorded.upstream.reset(chunked(*blocks))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().body == b"".join(blocks)
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        assert connection.reply().body == b"".join(blocks)


def test_a_chunked_reply_to_http_1_0_ends_with_the_connection(recorded: Recorded) -> None:
    recorded.upstream.reset(chunked(b"ab", b"cd"))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k").replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        reply = connection.reply()
        assert (reply.values(b"transfer-encoding"), reply.body) == ([], b"abcd")


def test_a_reply_that_ends_with_the_upstream_s_connection_arrives_whole(recorded: Recorded) -> None:
    def script(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"until the end")
        exchange.close()

    recorded.upstream.reset(script)
    assert recorded.ask(recorded.signer.head("GET", "/aaa/k")).body == b"until the end"


def test_a_reply_in_single_bytes_is_the_same_reply(recorded: Recorded) -> None:
    reply = ok(b"body", b"x-amz-meta-a: b")
    recorded.upstream.reset(in_pieces([bytes([byte]) for byte in reply], pause=0.0))
    answered = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert (answered.body, answered.header(b"x-amz-meta-a")) == (b"body", b"b")


# ---- early answers ----


def _upload(recorded: Recorded, size: int) -> tuple[RawReply, bool]:
    """Upload until the other side stops us; the reply, and whether the connection ended after it."""
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("PUT", "/aaa/k", body=bytes(size), sha256="UNSIGNED-PAYLOAD"))
        connection.socket.settimeout(10.0)
        connection.send_slowly(bytes(size), piece=MIB, pause=0.0)
        return connection.reply(), connection.is_closed()


def test_an_answer_before_the_body_is_sent_reaches_the_client_and_ends_the_upload(recorded: Recorded) -> None:
    full = b"<?xml version='1.0'?><Error><Code>XStorageFull</Code><Message>Full.</Message></Error>"
    recorded.upstream.reset(early(ok(full, status=b"507 Insufficient Storage")))
    reply, closed = _upload(recorded, 64 * MIB)
    assert (reply.status, closed) == (507, True)
    assert len(recorded.upstream.only_request().body) < 64 * MIB


def test_an_early_answer_poisons_no_later_request(recorded: Recorded) -> None:
    recorded.upstream.reset(in_turn(early(ok(status=b"507 Insufficient Storage")), canned(ok(b"fresh"))))
    _upload(recorded, 16 * MIB)
    assert recorded.ask(recorded.signer.head("GET", "/aaa/k")).body == b"fresh"


def test_a_client_that_closes_its_sending_side_still_gets_its_reply(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.reply().status == 200

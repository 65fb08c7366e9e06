import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.wire.heads import ChunkedBody, Framing, UpstreamNonsense, parse_reply_head, parse_request_head

FIELDS = 100


def request(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def refusal(block: bytes) -> Code:
    with pytest.raises(S3Error) as caught:
        parse_request_head(block, FIELDS)
    return caught.value.code


def test_a_plain_get_has_bytes_as_received_and_no_body() -> None:
    parsed = parse_request_head(request(b"GET /b/k%20?x=%2F HTTP/1.1", b"Host: h:1", b"X-A:  b\tc \t"), FIELDS)
    assert parsed.head.method == b"GET"
    assert parsed.head.target == b"/b/k%20?x=%2F"
    assert parsed.head.headers == {b"host": b"h:1", b"x-a": b"b\tc"}
    assert parsed.head.http_minor == 1
    assert parsed.body == 0
    assert parsed.keep_alive


def test_repeated_names_are_joined_in_arrival_order_and_named() -> None:
    parsed = parse_request_head(request(b"GET / HTTP/1.1", b"Host: h", b"X-A: 1", b"x-a: 2"), FIELDS)
    assert parsed.head.headers[b"x-a"] == b"1,2"
    assert parsed.head.names.repeated == {b"x-a"}


@pytest.mark.parametrize(
    "block",
    [
        b"GET /\r\n\r\n",
        request(b"GET / HTTP/0.9"),
        request(b"GET / HTTP/2.0", b"Host: h"),
        request(b"GET / HTTP/1.1", b"Host : h"),
        request(b"GET / HTTP/1.1", b"Host: h", b" folded"),
        request(b"GET /\xff HTTP/1.1", b"Host: h"),
        request(b"GET / HTTP/1.1", b"Host: h", b"A: \x00"),
        b"GET / HTTP/1.1\nHost: h\n\n\r\n\r\n",
        b"GET /\nHost:x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\r\nHost:x HTTP/1.1\r\nHost: h\r\n\r\n",
        request(b"PUT / HTTP/1.1", b"Host: h", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Content-Length: 5", b"Content-Length: 5"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Content-Length: +5"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Content-Length: 5, 5"),
        request(b"PUT / HTTP/1.0", b"Host: h", b"Transfer-Encoding: chunked"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5"),
        request(b"PUT / HTTP/1.1", b"Host: h", b"Upgrade: h2c", b"Content-Length: 5"),
    ],
)
def test_a_head_that_two_parsers_could_read_differently_is_refused(block: bytes) -> None:
    assert refusal(block) is Code.BAD_REQUEST


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"chunked, chunked"])
def test_other_transfer_codings_are_not_implemented(coding: bytes) -> None:
    assert refusal(request(b"PUT / HTTP/1.1", b"Host: h", b"Transfer-Encoding: " + coding)) in (
        Code.NOT_IMPLEMENTED,
        Code.BAD_REQUEST,
    )


def test_too_many_header_fields_are_refused() -> None:
    lines = [b"A%d: b" % number for number in range(FIELDS + 1)]
    assert refusal(request(b"GET / HTTP/1.1", *lines)) is Code.REQUEST_HEADER_SECTION_TOO_LARGE


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", None, True),
        (b"1.1", b"close", False),
        (b"1.1", b"foo, Close", False),
        (b"1.0", None, False),
        (b"1.0", b"keep-alive", False),
    ],
)
def test_keep_alive_follows_version_and_connection_tokens(
    version: bytes, connection: bytes | None, keeps: bool
) -> None:
    lines = [b"GET / HTTP/" + version, b"Host: h"] + ([b"Connection: " + connection] if connection else [])
    assert parse_request_head(request(*lines), FIELDS).keep_alive is keeps


def test_only_100_continue_can_be_expected() -> None:
    assert refusal(request(b"PUT / HTTP/1.1", b"Host: h", b"Expect: a-miracle")) is Code.EXPECTATION_FAILED
    parse_request_head(request(b"PUT / HTTP/1.1", b"Host: h", b"Expect: 100-Continue"), FIELDS)


CHUNKED = request(b"PUT / HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked")
BODY = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"


def chunked() -> ChunkedBody:
    body = parse_request_head(CHUNKED, FIELDS).body
    assert isinstance(body, ChunkedBody)
    return body


def test_a_chunked_body_decodes_whole() -> None:
    body = chunked()
    assert b"".join(body.feed(BODY)) == b"abc0123456789"
    assert body.complete


@given(st.sets(st.integers(1, len(BODY) - 1)))
def test_a_chunked_body_decodes_the_same_under_any_split(cuts: set[int]) -> None:
    body, decoded, start = chunked(), b"", 0
    for cut in [*sorted(cuts), len(BODY)]:
        decoded += b"".join(body.feed(BODY[start:cut]))
        start = cut
    assert decoded == b"abc0123456789"
    assert body.complete


@pytest.mark.parametrize("tail", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"x"])
def test_bytes_after_the_last_chunk_are_an_error(tail: bytes) -> None:
    with pytest.raises(ValueError):
        chunked().feed(BODY + tail)
    body = chunked()
    body.feed(BODY)
    with pytest.raises(ValueError):
        body.feed(tail)


@pytest.mark.parametrize("bad", [b"+3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"3\nabc\n", b"-1\r\n", b"3\r\nabcd\r\n"])
def test_malformed_chunk_framing_is_an_error(bad: bytes) -> None:
    with pytest.raises(ValueError):
        chunked().feed(bad + b"0\r\n\r\n")


def test_the_header_dict_is_not_changed_by_trailer_fields() -> None:
    parsed = parse_request_head(CHUNKED, FIELDS)
    assert isinstance(parsed.body, ChunkedBody)
    parsed.body.feed(BODY)
    assert b"x-trailer" not in parsed.head.headers


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_documented_errors(block: bytes) -> None:
    with contextlib.suppress(S3Error):
        parse_request_head(block + b"\r\n\r\n", FIELDS)


# ---- replies ----


def test_a_reply_with_a_length_says_how_many_bytes_follow() -> None:
    reply = parse_reply_head(request(b"HTTP/1.1 206 Partial", b"Content-Length: 7", b"ETag: x"), to_head=False)
    assert (reply.head.status, reply.body, reply.length, reply.keep_alive) == (206, 7, 7, True)
    assert (b"etag", b"x") in reply.head.headers


@pytest.mark.parametrize(
    ("status", "to_head"), [(b"200 OK", True), (b"204 No", False), (b"304 Not", False), (b"100 C", False)]
)
def test_replies_without_a_body_end_at_their_head(status: bytes, to_head: bool) -> None:
    lines = [b"HTTP/1.1 " + status] + ([b"Content-Length: 9"] if to_head else [])
    reply = parse_reply_head(request(*lines), to_head=to_head)
    assert reply.body == 0
    assert reply.length == (9 if to_head else None)


def test_a_reply_without_length_ends_with_the_connection() -> None:
    reply = parse_reply_head(request(b"HTTP/1.1 200 OK"), to_head=False)
    assert reply.body is Framing.UNTIL_CLOSE
    assert not reply.keep_alive


def test_a_chunked_reply_is_decoded() -> None:
    reply = parse_reply_head(request(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"), to_head=False)
    assert isinstance(reply.body, ChunkedBody)
    assert b"".join(reply.body.feed(BODY)) == b"abc0123456789"


@pytest.mark.parametrize(
    "block",
    [
        request(b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        request(b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Content-Length: 6"),
        request(b"HTTP/1.1 200 OK", b"Content-Length: x"),
        request(b"HTTP/1.1 101 Switching", b"Upgrade: x", b"Connection: upgrade"),
        request(b"HTTP/2.0 200 OK"),
        request(b"SSH-2.0-OpenSSH"),
    ],
)
def test_nonsense_from_the_store_is_named_so(block: bytes) -> None:
    with pytest.raises(UpstreamNonsense):
        parse_reply_head(block, to_head=False)


def test_chunk_framing_is_bounded_by_the_body_it_frames() -> None:
    head = request(b"PUT / HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked")
    small = ChunkedBody(head, of_reply=False)
    for _ in range(20_000):
        assert small.feed(b"1\r\nx\r\n") == [b"x"]
    for endless in (b"5;" + b"a" * 2000, b"0\r\n" + b"a: b\r\n" * 300):
        body = ChunkedBody(head, of_reply=False)
        with pytest.raises(ValueError):  # noqa: PT012
            body.feed(endless)
            for _ in range(100):
                body.feed(b"a" * 2000 if endless.startswith(b"5") else b"a: b\r\n" * 300)


@pytest.mark.parametrize("method", [b"FOO", b"get", b"BREW-IT"])
def test_a_method_nobody_knows_is_405(method: bytes) -> None:
    assert refusal(request(method + b" /bucket/k HTTP/1.1", b"Host: h")) is Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("block", [b"\x16\x03\x01 / HTTP/1.1\r\n\r\n", b"FOO /\r\n\r\n", b"FOO / HTTP/2.0\r\n\r\n"])
def test_what_is_no_request_line_of_ours_is_400(block: bytes) -> None:
    assert refusal(block) is Code.BAD_REQUEST

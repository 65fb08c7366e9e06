"""From the bytes of one HTTP/1.1 head to a RequestHead or a ReplyHead, by llhttp (httptools).

llhttp tokenizes; what it lets pass and a proxy must not, is refused here (found by running it): HTTP/0.9 and 2.0
request lines, any transfer coding but `chunked`, a request body together with Upgrade, which it would take for a
message without a body. A parser serves one head and one chunked body, then it is thrown away: it gives no consumed
offset and would take what follows for the next message.
"""

import re
from enum import Enum
from typing import Final

import httptools

from gateway.respond import ReplyHead
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import RequestHead

CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,19}\Z")
_NOT_REPEATED: Final[frozenset[bytes]] = frozenset()


class Framing(Enum):
    """How a body ends where no length was declared."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class UpstreamNonsense(Exception):
    """The store answered something that is not HTTP/1.1 as we accept it."""


class _Fields:
    """Collects what llhttp calls back with: header fields of the head, then chunk data of the body."""

    __slots__ = ("begun", "blocks", "complete", "fields", "headers_done", "target")

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers_done = False
        self.blocks: list[bytes] = []
        self.complete = False
        self.begun = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headers_done:  # afterwards: trailer fields, which nothing here believes
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.headers_done = True

    def on_body(self, block: bytes) -> None:
        self.blocks.append(block)

    def on_message_complete(self) -> None:
        self.complete = True


class ChunkedBody:
    """The rest of one message in chunked transfer coding.

    `feed(block)` returns the decoded blocks; `complete` turns true with the last chunk. Bytes after the end raise
    ValueError (a client that pipelines behind a chunked body is told so; a store never sends any).
    """

    __slots__ = ("_collected", "_parser")

    def __init__(self, parser: httptools.HttpRequestParser | httptools.HttpResponseParser, collected: _Fields) -> None:
        self._parser = parser
        self._collected = collected

    @property
    def complete(self) -> bool:
        return self._collected.complete

    def feed(self, block: bytes | memoryview) -> list[bytes]:
        collected = self._collected
        if collected.complete:
            raise ValueError("bytes after the last chunk")
        try:
            self._parser.feed_data(block)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ValueError("malformed chunked coding") from error
        if collected.begun > 1:
            raise ValueError("bytes after the last chunk")
        blocks, collected.blocks = collected.blocks, []
        return blocks


class ParsedRequest:
    """`body`: a declared length (0 = none) or the chunked decoder. `keep_alive`: what the client asked for."""

    __slots__ = ("body", "head", "keep_alive")

    def __init__(self, head: RequestHead, body: int | ChunkedBody, keep_alive: bool) -> None:
        self.head = head
        self.body = body
        self.keep_alive = keep_alive


class ParsedReply:
    """`body`: what follows: a length, the chunked decoder, or UNTIL_CLOSE. For HEAD, 1xx, 204 and 304 it is 0.

    `length`: Content-Length as declared, which for HEAD and 304 is that of the object; None where there is none.
    """

    __slots__ = ("body", "head", "keep_alive", "length")

    def __init__(
        self, head: ReplyHead, body: int | ChunkedBody | Framing, length: int | None, keep_alive: bool
    ) -> None:
        self.head = head
        self.body = body
        self.length = length
        self.keep_alive = keep_alive


def _merge(fields: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    headers = dict(fields)
    if len(headers) == len(fields):
        return headers, _NOT_REPEATED
    headers = {}
    repeated = set()
    for name, value in fields:
        if name in headers:
            repeated.add(name)
            value = headers[name] + b"," + value
        headers[name] = value
    return headers, frozenset(repeated)


def _bad(reason: str) -> S3Error:
    return S3Error(Code.BAD_REQUEST, reason, message=f"The request is not valid HTTP/1.1: {reason}.")


def parse_request_head(block: bytes, max_fields: int) -> ParsedRequest:
    """One request head, through its CRLFCRLF. Raises S3Error BAD_REQUEST, NOT_IMPLEMENTED or a header limit."""
    collected = _Fields()
    parser = httptools.HttpRequestParser(collected)
    upgrade = False
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        upgrade = True
    except httptools.HttpParserError as error:
        raise _bad(str(error).lower()) from None
    version = parser.get_http_version()
    if version not in ("1.1", "1.0") or not collected.headers_done:
        raise _bad("only HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(collected.fields) > max_fields:
        raise S3Error(Code.REQUEST_HEADER_SECTION_TOO_LARGE, "too many header fields")
    headers, repeated = _merge(collected.fields)
    minor = 1 if version == "1.1" else 0
    head = RequestHead(parser.get_method(), collected.target, headers, repeated, minor)
    body = _request_body(head, parser, collected)
    if (upgrade or b"upgrade" in headers) and body != 0:
        raise _bad("Upgrade on a request with a body")
    expectation = headers.get(b"expect")
    if expectation is not None and expectation.lower() != b"100-continue":
        raise S3Error(Code.EXPECTATION_FAILED, "an expectation other than 100-continue")
    return ParsedRequest(head, body, _keeps_alive(minor, headers.get(b"connection")))


def _keeps_alive(minor: int, connection: bytes | None) -> bool:
    """HTTP/1.0 always closes: its keep-alive is an extension that no S3 client needs."""
    if connection is None:
        return minor == 1
    return minor == 1 and b"close" not in [token.strip(b" \t") for token in connection.lower().split(b",")]


def _request_body(head: RequestHead, parser: httptools.HttpRequestParser, collected: _Fields) -> int | ChunkedBody:
    """RFC 9112, 6.3, narrowed: exactly one of a decimal Content-Length and `Transfer-Encoding: chunked`."""
    headers = head.headers
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        if length is None:
            return 0
        if not CONTENT_LENGTH.match(length):
            raise _bad("Content-Length is not one decimal number")
        return int(length)
    if length is not None:
        raise _bad("both Content-Length and Transfer-Encoding")
    if head.http_minor == 0:
        raise _bad("Transfer-Encoding in HTTP/1.0")
    if coding.lower() != b"chunked":
        raise S3Error(Code.NOT_IMPLEMENTED, "transfer coding other than chunked")
    return ChunkedBody(parser, collected)


def parse_reply_head(block: bytes, *, to_head: bool) -> ParsedReply:
    """One reply head, through its CRLFCRLF; `to_head`: it answers a HEAD request. Raises UpstreamNonsense."""
    collected = _Fields()
    parser = httptools.HttpResponseParser(collected)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        raise UpstreamNonsense("the store switched protocols") from None
    except httptools.HttpParserError as error:
        raise UpstreamNonsense(f"unreadable reply head: {error}") from None
    version = parser.get_http_version()
    status = parser.get_status_code()
    if version not in ("1.1", "1.0") or not collected.headers_done or not 100 <= status <= 599:
        raise UpstreamNonsense("the reply is not HTTP/1.1")
    headers, repeated = _merge(collected.fields)
    length: int | None = None
    if (declared := headers.get(b"content-length")) is not None:
        if b"content-length" in repeated or not CONTENT_LENGTH.match(declared):
            raise UpstreamNonsense("Content-Length of the reply is not one decimal number")
        length = int(declared)
    body: int | ChunkedBody | Framing
    if to_head or status < 200 or status in (204, 304):
        body = 0
    elif (coding := headers.get(b"transfer-encoding")) is not None:
        if coding.lower() != b"chunked" or length is not None:
            raise UpstreamNonsense("ambiguous framing of the reply")
        body = ChunkedBody(parser, collected)
    elif length is not None:
        body = length
    else:
        body = Framing.UNTIL_CLOSE
    keep_alive = body is not Framing.UNTIL_CLOSE and _keeps_alive(int(version == "1.1"), headers.get(b"connection"))
    return ParsedReply(ReplyHead(status, collected.fields), body, length, keep_alive)

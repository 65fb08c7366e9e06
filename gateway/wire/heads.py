"""From the bytes of one HTTP/1.1 head to a RequestHead or a ReplyHead, by llhttp (httptools).

llhttp tokenizes; what it lets pass and a proxy must not, is refused here (found by running it): HTTP/0.9 and 2.0
request lines, any transfer coding but `chunked`, a request body together with Upgrade, which it would take for a
message without a body. A parser serves one head and one chunked body, then it is thrown away: it gives no consumed
offset and would take what follows for the next message.
"""

import contextlib
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

import httptools

from gateway.respond import ReplyHead
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import HeaderNames, header_names
from gateway.s3.request import RequestHead

MAX_DIGITS: Final = 19  # of a Content-Length: what a signed 64-bit number can hold
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}\Z")  # RFC 9110, 5.6.2
_FRAMED_BY: Final = (b"content-length", b"transfer-encoding")
_MINOR: Final = {b"HTTP/1.1\r\n": 1, b"HTTP/1.0\r\n": 0}
_REPLY_MINOR: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}


# Chunk extensions and trailers carry nothing here. Chunks of one byte have five of framing.
MAX_FRAMING: Final = 65536
FRAMING_PER_BYTE: Final = 8


class Framing(Enum):
    """How a body ends where no length was declared."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


_UNTIL_CLOSE: Final = Framing.UNTIL_CLOSE  # an enum's member costs 0.08 µs each time it is looked up in its class


class UpstreamNonsense(Exception):
    """The store answered something that is not HTTP/1.1 as we accept it."""


class _Fields:
    """Where llhttp puts the fields of one head; what is not asked for costs nothing.

    They go straight into a dict, without a Python call for each (0.1 instead of 0.5 µs; a slot like `__setitem__` would
    cost three times a method). That loses repeated names, so the lines are counted: where they are more than the names,
    `_EveryField` reads the head again. A parser takes `on_header` when it is made, so one object serves all parsers,
    one after another.
    """

    __slots__ = ("on_header",)
    on_header: Callable[[bytes, bytes], bytes]


_fields: Final = _Fields()


class _EveryField:
    """Every field line, repeated names too, in order."""

    def __init__(self, parser: type[httptools.HttpRequestParser | httptools.HttpResponseParser], block: bytes) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        with contextlib.suppress(httptools.HttpParserUpgrade):
            parser(self).feed_data(block)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name.lower(), value.rstrip(b" \t")))

    def joined(self) -> dict[bytes, bytes]:
        """Name → its values joined with b","."""
        headers: dict[bytes, bytes] = {}
        for name, value in self.lines:
            headers[name] = headers[name] + b"," + value if name in headers else value
        return headers

    def names(self) -> HeaderNames:
        return header_names(tuple([name for name, _ in self.lines]))


class _Chunks:
    """Collects chunk data. Fields of a trailer section are not asked for: nothing here believes them."""

    __slots__ = ("begun", "blocks", "complete")

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.complete = False
        self.begun = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_body(self, block: bytes) -> None:
        self.blocks.append(block)

    def on_message_complete(self) -> None:
        self.complete = True


class ChunkedBody:
    """The rest of one message in chunked transfer coding.

    `feed(block)` returns the decoded blocks; `complete` turns true with the last chunk. Bytes after the end raise
    ValueError (a client that pipelines behind a chunked body is told so; a store never sends any).
    """

    __slots__ = ("_collected", "_decoded", "_framing", "_parser")

    def __init__(self, head: bytes, *, of_reply: bool) -> None:
        """`head`: the block that announced the body; llhttp is fed it again, to stand where the body begins."""
        self._collected = _Chunks()
        self._parser = (httptools.HttpResponseParser if of_reply else httptools.HttpRequestParser)(self._collected)
        self._parser.feed_data(head)
        self._decoded = self._framing = 0

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
        decoded = sum(map(len, blocks))
        self._decoded += decoded
        self._framing += len(block) - decoded
        if self._framing > MAX_FRAMING + FRAMING_PER_BYTE * self._decoded:
            raise ValueError("more chunk framing than body")
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


def _is_length(value: bytes) -> bool:
    """One decimal number, ASCII digits only."""
    return value.isdigit() and len(value) <= MAX_DIGITS


def _bad(reason: str) -> S3Error:
    return S3Error(Code.BAD_REQUEST, reason, message=f"The request is not valid HTTP/1.1: {reason}.")


def _unknown_method(block: bytes) -> S3Error:
    """405 where all but the method is a request line of ours; else the bytes are something else altogether."""
    begun = block.split(b" ", 2)
    if len(begun) == 3 and begun[2][:10] in _MINOR and _TOKEN.match(begun[0]):
        return S3Error(Code.METHOD_NOT_ALLOWED, "unknown method")
    return _bad("invalid method encountered")


def parse_request_head(block: bytes, max_fields: int) -> ParsedRequest:
    """One request head, through its CRLFCRLF. Raises S3Error BAD_REQUEST, NOT_IMPLEMENTED or a header limit."""
    fields: dict[bytes, bytes] = {}
    _fields.on_header = fields.setdefault
    upgrade = False
    try:
        httptools.HttpRequestParser(_fields).feed_data(block)
    except httptools.HttpParserUpgrade:
        upgrade = True
    except httptools.HttpParserInvalidMethodError:
        raise _unknown_method(block) from None
    except httptools.HttpParserError as error:
        raise _bad(str(error).lower()) from None
    begun = block.split(b" ", 2)
    minor = _MINOR.get(begun[2][:10]) if len(begun) == 3 else None
    if minor is None or begun[1].find(b"\n") >= 0:  # llhttp takes `GET /` and a line end for HTTP/0.9
        raise _bad("only HTTP/1.1 and HTTP/1.0 are spoken here")
    lines = block.count(b"\r\n") - 2  # without the request line and the empty one
    if lines > max_fields:
        raise S3Error(Code.REQUEST_HEADER_SECTION_TOO_LARGE, "too many header fields")
    names = header_names(tuple(fields))
    if len(fields) == lines and not names.repeated:
        values: Iterable[bytes] = fields.values()
        if block.find(b" \r") >= 0 or block.find(b"\t") >= 0:  # llhttp leaves the blanks behind a value
            values = [value.rstrip(b" \t") for value in values]
        headers = dict(zip(names.lowered, values))  # noqa: B905 – there is one for each, and checking costs more
    else:
        every = _EveryField(httptools.HttpRequestParser, block)
        if len(every.lines) != lines:  # more when some end in a bare LF
            raise _bad("a header line that is no field")
        headers, names = every.joined(), every.names()
    head = RequestHead(begun[0], begun[1], headers, names, minor)
    if upgrade or names.framing:
        return _framed(head, block, upgrade=upgrade)
    return ParsedRequest(head, 0, minor == 1)


def _framed(head: RequestHead, block: bytes, *, upgrade: bool) -> ParsedRequest:
    """A request with a body, an expectation, or something to say of its connection."""
    headers = head.headers
    if (upgrade or b"upgrade" in headers) and not (
        headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
    ):
        raise _bad("Upgrade on a request with a body")
    body = _request_body(head, block)
    expectation = headers.get(b"expect")
    if expectation is not None and expectation.lower() != b"100-continue":
        raise S3Error(Code.EXPECTATION_FAILED, "an expectation other than 100-continue")
    return ParsedRequest(head, body, _keeps_alive(head.http_minor, headers.get(b"connection")))


def _keeps_alive(minor: int, connection: bytes | None) -> bool:
    """HTTP/1.0 always closes: its keep-alive is an extension that no S3 client needs."""
    if connection is None or connection == b"keep-alive":
        return minor == 1
    return minor == 1 and b"close" not in [token.strip(b" \t") for token in connection.lower().split(b",")]


def _request_body(head: RequestHead, block: bytes) -> int | ChunkedBody:
    """RFC 9112, 6.3, narrowed: exactly one of a decimal Content-Length and `Transfer-Encoding: chunked`."""
    headers = head.headers
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        if length is None:
            return 0
        if not _is_length(length):
            raise _bad("Content-Length is not one decimal number")
        return int(length)
    if length is not None:
        raise _bad("both Content-Length and Transfer-Encoding")
    if head.http_minor == 0:
        raise _bad("Transfer-Encoding in HTTP/1.0")
    if coding.lower() != b"chunked":
        raise S3Error(Code.NOT_IMPLEMENTED, "transfer coding other than chunked")
    return ChunkedBody(block, of_reply=False)


def parse_reply_head(block: bytes, *, to_head: bool) -> ParsedReply:
    """One reply head, through its CRLFCRLF; `to_head`: it answers a HEAD request. Raises UpstreamNonsense."""
    found: dict[bytes, bytes] = {}
    _fields.on_header = found.setdefault
    parser = httptools.HttpResponseParser(_fields)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        raise UpstreamNonsense("the store switched protocols") from None
    except httptools.HttpParserError as error:
        raise UpstreamNonsense(f"unreadable reply head: {error}") from None
    minor = _REPLY_MINOR.get(block[:8])
    status = parser.get_status_code()
    if minor is None or not 100 <= status <= 599:
        raise UpstreamNonsense("the reply is not HTTP/1.1")
    names = header_names(tuple(found))
    if len(found) == block.count(b"\r\n") - 2 and not names.repeated:
        values = list(found.values())
        if block.find(b" \r") >= 0 or block.find(b"\t") >= 0:
            values = [value.rstrip(b" \t") for value in values]
    else:
        every = _EveryField(httptools.HttpResponseParser, block)
        names, values = every.names(), [value for _, value in every.lines]
        if len(values) != block.count(b"\r\n") - 2 or not names.repeated.isdisjoint(_FRAMED_BY):
            raise UpstreamNonsense("a header line that is no field, or a second Content-Length")
    return _reply(ReplyHead(status, names, values), block, minor, to_head=to_head)


def _reply(head: ReplyHead, block: bytes, minor: int, *, to_head: bool) -> ParsedReply:
    status, names, values = head.status, head.names, head.values
    length_at, coding_at, connection_at = names.memo.get(_places) or _places(names)
    length: int | None = None
    if length_at is not None:
        declared = values[length_at]
        if not _is_length(declared):
            raise UpstreamNonsense("Content-Length of the reply is not one decimal number")
        length = int(declared)
    body: int | ChunkedBody | Framing
    if to_head or status < 200 or status in (204, 304):
        body = 0
    elif coding_at is not None:
        if values[coding_at].lower() != b"chunked" or length is not None:
            raise UpstreamNonsense("ambiguous framing of the reply")
        body = ChunkedBody(block, of_reply=True)
    elif length is not None:
        body = length
    else:
        body = _UNTIL_CLOSE
    keep_alive = minor == 1 and body is not _UNTIL_CLOSE
    if keep_alive and connection_at is not None and values[connection_at] != b"keep-alive":
        keep_alive = _keeps_alive(minor, values[connection_at])
    if b"connection" in names.repeated:
        keep_alive = False
    return ParsedReply(head, body, length, keep_alive)


_Places = tuple[int | None, int | None, int | None]


def _places(names: HeaderNames) -> _Places:
    """Where Content-Length, Transfer-Encoding and Connection stand: concluded once."""
    length, coding, connection = [
        names.lowered.index(name) if name in names.lowered else None for name in (*_FRAMED_BY, b"connection")
    ]
    names.remember(_places, (length, coding, connection))
    return length, coding, connection

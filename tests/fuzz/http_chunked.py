"""HTTP's chunked coding: only ValueError, one result under any split, and the payload that a plain decoder reads."""

import re

from gateway.wire.heads import ChunkedBody
from tests.fuzz.case import Target, case_of, reached, seed

OF_REPLY = 1
REQUEST = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = re.compile(rb"([0-9A-Fa-f]+)(?:;[^\r\n]*)?\r\n")


def http_chunked_target(octets: bytes) -> None:
    case = case_of(octets)
    body = case.material
    of_reply = case.has(OF_REPLY)
    outcomes = {_decoded(blocks, of_reply=of_reply) for blocks in case.splits(body)}
    assert len(outcomes) == 1, outcomes
    [(payload, complete)] = outcomes
    if payload is None:
        return
    expected, ended = _plainly_decoded(body)
    assert payload == expected
    assert complete == ended
    if complete:
        reached["complete"] += 1


def _decoded(blocks: list[bytes], *, of_reply: bool) -> tuple[bytes | None, bool]:
    """None for what was refused. Fed as the server does it: what comes behind the end waits for the next head, where
    empty lines are ignored. In the block that holds the end they are too; anything else is refused."""
    decoding = ChunkedBody(REPLY if of_reply else REQUEST, of_reply=of_reply)
    payload = bytearray()
    waiting = b""
    for block in blocks:
        if decoding.complete:
            waiting += block
            continue
        try:
            payload += b"".join(decoding.feed(memoryview(block)))
        except ValueError:
            return None, False
    return (None, False) if waiting.strip(b"\r\n") else (bytes(payload), decoding.complete)


def _plainly_decoded(body: bytes) -> tuple[bytes, bool]:
    """RFC 9112, 7.1, as far as it goes: (payload, whether the end was there)."""
    payload = b""
    at = 0
    while (line := LINE.match(body, at)) is not None:
        size = min(int(line[1], 16), len(body))
        if not size:
            rest = body[line.end() :]
            return payload, rest.startswith(b"\r\n") or b"\r\n\r\n" in rest
        payload += body[line.end() : line.end() + size]
        at = line.end() + size + 2
    return payload, False


BODY = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"
SEEDS = (
    seed(BODY),
    seed(BODY, OF_REPLY),
    seed(b"0\r\n\r\n"),
    seed(b"1\r\nx\r\n" * 5 + b"0\r\n\r\n", steps=b"\0\0\0"),
    seed(b"0005\r\nhello\r\n0\r\n\r\n\r\n", steps=b"\1\2\0"),
    seed(b'1;a="b"\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n'),
)
WORDS = (b"\r\n", b"\n", b"0\r\n\r\n", b"0x", b"+", b";", b"a: b\r\n", b"ffffffffffffffff", b"00000000", b"\t", b"GET ")
HTTP_CHUNKED_TARGET = Target(http_chunked_target, SEEDS, WORDS, frozenset({"complete"}))

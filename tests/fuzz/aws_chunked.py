"""The aws-chunked framing: any split decodes the same, and only what was signed counts as verified.

Noise seldom holds a signature that holds, so half of the inputs are programs: a body is framed and signed, and then
changed where the program says.
"""

import hashlib
import hmac
import re
from typing import NamedTuple

from gateway.payload.aws_chunked import TRAILER_SIGNATURE, AwsChunkedDecoder
from gateway.s3.errors import Code, S3Error
from gateway.sigv4.chunk_signing import ChunkChain
from gateway.sigv4.signing import keyed_hmac
from tests.fuzz.case import Case, Target, case_of, reached, seed
from tests.support.chunks import EMPTY, ChunkWriter, cut

SIGNED, TRAILED, PROGRAM, NARROW, OTHER_LENGTH = 1, 2, 4, 8, 16
TIMESTAMP = "20261123T101500Z"
SCOPE = "20261123/us-east-1/s3/aws4_request"
SEED = "5" * 64
CRC32 = b"x-amz-checksum-crc32"
TRAILERS = {CRC32: b"AAAAAA=="}
SIGNING_KEY = ChunkWriter("secret", TIMESTAMP, SCOPE, SEED).signing_key()
KEYED = keyed_hmac(SIGNING_KEY)
MAX_CHUNK, NARROW_CHUNK = 4096, 9
EXTENSION = re.compile(rb"chunk-signature=([0-9a-f]{64})")
HEX = frozenset(b"0123456789abcdefABCDEF")


def aws_chunked_target(octets: bytes) -> None:
    case = case_of(octets)
    if case.has(PROGRAM):
        original, body = _programmed(case)
        declared = len(original) + (case.number if case.has(OTHER_LENGTH) else 0)
    else:
        original, body, declared = None, case.material, case.number
    judged = _judge(case, body, declared)
    outcomes = [_decode(case, blocks, declared, judged) for blocks in case.splits(body)]
    for outcome in outcomes:
        assert outcome._replace(payload=b"") == outcomes[0]._replace(payload=b""), outcomes
        if case.has(SIGNED) and original is not None:
            assert judged.payload[: outcome.verified] == original[: outcome.verified]
        if outcome.code is None:
            assert outcome.payload == judged.payload
            assert len(outcome.payload) == outcome.verified == declared
            assert judged.whole
            if case.has(SIGNED) and original is not None:
                assert outcome.payload == original
            reached["signed" if case.has(SIGNED) else "unsigned"] += 1
            reached["trailed" if case.has(TRAILED) else "without trailers"] += 1


class Outcome(NamedTuple):
    """`code`: of the refusal, None if there was none. `payload`: what was given out before."""

    code: Code | None
    payload: bytes
    decoded: int
    verified: int
    trailers: tuple[tuple[bytes, bytes], ...]


def _decode(case: Case, blocks: list[bytes], declared: int, judged: "Judged") -> Outcome:
    decoding = AwsChunkedDecoder(
        declared,
        signatures=ChunkChain(KEYED, TIMESTAMP.encode(), SCOPE.encode(), SEED.encode()) if case.has(SIGNED) else None,
        trailer_names=frozenset(TRAILERS) if case.has(TRAILED) else frozenset(),
        signed_chunk=NARROW_CHUNK if case.has(NARROW) else MAX_CHUNK,
    )
    given = bytearray()
    code: Code | None = None
    trailers: dict[bytes, bytes] = {}
    try:
        for block in blocks:
            given += b"".join(decoding.feed(memoryview(block)))
            assert len(given) == decoding.decoded
            assert decoding.verified <= judged.verified
            assert given == judged.payload[: len(given)]
        trailers = decoding.finish()
    except S3Error as error:
        code = error.code
    assert len(given) <= decoding.decoded <= declared
    assert decoding.verified == judged.verified
    assert decoding.decoded == len(judged.payload)
    return Outcome(code, bytes(given), decoding.decoded, decoding.verified, tuple(trailers.items()))


# ---- a decoder that sees all at once ----


class Judged(NamedTuple):
    """`payload`: of every chunk begun. `verified`: how much of it may be trusted. `whole`: nothing is wrong."""

    payload: bytes
    verified: int
    whole: bool


def _judge(case: Case, body: bytes, declared: int) -> Judged:
    signed = case.has(SIGNED)
    payload = b""
    verified = 0
    at = 0
    previous = SEED
    while True:
        end = body.find(b"\r\n", at)
        digits, semicolon, extension = body[at : max(end, 0)].partition(b";")
        stated = EXTENSION.fullmatch(extension)
        if not 1 <= len(digits) <= 16 or not HEX.issuperset(digits) or len(payload) + int(digits, 16) > declared:
            return Judged(payload, verified, False)
        if bool(semicolon) != signed or (stated is not None) != signed:
            return Judged(payload, verified, False)
        size = int(digits, 16)
        if signed and size > (NARROW_CHUNK if case.has(NARROW) else MAX_CHUNK):
            return Judged(payload, verified, False)
        chunk = body[end + 2 : end + 2 + size]
        payload += chunk
        if len(chunk) == size:
            expected = _signature("AWS4-HMAC-SHA256-PAYLOAD", previous, EMPTY, hashlib.sha256(chunk).hexdigest())
            if stated is not None and stated[1].decode() != expected:
                return Judged(payload, verified, False)
            verified = len(payload)
            previous = expected
        elif not signed:
            verified = len(payload)
        at = end + 2 + size
        if not size:
            return Judged(payload, verified, verified == declared and _trailers_hold(case, body[at:], previous))
        if body[at : at + 2] != b"\r\n":
            return Judged(payload, verified, False)
        at += 2


def _trailers_hold(case: Case, tail: bytes, previous: str) -> bool:
    if not tail.endswith(b"\r\n"):
        return False
    lines = [line.partition(b":") for line in re.split(rb"\r\n|\n", tail) if line]
    found = {name.lower(): value.strip(b" \t") for name, _, value in lines}
    if len(found) != len(lines):
        return False
    if case.has(SIGNED) and case.has(TRAILED):
        signature = found.pop(TRAILER_SIGNATURE, b"")
        text = b"".join([b"%b:%b\n" % one for one in sorted(found.items())])
        expected = _signature("AWS4-HMAC-SHA256-TRAILER", previous, hashlib.sha256(text).hexdigest())
        if signature != expected.encode() or found != TRAILERS:  # no other trailers are ever signed here
            return False
    return found.keys() == (TRAILERS.keys() if case.has(TRAILED) else set())


def _signature(kind: str, previous: str, *lines: str) -> str:
    text = "\n".join([kind, TIMESTAMP, SCOPE, previous, *lines])
    return hmac.digest(SIGNING_KEY, text.encode(), "sha256").hex()


# ---- programs ----


def _programmed(case: Case) -> tuple[bytes, bytes]:
    """(the payload, its frames after the changes). Material: size of chunks, number of changes, the changes in four
    octets each, the payload."""
    size, changes = (case.material[:2] + b"\x10\0")[:2]
    payload = case.material[2 + 4 * (changes % 4) :][:512]
    frames = _framed(case, cut(payload, size % 96 + 1))
    for number in range(changes % 4):
        kind, which, place, octet = case.material[2 + 4 * number :][:4].ljust(4, b"\0")
        if frames:
            _change(frames, kind % 8, which % len(frames), place, octet)
    return payload, b"".join(frames)


def _framed(case: Case, chunks: list[bytes]) -> list[bytes]:
    if case.has(SIGNED):
        writer = ChunkWriter("secret", TIMESTAMP, SCOPE, SEED)
        frames = [writer.chunk(chunk) for chunk in (*chunks, b"")]
        return [*frames, (writer.trailers(TRAILERS) if case.has(TRAILED) else b"") + b"\r\n"]
    lines = [b"%b:%b\r\n" % one for one in TRAILERS.items()] if case.has(TRAILED) else []
    return [*(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n", b"".join([*lines, b"\r\n"])]


def _change(frames: list[bytes], kind: int, which: int, place: int, octet: int) -> None:
    frame = frames[which]
    place %= len(frame) + 1
    before, after = frame[:place], frame[place:]
    match kind:
        case 0 if after:
            frames[which] = before + bytes([after[0] ^ (octet or 1)]) + after[1:]
        case 0 | 1:
            frames[which] = before + bytes([octet]) + after
        case 2:
            frames[which] = before + after[octet + 1 :]
        case 3:
            frames[which:] = [before]
        case 4:
            frames.insert(octet % len(frames), frames.pop(which))
        case 5:
            del frames[which]
        case 6:
            frames.insert(which, frame)
        case _:  # a line, a signature or data of another chunk in this one's place
            other = frames[octet % len(frames)]
            frames[which] = other[:place] + after


# ---- good examples ----


def _program(payload: bytes, size: int, *changes: bytes) -> bytes:
    return bytes([size - 1, len(changes)]) + b"".join(changes) + payload


TEXT = b"The quick brown fox jumps"
# In a chunk's data, in its signature, in a trailer; a zero in front of a size; a chunk moved, lost, doubled; the line
# of another chunk; the end cut off.
CHANGES = (
    *(b"\0\1\x58\1", b"\0\1\x20\1", b"\0\4\x16\3", b"\1\0\0\x30", b"\4\1\0\0", b"\5\1\0\0", b"\6\2\0\0"),
    *(b"\7\1\x55\0", b"\3\4\0\0"),
)
SEEDS = (
    *(seed(_program(TEXT, 9), PROGRAM | flags) for flags in (0, SIGNED, TRAILED, SIGNED | TRAILED, SIGNED | NARROW)),
    seed(_program(b"", 9), PROGRAM | SIGNED),
    *(seed(_program(TEXT, 9, change), PROGRAM | SIGNED | TRAILED) for change in CHANGES),
    seed(_program(TEXT, 9), PROGRAM | OTHER_LENGTH, 3),
    seed(b"4\r\nbody\r\n0\r\n\r\n", 0, 4),
    seed(b"2\r\nbo\r\n02\r\ndy\r\n0\r\nX-Amz-Checksum-CRC32: AAAAAA== \n\r\n\r\n", TRAILED, 4, b"\1\2\0"),
    *(seed(size + b"\r\nbody\r\n0\r\n\r\n", 0, 4) for size in (b"+4", b"0x4", b" 4", b"0_4", b"4;x")),
    seed(b"4\r\nbodyX0\r\n\r\n", 0, 4),
    seed(b"+4;chunk-signature=" + b"a" * 64 + b"\r\nbody\r\n", SIGNED, 4),
    seed(b"4;chunk-signature=" + b"a" * 64 + b"\r\nbody\r\n", SIGNED, 4),
)
WORDS = (
    *(b"\r\n", b"\n", b"\n\r\n", b"0\r\n\r\n", b";chunk-signature=", b"x-amz-trailer-signature:", CRC32 + b":AAAAAA=="),
    *(b"0x", b"+", b"-", b"_", b" ", b"0000000000000000", b"ffffffffffffffff"),
)
ENDS = frozenset({"signed", "unsigned", "trailed", "without trailers"})
AWS_CHUNKED_TARGET = Target(aws_chunked_target, SEEDS, WORDS, ENDS)

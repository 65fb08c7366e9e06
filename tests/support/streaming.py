"""Uploads in the streaming payload modes, as heads and bodies; botocore signs the head, `chunks` the chunks."""

import base64
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.support.chunks import ChunkWriter, cut, unsigned
from tests.support.raw_client import Signer

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
MODES = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)
TRAILER_MODES = (SIGNED_TRAILER, UNSIGNED_TRAILER)
CRC32 = b"x-amz-checksum-crc32"

_DATE = re.compile(r"x-amz-date: (\S+)", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"Credential=[^/]+/([^,]+), .*Signature=([0-9a-f]{64})")


def crc32(payload: bytes) -> bytes:
    return base64.b64encode(zlib.crc32(payload).to_bytes(4, "big"))


@dataclass(frozen=True, slots=True)
class StreamingUpload:
    """`chunks`: the framed body in the pieces it was made of: chunks, and the end with its trailers."""

    head: bytes
    chunks: list[bytes]
    te_chunked: bool

    @property
    def body(self) -> bytes:
        whole = b"".join(self.chunks)
        return as_http_chunks(whole) if self.te_chunked else whole

    @property
    def request(self) -> bytes:
        return self.head + self.body

    def flipped(self, index: int) -> "StreamingUpload":
        """One byte of payload in that chunk is another."""
        chunk = bytearray(self.chunks[index])
        chunk[-3] ^= 1
        chunks = list(self.chunks)
        chunks[index] = bytes(chunk)
        return replace(self, chunks=chunks)

    def without_end(self) -> "StreamingUpload":
        """HTTP's framing is whole; the zero chunk and what follows it are not there."""
        return self._with_chunks(self.chunks[:-1])

    def with_more(self, behind: bytes) -> "StreamingUpload":
        return self._with_chunks([*self.chunks, behind])

    def _with_chunks(self, chunks: list[bytes]) -> "StreamingUpload":
        length = b"Content-Length: %d"
        head = self.head.replace(length % len(b"".join(self.chunks)), length % len(b"".join(chunks)))
        return StreamingUpload(head, chunks, self.te_chunked)


def as_http_chunks(body: bytes, size: int = 50_000) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*cut(body, size), b""])


def streaming_upload(
    signer: Signer,
    payload: bytes,
    mode: str,
    *,
    method: str = "PUT",
    target: str = "/bucket/k",
    chunk_size: int = 65536,
    checksum: bytes | None = None,
    encoding: str = "aws-chunked",
    headers: Sequence[tuple[str, str]] = (),
    te_chunked: bool = False,
) -> StreamingUpload:
    """`checksum`: instead of the right CRC32 in the trailer."""
    trailers = {CRC32: checksum if checksum is not None else crc32(payload)} if mode in TRAILER_MODES else None
    chunks = cut(payload, chunk_size)
    named = [
        ("x-amz-decoded-content-length", str(len(payload))),
        ("content-encoding", encoding),
        *([("x-amz-trailer", CRC32.decode())] if trailers else []),
        *headers,
    ]
    # Signed chunks have the same length whatever their signatures are.
    size = len(b"".join(_framed(mode, ChunkWriter("", "", "", ""), chunks, trailers)))
    framing = ("Transfer-Encoding", "chunked") if te_chunked else ("Content-Length", str(size))
    head = signer.head(method, target, named, sha256=mode, unsigned=[framing])
    text = head.decode("latin-1")
    date, authorization = _DATE.search(text), _AUTHORIZATION.search(text)
    assert date is not None
    assert authorization is not None
    writer = ChunkWriter(signer.secret_access_key, date[1], authorization[1], authorization[2])
    return StreamingUpload(head, _framed(mode, writer, chunks, trailers), te_chunked)


def _framed(mode: str, writer: ChunkWriter, chunks: list[bytes], trailers: dict[bytes, bytes] | None) -> list[bytes]:
    if mode == UNSIGNED_TRAILER:
        return [*(unsigned([chunk])[: -len(b"0\r\n\r\n")] for chunk in chunks), unsigned([], trailers)]
    signed = [writer.chunk(chunk) for chunk in chunks]
    end = writer.chunk(b"")
    if trailers is not None:
        end += writer.trailers(trailers)
    return [*signed, end + b"\r\n"]

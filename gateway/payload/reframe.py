"""Verified payload for a store that takes checksums as trailers: framed anew, unsigned, its length known beforehand."""

from typing import Final

from gateway.payload.checksums import ALGORITHMS
from gateway.payload.declared import CHECKSUM

CHUNK: Final = 1048576  # bytes, as boto3's; MinIO takes no more than 16 MiB


class Reframer:
    """`length`: bytes of payload, at least one. `trailer`: the lower-case name of a checksum header."""

    __slots__ = ("_left", "_left_in_chunk", "_trailer")

    def __init__(self, length: int, trailer: bytes) -> None:
        self._left = length
        self._left_in_chunk = 0
        self._trailer = trailer

    def frame(self, piece: bytes | memoryview) -> bytes:
        """The same bytes, with a line before and CRLF behind every chunk."""
        framed: list[bytes | memoryview] = []
        view = memoryview(piece)
        while view:
            if not self._left_in_chunk:
                self._left_in_chunk = min(CHUNK, self._left)
                framed.append(b"%x\r\n" % self._left_in_chunk)
            part = view[: self._left_in_chunk]
            view = view[len(part) :]
            framed.append(part)
            self._left -= len(part)
            self._left_in_chunk -= len(part)
            if not self._left_in_chunk:
                framed.append(b"\r\n")
        return b"".join(framed)

    def end(self, value: bytes) -> bytes:
        """The zero chunk and the trailer."""
        return b"0\r\n%b:%b\r\n\r\n" % (self._trailer, value)


def reframed_length(length: int, trailer: bytes) -> int:
    """Bytes of the whole framed body."""
    whole, rest = divmod(length, CHUNK)
    size = whole * (len(b"%x" % CHUNK) + 2 + CHUNK + 2)
    if rest:
        size += len(b"%x" % rest) + 2 + rest + 2
    digest, _ = ALGORITHMS[trailer.removeprefix(CHECKSUM)]
    return size + len(b"0\r\n:\r\n\r\n") + len(trailer) + (digest + 2) // 3 * 4

"""The aws-chunked framing, undone: chunks, their signatures, the trailers behind them. It knows no socket.

    chunk    = 1*16HEXDIG [";chunk-signature=" 64hex] CRLF data CRLF
    last     = "0" [";chunk-signature=" 64hex] CRLF [trailers] CRLF          nothing follows
    trailers = 1*( name ":" value (CRLF / LF / LF CRLF) ) ["x-amz-trailer-signature:" 64hex (CRLF / LF CRLF)]

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, with the endings of lines that SDKs really send.
The smallest chunk is one byte: AWS asks for 8 KiB, JavaScript's SDK sends two.
"""

import hashlib
import re
from typing import Final, Protocol

from gateway.payload.checksums import Block
from gateway.s3.errors import Code, S3Error

MAX_LINE: Final = 128  # bytes of a chunk's line: the grammar above allows 101, the CRLF of the chunk before included
MAX_TRAILERS: Final = 16384  # bytes behind the zero chunk: one checksum and a signature need 200
TRAILER_SIGNATURE: Final = b"x-amz-trailer-signature"

_UNSIGNED_LINE: Final = rb"([0-9A-Fa-f]{1,16})\r\n"
_SIGNED_LINE: Final = rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})\r\n"
_LINES: Final = {
    False: (re.compile(_UNSIGNED_LINE), re.compile(rb"\r\n" + _UNSIGNED_LINE)),
    True: (re.compile(_SIGNED_LINE), re.compile(rb"\r\n" + _SIGNED_LINE)),
}
_TRAILERS: Final = re.compile(rb"(?:[!-9;-~]{1,128}:[^\r\n]*(?:\r\n|\n\r\n|\n))*\r\n\Z")
_TRAILER: Final = re.compile(rb"([!-9;-~]+):([^\r\n]*)")
_HEX: Final = re.compile(rb"[0-9a-f]{64}\Z")
_EMPTY: Final = hashlib.sha256(b"").hexdigest().encode()


class ChunkSignatures(Protocol):
    """The chain of signatures; each call raises S3Error SIGNATURE_DOES_NOT_MATCH. `sha256`: lower-case hex."""

    def check_chunk(self, sha256: bytes, signature: bytes) -> None: ...
    def check_trailers(self, sha256: bytes, signature: bytes) -> None: ...


def framing_error(reason: str) -> S3Error:
    return S3Error(Code.INCOMPLETE_BODY, f"aws-chunked: {reason}", message=f"The request body is not valid: {reason}.")


def trailer_error(reason: str) -> S3Error:
    return S3Error(Code.MALFORMED_TRAILER_ERROR, f"trailer: {reason}")


class AwsChunkedDecoder:
    """Feed it the body in any cut; it gives back the payload, and counts in `verified` how much of it may be trusted.

    `decoded`: payload bytes given back. `verified`: those of whole chunks whose signature held; without signatures the
    same. `decoded_length`: what must come out, the request's x-amz-decoded-content-length. `trailer_names`: lower case,
    exactly these must follow. `signed_chunk`: the largest chunk that is held until its signature is checked.
    """

    __slots__ = (
        "_decoded_length",
        "_digest",
        "_left",
        "_line",
        "_pattern",
        "_patterns",
        "_signature",
        "_signatures",
        "_signed_chunk",
        "_tail",
        "_trailer_names",
        "_zero",
        "decoded",
        "verified",
    )

    def __init__(
        self,
        decoded_length: int,
        *,
        signatures: ChunkSignatures | None = None,
        trailer_names: frozenset[bytes] = frozenset(),
        signed_chunk: int = 16777216,
    ) -> None:
        self._decoded_length = decoded_length
        self._signatures = signatures
        self._trailer_names = trailer_names
        self._signed_chunk = signed_chunk
        self._patterns = _LINES[signatures is not None]
        self._pattern = self._patterns[0]
        self._line = b""  # of a chunk's line, as far as it has come
        self._left = 0  # bytes of the present chunk still to come
        self._digest = hashlib.sha256()
        self._signature = b""
        self._zero = False  # the zero chunk was read
        self._tail = b""  # what follows it
        self.decoded = 0
        self.verified = 0

    def feed(self, block: Block) -> list[Block]:
        """Pieces of payload, slices of `block`, in order. S3Error INCOMPLETE_BODY for what is no chunk or comes beyond
        the decoded length, ENTITY_TOO_LARGE for a signed chunk over its limit, SIGNATURE_DOES_NOT_MATCH."""
        pieces: list[Block] = []
        position, size = 0, len(block)
        while position < size:
            if self._left:
                end = min(size, position + self._left)
                piece = block[position:end]
                pieces.append(piece)
                self.decoded += end - position
                self._left -= end - position
                position = end
                self._count(piece)
            elif self._zero:
                self._tail += block[position:]
                if len(self._tail) > MAX_TRAILERS:
                    raise trailer_error("more follows the last chunk than trailers take")
                break
            else:
                position = self._take_line(block, position)
        return pieces

    def finish(self) -> dict[bytes, bytes]:
        """The body has ended. → trailers by lower-case name, without the signature of them.

        S3Error INCOMPLETE_BODY before the zero chunk, MALFORMED_TRAILER_ERROR, SIGNATURE_DOES_NOT_MATCH.
        """
        if not self._zero:
            raise framing_error("it ended before its last chunk")
        if not _TRAILERS.match(self._tail):
            raise trailer_error("what follows the last chunk has another form")
        found: dict[bytes, bytes] = {}
        for name, value in _TRAILER.findall(self._tail):
            if name.lower() in found:
                raise trailer_error("a name came twice")
            found[name.lower()] = value.strip(b" \t")
        signature = None
        if self._signatures is not None and self._trailer_names:
            signature = found.pop(TRAILER_SIGNATURE, None)
        if found.keys() != self._trailer_names:
            raise trailer_error("other names than x-amz-trailer announced")
        if self._signatures is not None and self._trailer_names:
            if signature is None or not _HEX.match(signature):
                raise trailer_error("no signature of the trailers")
            text = b"".join([b"%b:%b\n" % one for one in sorted(found.items())])
            self._signatures.check_trailers(hashlib.sha256(text).hexdigest().encode(), signature)
        return found

    def _take_line(self, block: Block, position: int) -> int:
        """→ the position behind the line, or behind the block when the line is not whole yet."""
        begun = self._line
        window = begun + bytes(block[position : position + MAX_LINE])
        found = self._pattern.match(window)
        if found is None:
            if len(window) >= MAX_LINE or window.find(b"\n", 2) >= 0:
                raise framing_error("a chunk begins with another line")
            self._line = window
            return len(block)
        self._line = b""
        self._pattern = self._patterns[1]
        self._begin_chunk(int(found[1], 16), found[2] if self._signatures is not None else b"")
        return position + found.end() - len(begun)

    def _begin_chunk(self, size: int, signature: bytes) -> None:
        if self.decoded + size > self._decoded_length:
            raise framing_error("more than x-amz-decoded-content-length announced")
        if size:
            if self._signatures is not None:
                if size > self._signed_chunk:
                    raise S3Error(
                        Code.ENTITY_TOO_LARGE,
                        "a signed chunk over its limit",
                        message=f"A signed chunk may have at most {self._signed_chunk} bytes.",
                    )
                self._digest = hashlib.sha256()
                self._signature = signature
            self._left = size
            return
        if self.decoded != self._decoded_length:
            raise framing_error("fewer bytes than x-amz-decoded-content-length announced")
        self._zero = True
        if self._signatures is not None:
            self._signatures.check_chunk(_EMPTY, signature)

    def _count(self, piece: Block) -> None:
        if self._signatures is None:
            self.verified = self.decoded
            return
        self._digest.update(piece)
        if not self._left:
            self._signatures.check_chunk(self._digest.hexdigest().encode(), self._signature)
            self.verified = self.decoded

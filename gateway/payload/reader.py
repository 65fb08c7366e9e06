"""A request's body, read: its framing undone, its digests computed, its trailers compared. Feed, then finish."""

from collections.abc import Mapping
from typing import Final, Protocol

from gateway.payload.aws_chunked import AwsChunkedDecoder, ChunkSignatures
from gateway.payload.checksums import Block
from gateway.payload.declared import announced_trailer, decoded_length
from gateway.payload.mode import UNFRAMED, Payload
from gateway.payload.verifier import NO_TRAILERS, BodyVerifier, body_verifier
from gateway.s3.request import S3Request


class Framing(Protocol):
    """What the payload travels in. `decoded`: bytes given back; `verified`: those that may be trusted already."""

    decoded: int
    verified: int

    def feed(self, block: Block) -> list[Block]: ...
    def finish(self) -> Mapping[bytes, bytes]: ...


class PayloadReader:
    """`length`: bytes of payload, None while nobody can know. `framed`: payload and body differ. `signed`: pieces
    must wait until `verified` counts them. `trailer`: the name of a checksum that comes behind the payload."""

    __slots__ = ("_framing", "_verifier", "framed", "length", "signed", "trailer")

    def __init__(
        self,
        verifier: BodyVerifier,
        length: int | None,
        framing: Framing | None = None,
        *,
        signed: bool = False,
        trailer: bytes | None = None,
    ) -> None:
        self._verifier = verifier
        self._framing = framing
        self.length = length
        self.framed = framing is not None
        self.signed = signed
        self.trailer = trailer

    @property
    def verified(self) -> int:
        """Of a framed body, the bytes of payload that may be trusted."""
        return self._framing.verified if self._framing is not None else 0

    @property
    def all_decoded(self) -> bool:
        """Of a framed body: the payload is here, its end perhaps not yet."""
        return self._framing is not None and self._framing.decoded == self.length

    def feed(self, block: Block) -> list[Block]:
        """Pieces of payload. Raises what the framing raises."""
        framing = self._framing
        if framing is None:
            self._verifier.update(block)
            return [block]
        pieces = framing.feed(block)
        for piece in pieces:
            self._verifier.update(piece)
        return pieces

    def finish(self) -> Mapping[bytes, bytes]:
        """The body has ended: the first declared value that does not hold raises. → the trailers."""
        if self._framing is None:
            self._verifier.finish()
            return NO_TRAILERS
        trailers = self._framing.finish()
        self._verifier.finish(trailers)
        return trailers


def open_payload(
    request: S3Request,
    payload: Payload,
    content_length: int | None,
    signatures: ChunkSignatures | None,
    *,
    checksum_in_headers: bool,
    signed_chunk: int,
) -> PayloadReader:
    """`content_length`: of the body as HTTP frames it. `signatures`: where the mode signs its chunks.

    S3Error for whatever is declared wrongly, before a byte of the body is read.
    """
    trailer = announced_trailer(request, payload)
    verifier = body_verifier(request, payload, checksum_in_headers=checksum_in_headers, trailer=trailer)
    if payload.mode in UNFRAMED:
        return PayloadReader(verifier, content_length)
    length = decoded_length(request)
    names = frozenset({trailer}) if trailer is not None else _NONE
    framing = AwsChunkedDecoder(length, signatures=signatures, trailer_names=names, signed_chunk=signed_chunk)
    return PayloadReader(verifier, length, framing, signed=signatures is not None, trailer=trailer)


_NONE: Final[frozenset[bytes]] = frozenset()

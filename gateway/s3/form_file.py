"""The file of an upload form as a framed payload: what stands behind the fields, within the sizes the policy allows.

It satisfies the protocol of a payload's framing, so the file is verified and withheld like any other upload. It does
not know fields: those were read before, by the same reader.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import Block, FormReader
from gateway.s3.post_policy import LengthRange

_NO_TRAILERS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class FormFile:
    """`reader`: has begun the file and given out `begun`; these pieces are copied here, one read at most, and come out
    with the first `feed`, which may be of b"". `size`: bytes promised to the store, None where it was promised nothing.

    `decoded`: bytes of the file given back. `verified`: the same; nothing in a form is signed in pieces.
    """

    __slots__ = ("_begun", "_length_range", "_reader", "_size", "decoded", "verified")

    def __init__(self, reader: FormReader, begun: list[Block], length_range: LengthRange, size: int | None) -> None:
        self._reader = reader
        self._begun: list[Block] = [bytes(piece) for piece in begun]
        self._length_range = length_range
        self._size = size
        self.decoded = 0
        self.verified = 0

    def feed(self, block: Block) -> list[Block]:
        """Pieces of the file, in order. Never a byte over `size` or over the policy's maximum: S3Error
        MALFORMED_POST_REQUEST, ENTITY_TOO_LARGE, and those of the reader."""
        pieces = [*self._begun, *self._reader.feed(block)]
        self._begun = []
        size = self._reader.file_size
        if self._size is not None and size > self._size:
            raise _not_last()
        self._length_range.refuse_over(size)
        self.decoded = self.verified = size
        return pieces

    def finish(self) -> Mapping[bytes, bytes]:
        """The body has ended. → no trailers. S3Error MALFORMED_POST_REQUEST where the form did not end, or the file is
        smaller than promised; ENTITY_TOO_SMALL, ENTITY_TOO_LARGE against the policy."""
        self._reader.finish()
        size = self._reader.file_size
        self._length_range.check(size)
        if self._size is not None and size != self._size:
            raise _not_last()
        return _NO_TRAILERS


def _not_last() -> S3Error:
    return S3Error(
        Code.MALFORMED_POST_REQUEST,
        "the size of a large file does not follow from the length of the form",
        message="A file this large must be the last field of the form, and CRLF must end the form.",
    )

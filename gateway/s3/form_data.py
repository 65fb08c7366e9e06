"""multipart/form-data as a browser uploads with it: small fields, then one file, read from bytes as they come.

Only delimiters are read here; what the head of a part says, and what a field means, stands elsewhere. It does no IO and
holds the fields (20 KiB) and at most one delimiter's length of the file.

A scanner of our own: no library among our dependencies splits this format without doing its IO too, and what S3 asks
of it (one bound on everything before the file, the file as slices of what was read) needs more code around a callback
parser than the scan itself has. Stricter than RFC 2046: no preamble, no blanks after a delimiter, no folded headers, no
delimiter directly behind the head of a part. No client writes these, and readers differ on them.
"""

from enum import Enum
from typing import Final, NamedTuple

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_head import PartHead, boundary_of, malformed, read_part_head

__all__ = ["MAX_BEFORE_FILE", "Block", "FormLimits", "FormReader", "boundary_of"]

Block = bytes | bytearray | memoryview

# "The form data and boundaries (excluding the contents of the file) cannot exceed 20KB":
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html. S3 says 20480 in the error.
MAX_BEFORE_FILE: Final = 20_480
MAX_AFTER_FILE: Final = 20_480  # what is ignored is still read: no more of it than of what counts
MAX_PART_HEAD: Final = 4_096  # three header lines, and a file name as long as an object key, every byte escaped
MAX_FIELDS: Final = 100  # S3's own fields are about 40, metadata is 2 KiB; a longer form is no upload form
FILE: Final = b"file"

_CRLF: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_CLOSING: Final = b"--"


class FormLimits(NamedTuple):
    """`before_file`: bytes of the body up to the first of the file, delimiters and part heads included. `after_file`:
    bytes after the file's delimiter. `fields`: how many, `file` not counted."""

    before_file: int = MAX_BEFORE_FILE
    after_file: int = MAX_AFTER_FILE
    fields: int = MAX_FIELDS


class _State(Enum):
    FIELDS = "before the file"
    FILE = "in the file"
    AFTER = "after the file"
    CLOSED = "after the closing delimiter"


class FormReader:
    """Feed every byte of the body to `feed`, in order, then call `finish` once. Unusable after an error.

    `file_begun`: `fields` and `filename` are complete. `fields`: name in lower case → value as sent, each name once;
    names are compared without case (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html).
    `filename`: as the client wrote it, a path perhaps; None when there is none. `file_at`: bytes of the body in front
    of the file. `file_size`: bytes of the file given out so far. `closed`: the closing delimiter was read.
    """

    __slots__ = (
        "_after",
        "_at_head",
        "_buffer",
        "_content_at",
        "_delimiter",
        "_head_at",
        "_held",
        "_limits",
        "_name",
        "_scan_from",
        "_state",
        "fields",
        "file_at",
        "file_size",
        "filename",
    )

    def __init__(self, boundary: bytes, limits: FormLimits | None = None) -> None:
        """`boundary`: as `boundary_of` returns it. It holds no CR, and so CR stands in the delimiter once, in front."""
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits or FormLimits()
        self._state = _State.FIELDS
        self._buffer = bytearray(_CRLF)  # what the first delimiter lacks: the body begins in the middle of it
        self._head_at = -1  # behind the last delimiter; -1 until the first one is here
        self._name: bytes | None = None  # of the part whose content is awaited
        self._content_at = 0
        self._scan_from = 0
        self._held = b""  # a beginning of the delimiter, which may yet turn out to be the file's
        self._at_head = False  # that beginning is the end of the part's head
        self._after = 0
        self.fields: dict[bytes, bytes] = {}
        self.filename: bytes | None = None
        self.file_at = 0
        self.file_size = 0

    @property
    def file_begun(self) -> bool:
        return self._state is not _State.FIELDS

    @property
    def closed(self) -> bool:
        return self._state is _State.CLOSED

    def __repr__(self) -> str:
        return f"FormReader({self._state.value}, {len(self.fields)} fields, {self.file_size} bytes)"

    def feed(self, block: Block) -> list[Block]:
        """The next bytes of the file, in order: slices of `block`, true as long as it is, or a few bytes held back.

        They may be given out by the same call that completes the fields: nobody has checked those yet.
        S3Error MALFORMED_POST_REQUEST, MAX_POST_PRE_DATA_LENGTH_EXCEEDED, INVALID_REQUEST (a field given twice),
        INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST (closed without a file).
        """
        octets = block if type(block) is bytes else bytes(block)  # a memoryview cannot be searched; a regex is slower
        at = 0
        pieces: list[Block] = []
        if self._state is _State.FIELDS:
            at = self._take_fields(octets)
        if self._state is _State.FILE:
            at = self._take_file(octets, at, memoryview(block), pieces)
        if self._state is _State.AFTER or self._state is _State.CLOSED:
            self._take_after(octets, at)
        return pieces

    def size_if_last(self, content_length: int) -> int:
        """The file's size, once it has begun, if it is the last part and CRLF ends the body, as clients write it.

        `content_length`: of the whole body. It is a guess that saves keeping the file until its size is known; no file
        is more than 2 bytes longer, and one with fields behind it is shorter. S3Error MALFORMED_POST_REQUEST when
        the body has no room for the closing delimiter.
        """
        size = content_length - self.file_at - len(self._delimiter) - len(_CLOSING) - len(_CRLF)
        if size < -len(_CRLF):
            raise malformed("the body is too short for its closing delimiter")
        return max(size, 0)

    def finish(self) -> None:
        """The body has ended. S3Error MALFORMED_POST_REQUEST when it ended before the closing delimiter."""
        if not self.closed:
            raise malformed(f"the form ends {self._state.value}")

    # ---- before the file ----

    def _take_fields(self, octets: bytes) -> int:
        """Where in `octets` the file begins; their end while it has not."""
        buffer = self._buffer
        before = len(buffer)
        room = self._limits.before_file + len(_CRLF) - before
        buffer += octets[:room]
        begins_at = self._next_fields()
        if begins_at < 0:
            if len(octets) >= room:
                raise self._too_long()
            return len(octets)
        self._buffer = bytearray()
        self._head_at = self._scan_from = 0  # from here on, of what follows the file's delimiter
        self._state = _State.FILE
        return begins_at - before

    def _too_long(self) -> S3Error:
        return S3Error(
            Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED,
            "too much before the file",
            extra=(("MaxPostPreDataLengthBytes", str(self._limits.before_file)),),
        )

    def _next_fields(self) -> int:
        """Reads every part that is complete. Where in the buffer the file begins, -1 while it has not."""
        if self._head_at < 0:
            opening = bytes(self._buffer[: len(self._delimiter)])
            if not self._delimiter.startswith(opening):
                raise malformed("the body does not begin with its boundary")
            if len(opening) < len(self._delimiter):
                return -1
            self._head_at = len(self._delimiter)
        while True:
            if self._name is None:
                head = self._next_head()
                if head is None:
                    return -1
                if head.name == FILE:
                    self.filename = head.filename
                    self.file_at = self._content_at - len(_CRLF)
                    self._held, self._at_head = _CRLF, True
                    return self._content_at
                self._name = head.name
            if not self._next_value(self._name):
                return -1
            self._name = None

    def _next_head(self) -> PartHead | None:
        buffer, at = self._buffer, self._head_at
        if not self._goes_on(buffer, at):
            raise S3Error(
                Code.INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST,
                "a form without a file",
                extra=(("ArgumentName", "file"), ("ArgumentValue", "0")),
            )
        end = buffer.find(_HEAD_END, at)
        # Where it could end at the earliest, so that a limit does not depend on how the reads fell.
        earliest = end if end >= 0 else len(buffer) - len(_HEAD_END) + 1
        if earliest - at > MAX_PART_HEAD:
            raise malformed("the head of a part is too long")
        if end < 0:
            return None
        self._content_at = end + len(_HEAD_END)
        self._scan_from = self._content_at - len(_CRLF)
        return read_part_head(bytes(buffer[at + len(_CRLF) : end]))

    def _goes_on(self, buffer: bytearray, at: int) -> bool:
        """Whether the delimiter that ends at `at` is, as far as can be seen, not the closing one."""
        found = bytes(buffer[at : at + 2])
        if _CRLF.startswith(found):
            return True
        if found == _CLOSING:
            return False
        if not _CLOSING.startswith(found):
            raise malformed("a delimiter with something behind it")
        return True

    def _next_value(self, name: bytes) -> bool:
        """Keeps the value of the field `name`. False while its end is not here."""
        buffer, delimiter = self._buffer, self._delimiter
        end = buffer.find(delimiter, self._scan_from)
        if end < 0:
            self._scan_from = max(self._scan_from, len(buffer) - len(delimiter) + 1)
            return False
        if end < self._content_at:
            raise _no_content()
        if name in self.fields:
            shown = name.decode("ascii")
            raise S3Error(
                Code.INVALID_REQUEST,
                f"form field {shown} given twice",
                message=f"The form field {shown} was given twice.",
            )
        if len(self.fields) >= self._limits.fields:
            raise malformed("too many form fields")
        self.fields[name] = bytes(buffer[self._content_at : end])
        self._head_at = end + len(delimiter)
        return True

    # ---- the file ----

    def _take_file(self, octets: bytes, at: int, view: memoryview, pieces: list[Block]) -> int:
        """Gives out what is certainly the file's. Where the first byte after its delimiter stands, else the end."""
        delimiter, held = self._delimiter, self._held
        if held:
            # The delimiter may have begun in the bytes held back; then it ends in this block.
            seam = held + octets[at : at + len(delimiter) - len(held)]
            if delimiter.startswith(seam):
                if len(seam) < len(delimiter):
                    self._held = seam
                    return len(octets)
                if self._at_head:
                    raise _no_content()
                self._held = b""
                self._state = _State.AFTER
                return at + len(delimiter) - len(held)
            self._held = b""
            self._give(held[len(_CRLF) :] if self._at_head else held, pieces)
            self._at_head = False
        end = octets.find(delimiter, at)
        if end >= 0:
            self._give(view[at:end], pieces)
            self._state = _State.AFTER
            return end + len(delimiter)
        end = len(octets)
        begun = octets.rfind(b"\r", max(at, end - len(delimiter) + 1))
        if begun >= 0 and delimiter.startswith(octets[begun:]):
            self._held = octets[begun:]
            end = begun
        self._give(view[at:end], pieces)
        return len(octets)

    def _give(self, piece: bytes | memoryview, pieces: list[Block]) -> None:
        if len(piece):
            self.file_size += len(piece)
            pieces.append(piece)

    # ---- after the file ----

    def _take_after(self, octets: bytes, at: int) -> None:
        """Further fields are ignored, as S3 does; the closing delimiter must come. What follows it is nothing."""
        self._after += len(octets) - at
        if self._after > self._limits.after_file:
            raise malformed("too much after the file")
        if self._state is _State.CLOSED:
            return
        buffer = self._buffer
        buffer += octets[at:]
        delimiter = self._delimiter
        while self._goes_on(buffer, self._head_at):
            end = buffer.find(delimiter, self._scan_from)
            if end < 0:
                self._scan_from = max(self._head_at, len(buffer) - len(delimiter) + 1)
                return
            self._head_at = self._scan_from = end + len(delimiter)
        self._buffer = bytearray()
        self._state = _State.CLOSED


def _no_content() -> S3Error:
    """Some readers take it for an empty part, some for content."""
    return malformed("a delimiter where the content of a part should be")

"""The two kinds of head a form has: the Content-Type that names its boundary, and the lines in front of each part.

Strict: a line, a parameter or a name that two readers could read differently is refused.
"""

import re
from typing import Final, NamedTuple

from gateway.s3.errors import Code, S3Error

MAX_FIELD_NAME: Final = 256  # bytes; S3's own names are shorter than 64, all metadata together is 2 KiB
# RFC 2046, 5.1.1: 1 to 70 characters of these, the last no blank.
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")
# RFC 9110, 5.6.6: `;` name=value, the value a token or quoted. A parameter may be left out.
_PARAMETER: Final = re.compile(
    rb"[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    rb'(?:([!#$%&\'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)"))?'
)
_BLANKS: Final = b" \t"
_QUOTED_PAIR: Final = re.compile(rb'\\(["\\])')
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
_FIELD_NAME: Final = re.compile(rb"[\x20-\x7e]+\Z")
_CRLF: Final = b"\r\n"
_PLAIN_ENCODINGS: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})


def malformed(reason: str) -> S3Error:
    return S3Error(Code.MALFORMED_POST_REQUEST, reason)


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a Content-Type names, 1 to 70 bytes.

    S3Error REQUEST_IS_NOT_MULTI_PART_CONTENT for another type, MALFORMED_POST_REQUEST without a valid boundary.
    """
    media_type, _, _ = content_type.partition(b";")
    if media_type.strip(_BLANKS).lower() != b"multipart/form-data":
        raise S3Error(Code.REQUEST_IS_NOT_MULTI_PART_CONTENT, "POST to a bucket, and not a form")
    boundary = _parameters(content_type[len(media_type) :]).get(b"boundary", b"")
    if not _BOUNDARY.match(boundary):
        raise malformed("no boundary, or one that RFC 2046 does not allow")
    return boundary


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """`; name=value` and so on to the end. Names in lower case, each once."""
    found: dict[bytes, bytes] = {}
    text = text.rstrip(_BLANKS)
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise malformed("an unreadable parameter")
        at = match.end()
        name, token, quoted = match.groups()
        if name is None:
            continue
        if name.lower() in found:
            raise malformed("a parameter given twice")
        # Of backslashes only these two are escapes: some browsers send `C:\path\name` as it is.
        found[name.lower()] = token if token is not None else _QUOTED_PAIR.sub(rb"\1", quoted)
    return found


class PartHead(NamedTuple):
    """`name`: lower case. `filename`: as sent, None when there is none."""

    name: bytes
    filename: bytes | None


def read_part_head(lines: bytes) -> PartHead:
    """What the header lines of a part say; lines other than these two are ignored (RFC 7578, 4.8)."""
    found: dict[bytes, bytes] = {}
    for line in lines.split(_CRLF):
        match = _HEADER.match(line)
        if match is None:
            raise malformed("an unreadable header line in a part")
        name = match[1].lower()
        if name in found:
            raise malformed("a header line given twice in a part")
        found[name] = match[2].strip(_BLANKS)
    if found.get(b"content-transfer-encoding", b"").lower() not in _PLAIN_ENCODINGS:
        raise malformed("a part in a transfer encoding (RFC 7578, 4.7)")
    disposition = found.get(b"content-disposition", b"")
    kind, _, _ = disposition.partition(b";")
    if kind.strip(_BLANKS).lower() != b"form-data":
        raise malformed("a part that is not form-data")
    parameters = _parameters(disposition[len(kind) :])
    name = parameters.get(b"name", b"")
    if len(name) > MAX_FIELD_NAME or not _FIELD_NAME.match(name):
        raise malformed("a part without a name, or with one that is too long or not ASCII")
    return PartHead(name.lower(), parameters.get(b"filename"))

"""Rewriting the few documents of the store that name it: its owner, its address, its region.

Done on bytes, by element: object keys stand in these documents escaped, so none can look like an element.
"""

from typing import Final

from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import escape, parse

DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = b"http://s3.amazonaws.com/doc/2006-03-01/"
_BLANKS: Final = b" \t\r\n"


def root_element(body: bytes) -> bytes:
    """The document from its root on, without declaration and blanks. Raises S3Error INTERNAL_ERROR if there is none."""
    document = body.strip(_BLANKS)
    if document.startswith(b"<?xml"):
        document = document.partition(b"?>")[2].lstrip(_BLANKS)
    if not document.startswith(b"<"):
        raise S3Error(Code.INTERNAL_ERROR, "the store answered without a document")
    return document


def replace_element(document: bytes, tag: bytes, content: bytes) -> bytes:
    """Every `<tag>…</tag>` and `<tag/>` with `content` inside. One pass; an element left open is refused."""
    opening, closing = b"<" + tag, b"</" + tag + b">"
    ours = opening + b">" + content + closing
    head, *pieces = document.split(opening)
    out = [head]
    for piece in pieces:
        if piece and piece[:1] not in (b">", b"/", b" ", b"\t", b"\r", b"\n"):  # a longer name that begins alike
            out += (opening, piece)
            continue
        attributes, end, rest = piece.partition(b">")
        if not attributes.endswith(b"/"):
            _, end, rest = rest.partition(closing)
        if not end:
            raise S3Error(Code.INTERNAL_ERROR, f"the store left <{tag.decode()}> open")
        out += (ours, rest)
    return b"".join(out)


def name_account(document: bytes, account: str) -> bytes:
    """Owner and Initiator, wherever they stand, become the account the request was made for."""
    name = escape(account).encode()
    content = b"<ID>%b</ID><DisplayName>%b</DisplayName>" % (name, name)
    for tag in (b"Owner", b"Initiator"):
        if b"<" + tag in document:
            document = replace_element(document, tag, content)
    return document


def location_constraint(region: bytes) -> bytes:
    """GetBucketLocation: us-east-1 is the empty one."""
    constraint = b"" if region == b"us-east-1" else region
    return b'%b<LocationConstraint xmlns="%b">%b</LocationConstraint>' % (DECLARATION, NAMESPACE, constraint)


def root_begins(body: bytes, opening: bytes) -> bool:
    """Whether the root is written so. False too for what is no document."""
    try:
        return root_element(body).startswith(opening)
    except S3Error:
        return False


def upload_id_in(body: bytes) -> bytes:
    """Of CreateMultipartUpload: the id under which the store knows the upload; b"" where none is named."""
    try:
        root = parse(body)
    except S3Error:
        return b""
    found = [child.text or "" for child in root if child.tag.rpartition("}")[2] == "UploadId"]
    return found[0].strip().encode() if len(found) == 1 else b""

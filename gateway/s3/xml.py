"""XML at the border: escaping and the error document out, strict parsing in. No DTD, no entities, no schema."""

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError, XMLParser

from gateway.s3.errors import Code, S3Error

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
# https://www.w3.org/TR/xml/#charsets: what no XML 1.0 document may contain, escaped or not.
_DTD: Final = b"<!DOCTYPE"
_PLAIN: Final = re.compile(r"[ !#-%(-;=?-~]*\Z")  # visible ASCII that says nothing to XML
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A limit on work: the longest document S3 knows, 10,000 parts with three checksums each, has 120,000 tags. 2 MiB of
# nothing but tags would take most of a second.
MAX_TAGS: Final = 150_000
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)


def escape(text: str) -> str:
    """Text for element content or attribute: characters XML cannot hold are left out."""
    if _PLAIN.match(text):
        return text
    return _ILLEGAL.sub("", text).translate(_ESCAPES)


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def error_document(
    code: str, message: str, resource: str, request_id: str, extra: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """`<Error>` as S3 writes it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

    `request_id` holds nothing that must be escaped.
    """
    return (error_start(code, message, extra) + error_end(resource, request_id)).encode()


def error_start(code: str, message: str, extra: tuple[tuple[str, str], ...]) -> str:
    """An error document up to what differs between two requests with the same fate."""
    lines = (("Code", code), ("Message", message), *extra)
    return f"{DECLARATION}<Error>{''.join([element(name, text) for name, text in lines])}"


def error_end(resource: str, request_id: str) -> str:
    return f"{element('Resource', resource)}<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>"


def parse(body: bytes) -> Element:
    """The root of a UTF-8 document of at most `MAX_TAGS` tags. S3Error MALFORMED_XML for anything else.

    No DTD, and so no entity but the five of XML. A declared encoding is not followed: bytes have one reading here.
    """
    if body.count(b"<") > MAX_TAGS:
        raise S3Error(Code.MALFORMED_XML, "a document of too many tags")
    # https://www.w3.org/TR/xml/#NT-doctypedecl: every DTD begins with these bytes, and only a DTD declares entities.
    # expat follows UTF-16 whatever encoding it is told; no UTF-16 markup is without a NUL, and UTF-8 XML never has one.
    # defusedxml refuses DTDs by way of handlers in Python: 57 ms for 10,000 parts where this takes 12.
    if _DTD in body or b"\0" in body:
        raise S3Error(Code.MALFORMED_XML, "a document with a DTD, or not in UTF-8")
    parser = XMLParser(encoding="utf-8")  # noqa: S314 – what makes it unsafe, the DTD, is refused above
    try:
        parser.feed(body)
        return parser.close()
    except (ParseError, ValueError) as error:
        raise S3Error(Code.MALFORMED_XML, f"unreadable document: {type(error).__name__}") from None


def malformed(reason: str) -> S3Error:
    return S3Error(Code.MALFORMED_XML, reason)


def root_named(body: bytes, name: str) -> Element:
    """As `parse`; S3Error MALFORMED_XML too when the root has another name."""
    root = parse(body)
    if local_name(root) != name:
        raise malformed(f"not a {name} document")
    return root


def document(root: str, inside: str) -> bytes:
    """A document of ours: `inside` is written already."""
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{inside}</{root}>'.encode()


def local_name(found: Element) -> str:
    """The name without its namespace. S3's own and none are accepted alike; another one never matches."""
    tag = found.tag
    if tag.startswith("{"):
        namespace, _, name = tag[1:].partition("}")
        return name if namespace == NAMESPACE else tag
    return tag


def read_error(body: bytes) -> tuple[str, str] | None:
    """(code, message) of a store's error document; None when it is none. S3Error MALFORMED_XML when unreadable."""
    root = parse(body)
    if root.tag.rpartition("}")[2] != "Error":
        return None
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    return (texts["Code"].strip(), texts.get("Message", "").strip()) if texts.get("Code") else None

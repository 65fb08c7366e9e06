"""XML at the border: escaping and the error document out, strict parsing in. No DTD, no entities, no schema."""

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from gateway.s3.errors import Code, S3Error

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
# https://www.w3.org/TR/xml/#charsets: what no XML 1.0 document may contain, escaped or not.
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)


def escape(text: str) -> str:
    """Text for element content or attribute: characters XML cannot hold are left out."""
    return _ILLEGAL.sub("", text).translate(_ESCAPES)


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def error_document(
    code: str, message: str, resource: str, request_id: str, extra: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """`<Error>` as S3 writes it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    lines = [("Code", code), ("Message", message), *extra, ("Resource", resource)]
    lines += [("RequestId", request_id), ("HostId", request_id)]
    inside = "".join([element(name, text) for name, text in lines])
    return f"{DECLARATION}<Error>{inside}</Error>".encode()


def parse(body: bytes) -> Element:
    """The root of a document. S3Error MALFORMED_XML for anything else, and for any DTD or entity."""
    try:
        root: Element = ElementTree.fromstring(body, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise S3Error(Code.MALFORMED_XML, f"unreadable document: {type(error).__name__}") from None
    return root


def local_name(found: Element) -> str:
    """The name without its namespace. S3's own and none are accepted alike; another one never matches."""
    tag = found.tag
    if tag.startswith("{"):
        namespace, _, name = tag[1:].partition("}")
        return name if namespace == NAMESPACE else tag
    return tag


def child_text(parent: Element, name: str) -> str | None:
    """The text of the first child of that name; None when there is none."""
    for child in parent:
        if local_name(child) == name:
            return child.text or ""
    return None


def read_error(body: bytes) -> tuple[str, str] | None:
    """(code, message) of a store's error document; None when it is none. S3Error MALFORMED_XML when unreadable."""
    root = parse(body)
    if root.tag.rpartition("}")[2] != "Error":
        return None
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    return (texts["Code"].strip(), texts.get("Message", "").strip()) if texts.get("Code") else None

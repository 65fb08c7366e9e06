"""The store's result of DeleteObjects, read and written anew: what was deleted, what was not, and why, in our words.

Its errors are the store's, one by one, and obey the rules of all its errors; what the key might not touch, and the
store never heard of, stands beside them. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from collections.abc import Collection, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from gateway.s3.control import Refused
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, NAMESPACE, element, parse
from gateway.store_errors import as_told

_OF_DELETED: Final = ("Key", "VersionId", "DeleteMarker", "DeleteMarkerVersionId")


def delete_result(body: bytes, refused: Sequence[Refused], hidden: Collection[str]) -> bytes:
    """`body`: the store's. `hidden`: what no message may contain. S3Error INTERNAL_ERROR where it is no such result."""
    try:
        root = parse(body)
    except S3Error as error:
        raise S3Error(Code.INTERNAL_ERROR, f"the store's DeleteResult: {error.reason}") from error
    if _name(root) != "DeleteResult":
        raise S3Error(Code.INTERNAL_ERROR, "the store answered with another document than DeleteResult")
    rows = [_row(child, hidden) for child in root]
    return _written([*rows, *(_refusal(one) for one in refused)])


def nothing_deleted(refused: Sequence[Refused]) -> bytes:
    return _written([_refusal(one) for one in refused])


def _written(rows: Sequence[str]) -> bytes:
    return f'{DECLARATION}<DeleteResult xmlns="{NAMESPACE}">{"".join(rows)}</DeleteResult>'.encode()


def _name(found: Element) -> str:
    return found.tag.rpartition("}")[2]


def _row(child: Element, hidden: Collection[str]) -> str:
    texts = {_name(one): one.text or "" for one in child}
    match _name(child):
        case "Deleted":
            said = "".join([element(name, texts[name]) for name in _OF_DELETED if name in texts])
            return f"<Deleted>{said}</Deleted>"
        case "Error":
            told = as_told(200, texts.get("Code", ""), texts.get("Message", ""), hidden)
            return _error(texts.get("Key", ""), texts.get("VersionId", ""), told.code, told.message)
    return ""


def _refusal(one: Refused) -> str:
    return _error(*one, Code.ACCESS_DENIED.wire_name, Code.ACCESS_DENIED.message)


def _error(object_key: str, version_id: str, code: str, message: str) -> str:
    version = element("VersionId", version_id) if version_id else ""
    return f"<Error>{element('Key', object_key)}{version}{element('Code', code)}{element('Message', message)}</Error>"

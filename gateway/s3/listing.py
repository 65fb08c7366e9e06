"""ListBuckets: the store's list read, then a page of what the key may see, written anew.

Filtered first, paged after: a page never tells how many buckets were left out.
"""

import base64
import binascii
import re
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element  # the type; parsing is in `xml`

from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, NAMESPACE, element, parse

MAX_BUCKETS: Final = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
_NUMBER: Final = re.compile(rb"[0-9]{1,5}\Z")


class ListedBucket(NamedTuple):
    """`created`: the store's own text, RFC 3339."""

    name: str
    created: str


def read_buckets(body: bytes) -> tuple[list[ListedBucket], str | None]:
    """(buckets, token of the next page or None) of a store's answer. S3Error INTERNAL_ERROR when it is not one."""
    try:
        root = parse(body)
    except S3Error:
        raise S3Error(Code.INTERNAL_ERROR, "the store's list of buckets is unreadable") from None
    if _plain_name(root) != "ListAllMyBucketsResult":
        raise S3Error(Code.INTERNAL_ERROR, "the store's list of buckets is another document")
    found = []
    for group in root:
        if _plain_name(group) == "Buckets":
            found += [_bucket(bucket) for bucket in group]
    return found, _text(root, "ContinuationToken") or None


def _plain_name(found: Element) -> str:
    """Stores write this document under several namespaces, and under none."""
    return found.tag.rpartition("}")[2]


def _text(parent: Element, name: str) -> str:
    return next((child.text or "" for child in parent if _plain_name(child) == name), "")


def _bucket(found: Element) -> ListedBucket:
    name = _text(found, "Name")
    if not name:
        raise S3Error(Code.INTERNAL_ERROR, "the store's list of buckets has one without a name")
    return ListedBucket(name, _text(found, "CreationDate"))


def page(buckets: list[ListedBucket], query: dict[bytes, bytes]) -> tuple[list[ListedBucket], str | None]:
    """The page that prefix, max-buckets and continuation-token ask for, by name, and the token of the next one.

    S3Error INVALID_ARGUMENT for a number or token that is none.
    """
    prefix = query.get(b"prefix", b"").decode("utf-8", "replace")
    after = _after(query.get(b"continuation-token"))
    most = _most(query.get(b"max-buckets"))
    wanted = sorted(bucket for bucket in buckets if bucket.name.startswith(prefix) and bucket.name > after)
    shown = wanted[:most]
    token = base64.urlsafe_b64encode(shown[-1].name.encode()).decode() if len(wanted) > most else None
    return shown, token


def _most(value: bytes | None) -> int:
    if value is None:
        return MAX_BUCKETS
    if not _NUMBER.match(value) or not 1 <= int(value) <= MAX_BUCKETS:
        raise S3Error(Code.INVALID_ARGUMENT, "max-buckets", message=f"max-buckets must be 1 to {MAX_BUCKETS}.")
    return int(value)


def _after(token: bytes | None) -> str:
    if not token:
        return ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise S3Error(
            Code.INVALID_ARGUMENT, "continuation-token", message="The continuation token provided is incorrect."
        ) from None


def render_buckets(buckets: list[ListedBucket], *, owner: str, prefix: str, token: str | None) -> bytes:
    """The document of one page."""
    rows = "".join(
        [
            f"<Bucket>{element('Name', bucket.name)}{element('CreationDate', bucket.created)}</Bucket>"
            for bucket in buckets
        ]
    )
    tail = (element("ContinuationToken", token) if token else "") + (element("Prefix", prefix) if prefix else "")
    return (
        f'{DECLARATION}<ListAllMyBucketsResult xmlns="{NAMESPACE}">'
        f"<Owner>{element('ID', owner)}{element('DisplayName', owner)}</Owner>"
        f"<Buckets>{rows}</Buckets>{tail}</ListAllMyBucketsResult>"
    ).encode()

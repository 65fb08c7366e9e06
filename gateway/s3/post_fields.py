"""What the fields of an upload form mean: `${filename}`, the object key, and the headers a PutObject would carry.

It lists what is carried over; a field nobody listed names nothing. Which of the carried headers may pass is decided in
the header policy, as for any other upload. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

import re
from collections.abc import Mapping
from typing import Final, NewType

from gateway.s3.addressing import check_object_key
from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import MAX_BEFORE_FILE
from gateway.s3.uri import encode
from gateway.s3.xml import local_name, parse

# Name in lower case → value, with `${filename}` replaced: what policies are matched against, and nothing before it.
Expanded = NewType("Expanded", dict[bytes, bytes])

FILENAME: Final = b"${filename}"
_PATH: Final = re.compile(rb".*[/\\]", re.DOTALL)
# What is signed, and what signs it: taken as sent.
_OF_THE_CLAIM: Final = frozenset(
    b"policy x-amz-algorithm x-amz-credential x-amz-date x-amz-signature awsaccesskeyid signature".split()
)
_AS_SENT: Final = _OF_THE_CLAIM | {b"bucket"}
_PLAIN_HEADERS: Final = frozenset(
    b"cache-control content-type content-disposition content-encoding content-language expires content-md5".split()
)
_RENAMED: Final = {b"acl": b"x-amz-acl", b"tagging": b"x-amz-tagging"}
_AMZ: Final = b"x-amz-"
# They would say how the body is framed, make a copy of the upload, or put a condition on it that would be lost: true of
# a request, never of a form.
_OF_A_REQUEST: Final = (
    b"x-amz-copy-source",
    b"x-amz-content-sha256",
    b"x-amz-decoded-content-length",
    b"x-amz-trailer",
    b"x-amz-te",
    b"if-",
)


def expand(fields: Mapping[bytes, bytes], filename: bytes | None) -> Expanded:
    """Every field with `${filename}` replaced by what follows the last slash or backslash of `filename`; by nothing
    when there is none. "It is recognized by all form fields":
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html

    S3Error MAX_POST_PRE_DATA_LENGTH_EXCEEDED when the values grow beyond what a form may hold.
    """
    name = _PATH.sub(b"", filename or b"", count=1)
    expanded: dict[bytes, bytes] = {}
    size = 0
    for field, value in fields.items():
        size += len(value)
        if field not in _AS_SENT and FILENAME in value:
            size += value.count(FILENAME) * len(name)
            if size > MAX_BEFORE_FILE:
                raise S3Error(Code.MAX_POST_PRE_DATA_LENGTH_EXCEEDED, "too much once ${filename} is replaced")
            value = value.replace(FILENAME, name)
        expanded[field] = value
    return Expanded(expanded)


def object_key_of(fields: Expanded, *, dot_segments: bool) -> bytes:
    """The object key, under the rules of all object keys: a file may be named `..`.

    S3Error USER_KEY_MUST_BE_SPECIFIED, INVALID_URI, KEY_TOO_LONG.
    """
    object_key = fields.get(b"key", b"")
    if not object_key:
        raise S3Error(
            Code.USER_KEY_MUST_BE_SPECIFIED,
            "a form without an object key",
            extra=(("ArgumentName", "key"), ("ArgumentValue", "")),
        )
    check_object_key(object_key, dot_segments=dot_segments)
    return object_key


def as_put_headers(fields: Expanded) -> dict[bytes, bytes]:
    """The headers of the PutObject that this form is, names in lower case, for the header policy to judge.

    S3Error INVALID_REQUEST for a field that belongs to requests only, or that is there under two names;
    MALFORMED_XML for tags that are none.
    """
    headers: dict[bytes, bytes] = {}
    for field, value in fields.items():
        if field in _OF_THE_CLAIM:
            continue
        if field.startswith(_OF_A_REQUEST):
            shown = field.decode("ascii")
            raise S3Error(
                Code.INVALID_REQUEST, f"form field {shown}", message=f"The form field {shown} is not allowed in a form."
            )
        value = value.strip(b" \t")
        if field in _PLAIN_HEADERS:
            if value:  # forms have fields that nobody filled in
                headers[field] = value
        elif field.startswith(_AMZ) or field in _RENAMED:
            _carry(headers, field, value)
    return headers


def _carry(headers: dict[bytes, bytes], field: bytes, value: bytes) -> None:
    name = _RENAMED.get(field, field)
    if name in headers:
        shown = name.decode("ascii")
        raise S3Error(
            Code.INVALID_REQUEST, f"{shown} under two names", message=f"The form gives {shown} under two names."
        )
    headers[name] = _tags(value) if field == b"tagging" else value


def _tags(document: bytes) -> bytes:
    """`<Tagging><TagSet><Tag><Key/><Value/></Tag>…` as the header has it: k=v&k=v, encoded. S3Error MALFORMED_XML.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-tagging
    """
    root = parse(document)
    if local_name(root) != "Tagging" or [local_name(child) for child in root] != ["TagSet"]:
        raise S3Error(Code.MALFORMED_XML, "not one TagSet")
    tags: dict[bytes, bytes] = {}
    for tag in root[0]:
        texts = {local_name(child): child.text or "" for child in tag if not len(child)}
        if local_name(tag) != "Tag" or len(tag) != 2 or texts.keys() != {"Key", "Value"}:
            raise S3Error(Code.MALFORMED_XML, "a tag that is not one key and one value")
        name = encode(texts["Key"].encode("utf-8", "replace"), keep_slash=False)
        if name in tags:
            raise S3Error(Code.MALFORMED_XML, "a tag given twice")
        tags[name] = encode(texts["Value"].encode("utf-8", "replace"), keep_slash=False)
    return b"&".join([b"%b=%b" % tag for tag in tags.items()])

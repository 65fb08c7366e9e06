"""Which bucket and object key a Host and a path name. Parsed once; what is authorized is what is written upstream.

Nothing is normalized: a spelling that some store could read differently is refused.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.s3.errors import Code, S3Error
from keystore.scope import BUCKET_NAME

MAX_OBJECT_KEY: Final = 1024  # bytes of UTF-8; https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
# A file-backed store sees nothing behind the bucket: SeaweedFS 4.48 and rclone 1.75 remove an empty bucket on DELETE of
# the object key `/`, and rclone makes one on PUT.
_SEPARATORS: Final = b"/\\"
_DOT_SEGMENT: Final = re.compile(rb"(?:\A|/)\.\.?(?:/|\Z)")
_IP_LITERAL: Final = re.compile(rb"(?:\[[0-9a-fA-F:.]+\]|\d{1,3}(?:\.\d{1,3}){3})\Z")


class Addressing(NamedTuple):
    """`domains`: lower case, without port; empty = every host is path-style. `reserved`: names the store keeps for
    itself. `dot_segments`: whether object keys may hold `.` and `..` segments."""

    domains: tuple[bytes, ...]
    reserved: frozenset[str]
    dot_segments: bool


def bucket_of_host(host: bytes, domains: tuple[bytes, ...]) -> bytes | None:
    """The bucket that a virtual-hosted Host names, or None for path-style. S3Error BAD_REQUEST for a foreign host.
    Without domains every host is path-style, and this is not asked.

    Of two domains that both end the name, the longer one: what stands before it is the bucket, dots included.
    """
    name = host.lower()
    if not name.endswith(b"]"):
        before, colon, port = name.rpartition(b":")
        if colon and port.isdigit():
            name = before
    name = name.removesuffix(b".")
    if name in domains or name == b"localhost" or _IP_LITERAL.match(name):
        return None
    served = [domain for domain in domains if name.endswith(b"." + domain)]
    if served:
        return name[: -len(max(served, key=len)) - 1]
    raise S3Error(Code.BAD_REQUEST, "a Host that is not served here", message="The Host is not one served here.")


@lru_cache(maxsize=4096)
def check_bucket(raw: bytes, reserved: frozenset[str]) -> str:
    """A bucket name exactly as S3 defines it. S3Error INVALID_BUCKET_NAME."""
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if not BUCKET_NAME.match(name) or name in reserved:
        raise S3Error(Code.INVALID_BUCKET_NAME, "not a bucket name")
    return name


def check_object_key(object_key: bytes, *, dot_segments: bool) -> None:
    """The rules of every object key, wherever it stands. S3Error INVALID_URI or KEY_TOO_LONG."""
    if len(object_key) > MAX_OBJECT_KEY:
        raise S3Error(Code.KEY_TOO_LONG, "object key too long")
    if not object_key.isascii():
        try:
            object_key.decode("utf-8")
        except UnicodeDecodeError:
            raise S3Error(Code.INVALID_URI, "object key is not UTF-8") from None
    if object_key.find(b"\0") >= 0:  # `in` of bytes raises and swallows an exception each time: twice the cost
        raise S3Error(Code.INVALID_URI, "NUL in object key")
    if dot_segments:
        return
    if object_key.find(b".") >= 0 and has_dot_segment(object_key):
        raise S3Error(
            Code.INVALID_URI,
            "dot segment in object key",
            message="Object keys with '.' or '..' segments are not supported here.",
        )
    if object_key and object_key[0] in _SEPARATORS and not object_key.strip(_SEPARATORS):
        raise S3Error(
            Code.INVALID_URI,
            "an object key of separators",
            message="Object keys of nothing but '/' are not supported here.",
        )


def has_dot_segment(path: bytes) -> bool:
    """Whether a segment is `.` or `..`: file-backed stores walk along them, into another bucket. A backslash separates
    as well: SeaweedFS takes it for a slash."""
    if b"\\" in path:
        path = path.replace(b"\\", b"/")
    return (b"/." in path or path[:1] == b".") and _DOT_SEGMENT.search(path) is not None


def check_reference(value: bytes, *, dot_segments: bool) -> None:
    """The rules of a value that names objects without being an object key: a prefix, a marker, a version, an upload.

    File-backed stores make paths of these too. A prefix may end in the middle of a segment, so a last `.` is no
    segment yet. S3Error INVALID_ARGUMENT.
    """
    try:
        unsafe = "\0" in value.decode("utf-8")
    except UnicodeDecodeError:
        unsafe = True
    if unsafe:
        raise S3Error(Code.INVALID_ARGUMENT, "a name that is not UTF-8 without NUL")
    begun = value[:-1] if value == b"." or value.endswith((b"/.", b"\\.")) else value
    if not dot_segments and has_dot_segment(begun):
        raise S3Error(
            Code.INVALID_ARGUMENT,
            "dot segment in the name of objects, a version or an upload",
            message="Names with '.' or '..' segments are not supported here.",
        )


def locate(host: bytes, raw_path: bytes, decoded_path: bytes, addressing: Addressing) -> tuple[str, bytes, bool]:
    """→ (bucket, object key, whether virtual-hosted). `raw_path` and its decoding both begin with `/`. The bucket is ""
    on service level, the object key b"" on service and bucket level.

    S3Error BAD_REQUEST, INVALID_BUCKET_NAME, INVALID_URI, KEY_TOO_LONG.
    """
    hosted = bucket_of_host(host, addressing.domains) if addressing.domains else None
    if hosted is not None:
        bucket, object_key = check_bucket(hosted, addressing.reserved), decoded_path[1:]
    else:
        if decoded_path == b"/":
            return "", b"", False
        # The bucket is what stands before the first raw `/`: an encoded one is part of the name, and refused there.
        segment, _, rest = raw_path[1:].partition(b"/")
        bucket = check_bucket(segment, addressing.reserved)
        object_key = decoded_path[len(segment) + 2 :] if rest else b""
    if object_key:
        check_object_key(object_key, dot_segments=addressing.dot_segments)
    return bucket, object_key, hosted is not None

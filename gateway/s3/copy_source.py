"""The second bucket of a copy: parsed once, checked like a path, and always written anew.

Stores read the same bytes as three different buckets (decode before or after splitting, `//`, URL parsing with a
scheme, `#`): only the one reading below exists here.
"""

from typing import Final, NamedTuple

from gateway.s3.addressing import check_bucket, check_object_key, check_reference
from gateway.s3.errors import Code, S3Error
from gateway.s3.uri import decode, encode

_NO_RESERVED: Final[frozenset[str]] = frozenset()
_VERSION: Final = b"versionId="


class CopySource(NamedTuple):
    """`object_key`: decoded, never empty. `version_id`: decoded, None when not named."""

    bucket: str
    object_key: bytes
    version_id: bytes | None


def _bad(reason: str) -> S3Error:
    return S3Error(
        Code.INVALID_ARGUMENT,
        f"copy source: {reason}",
        message="Copy Source must mention the source bucket and key: sourcebucket/sourcekey.",
    )


def parse_copy_source(value: bytes, *, dot_segments: bool) -> CopySource:
    """The value of x-amz-copy-source: `[/]bucket/key[?versionId=id]`, percent-encoded or not; a raw `+` is a space.

    S3Error INVALID_ARGUMENT, INVALID_BUCKET_NAME, INVALID_URI, KEY_TOO_LONG.
    """
    path, question, query = value.partition(b"?")
    if b"#" in value:
        raise _bad("a fragment")
    version_id = None
    if question:
        version_id = decode(query.removeprefix(_VERSION))
        if not query.startswith(_VERSION) or not version_id or not version_id.isascii() or b"&" in query:
            raise _bad("something other than one versionId after the question mark")
        check_reference(version_id, dot_segments=dot_segments)
    decoded = decode(path.replace(b"+", b" ")).removeprefix(b"/")
    segment, slash, object_key = decoded.partition(b"/")
    if not slash or not object_key:
        raise _bad("no object key")
    if not segment:
        raise _bad("an empty bucket")
    bucket = check_bucket(segment, _NO_RESERVED)
    check_object_key(object_key, dot_segments=dot_segments)
    return CopySource(bucket, object_key, version_id)


def render(source: CopySource) -> bytes:
    """The one spelling that goes to the store."""
    path = b"/%b/%b" % (source.bucket.encode(), encode(source.object_key, keep_slash=True))
    if source.version_id is None:
        return path
    return b"%b?versionId=%b" % (path, encode(source.version_id, keep_slash=False))

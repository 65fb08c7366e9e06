"""Control documents: parsed into what they say, then written anew. None is forwarded as it was received.

What a document may hold is listed here and in `bucket_documents`; an element nobody listed refuses the document.
"""

from collections.abc import Callable
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from gateway.s3.addressing import check_object_key, check_reference
from gateway.s3.bucket_documents import encryption, legal_hold, lifecycle, object_lock, retention
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import document, element, local_name, malformed, root_named

MAX_DELETES: Final = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
MAX_PARTS: Final = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_CHECKSUMS: Final = frozenset(
    f"Checksum{name}" for name in "CRC32 CRC32C CRC64NVME SHA1 SHA256 SHA512 MD5 XXHASH64 XXHASH3 XXHASH128".split()
)
_OF_DELETED: Final = frozenset({"Key", "VersionId", "ETag", "LastModifiedTime", "Size"})
_OF_PART: Final = frozenset({"PartNumber", "ETag"}) | _CHECKSUMS


def _texts(parent: Element, allowed: frozenset[str]) -> dict[str, str]:
    """The children as name → text, each known and at most once."""
    texts: dict[str, str] = {}
    for child in parent:
        name = local_name(child)
        if name not in allowed or name in texts or len(child):
            raise malformed("an element that is unknown, repeated or nested")
        texts[name] = child.text or ""
    return texts


def _bytes(text: str) -> bytes:
    """A lone surrogate stays what it is, no UTF-8, for the rules of object keys to refuse."""
    return text.encode("utf-8", "surrogatepass")


def _elements(texts: dict[str, str]) -> str:
    return "".join([element(name, text) for name, text in texts.items()])


class Refused(NamedTuple):
    """One object of a document that may not be touched. `version_id`: "" = none was named."""

    object_key: str
    version_id: str


def delete_objects(
    body: bytes, *, dot_segments: bool, reaches: Callable[[bytes], bool]
) -> tuple[bytes, tuple[Refused, ...]]:
    """1 to 1,000 objects. Object keys obey the rules of paths. → the document for the store without those that
    `reaches` refuses, b"" when none is left; and those.

    S3Error MALFORMED_XML, INVALID_URI, INVALID_ARGUMENT, KEY_TOO_LONG.
    """
    rows: list[str] = []
    refused: list[Refused] = []
    quiet = ""
    for child in root_named(body, "Delete"):
        match local_name(child):
            case "Object":
                texts = _texts(child, _OF_DELETED)
                if not texts.get("Key"):
                    raise malformed("an object without a key")
                check_object_key(_bytes(texts["Key"]), dot_segments=dot_segments)
                check_reference(_bytes(texts.get("VersionId", "")), dot_segments=dot_segments)
                if reaches(_bytes(texts["Key"])):
                    rows.append(f"<Object>{_elements(texts)}</Object>")
                else:
                    refused.append(Refused(texts["Key"], texts.get("VersionId", "")))
            case "Quiet" if not quiet and not len(child):
                quiet = element("Quiet", "true" if (child.text or "").strip().lower() == "true" else "false")
            case _:
                raise malformed("an element that is unknown or repeated")
    named = len(rows) + len(refused)
    if not 1 <= named <= MAX_DELETES:
        raise malformed(f"{named} objects to delete")
    return document("Delete", quiet + "".join(rows)) if rows else b"", tuple(refused)


def complete_multipart_upload(body: bytes) -> bytes:
    """1 to 10,000 parts with number, ETag and checksums. S3Error MALFORMED_XML."""
    rows = []
    for child in root_named(body, "CompleteMultipartUpload"):
        texts = _texts(child, _OF_PART)
        number = texts.get("PartNumber", "")
        if local_name(child) != "Part" or not (number.isascii() and number.isdigit()) or "ETag" not in texts:
            raise malformed("a part without number or ETag")
        rows.append(f"<Part>{_elements(texts)}</Part>")
    if not 1 <= len(rows) <= MAX_PARTS:
        raise malformed(f"{len(rows)} parts")
    return document("CompleteMultipartUpload", "".join(rows))


def create_bucket_configuration(body: bytes, upstream_region: str) -> bytes:
    """The client's LocationConstraint is consumed; the store gets its own region, us-east-1 as no document at all.

    S3Error MALFORMED_XML, NOT_IMPLEMENTED for anything else in it.
    """
    if body.strip():
        for child in root_named(body, "CreateBucketConfiguration"):
            if local_name(child) != "LocationConstraint" or len(child):
                raise S3Error(Code.NOT_IMPLEMENTED, "a bucket configuration other than LocationConstraint")
    if upstream_region in ("", "us-east-1"):
        return b""
    return document("CreateBucketConfiguration", element("LocationConstraint", upstream_region))


def tagging(body: bytes) -> bytes:
    """A set of tags. S3Error MALFORMED_XML."""
    root = root_named(body, "Tagging")
    if len(root) != 1 or local_name(root[0]) != "TagSet":
        raise malformed("not one TagSet")
    rows = []
    for child in root[0]:
        texts = _texts(child, frozenset({"Key", "Value"}))
        if local_name(child) != "Tag" or "Key" not in texts:
            raise malformed("a tag without a key")
        rows.append(f"<Tag>{_elements(texts)}</Tag>")
    return document("Tagging", f"<TagSet>{''.join(rows)}</TagSet>")


def versioning(body: bytes) -> bytes:
    """Enabled or Suspended; MFA delete may be said to be off. S3Error MALFORMED_XML, NOT_IMPLEMENTED."""
    texts = _texts(root_named(body, "VersioningConfiguration"), frozenset({"Status", "MfaDelete"}))
    if texts.get("MfaDelete", "Disabled") != "Disabled":
        raise S3Error(Code.NOT_IMPLEMENTED, "MFA delete")
    status = texts.get("Status")
    if status not in ("Enabled", "Suspended"):
        raise malformed("a versioning status that is neither Enabled nor Suspended")
    return document("VersioningConfiguration", element("Status", status))


_REBUILDERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "CompleteMultipartUpload": complete_multipart_upload,
    "PutObjectTagging": tagging,
    "PutBucketTagging": tagging,
    "PutBucketVersioning": versioning,
    "PutBucketLifecycleConfiguration": lifecycle,
    "PutBucketEncryption": encryption,
    "PutObjectLockConfiguration": object_lock,
    "PutObjectRetention": retention,
    "PutObjectLegalHold": legal_hold,
}


def rebuild_control(operation: str, body: bytes, *, upstream_region: str) -> bytes:
    """The document that goes to the store in place of `body`; b"" = none. DeleteObjects: `delete_objects`.

    S3Error as the rules raise it; NOT_IMPLEMENTED for an operation without one, which is never forwarded.
    """
    if operation == "CreateBucket":
        return create_bucket_configuration(body, upstream_region)
    rebuild = _REBUILDERS.get(operation)
    if rebuild is None:
        raise S3Error(Code.NOT_IMPLEMENTED, f"no rule to rebuild the document of {operation}")
    return rebuild(body)

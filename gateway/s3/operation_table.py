"""Every S3 operation as a row: how it is recognised, what it demands, what its body is.

The rows follow the S3 API reference of 2026 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html); a
test reads the newest service model and fails when one is missing. A row without a permission is refused for every key.
"""

from enum import Enum
from typing import Final, NamedTuple

from keystore.scope import Permission


class Level(Enum):
    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"

    __hash__ = object.__hash__  # members are singletons; Enum's own is a Python call in every look-up of a row


class Body(Enum):
    """NONE: no body. OBJECT: an object's bytes, streamed. CONTROL: a document, read whole, decided on and rebuilt."""

    NONE = "none"
    OBJECT = "object"
    CONTROL = "control"


class Operation(NamedTuple):
    """`selector`: the query name that picks the row. `needs`: parameters it cannot be without. `parameters`: all that
    are forwarded, selector included. `checksum_in_headers`: x-amz-checksum-* describes the request's body.
    `copies`: picked by x-amz-copy-source. `permission`: None = refused for every key.
    """

    name: str
    method: bytes
    level: Level
    selector: bytes | None = None
    permission: Permission | None = None
    body: Body = Body.NONE
    checksum_in_headers: bool = False
    copies: bool = False
    needs: frozenset[bytes] = frozenset()
    parameters: frozenset[bytes] = frozenset()


_SERVICE, _BUCKET, _OBJECT = Level.SERVICE, Level.BUCKET, Level.OBJECT
_READ, _WRITE, _DELETE = Permission.READ, Permission.WRITE, Permission.DELETE
_PROBE, _CONFIGURE, _CREATE = Permission.PROBE, Permission.CONFIGURE, Permission.CREATE_BUCKET


def _row(
    name: str,
    place: tuple[str, Level],
    selector: str | None = None,
    permission: Permission | None = None,
    parameters: str = "",
    *,
    body: Body = Body.NONE,
    checksum: bool = False,
    copies: bool = False,
    needs: str = "",
) -> Operation:
    method, level = place
    chosen = selector.encode() if selector else None
    needed = frozenset(needs.encode().split())
    known = needed | frozenset(parameters.encode().split())
    return Operation(
        name,
        method.encode(),
        level,
        chosen,
        permission,
        body,
        checksum,
        copies,
        needed,
        known | {chosen} if chosen else known,
    )


_RESPONSE: Final = (
    "response-cache-control response-content-disposition response-content-encoding response-content-language "
    "response-content-type response-expires versionId partNumber"
)
_LIST: Final = "delimiter encoding-type max-keys prefix"
_GET_B, _PUT_B, _DELETE_B, _POST_B = ("GET", _BUCKET), ("PUT", _BUCKET), ("DELETE", _BUCKET), ("POST", _BUCKET)
_GET_O, _PUT_O, _DELETE_O, _POST_O = ("GET", _OBJECT), ("PUT", _OBJECT), ("DELETE", _OBJECT), ("POST", _OBJECT)
_STREAM, _XML = Body.OBJECT, Body.CONTROL

# ---- objects ----
_OBJECTS: Final = (
    _row("GetObject", _GET_O, None, _READ, _RESPONSE),
    _row("HeadObject", ("HEAD", _OBJECT), None, _READ, _RESPONSE),
    _row("PutObject", _PUT_O, None, _WRITE, body=_STREAM, checksum=True),
    _row("CopyObject", _PUT_O, None, _WRITE, copies=True),
    _row("DeleteObject", _DELETE_O, None, _DELETE, "versionId"),
    _row("GetObjectAttributes", _GET_O, "attributes", _READ, "versionId"),
    _row("GetObjectTagging", _GET_O, "tagging", _READ, "versionId"),
    _row("PutObjectTagging", _PUT_O, "tagging", _WRITE, "versionId", body=_XML, checksum=True),
    _row("DeleteObjectTagging", _DELETE_O, "tagging", _WRITE, "versionId"),
    _row("GetObjectLegalHold", _GET_O, "legal-hold", _CONFIGURE, "versionId"),
    _row("GetObjectRetention", _GET_O, "retention", _CONFIGURE, "versionId"),
    _row("PutObjectLegalHold", _PUT_O, "legal-hold", _CONFIGURE, "versionId", body=_XML, checksum=True),
    _row("PutObjectRetention", _PUT_O, "retention", _CONFIGURE, "versionId", body=_XML, checksum=True),
    _row("CreateMultipartUpload", _POST_O, "uploads", _WRITE),
    _row("UploadPart", _PUT_O, "uploadId", _WRITE, needs="partNumber", body=_STREAM, checksum=True),
    _row("UploadPartCopy", _PUT_O, "uploadId", _WRITE, needs="partNumber", copies=True),
    _row("CompleteMultipartUpload", _POST_O, "uploadId", _WRITE, body=_XML),
    _row("AbortMultipartUpload", _DELETE_O, "uploadId", _WRITE),
    _row("ListParts", _GET_O, "uploadId", _READ, "max-parts part-number-marker encoding-type"),
    _row("GetObjectAcl", _GET_O, "acl", None, "versionId"),
    _row("PutObjectAcl", _PUT_O, "acl", None, "versionId", body=_XML, checksum=True),
    _row("GetObjectTorrent", _GET_O, "torrent"),
    _row("RestoreObject", _POST_O, "restore", None, "versionId", body=_XML, checksum=True),
    _row("SelectObjectContent", _POST_O, "select", None, "select-type", body=_XML),
    _row("RenameObject", _PUT_O, "renameObject"),
    _row("UpdateObjectEncryption", _PUT_O, "encryption", None, "versionId", body=_XML, checksum=True),
    _row(
        "ListObjectAnnotations",
        _GET_O,
        "annotation",
        None,
        "versionId max-annotation-results annotation-prefix continuation-token",
    ),
    _row("GetObjectAnnotation", _GET_O, "annotation", None, "versionId", needs="annotationName"),
    _row("PutObjectAnnotation", _PUT_O, "annotation", None, "versionId annotationName", body=_STREAM, checksum=True),
    _row("DeleteObjectAnnotation", _DELETE_O, "annotation", None, "versionId annotationName"),
)
# ---- buckets ----
_BUCKETS: Final = (
    _row("HeadBucket", ("HEAD", _BUCKET), None, _PROBE),
    _row("GetBucketLocation", _GET_B, "location", _PROBE),
    _row("CreateBucket", _PUT_B, None, _CREATE, body=_XML),
    _row("DeleteBucket", _DELETE_B, None, _CONFIGURE),
    _row("ListObjects", _GET_B, None, _READ, _LIST + " marker"),
    _row("ListObjectsV2", _GET_B, "list-type", _READ, _LIST + " continuation-token fetch-owner start-after"),
    _row("ListObjectVersions", _GET_B, "versions", _READ, _LIST + " key-marker version-id-marker"),
    _row(
        "ListMultipartUploads",
        _GET_B,
        "uploads",
        _READ,
        "delimiter encoding-type key-marker max-uploads prefix upload-id-marker",
    ),
    _row("DeleteObjects", _POST_B, "delete", _DELETE, body=_XML, checksum=True),
    _row("PostObject", _POST_B, None, None, body=_STREAM),
    _row("GetBucketVersioning", _GET_B, "versioning", _READ),
    _row("PutBucketVersioning", _PUT_B, "versioning", _CONFIGURE, body=_XML, checksum=True),
    _row("GetBucketTagging", _GET_B, "tagging", _CONFIGURE),
    _row("PutBucketTagging", _PUT_B, "tagging", _CONFIGURE, body=_XML, checksum=True),
    _row("DeleteBucketTagging", _DELETE_B, "tagging", _CONFIGURE),
    _row("GetObjectLockConfiguration", _GET_B, "object-lock", _CONFIGURE),
    _row("PutObjectLockConfiguration", _PUT_B, "object-lock", _CONFIGURE, body=_XML, checksum=True),
    _row("GetBucketEncryption", _GET_B, "encryption", _CONFIGURE),
    _row("PutBucketEncryption", _PUT_B, "encryption", _CONFIGURE, body=_XML, checksum=True),
    _row("DeleteBucketEncryption", _DELETE_B, "encryption", _CONFIGURE),
    _row("GetBucketLifecycleConfiguration", _GET_B, "lifecycle", _CONFIGURE),
    _row("PutBucketLifecycleConfiguration", _PUT_B, "lifecycle", _CONFIGURE, body=_XML, checksum=True),
    _row("DeleteBucketLifecycle", _DELETE_B, "lifecycle", _CONFIGURE),
    _row("GetBucketRequestPayment", _GET_B, "requestPayment", _CONFIGURE),
    _row("PutBucketRequestPayment", _PUT_B, "requestPayment", None, body=_XML, checksum=True),
    _row("GetBucketAccelerateConfiguration", _GET_B, "accelerate", _CONFIGURE),
    _row("PutBucketAccelerateConfiguration", _PUT_B, "accelerate", None, body=_XML, checksum=True),
    _row("CreateSession", _GET_B, "session"),
    _row("GetBucketPolicyStatus", _GET_B, "policyStatus"),
)


def _configuration(
    subject: str, selector: str, verbs: str, *, names: dict[str, str] | None = None
) -> tuple[Operation, ...]:
    """Rows of a configuration that is refused for every key: it opens data, or names a bucket or sink of its own."""
    places = {"Get": _GET_B, "Put": _PUT_B, "Delete": _DELETE_B, "Create": _POST_B, "Update": _PUT_B}
    rows = []
    for verb in verbs.split():
        name = (names or {}).get(verb, f"{verb}{subject}")
        body = _XML if verb in ("Put", "Create", "Update") else Body.NONE
        rows.append(_row(name, places[verb], selector, body=body, checksum=body is _XML))
    return tuple(rows)


def _many(subject: str, selector: str) -> tuple[Operation, ...]:
    """A configuration of which a bucket has several, by id."""
    return (
        _row(f"Get{subject}Configuration", _GET_B, selector, needs="id"),
        _row(f"List{subject}Configurations", _GET_B, selector, None, "continuation-token"),
        _row(f"Put{subject}Configuration", _PUT_B, selector, None, "id", body=_XML),
        _row(f"Delete{subject}Configuration", _DELETE_B, selector, None, "id"),
    )


_REFUSED: Final = (
    *_configuration("BucketAcl", "acl", "Get Put"),
    *_configuration("BucketPolicy", "policy", "Get Put Delete"),
    *_configuration("PublicAccessBlock", "publicAccessBlock", "Get Put Delete"),
    *_configuration("BucketOwnershipControls", "ownershipControls", "Get Put Delete"),
    *_configuration("BucketWebsite", "website", "Get Put Delete"),
    *_configuration("BucketCors", "cors", "Get Put Delete"),
    *_configuration("BucketReplication", "replication", "Get Put Delete"),
    *_configuration("BucketLogging", "logging", "Get Put"),
    *_configuration("BucketNotificationConfiguration", "notification", "Get Put"),
    *_configuration("BucketAbac", "abac", "Get Put"),
    *_configuration("BucketMetadataConfiguration", "metadataConfiguration", "Get Create Delete"),
    *_configuration("BucketMetadataTableConfiguration", "metadataTable", "Get Create Delete"),
    *_configuration("BucketMetadataAnnotationTableConfiguration", "metadataAnnotationTable", "Update"),
    *_configuration("BucketMetadataInventoryTableConfiguration", "metadataInventoryTable", "Update"),
    *_configuration("BucketMetadataJournalTableConfiguration", "metadataJournalTable", "Update"),
    *_many("BucketAnalytics", "analytics"),
    *_many("BucketIntelligentTiering", "intelligent-tiering"),
    *_many("BucketInventory", "inventory"),
    *_many("BucketMetrics", "metrics"),
)
# ---- service ----
_SERVICE_ROWS: Final = (
    _row("ListBuckets", ("GET", _SERVICE), None, _PROBE, "max-buckets continuation-token prefix bucket-region"),
    _row("ListDirectoryBuckets", ("GET", _SERVICE), None, None, "continuation-token", needs="max-directory-buckets"),
)

OPERATIONS: Final[tuple[Operation, ...]] = (*_OBJECTS, *_BUCKETS, *_REFUSED, *_SERVICE_ROWS)

# Older names of the service model for rows that are above.
ALIASES: Final = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
# Not a request to a bucket at all: its path is a name no bucket can have, and so it is refused while it is addressed.
UNADDRESSABLE: Final = frozenset({"WriteGetObjectResponse"})

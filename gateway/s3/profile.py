"""What each store can do without harm. An operation that a profile does not offer is 501 and never forwarded.

Evidence, from running them: rclone serve s3 1.75 writes the request body over the object on PUT ?tagging, ?acl and
?legal-hold, removes the object on DELETE ?tagging, the bucket on the same, and makes an empty part of UploadPartCopy;
SeaweedFS 4.48 writes over the object on PUT with an unknown sub-resource; moto 5.2 answers 500 to GET ?retention. So
nothing is offered because it exists in S3, only because the store named does it.
"""

from typing import Final, NamedTuple


class Profile(NamedTuple):
    """`offered`: names of operations. `reserved`: what this store answers itself where a bucket could stand.
    `trailers`: whether it takes a checksum behind the body. radosgw does from version 19 on, rclone commits a body that
    is cut off before its trailer."""

    name: str
    offered: frozenset[str]
    reserved: frozenset[str]
    trailers: bool = False


_GENERIC: Final = frozenset(
    "ListBuckets HeadBucket GetBucketLocation CreateBucket DeleteBucket ListObjects ListObjectsV2 GetObject HeadObject "
    "PutObject CopyObject DeleteObject DeleteObjects CreateMultipartUpload UploadPart UploadPartCopy "
    "CompleteMultipartUpload AbortMultipartUpload ListParts ListMultipartUploads".split()
)
_OBJECT_TAGGING: Final = frozenset("GetObjectTagging PutObjectTagging DeleteObjectTagging".split())
_BUCKET_TAGGING: Final = frozenset("GetBucketTagging PutBucketTagging DeleteBucketTagging".split())
_VERSIONING: Final = frozenset("ListObjectVersions GetBucketVersioning PutBucketVersioning".split())
_ATTRIBUTES: Final = frozenset({"GetObjectAttributes"})
_LIFECYCLE: Final = frozenset(
    "GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle".split()
)
_ENCRYPTION: Final = frozenset("GetBucketEncryption PutBucketEncryption DeleteBucketEncryption".split())
_LOCKS: Final = frozenset(
    "GetObjectLockConfiguration PutObjectLockConfiguration GetObjectRetention PutObjectRetention GetObjectLegalHold "
    "PutObjectLegalHold".split()
)
_CONFIGURATION: Final = _LIFECYCLE | _ENCRYPTION | _LOCKS
_ALL: Final = _GENERIC | _OBJECT_TAGGING | _BUCKET_TAGGING | _VERSIONING | _ATTRIBUTES | _CONFIGURATION
# Names that could pass as a bucket and reach the administration of a store instead.
_MINIO_NAMES: Final = frozenset({"minio", "minio-console"})
_RGW_NAMES: Final = frozenset({"admin", "swift", "auth"})
_SEAWEEDFS_NAMES: Final = frozenset({"status", "healthz", "readyz", "buckets", "metrics"})
_GARAGE_NAMES: Final = frozenset({"metrics", "health"})
_EVERY_NAME: Final = _MINIO_NAMES | _RGW_NAMES | _SEAWEEDFS_NAMES | _GARAGE_NAMES

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("generic", _GENERIC, _EVERY_NAME),
        Profile("aws", _ALL, frozenset(), trailers=True),
        Profile("rgw", _ALL - _ATTRIBUTES, _RGW_NAMES),
        Profile("garage", _GENERIC, _GARAGE_NAMES),
        Profile("seaweedfs", _ALL, _SEAWEEDFS_NAMES, trailers=True),
        Profile("minio", _ALL, _MINIO_NAMES, trailers=True),
        Profile("rclone", _GENERIC - {"UploadPartCopy"}, frozenset()),
        Profile("moto", _ALL - {"GetObjectRetention"}, frozenset()),
    )
}

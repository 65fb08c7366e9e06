"""What each store is trusted with: by the table, and by asking the store itself."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.s3.operation import OPERATIONS
from gateway.s3.profile import PROFILES
from keystore.scope import BUCKET_NAME
from tests.support.clients import s3_client
from tests.support.stores import STORES

OPEN = {row.name for row in OPERATIONS if row.permission is not None}
each_profile = pytest.mark.parametrize("name", PROFILES)


def test_every_store_of_the_configuration_has_a_profile() -> None:
    assert set(PROFILES) == {"generic", "aws", "rgw", "garage", "seaweedfs", "minio", "rclone", "moto"}


@each_profile
def test_a_profile_offers_only_operations_that_are_open(name: str) -> None:
    assert PROFILES[name].name == name
    assert PROFILES[name].offered <= OPEN


def test_generic_is_objects_multipart_copies_lists_and_buckets() -> None:
    """Nothing that changes settings, tags or versions of a store nobody has named."""
    configuring = {"Tagging", "Versioning", "Versions", "Encryption", "Lifecycle", "Lock", "Retention", "Hold", "Acl"}
    assert not [name for name in PROFILES["generic"].offered if any(word in name for word in configuring)]
    assert {"GetObject", "PutObject", "CopyObject", "UploadPart", "ListObjectsV2"} <= PROFILES["generic"].offered
    assert {"CreateBucket", "DeleteBucket", "DeleteObjects", "ListBuckets"} <= PROFILES["generic"].offered


def test_rclone_is_offered_nothing_by_which_it_damages_data() -> None:
    damaging = {
        "PutObjectTagging",
        "DeleteObjectTagging",
        "DeleteBucketTagging",
        "PutObjectLegalHold",
        "UploadPartCopy",
    }
    assert not PROFILES["rclone"].offered & damaging


@each_profile
def test_reserved_names_could_be_taken_for_buckets(name: str) -> None:
    """Others are refused as bucket names already, and would only look like protection here."""
    assert all(BUCKET_NAME.fullmatch(reserved) for reserved in PROFILES[name].reserved)


def test_generic_reserves_what_any_store_keeps_for_itself() -> None:
    assert PROFILES["generic"].reserved >= frozenset().union(*(profile.reserved for profile in PROFILES.values()))
    assert {"minio", "admin", "status", "healthz"} <= PROFILES["generic"].reserved


# ---- the stores themselves ----

_numbers = itertools.count(1)
BUCKET = {"Bucket": "facts"}
OBJECT = {**BUCKET, "Key": "a/k"}
BODY = b"the object's own bytes"
UNTIL_2090 = {"Mode": "GOVERNANCE", "RetainUntilDate": "2090-01-01T00:00:00Z"}
TAGS = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}
# Operations beside plain reads and writes, as boto3 calls them: none may change the bytes of an object.
CALLS: dict[str, Callable[[Any], object]] = {
    "PutObjectTagging": lambda client: client.put_object_tagging(**OBJECT, **TAGS),
    "GetObjectTagging": lambda client: client.get_object_tagging(**OBJECT),
    "DeleteObjectTagging": lambda client: client.delete_object_tagging(**OBJECT),
    "PutBucketTagging": lambda client: client.put_bucket_tagging(**BUCKET, **TAGS),
    "GetBucketTagging": lambda client: client.get_bucket_tagging(**BUCKET),
    "DeleteBucketTagging": lambda client: client.delete_bucket_tagging(**BUCKET),
    "GetObjectAttributes": lambda client: client.get_object_attributes(**OBJECT, ObjectAttributes=["ETag"]),
    "GetBucketLocation": lambda client: client.get_bucket_location(**BUCKET),
    "GetBucketVersioning": lambda client: client.get_bucket_versioning(**BUCKET),
    "PutBucketVersioning": lambda client: client.put_bucket_versioning(
        **BUCKET, VersioningConfiguration={"Status": "Enabled"}
    ),
    "ListObjectVersions": lambda client: client.list_object_versions(**BUCKET),
    "ListMultipartUploads": lambda client: client.list_multipart_uploads(**BUCKET),
    "CopyObject": lambda client: client.copy_object(**BUCKET, Key="copy", CopySource="facts/a/k"),
    "UploadPartCopy": lambda client: _part_copy(client),
    "DeleteObjects": lambda client: client.delete_objects(**BUCKET, Delete={"Objects": [{"Key": "no-such"}]}),
    "GetBucketEncryption": lambda client: client.get_bucket_encryption(**BUCKET),
    "GetBucketLifecycleConfiguration": lambda client: client.get_bucket_lifecycle_configuration(**BUCKET),
    "GetObjectLockConfiguration": lambda client: client.get_object_lock_configuration(**BUCKET),
    "PutBucketLifecycleConfiguration": lambda client: client.put_bucket_lifecycle_configuration(
        **BUCKET, LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 9}}]}
    ),
    "DeleteBucketLifecycle": lambda client: client.delete_bucket_lifecycle(**BUCKET),
    "PutBucketEncryption": lambda client: client.put_bucket_encryption(
        **BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    ),
    "DeleteBucketEncryption": lambda client: client.delete_bucket_encryption(**BUCKET),
    "PutObjectLockConfiguration": lambda client: client.put_object_lock_configuration(
        **_locking(client), ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    ),
    "PutObjectRetention": lambda client: _of_locked(client, "put_object_retention", Retention=UNTIL_2090),
    "GetObjectRetention": lambda client: _of_locked(client, "get_object_retention"),
    "PutObjectLegalHold": lambda client: _of_locked(client, "put_object_legal_hold", LegalHold={"Status": "ON"}),
    "GetObjectLegalHold": lambda client: _of_locked(client, "get_object_legal_hold"),
}
# What a store says when there is nothing to tell; it did understand the question.
NOTHING_THERE = {
    "NoSuchTagSet",
    "NoSuchLifecycleConfiguration",
    "NoSuchUpload",  # rclone, for no upload at all
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}


def _part_copy(client: Any) -> object:
    target = {**BUCKET, "Key": "assembled"}
    upload = {**target, "UploadId": client.create_multipart_upload(**target)["UploadId"]}
    etag = client.upload_part_copy(**upload, PartNumber=1, CopySource="facts/a/k")["CopyPartResult"]["ETag"]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert client.get_object(**target)["Body"].read() == BODY
    return None


def _locking(client: Any) -> dict[str, str]:
    """A new bucket with object lock."""
    bucket = {"Bucket": f"locks-{next(_numbers)}"}
    client.create_bucket(**bucket, ObjectLockEnabledForBucket=True)
    return bucket


def _of_locked(client: Any, method: str, **arguments: object) -> None:
    """`method` of an object that is retained until 2089 and held by nobody."""
    target = {**_locking(client), "Key": "a/k"}
    locks = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2089-01-01T00:00:00Z"}
    client.put_object(**target, **locks, ObjectLockLegalHoldStatus="OFF", Body=BODY)
    getattr(client, method)(**target, **arguments)
    assert client.get_object(**target)["Body"].read() == BODY


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """(profile, client) of a running store that holds one bucket."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with (
        STORES[request.param](folder) as running,
        s3_client(running.endpoint, running.access_key_id, running.secret_access_key) as client,
    ):
        client.create_bucket(**BUCKET)
        yield running.profile, client


@pytest.mark.server
@pytest.mark.parametrize("operation", CALLS)
def test_what_is_offered_works_at_the_store_and_leaves_objects_alone(store: tuple[str, Any], operation: str) -> None:
    profile, client = store
    if operation not in PROFILES[profile].offered:
        return
    client.put_object(**OBJECT, Body=BODY)
    try:
        CALLS[operation](client)
    except ClientError as error:
        assert error.response["Error"]["Code"] in NOTHING_THERE  # noqa: PT017 – both ends of the call are looked at
    assert client.get_object(**OBJECT)["Body"].read() == BODY


@pytest.mark.server
def test_a_store_answers_under_its_reserved_names_and_not_as_a_bucket(store: tuple[str, Any]) -> None:
    profile, client = store
    if profile == "seaweedfs":
        for name in ("status", "healthz", "readyz"):
            assert name in PROFILES[profile].reserved
            client.head_bucket(Bucket=name)  # 200, though nobody made such a bucket

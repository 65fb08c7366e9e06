"""boto3 with its default settings, through the gateway, against every store."""

import hashlib
import io
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.bodies import MIB, body_of
from tests.support.house import on_stores

EVERY_STORE = ("seaweedfs", "rclone", "moto")
ODD_OBJECT_KEYS = (
    "plain.txt",
    "a folder/with space+plus",
    "per%cent%2Fnot-a-slash",
    "d;e=f&g'(h)!*~.txt",
    "ünïcödé/日本/🙂",
    "dots...and/.hidden/x",
)


def _code(refused: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def _object_keys(listing: dict[str, Any]) -> list[str]:
    return [entry["Key"] for entry in listing.get("Contents", [])]


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("size", [0, 1, 100_000, MIB, 5 * MIB + 1])
def test_an_object_comes_back_as_it_was_put(s3: Any, direct: Any, bucket: str, size: int) -> None:
    body = body_of(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ContentType="text/x-odd")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body == direct.get_object(Bucket=bucket, Key="k")["Body"].read()
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"], head["ContentType"]) == (size, put["ETag"], "text/x-odd")


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("object_key", ODD_OBJECT_KEYS)
def test_odd_object_keys_arrive_byte_for_byte(s3: Any, direct: Any, bucket: str, object_key: str) -> None:
    s3.put_object(Bucket=bucket, Key=object_key, Body=object_key.encode())
    assert _object_keys(direct.list_objects_v2(Bucket=bucket)) == [object_key]
    assert s3.get_object(Bucket=bucket, Key=object_key)["Body"].read() == object_key.encode()
    assert _object_keys(s3.list_objects_v2(Bucket=bucket)) == [object_key]
    s3.delete_object(Bucket=bucket, Key=object_key)
    assert _object_keys(direct.list_objects_v2(Bucket=bucket)) == []


@on_stores("seaweedfs", "moto")
def test_metadata_comes_back_underscores_included(s3: Any, bucket: str) -> None:
    metadata = {"my_key": "under_score", "plain": "a  b"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata=metadata, CacheControl="max-age=7")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"]["my_key"], head["CacheControl"]) == ("under_score", "max-age=7")


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize(
    ("asked", "expected"), [("bytes=10-19", (10, 20)), ("bytes=-5", (-5, None)), ("bytes=99990-", (99_990, None))]
)
def test_a_range_is_206_and_exact(s3: Any, bucket: str, asked: str, expected: tuple[int, int | None]) -> None:
    body = body_of(100_000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["Body"].read() == body[slice(*expected)]
    assert got["ContentRange"].endswith("/100000")


@on_stores("seaweedfs", "moto")
def test_an_unchanged_object_is_304_without_a_body(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert _code(refused)[0] == 304
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@on_stores(*EVERY_STORE)
def test_a_copy_is_an_object_of_its_own(s3: Any, bucket: str) -> None:
    source = "from/ä + b"
    s3.put_object(Bucket=bucket, Key=source, Body=b"copied")
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": source})
    s3.delete_object(Bucket=bucket, Key=source)
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"copied"


@on_stores(*EVERY_STORE)
def test_lists_by_prefix_and_delimiter(s3: Any, bucket: str) -> None:
    for object_key in ("a/1", "a/2", "b/1", "top"):
        s3.put_object(Bucket=bucket, Key=object_key, Body=b"")
    assert _object_keys(s3.list_objects_v2(Bucket=bucket, Prefix="a/")) == ["a/1", "a/2"]
    assert _object_keys(s3.list_objects(Bucket=bucket)) == ["a/1", "a/2", "b/1", "top"]
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [entry["Prefix"] for entry in folders["CommonPrefixes"]] == ["a/", "b/"]
    assert _object_keys(folders) == ["top"]


@on_stores(*EVERY_STORE)
def test_a_list_is_paged_to_its_end(s3: Any, bucket: str) -> None:
    names = [f"{number:02}" for number in range(7)]
    for object_key in names:
        s3.put_object(Bucket=bucket, Key=object_key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    assert [object_key for page in pages for object_key in _object_keys(page)] == names


@on_stores(*EVERY_STORE)
def test_many_objects_are_deleted_at_once(s3: Any, direct: Any, bucket: str) -> None:
    names = ["a", "b <&>", "ü/c", "kept"]
    for object_key in names:
        s3.put_object(Bucket=bucket, Key=object_key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names[:3]]})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == sorted(names[:3])
    assert _object_keys(direct.list_objects_v2(Bucket=bucket)) == ["kept"]


@on_stores(*EVERY_STORE)
def test_multipart_by_hand_parts_listed_and_joined_in_order(s3: Any, bucket: str) -> None:
    body = body_of(5 * MIB + 7)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, PartNumber=number, Body=part)["ETag"]}
        for number, part in ((1, body[: 5 * MIB]), (2, body[5 * MIB :]))
    ]
    assert [part["PartNumber"] for part in s3.list_parts(**where)["Parts"]] == [1, 2]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@on_stores(*EVERY_STORE)
def test_an_aborted_multipart_upload_leaves_nothing(s3: Any, direct: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert _object_keys(direct.list_objects_v2(Bucket=bucket)) == []


@on_stores(*EVERY_STORE)
def test_the_transfer_manager_moves_20_mib_in_parallel_parts(s3: Any, bucket: str) -> None:
    body = body_of(20 * MIB + 3)
    parallel = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=parallel)
    fetched = io.BytesIO()
    s3.download_fileobj(bucket, "k", fetched, Config=parallel)
    assert hashlib.sha256(fetched.getvalue()).digest() == hashlib.sha256(body).digest()


@on_stores("seaweedfs", "moto")
def test_a_part_can_be_copied(s3: Any, bucket: str) -> None:
    body = body_of(5 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    where = {"Bucket": bucket, "Key": "k"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    copied = s3.upload_part_copy(**where, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"})
    parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@on_stores(*EVERY_STORE)
def test_buckets_are_made_listed_and_removed(s3: Any, bucket: str) -> None:
    made = f"{bucket}-made"
    s3.create_bucket(Bucket=made)
    assert s3.head_bucket(Bucket=made)["ResponseMetadata"]["HTTPStatusCode"] == 200
    listed = {entry["Name"]: entry["CreationDate"] for entry in s3.list_buckets()["Buckets"]}
    assert {bucket, made} <= set(listed)
    s3.delete_bucket(Bucket=made)
    assert made not in {entry["Name"] for entry in s3.list_buckets()["Buckets"]}


@on_stores("seaweedfs")
def test_the_store_s_own_refusals_reach_the_client(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as missing_object:
        s3.get_object(Bucket=bucket, Key="absent")
    assert _code(missing_object) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as missing_bucket:
        s3.put_object(Bucket="never-made", Key="k", Body=b"")
    assert _code(missing_bucket) == (404, "NoSuchBucket")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as not_empty:
        s3.delete_bucket(Bucket=bucket)
    assert _code(not_empty) == (409, "BucketNotEmpty")


@on_stores(*EVERY_STORE)
def test_head_of_a_missing_object_is_404(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.head_object(Bucket=bucket, Key="absent")
    assert _code(refused)[0] == 404


DAMAGING: dict[str, dict[str, Any]] = {
    "put_object_acl": {"Key": "k", "ACL": "public-read"},
    "put_bucket_policy": {"Policy": "{}"},
    "put_object_legal_hold": {"Key": "k", "LegalHold": {"Status": "ON"}},
}


@on_stores("seaweedfs", "rclone")
@pytest.mark.parametrize("operation", ["put_object_acl", "put_bucket_policy"])
def test_what_a_store_would_answer_by_damage_never_reaches_it(
    s3: Any, direct: Any, bucket: str, operation: str
) -> None:
    _refused_and_undamaged(s3, direct, bucket, operation)


@on_stores("rclone")
def test_a_legal_hold_never_reaches_a_store_that_would_write_it_over_the_object(
    s3: Any, direct: Any, bucket: str
) -> None:
    _refused_and_undamaged(s3, direct, bucket, "put_object_legal_hold")


def _refused_and_undamaged(s3: Any, direct: Any, bucket: str, operation: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"precious")
    with pytest.raises(ClientError) as refused:
        getattr(s3, operation)(Bucket=bucket, **DAMAGING[operation])
    assert _code(refused) in {(403, "AccessDenied"), (501, "NotImplemented")}
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"precious"

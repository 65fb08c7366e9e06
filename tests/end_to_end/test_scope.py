"""A key for one bucket: it works there, and learns nothing of any other."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import on_stores

Operation = Callable[[Any, str], object]
OPERATIONS: dict[str, Operation] = {
    "get": lambda client, bucket: client.get_object(Bucket=bucket, Key="secret"),
    "head": lambda client, bucket: client.head_object(Bucket=bucket, Key="secret"),
    "put": lambda client, bucket: client.put_object(Bucket=bucket, Key="secret", Body=b"overwritten"),
    "delete": lambda client, bucket: client.delete_object(Bucket=bucket, Key="secret"),
    "delete many": lambda client, bucket: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "secret"}]}),
    "list": lambda client, bucket: client.list_objects_v2(Bucket=bucket),
    "list uploads": lambda client, bucket: client.list_multipart_uploads(Bucket=bucket),
    "start an upload": lambda client, bucket: client.create_multipart_upload(Bucket=bucket, Key="secret"),
    "head the bucket": lambda client, bucket: client.head_bucket(Bucket=bucket),
    "locate the bucket": lambda client, bucket: client.get_bucket_location(Bucket=bucket),
    "make the bucket": lambda client, bucket: client.create_bucket(Bucket=bucket),
    "remove the bucket": lambda client, bucket: client.delete_bucket(Bucket=bucket),
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS)


@dataclass(frozen=True, slots=True)
class Scoped:
    """boto3 with a key for bucket `a` alone; `b` exists and holds the object `secret`."""

    client: Any
    a: str
    b: str


@pytest.fixture
def scoped(gateway: Gateway, direct: Any, bucket: str) -> Iterator[Scoped]:
    b = f"{bucket}-b"
    direct.create_bucket(Bucket=b)
    direct.put_object(Bucket=b, Key="secret", Body=b"secret of b")
    with gateway.boto3(gateway.create_key(bucket)) as client:
        yield Scoped(client, bucket, b)


def _refusal(operation: Operation, client: Any, bucket: str) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        operation(client, bucket)
    answer: dict[str, Any] = refused.value.response
    return answer


@on_stores("seaweedfs")
def test_everything_ordinary_works_in_the_bucket_of_the_scope(scoped: Scoped) -> None:
    client, a = scoped.client, scoped.a
    client.put_object(Bucket=a, Key="k", Body=b"mine")
    client.copy_object(Bucket=a, Key="copy", CopySource=f"{a}/k")
    assert client.get_object(Bucket=a, Key="copy")["Body"].read() == b"mine"
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket=a)["Contents"]] == ["copy", "k"]
    client.head_bucket(Bucket=a)
    client.delete_objects(Bucket=a, Delete={"Objects": [{"Key": "k"}, {"Key": "copy"}]})
    assert client.list_objects_v2(Bucket=a)["KeyCount"] == 0


@on_stores("seaweedfs")
@each_operation
def test_another_bucket_is_403_whether_it_exists_or_not(scoped: Scoped, direct: Any, operation: str) -> None:
    there = _refusal(OPERATIONS[operation], scoped.client, scoped.b)
    absent = _refusal(OPERATIONS[operation], scoped.client, f"{scoped.b}-absent")
    for answer in (there, absent):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert answer["Error"]["Code"] in {"AccessDenied", "403"}  # boto3 makes "403" of a HEAD without a body
    assert there["Error"]["Message"] == absent["Error"]["Message"]
    assert direct.get_object(Bucket=scoped.b, Key="secret")["Body"].read() == b"secret of b"


@on_stores("seaweedfs", "rclone", "moto")
def test_the_list_of_buckets_shows_only_the_scope_with_the_store_s_own_date(scoped: Scoped, direct: Any) -> None:
    dates = {entry["Name"]: entry["CreationDate"] for entry in direct.list_buckets()["Buckets"]}
    assert scoped.b in dates
    shown = scoped.client.list_buckets()["Buckets"]
    assert [(entry["Name"], entry["CreationDate"]) for entry in shown] == [(scoped.a, dates[scoped.a])]


@on_stores("seaweedfs")
def test_a_scoped_bucket_that_the_store_lacks_is_not_listed(gateway: Gateway) -> None:
    with gateway.boto3(gateway.create_key("never-made")) as client:
        assert client.list_buckets()["Buckets"] == []


@on_stores("seaweedfs")
def test_nothing_is_copied_out_of_another_bucket(scoped: Scoped, direct: Any) -> None:
    def copy(client: Any, bucket: str) -> object:
        return client.copy_object(Bucket=scoped.a, Key="stolen", CopySource={"Bucket": bucket, "Key": "secret"})

    there, absent = _refusal(copy, scoped.client, scoped.b), _refusal(copy, scoped.client, f"{scoped.b}-absent")
    assert there["Error"] | {"Resource": ""} == absent["Error"] | {"Resource": ""}
    assert there["Error"]["Code"] == "AccessDenied"
    assert direct.list_objects_v2(Bucket=scoped.a)["KeyCount"] == 0


@on_stores("seaweedfs")
def test_nothing_is_copied_into_another_bucket(scoped: Scoped, direct: Any) -> None:
    scoped.client.put_object(Bucket=scoped.a, Key="k", Body=b"mine")

    def copy(client: Any, bucket: str) -> object:
        return client.copy_object(Bucket=bucket, Key="planted", CopySource=f"{scoped.a}/k")

    assert _refusal(copy, scoped.client, scoped.b)["Error"]["Code"] == "AccessDenied"
    assert [entry["Key"] for entry in direct.list_objects_v2(Bucket=scoped.b)["Contents"]] == ["secret"]


@on_stores("seaweedfs")
def test_a_read_only_key_reads_and_does_nothing_else(gateway: Gateway, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    with gateway.boto3(gateway.create_key(bucket, rights="read_only")) as reader:
        assert reader.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
        for name in ("put", "delete many", "start an upload"):
            assert _refusal(OPERATIONS[name], reader, bucket)["Error"]["Code"] == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


@on_stores("seaweedfs")
def test_aws_s3_ls_shows_only_the_scope(gateway: Gateway, bucket: str, direct: Any, home: Path) -> None:
    direct.create_bucket(Bucket=f"{bucket}-b")
    aws = gateway.aws_cli(gateway.create_key(bucket), home)
    lines = aws.ok("s3", "ls").splitlines()
    assert [line.split()[-1] for line in lines] == [bucket]
    assert "(AccessDenied)" in aws.run("s3", "ls", f"s3://{bucket}-b").stderr


@on_stores("seaweedfs", "rclone")
@pytest.mark.parametrize("object_key", ["/", "//", "%5C", "%2F"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_an_object_key_of_separators_never_reaches_the_bucket(
    gateway: Gateway, bucket: str, direct: Any, object_key: str, method: str
) -> None:
    """The stores take it for the bucket itself, which this key may neither make nor remove."""
    signer = gateway.signer(gateway.create_key(bucket, f"{bucket}-new"))
    for name in (bucket, f"{bucket}-new"):
        with gateway.connect() as connection:
            connection.send(signer.head(method, f"/{name}/{object_key}", body=b""))
            assert connection.reply().status == 400
    assert bucket in (names := [found["Name"] for found in direct.list_buckets()["Buckets"]])
    assert f"{bucket}-new" not in names


@on_stores("seaweedfs")
def test_a_key_for_no_bucket_lists_none_and_gets_403_until_it_is_given_one(
    gateway: Gateway, direct: Any, bucket: str
) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"kept")
    shown = json.loads(gateway.command("keys", "create", "--label", "app", "--no-buckets", "--manage-keys", "--json"))
    access_key = IssuedKey(shown["access_key_id"], shown["secret_access_key"])
    with gateway.boto3(access_key) as client:
        assert client.list_buckets()["Buckets"] == []
        for operation in OPERATIONS.values():
            assert _refusal(operation, client, bucket)["ResponseMetadata"]["HTTPStatusCode"] == 403
        gateway.command("keys", "update", access_key.access_key_id, "--bucket", bucket)
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"

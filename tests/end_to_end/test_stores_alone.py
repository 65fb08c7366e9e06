"""What the stores do by themselves: the reason why the gateway verifies. A store that improves shows here first."""

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.house import House, on_stores
from tests.support.raw_client import RawConnection, Signer
from tests.support.server_process import LOOPBACK
from tests.support.stores import Store

WRONG_SHA256 = hashlib.sha256(b"another body").hexdigest()


@pytest.fixture
def store(house: House, store_name: str) -> Store:
    return house.store(store_name)


def _put(store: Store, target: str, body: bytes, **signing: Any) -> int:
    host = store.endpoint.removeprefix("http://")
    head = Signer(host, store.access_key_id, store.secret_access_key).head("PUT", target, body=body, **signing)
    with RawConnection(LOOPBACK, int(host.partition(":")[2])) as connection:
        connection.send(head + body)
        return connection.reply().status


@on_stores("seaweedfs", "rclone", "moto")
def test_every_store_here_commits_a_body_whose_sha256_is_wrong(store: Store, direct: Any, bucket: str) -> None:
    assert _put(store, f"/{bucket}/k", b"body", sha256=WRONG_SHA256) == 200
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@on_stores("rclone", "moto")
def test_two_of_them_commit_a_wrong_crc32_too(store: Store, direct: Any, bucket: str) -> None:
    assert _put(store, f"/{bucket}/k", b"body", headers=[("x-amz-checksum-crc32", "AAAAAA==")]) == 200
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@on_stores("rclone")
def test_rclone_overwrites_the_object_when_asked_for_its_tags(store: Store, direct: Any, bucket: str) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"precious")
    _put(store, f"/{bucket}/k?tagging=", b"<Tagging/>")
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"<Tagging/>"


@on_stores("seaweedfs")
def test_seaweedfs_overwrites_the_object_on_an_unknown_sub_resource(store: Store, direct: Any, bucket: str) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"precious")
    _put(store, f"/{bucket}/k?foo=", b"<Foo/>")
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"<Foo/>"


@on_stores("seaweedfs")
def test_seaweedfs_makes_no_bucket_on_put_and_empties_none_on_delete(direct: Any, bucket: str) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        direct.put_object(Bucket="never-made", Key="k", Body=b"")
    direct.put_object(Bucket=bucket, Key="k", Body=b"precious")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        direct.delete_bucket(Bucket=bucket)
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"precious"

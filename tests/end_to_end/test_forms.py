"""Upload forms as boto3 makes them, posted as a browser would, against real stores."""

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.bodies import MIB, body_of
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import on_stores
from tests.support.posted import PostedForm, posted_form
from tests.support.raw_client import RawReply

every_store = on_stores("seaweedfs", "rclone", "moto")
versions = pytest.mark.parametrize("version", ["s3", "s3v4"])
sizes = pytest.mark.parametrize("size", [0, 1, MIB, 9 * MIB + 5])
OLDER = b"the older object"


def form(gateway: Gateway, access_key: IssuedKey, content: bytes, bucket: str, **more: Any) -> PostedForm:
    credential = (access_key.access_key_id, access_key.secret_access_key)
    return posted_form(gateway.host, credential, content, bucket=bucket, **more)


def post(gateway: Gateway, posted: PostedForm) -> RawReply:
    with gateway.connect() as connection:
        connection.send(posted.request())
        return connection.reply()


def stored(direct: Any, bucket: str, object_key: str = "k") -> bytes | None:
    try:
        return bytes(direct.get_object(Bucket=bucket, Key=object_key)["Body"].read())
    except direct.exceptions.NoSuchKey:
        return None


@every_store
@versions
@sizes
def test_the_file_is_what_the_store_holds(
    gateway: Gateway, access_key: IssuedKey, direct: Any, bucket: str, version: str, size: int
) -> None:
    posted = form(gateway, access_key, body_of(size), bucket, object_key="${filename}", signature_version=version)
    assert post(gateway, posted).status == 204
    assert stored(direct, bucket, "a file.txt") == body_of(size)


@every_store
def test_the_answer_is_the_one_asked_for(gateway: Gateway, access_key: IssuedKey, direct: Any, bucket: str) -> None:
    fields = {"success_action_status": "201", "Content-Type": "image/png", "x-amz-meta-who": "me"}
    reply = post(gateway, form(gateway, access_key, b"x", bucket, fields=fields))
    assert reply.status == 201
    answer = ElementTree.fromstring(reply.body)
    head = direct.head_object(Bucket=bucket, Key="k")
    assert (answer.findtext("Key"), answer.findtext("ETag")) == ("k", head["ETag"])
    assert answer.findtext("Location") == f"http://{gateway.host}/{bucket}/k"
    metadata = {name.lower(): value for name, value in head["Metadata"].items()}  # rclone writes "Who"
    assert (head["ContentType"], metadata) == ("image/png", {"who": "me"})


@every_store
@sizes
@pytest.mark.parametrize("older", [False, True])
def test_what_the_policy_does_not_allow_is_not_stored(
    gateway: Gateway, access_key: IssuedKey, direct: Any, bucket: str, size: int, older: bool
) -> None:
    if older:
        direct.put_object(Bucket=bucket, Key="k", Body=OLDER)
    longer = [["content-length-range", size + 1, 2**40]]
    reply = post(gateway, form(gateway, access_key, body_of(size), bucket, conditions=longer))
    assert (reply.status, reply.code) == (400, "EntityTooSmall")
    reply = post(gateway, form(gateway, access_key, body_of(size), bucket, fields={"x-amz-checksum-crc32": "AAAAAQ=="}))
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert stored(direct, bucket) == (OLDER if older else None)


@every_store
@versions
def test_a_form_dies_with_its_key(gateway: Gateway, direct: Any, bucket: str, version: str) -> None:
    issued = gateway.create_key(bucket)
    posted = form(gateway, issued, b"x", bucket, signature_version=version)
    gateway.revoke(issued)
    reply = post(gateway, posted)
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert stored(direct, bucket) is None


@every_store
@versions
def test_a_form_of_a_key_for_another_bucket_stores_nothing(
    gateway: Gateway, direct: Any, bucket: str, version: str
) -> None:
    issued = gateway.create_key("another-bucket")
    reply = post(gateway, form(gateway, issued, b"x", bucket, signature_version=version))
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert stored(direct, bucket) is None

"""A body that does not match what was declared of it: 400 with the right code, nothing stored, nothing overwritten.

SeaweedFS and rclone commit such bodies when asked directly (test_stores_alone.py says which).
"""

import base64
import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.httpchecksum import _CHECKSUM_CLS as CHECKSUMS

from tests.support.bodies import GIB, MIB, blocks, body_of
from tests.support.gateway_process import Gateway
from tests.support.house import Fronted, on_stores
from tests.support.raw_client import UNSIGNED_PAYLOAD, RawReply, Signer

OLDER = b"the older object"
SIZES = (0, 1, MIB)
WRONG_SHA256 = hashlib.sha256(b"another body").hexdigest()
Headers = list[tuple[str, str]]
stores_that_commit_bad_bodies = on_stores("seaweedfs", "rclone")


def _declaration(algorithm: str, body: bytes) -> Headers:
    """The checksum header botocore itself would send for this body."""
    return [(f"x-amz-checksum-{algorithm}", CHECKSUMS[algorithm]().handle(body))]


def _md5(body: bytes) -> Headers:
    return [("Content-MD5", base64.b64encode(hashlib.md5(body).digest()).decode())]


@pytest.fixture
def signer(fronted: Fronted) -> Signer:
    return fronted.gateway.signer(fronted.access_key)


@pytest.fixture(params=["new", "older"])
def stored(request: pytest.FixtureRequest, direct: Any, bucket: str) -> Iterator[str]:
    """The target of an upload; afterwards the store holds there what it held before."""
    if request.param == "older":
        direct.put_object(Bucket=bucket, Key="k", Body=OLDER)
    yield f"/{bucket}/k"
    assert _stored(direct, bucket) == (OLDER if request.param == "older" else None)


def _stored(direct: Any, bucket: str) -> bytes | None:
    """What the store itself gives back; of something large only its beginning."""
    try:
        body: bytes = direct.get_object(Bucket=bucket, Key="k")["Body"].read(2 * MIB)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "NoSuchKey":
            raise
        return None
    return body


def _put(gateway: Gateway, head: bytes, body: bytes) -> RawReply:
    with gateway.connect() as connection:
        connection.send(head + body)
        return connection.reply()


@stores_that_commit_bad_bodies
@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_sha256_stores_nothing(gateway: Gateway, signer: Signer, stored: str, size: int) -> None:
    body = body_of(size)
    reply = _put(gateway, signer.head("PUT", stored, body=body, sha256=WRONG_SHA256), body)
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")


@stores_that_commit_bad_bodies
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("payload", ["signed", UNSIGNED_PAYLOAD])
def test_a_wrong_md5_stores_nothing(gateway: Gateway, signer: Signer, stored: str, size: int, payload: str) -> None:
    body = body_of(size)
    declared = None if payload == "signed" else payload
    reply = _put(gateway, signer.head("PUT", stored, _md5(b"another"), body=body, sha256=declared), body)
    assert (reply.status, reply.code) == (400, "BadDigest")


@stores_that_commit_bad_bodies
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_a_wrong_checksum_stores_nothing(
    gateway: Gateway, signer: Signer, stored: str, algorithm: str, size: int
) -> None:
    body = body_of(size)
    reply = _put(gateway, signer.head("PUT", stored, _declaration(algorithm, b"another"), body=body), body)
    assert (reply.status, reply.code) == (400, "BadDigest")


@on_stores("seaweedfs")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_a_right_checksum_is_no_obstacle(
    gateway: Gateway, signer: Signer, direct: Any, bucket: str, algorithm: str, size: int
) -> None:
    body = body_of(size)
    head = signer.head("PUT", f"/{bucket}/k", _declaration(algorithm, body) + _md5(body), body=body)
    assert _put(gateway, head, body).status == 200
    assert _stored(direct, bucket) == body


@stores_that_commit_bad_bodies
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Content-MD5", "bm90IDE2IGJ5dGVz")], "InvalidDigest"),
        ([("Content-MD5", "!")], "InvalidDigest"),
        ([("x-amz-checksum-crc32", "AAA=")], "InvalidRequest"),
        ([("x-amz-checksum-sha256", "not base64")], "InvalidRequest"),
        (_declaration("crc32", b"body") + _declaration("sha256", b"body"), "InvalidRequest"),
    ],
)
def test_a_malformed_declaration_stores_nothing(
    gateway: Gateway, signer: Signer, stored: str, headers: Headers, code: str
) -> None:
    reply = _put(gateway, signer.head("PUT", stored, headers, body=b"body"), b"body")
    assert (reply.status, reply.code) == (400, code)


@stores_that_commit_bad_bodies
@pytest.mark.parametrize("cut", [1, MIB // 2, MIB])
def test_a_client_that_goes_away_stores_nothing(gateway: Gateway, signer: Signer, stored: str, cut: int) -> None:
    body = body_of(2 * MIB)
    with gateway.connect() as connection:
        connection.send(signer.head("PUT", stored, body=body) + body[:-cut])
    time.sleep(0.3)  # for what must not happen


@stores_that_commit_bad_bodies
def test_a_wrong_part_is_not_kept(gateway: Gateway, signer: Signer, s3: Any, direct: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    body = body_of(5 * MIB)
    target = f"/{bucket}/k?partNumber=1&uploadId={upload}"
    reply = _put(gateway, signer.head("PUT", target, body=body, sha256=WRONG_SHA256), body)
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    assert direct.list_parts(Bucket=bucket, Key="k", UploadId=upload).get("Parts", []) == []


@on_stores("seaweedfs")
@pytest.mark.parametrize("declared", [[], _md5(b"another"), _declaration("crc64nvme", b"another")])
def test_a_wrong_list_of_objects_deletes_nothing(
    gateway: Gateway, signer: Signer, direct: Any, bucket: str, declared: Headers
) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=OLDER)
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    reply = _put(gateway, signer.head("POST", f"/{bucket}?delete", declared, body=body), body)
    assert reply.status == 400
    assert _stored(direct, bucket) == OLDER


@stores_that_commit_bad_bodies
@pytest.mark.parametrize(
    ("stored", "wrong", "code"),
    [("older", "sha256", "XAmzContentSHA256Mismatch"), ("new", "crc64nvme", "BadDigest")],
    indirect=["stored"],
)
def test_a_wrong_gibibyte_stores_nothing(gateway: Gateway, signer: Signer, stored: str, wrong: str, code: str) -> None:
    headers = _declaration("crc64nvme", b"another") if wrong == "crc64nvme" else []
    sha256 = WRONG_SHA256 if wrong == "sha256" else UNSIGNED_PAYLOAD
    with gateway.connect(timeout=120.0) as connection:
        connection.send(signer.head("PUT", stored, [*headers, ("Content-Length", str(GIB))], sha256=sha256))
        for block in blocks(GIB):
            connection.send(block)
        reply = connection.reply()
    assert (reply.status, reply.code) == (400, code)

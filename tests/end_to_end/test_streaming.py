"""Chunked payloads against real stores: what does not hold leaves what was stored before, or nothing."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.bodies import MIB, body_of
from tests.support.gateway_process import Gateway
from tests.support.house import Fronted, Recorded, on_stores
from tests.support.raw_client import RawReply, Signer
from tests.support.streaming import MODES, TRAILER_MODES, UNSIGNED_TRAILER, StreamingUpload, crc32, streaming_upload

OLDER = b"the older object"
SMALL = body_of(200_001)  # fits into memory
LARGE = body_of(9 * MIB + 5)  # streamed in every mode
STORES = ("seaweedfs", "rclone", "moto")

every_store = on_stores(*STORES)
modes = pytest.mark.parametrize("mode", MODES)
payloads = pytest.mark.parametrize("payload", [SMALL, LARGE], ids=["small", "large"])
te = pytest.mark.parametrize("te_chunked", [False, True], ids=["content-length", "te-chunked"])


@pytest.fixture
def signer(fronted: Fronted) -> Signer:
    return fronted.gateway.signer(fronted.access_key)


@pytest.fixture(params=["new", "older"])
def stored(request: pytest.FixtureRequest, direct: Any, bucket: str) -> Iterator[str]:
    """The target of an upload; afterwards the store holds there what it held before."""
    if request.param == "older":
        direct.put_object(Bucket=bucket, Key="k", Body=OLDER)
    yield f"/{bucket}/k"
    assert fetch(direct, bucket) == (OLDER if request.param == "older" else None)


def fetch(direct: Any, bucket: str) -> bytes | None:
    try:
        body: bytes = direct.get_object(Bucket=bucket, Key="k")["Body"].read()
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "NoSuchKey":
            raise
        return None
    return body


def send(gateway: Gateway, upload: StreamingUpload) -> RawReply:
    with gateway.connect() as connection:
        with contextlib.suppress(OSError):  # refused before the end
            connection.send(upload.request)
        return connection.reply()


# ---- what holds ----


@every_store
@te
@modes
@payloads
def test_the_store_holds_the_payload(
    gateway: Gateway, signer: Signer, direct: Any, bucket: str, payload: bytes, mode: str, te_chunked: bool
) -> None:
    upload = streaming_upload(signer, payload, mode, target=f"/{bucket}/k", te_chunked=te_chunked)
    assert send(gateway, upload).status == 200
    got = direct.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == payload
    assert "aws-chunked" not in got.get("ContentEncoding", "")


@every_store
@modes
def test_a_content_encoding_of_its_own_is_stored(
    gateway: Gateway, signer: Signer, direct: Any, bucket: str, mode: str, store_name: str
) -> None:
    for payload in (SMALL, LARGE):
        upload = streaming_upload(signer, payload, mode, target=f"/{bucket}/k", encoding="gzip,aws-chunked")
        assert send(gateway, upload).status == 200
        if store_name != "rclone":  # which stores none
            assert direct.head_object(Bucket=bucket, Key="k")["ContentEncoding"] == "gzip"


# ---- what does not hold ----


def signed_or(signed: str, unsigned: str) -> Callable[[str], str]:
    return lambda mode: unsigned if mode == UNSIGNED_TRAILER else signed


TAMPERED: dict[str, tuple[Callable[[StreamingUpload], StreamingUpload], Callable[[str], str]]] = {
    "first-chunk": (lambda upload: upload.flipped(0), signed_or("SignatureDoesNotMatch", "BadDigest")),
    "middle-chunk": (lambda upload: upload.flipped(1), signed_or("SignatureDoesNotMatch", "BadDigest")),
    "last-chunk": (lambda upload: upload.flipped(-2), signed_or("SignatureDoesNotMatch", "BadDigest")),
    "no-zero-chunk": (StreamingUpload.without_end, lambda mode: "IncompleteBody"),
    "more-behind": (lambda upload: upload.with_more(b"0\r\n\r\n"), lambda mode: "MalformedTrailerError"),
}


@every_store
@te
@payloads
@modes
@pytest.mark.parametrize("tampered", TAMPERED)
def test_what_does_not_hold_is_not_stored(
    gateway: Gateway, signer: Signer, stored: str, tampered: str, mode: str, payload: bytes, te_chunked: bool
) -> None:
    change, code = TAMPERED[tampered]
    reply = send(gateway, change(streaming_upload(signer, payload, mode, target=stored, te_chunked=te_chunked)))
    assert reply.code == code(mode)
    assert reply.status == (403 if reply.code == "SignatureDoesNotMatch" else 400)


@every_store
@payloads
@pytest.mark.parametrize("mode", TRAILER_MODES)
def test_under_a_wrong_trailer_nothing_is_stored(
    gateway: Gateway, signer: Signer, stored: str, mode: str, payload: bytes
) -> None:
    reply = send(gateway, streaming_upload(signer, payload, mode, target=stored, checksum=crc32(b"another")))
    assert (reply.status, reply.code) == (400, "BadDigest")


@every_store
@payloads
@modes
def test_a_client_that_leaves_before_the_zero_chunk_stores_nothing(
    gateway: Gateway, signer: Signer, stored: str, mode: str, payload: bytes
) -> None:
    upload = streaming_upload(signer, payload, mode, target=stored)
    with gateway.connect() as connection:
        connection.send(upload.head + b"".join(upload.chunks[:-1]))
        connection.end_sending()
        connection.read_to_end()


@every_store
@modes
@pytest.mark.parametrize("tampered", TAMPERED)
def test_a_part_that_does_not_hold_is_not_kept(
    gateway: Gateway, signer: Signer, direct: Any, bucket: str, mode: str, tampered: str
) -> None:
    upload_id = direct.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    change, code = TAMPERED[tampered]
    target = f"/{bucket}/k?partNumber=1&uploadId={upload_id}"
    reply = send(gateway, change(streaming_upload(signer, LARGE, mode, target=target)))
    assert reply.code == code(mode)
    assert direct.list_parts(Bucket=bucket, Key="k", UploadId=upload_id).get("Parts", []) == []


# ---- a garbage signature, in every mode ----


@modes
@pytest.mark.parametrize("target", ["/aaa/k", "/aaa/k?partNumber=1&uploadId=u"], ids=["PutObject", "UploadPart"])
@payloads
def test_a_garbage_signature_reaches_no_store(recorded: Recorded, mode: str, target: str, payload: bytes) -> None:
    forger = replace(recorded.signer, secret_access_key="s" * 40)
    upload = streaming_upload(forger, payload, mode, target=target)
    with recorded.connect() as connection:
        connection.send(upload.head)
        reply = connection.reply()
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    recorded.upstream.assert_untouched()

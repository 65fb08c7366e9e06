"""`keys revoke --abort-uploads`: the key's unfinished uploads are gone at the store, and nobody else's."""

import json
import secrets
import threading
from typing import Any

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Recorded, on_stores
from tests.support.recording_upstream import Exchange, ok

PART = b"p" * (5 << 20)
ODD = "team/ü €&<b>'%2F+ +\"\n.txt"


def begin(gateway: Gateway, issued: IssuedKey, bucket: str, object_key: str) -> str:
    """An upload with one part; → its id."""
    with gateway.boto3(issued) as client:
        upload_id = str(client.create_multipart_upload(Bucket=bucket, Key=object_key)["UploadId"])
        client.upload_part(Bucket=bucket, Key=object_key, UploadId=upload_id, PartNumber=1, Body=PART)
    return upload_id


def complete(gateway: Gateway, issued: IssuedKey, bucket: str, object_key: str, upload_id: str) -> None:
    with gateway.boto3(issued) as client:
        [part] = client.list_parts(Bucket=bucket, Key=object_key, UploadId=upload_id)["Parts"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(Bucket=bucket, Key=object_key, UploadId=upload_id, MultipartUpload=parts)


def unfinished(direct: Any, bucket: str) -> set[tuple[str, str]]:
    found = direct.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return {(one["Key"], one["UploadId"]) for one in found}


def revoked(gateway: Gateway, issued: IssuedKey, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        gateway.command("keys", "revoke", issued.access_key_id, *words, "--yes", "--json")
    )
    return told


@on_stores("seaweedfs")
def test_what_the_key_began_is_aborted_and_what_is_complete_or_anothers_stays(
    gateway: Gateway, direct: Any, bucket: str
) -> None:
    mine, others = gateway.create_key(bucket), gateway.create_key(bucket)
    left, done = begin(gateway, mine, bucket, ODD), begin(gateway, mine, bucket, "done")
    kept = begin(gateway, others, bucket, "others")
    complete(gateway, mine, bucket, "done", done)
    assert unfinished(direct, bucket) == {(ODD, left), ("others", kept)}
    told = revoked(gateway, mine, "--abort-uploads")
    assert (told["uploads_aborted"], told["uploads_left"], told["lapsed"]) == (1, 0, 0)
    assert unfinished(direct, bucket) == {("others", kept)}
    assert direct.get_object(Bucket=bucket, Key="done")["Body"].read() == PART
    complete(gateway, others, bucket, "others", kept)
    assert direct.get_object(Bucket=bucket, Key="others")["Body"].read() == PART
    assert revoked(gateway, mine, "--abort-uploads")["uploads_aborted"] == 0


@on_stores("seaweedfs")
def test_without_the_flag_they_stay_and_can_be_aborted_later(gateway: Gateway, direct: Any, bucket: str) -> None:
    issued = gateway.create_key(bucket)
    upload_id = begin(gateway, issued, bucket, "k")
    assert "uploads_aborted" not in revoked(gateway, issued)
    assert unfinished(direct, bucket) == {("k", upload_id)}
    said = gateway.try_command("keys", "revoke", issued.access_key_id, "--abort-uploads", "--yes")
    assert said.returncode == 0
    assert "1 unfinished upload aborted." in said.stderr
    assert unfinished(direct, bucket) == set()


@on_stores("seaweedfs")
def test_an_upload_the_client_aborted_is_forgotten_and_a_cascade_reaches_what_successors_began(
    gateway: Gateway, direct: Any, bucket: str
) -> None:
    first = gateway.create_key(bucket)
    rolled = json.loads(gateway.command("keys", "roll", first.access_key_id, "--json"))
    second = IssuedKey(rolled["access_key_id"], rolled["secret_access_key"])
    with gateway.boto3(first) as client:
        client.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=begin(gateway, first, bucket, "a"))
    begin(gateway, first, bucket, "b")
    begin(gateway, second, bucket, "c")
    told = revoked(gateway, first, "--abort-uploads", "--cascade")
    assert (told["uploads_aborted"], told["uploads_left"]) == (2, 0)
    assert unfinished(direct, bucket) == set()


@pytest.mark.server
@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_an_upload_that_the_store_is_completing_is_left_whoever_asked(recorded: Recorded, whose: str) -> None:
    """Stores do not keep the two apart: the object could lose its parts."""
    gateway, upstream = recorded.gateway, recorded.upstream
    issued, other = gateway.create_key("aaa"), gateway.create_key("aaa")
    upload_id = secrets.token_hex(8)  # no store gives one twice
    document = (
        f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>".encode()
    )
    released = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if b"?uploads=" in exchange.request.line:
            exchange.send(ok(document))
        elif exchange.request.line.startswith(b"POST"):
            released.wait(30)
            exchange.send(ok(b"<CompleteMultipartUploadResult/>"))
        else:
            exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    upstream.script = script
    parts = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
    signer = gateway.signer(issued if whose == "its own" else other)
    words = ("keys", "revoke", issued.access_key_id, "--abort-uploads", "--yes", "--json")
    with gateway.connect() as begins, gateway.connect() as completes:
        begins.send(gateway.signer(issued).head("POST", "/aaa/k?uploads", [("Content-Length", "0")]))
        assert begins.reply().body == document
        completes.send(signer.head("POST", f"/aaa/k?uploadId={upload_id}", body=parts) + parts)
        upstream.wait_for_requests(2)
        done = gateway.try_command(*words)
        told = json.loads(done.stdout)
        assert (done.returncode, told["status"], told["uploads_aborted"], told["uploads_left"]) == (7, "revoked", 0, 1)
        assert "aaa/k: " in done.stderr
        released.set()
        assert completes.reply().status == 200
    told = json.loads(gateway.command(*words))
    assert (told["uploads_aborted"], told["uploads_left"]) == (0, 0)
    assert not [request for request in upstream.requests if request.line.startswith(b"DELETE")]

"""URLs that boto3 presigned, used by somebody who has nothing but the URL: in both versions, against real stores."""

import http.client
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import on_stores

BODY = b"presigned"
every_store = on_stores("seaweedfs", "rclone", "moto")


@pytest.fixture(params=["s3", "s3v4"])
def presigner(request: pytest.FixtureRequest, gateway: Gateway, access_key: IssuedKey) -> Iterator[Any]:
    """boto3 presigns with SigV2 (`s3`) at any custom endpoint unless it is told otherwise."""
    with gateway.boto3(access_key, signature_version=request.param) as client:
        yield client


def ask(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=15)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers or {}))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@every_store
def test_a_url_reads_and_another_writes(presigner: Any, direct: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "a b/ü+%.txt"}
    assert ask("PUT", presigner.generate_presigned_url("put_object", Params=where), BODY)[0] == 200
    assert direct.get_object(**where)["Body"].read() == BODY
    assert ask("GET", presigner.generate_presigned_url("get_object", Params=where)) == (200, BODY)
    assert ask("HEAD", presigner.generate_presigned_url("head_object", Params=where)) == (200, b"")


@every_store
def test_an_upload_with_headers_stores_them(presigner: Any, direct: Any, bucket: str) -> None:
    """Whoever uploads sends Content-Type and metadata as the page says; with SigV2 they stand in the URL as well."""
    where = {"Bucket": bucket, "Key": "k"}
    described = {"ContentType": "image/png", "Metadata": {"who": "me"}}
    url = presigner.generate_presigned_url("put_object", Params={**where, **described})
    assert ask("PUT", url, BODY, {"Content-Type": "image/png", "x-amz-meta-who": "me"})[0] == 200
    head = direct.head_object(**where)
    metadata = {name.lower(): value for name, value in head["Metadata"].items()}  # rclone writes "Who"
    assert (head["ContentType"], metadata) == ("image/png", {"who": "me"})


@every_store
def test_a_header_that_the_url_does_not_sign_is_refused(presigner: Any, direct: Any, bucket: str) -> None:
    url = presigner.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    assert ask("PUT", url, BODY, {"x-amz-meta-who": "me"})[0] == 403
    assert direct.list_objects_v2(Bucket=bucket).get("Contents", []) == []


@every_store
def test_a_reply_is_named_as_the_url_says(presigner: Any, direct: Any, bucket: str) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=BODY)
    wanted = {"ResponseContentType": "text/csv", "ResponseContentDisposition": "attachment; filename=a.csv"}
    url = presigner.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k", **wanted})
    assert ask("GET", url) == (200, BODY)


@every_store
@pytest.mark.parametrize("signed", ["get_object", "head_object", "put_object"])
def test_the_method_is_bound(presigner: Any, direct: Any, bucket: str, signed: str) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"older")
    url = presigner.generate_presigned_url(signed, Params={"Bucket": bucket, "Key": "k"})
    own = signed.partition("_")[0].upper()
    for method in {"GET", "HEAD", "PUT", "DELETE"} - {own}:
        assert ask(method, url, BODY if method == "PUT" else b"")[0] in (400, 403), method
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"older"


@on_stores("seaweedfs")
def test_a_url_ends_with_its_time(presigner: Any, direct: Any, bucket: str) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=BODY)
    url = presigner.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=1)
    assert ask("GET", url)[0] == 200
    time.sleep(2.5)
    status, answer = ask("GET", url)
    assert status == 403
    assert b"<Message>Request has expired</Message>" in answer


@every_store
def test_a_hash_that_the_user_of_a_url_sends_is_verified(presigner: Any, direct: Any, bucket: str) -> None:
    url = presigner.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    status, _ = ask("PUT", url, BODY, {"x-amz-content-sha256": "ab" * 32})
    # SigV2 signs every x-amz-* header there is, and so this one too
    assert status == (400 if "X-Amz-Signature" in url else 403)
    assert direct.list_objects_v2(Bucket=bucket).get("Contents", []) == []

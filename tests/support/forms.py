"""Upload forms signed by botocore, the foreign judge, in the form in which the road takes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from botocore.auth import HmacV1PostAuth, S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from urllib3.filepost import encode_multipart_formdata

from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead
from tests.support.requests import ACCESS_KEY_ID, HOST, NOW, SECRET

FORM_TYPE = "multipart/form-data; boundary=B-o"


def form_fields(
    object_key: str = "user/${filename}",
    fields: Mapping[str, str] | None = None,
    conditions: list[Any] | None = None,
    *,
    bucket: str = "bucket",
    lasts: float = 3600,
    now: float = NOW,
    sigv2: bool = False,
) -> dict[bytes, bytes]:
    """As `generate_presigned_post` makes them, names in lower case. `conditions`: beside those on bucket and key."""
    request = AWSRequest(method="POST", url=f"http://{HOST}/{bucket}")
    expiration = datetime.fromtimestamp(now + lasts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    allowed = [["starts-with", "$key", object_key.partition("${filename}")[0]], *(conditions or [])]
    request.context["s3-presign-post-fields"] = {"key": object_key, **(fields or {})}
    request.context["s3-presign-post-policy"] = {
        "expiration": expiration,
        "conditions": [{"bucket": bucket}, *allowed],
    }
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment):
        credentials = Credentials(ACCESS_KEY_ID, SECRET)
        signer = HmacV1PostAuth(credentials) if sigv2 else S3SigV4PostAuth(credentials, "s3", "us-east-1")
        signer.add_auth(request)
    made = request.context["s3-presign-post-fields"]
    return {name.lower().encode(): value.encode() for name, value in made.items()}


def form_head(
    target: str = "/bucket", headers: Mapping[str, str] | None = None, *, content_type: str = FORM_TYPE
) -> RequestHead:
    fields = {b"host": HOST.encode(), b"content-type": content_type.encode("latin-1")}
    fields.update({name.encode(): value.encode("latin-1") for name, value in (headers or {}).items()})
    return RequestHead(b"POST", target.encode(), fields, header_names(tuple(fields)), 1)


def form_body(fields: Mapping[bytes, bytes], content: bytes, filename: str = "a.txt") -> bytes:
    """As urllib3 writes it."""
    parts = {name.decode(): value for name, value in fields.items()}
    body, _ = encode_multipart_formdata({**parts, "file": (filename, content)}, boundary="B-o")
    return bytes(body)

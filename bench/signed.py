"""The signed requests of a run, as bytes: exactly what boto3 sends, caught before it leaves."""

from collections.abc import Sequence
from typing import Any, Final

import botocore.session  # type: ignore[import-untyped]  # botocore ships no types
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from bench.contender import Credential
from bench.objects import BUCKET

REGION: Final = "us-east-1"


def get_requests(origin: str, credential: Credential, object_keys: Sequence[str]) -> list[bytes]:
    """One GetObject per object key, signed now and good for 15 minutes. `origin` has no path: http://127.0.0.1:9000."""
    caught: list[bytes] = []

    def catch(request: Any, **_: object) -> Any:
        caught.append(request_bytes(request.method, request.url.removeprefix(origin), request.headers))
        return AWSResponse(request.url, 200, {}, None)

    client = _client(origin, credential)
    client.meta.events.register("before-send.s3", catch)
    for object_key in object_keys:
        client.get_object(Bucket=BUCKET, Key=object_key)
    return caught


def request_bytes(method: str, target: str, headers: Any) -> bytes:
    """A request without a body. Header values of botocore are text or bytes; http.client adds the Accept-Encoding."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Accept-Encoding: identity"]
    lines += [name.encode() + b": " + _octets(value) for name, value in headers.items()]
    return b"\r\n".join([*lines, b"", b""])


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _client(origin: str, credential: Credential) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=origin,
        aws_access_key_id=credential.access_key_id,
        aws_secret_access_key=credential.secret_access_key,
        config=Config(s3={"addressing_style": "path"}),
    )

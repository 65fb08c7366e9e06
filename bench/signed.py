"""The signed requests of a run, as bytes: exactly what boto3 sends, caught before it leaves."""

import re
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import botocore.session  # type: ignore[import-untyped]  # botocore ships no types
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from bench.contender import Credential
from bench.objects import BUCKET
from bench.scenario import Upload

REGION: Final = "us-east-1"
BLOCK: Final = 131072  # bytes of a chunk of the transfer coding, as botocore has urllib3 cut them
_PATH_STYLE: Final = {"addressing_style": "path"}
_UNSIGNED: Final = Config(
    s3={**_PATH_STYLE, "payload_signing_enabled": False}, request_checksum_calculation="when_required"
)


class Requests(NamedTuple):
    """`heads`: one per object. `body`: what follows each of them; `content`: the same without the transfer coding."""

    heads: list[bytes]
    body: bytes = b""
    content: bytes = b""


def get_requests(origin: str, credential: Credential, object_keys: Sequence[str]) -> Requests:
    """One GetObject per object key, signed now and good for 15 minutes. `origin` has no path: http://127.0.0.1:9000."""
    caught = _caught(_client(origin, credential, Config(s3=_PATH_STYLE)), "get_object", object_keys)
    return Requests([_head(request, origin) for request in caught])


def put_requests(
    origin: str, credential: Credential, object_keys: Sequence[str], payload: bytes, upload: Upload
) -> Requests:
    """One PutObject of the payload per object key. What boto3 does over https only is signed for https, sent over http.

    Without `Expect: 100-continue`, which boto3 does not sign: wrk cannot wait for the answer.
    """
    if upload is not Upload.SHA256:
        origin = origin.replace("http:", "https:", 1)
    config = _UNSIGNED if upload is Upload.UNSIGNED else Config(s3=_PATH_STYLE)
    heads: list[bytes] = []
    content = b""
    for request in _caught(_client(origin, credential, config), "put_object", object_keys, Body=payload):
        heads.append(_head(request, origin))
        content = content or request.body.read()
    body = transfer_chunked(content) if upload is Upload.TRAILER else content
    return Requests(heads, body, content)


def falsely_signed(requests: Requests) -> Requests:
    """The same, each with a signature that is well formed and wrong."""
    heads = [re.sub(rb"(?<=Signature=)[0-9a-f]{8}", b"00000000", head) for head in requests.heads]
    return requests._replace(heads=heads)


def transfer_chunked(content: bytes) -> bytes:
    """In `Transfer-Encoding: chunked`, cut as urllib3 does."""
    blocks = (content[start : start + BLOCK] for start in range(0, len(content), BLOCK))
    return b"".join([*(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks), b"0\r\n\r\n"])


def request_bytes(method: str, target: str, headers: Any) -> bytes:
    """A request's head. Header values of botocore are text, bytes or numbers; http.client adds the Accept-Encoding."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Accept-Encoding: identity"]
    lines += [name.encode() + b": " + _octets(value) for name, value in headers.items() if name.lower() != "expect"]
    return b"\r\n".join([*lines, b"", b""])


def _octets(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _head(request: Any, origin: str) -> bytes:
    return request_bytes(request.method, request.url.removeprefix(origin), request.headers)


def _caught(client: Any, operation: str, object_keys: Sequence[str], **parameters: Any) -> Iterator[Any]:
    """What botocore would send, one by one."""
    caught: list[Any] = []

    def catch(request: Any, **_: object) -> Any:
        caught.append(request)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: iter(())))

    client.meta.events.register("before-send.s3", catch)
    send: Callable[..., Any] = getattr(client, operation)
    for object_key in object_keys:
        send(Bucket=BUCKET, Key=object_key, **parameters)
        yield caught.pop()


def _client(origin: str, credential: Credential, config: Any) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=origin,
        aws_access_key_id=credential.access_key_id,
        aws_secret_access_key=credential.secret_access_key,
        config=config,
    )

"""The signed requests of a run, as bytes: exactly what boto3 sends, caught before it leaves."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, assert_never

import botocore.session  # type: ignore[import-untyped]  # botocore ships no types
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from bench.contender import Credential
from bench.objects import BUCKET, LISTED
from bench.scenario import Read, Upload

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


def get_requests(origin: str, credential: Credential, object_keys: Sequence[str], read: Read = Read.GET) -> Requests:
    """One request without a body per object key, of a list for the page behind it, signed now and good for 15 minutes.

    `origin` has no path: http://127.0.0.1:9000.
    """
    client = _client(origin, credential, Config(s3=_PATH_STYLE, signature_version="s3v4"))
    named = [{"Bucket": BUCKET, "Key": object_key} for object_key in object_keys]
    match read:
        case Read.GET:
            caught = _caught(client, "get_object", named)
        case Read.HEAD:
            caught = _caught(client, "head_object", named)
        case Read.PRESIGNED:
            return Requests([_presigned(client, origin, parameters) for parameters in named])
        case Read.LIST | Read.LIST_OWNERS:
            owners = {"FetchOwner": True} if read is Read.LIST_OWNERS else {}
            pages = [{"Bucket": BUCKET, "StartAfter": name, "MaxKeys": LISTED, **owners} for name in object_keys]
            caught = _caught(client, "list_objects_v2", pages)
        case _:
            assert_never(read)
    return Requests([_head(request, origin) for request in caught])


def put_requests(
    origin: str, credential: Credential, object_keys: Sequence[str], payload: bytes, upload: Upload
) -> Requests:
    """One PutObject of the payload per object key. What boto3 does over https only is signed for https, and the other
    way round, whatever the origin says: the scheme is not signed.

    Without `Expect: 100-continue`, which boto3 does not sign: wrk cannot wait for the answer.
    """
    scheme = "http" if upload is Upload.SHA256 else "https"
    origin = f"{scheme}:{origin.partition(':')[2]}"
    config = _UNSIGNED if upload is Upload.UNSIGNED else Config(s3=_PATH_STYLE)
    named = [{"Bucket": BUCKET, "Key": object_key, "Body": payload} for object_key in object_keys]
    heads: list[bytes] = []
    content = b""
    for request in _caught(_client(origin, credential, config), "put_object", named):
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


def _presigned(client: Any, origin: str, parameters: Mapping[str, Any]) -> bytes:
    url: str = client.generate_presigned_url("get_object", parameters, ExpiresIn=900)
    return request_bytes("GET", url.removeprefix(origin), {"Host": origin.partition("//")[2]})


def _caught(client: Any, operation: str, calls: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """What botocore would send, one by one."""
    caught: list[Any] = []

    def catch(request: Any, **_: object) -> Any:
        caught.append(request)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: iter(())))

    client.meta.events.register("before-send.s3", catch)
    send: Callable[..., Any] = getattr(client, operation)
    for parameters in calls:
        send(**parameters)
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

"""What attack tests are made of: gateways of other profiles or with domains in front of a recording upstream, heads
with their signature in the query, and what became of a request: a refusal, or the one request the store got."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.clients import REGION
from tests.support.gateway_process import Gateway, Settings
from tests.support.house import Recorded, recorded_store
from tests.support.raw_client import Signer
from tests.support.recording_upstream import RecordedRequest, RecordingUpstream

# What the gateway says of itself in every request to the store.
OURS = frozenset(b"host authorization x-amz-date x-amz-content-sha256 accept-encoding user-agent".split())
OURS_WITH_BODY = OURS | {b"content-length"}


@contextmanager
def recorded_gateway(folder: Path, *, profile: str = "aws", settings: Settings | None = None) -> Iterator[Recorded]:
    with RecordingUpstream() as upstream:
        store = replace(recorded_store(upstream), profile=profile)
        with Gateway(folder, store, settings) as gateway:
            keys = [gateway.create_key(), gateway.create_key("aaa")]
            yield Recorded(gateway, upstream, *[gateway.signer(key) for key in keys])


def refusal(recorded: Recorded, sent: bytes) -> tuple[int, str]:
    """Status and S3 code of the answer to these bytes; the store heard nothing of them."""
    recorded.upstream.reset()
    in_headers = sent.startswith(b"HEAD ")
    reply = recorded.ask(sent, head_request=in_headers)
    recorded.upstream.assert_untouched()
    return reply.status, reply.header(b"x-amz-error-code").decode() if in_headers else reply.code


def forwarded(recorded: Recorded, sent: bytes) -> RecordedRequest:
    """The one request that the store got for these bytes, which were answered with 200."""
    reply = recorded.ask(sent)
    assert (reply.status, reply.body) == (200, b"")
    return recorded.upstream.only_request()


def names(request: RecordedRequest) -> set[bytes]:
    return {name.lower() for name, _ in request.headers}


def presigned_head(
    signer: Signer,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    unsigned: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A head whose signature botocore put into the query. `headers` are signed and sent, `unsigned` only sent."""
    request = AWSRequest(method=method, url=f"http://{signer.host}{target}")
    for name, value in headers:
        request.headers[name] = value
    credentials = Credentials(signer.access_key_id, signer.secret_access_key)
    S3SigV4QueryAuth(credentials, "s3", REGION, expires=600).add_auth(request)
    path_and_query = request.url.removeprefix(f"http://{signer.host}")
    lines = [f"{method} {path_and_query} HTTP/1.1", f"Host: {signer.host}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *unsigned)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")

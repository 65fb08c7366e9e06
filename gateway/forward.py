"""The request as the store gets it: written anew from what was authorized, signed with the store's credential.

Nothing of the client's request line or header block is copied: the path comes from bucket and object key, the query
from the parameters the operation knows, the headers from those chosen in `header_policy`. It knows no socket.
"""

from typing import Final, NamedTuple

from gateway.authorize import Authorized
from gateway.payload.mode import EMPTY_SHA256
from gateway.s3.copy_source import render
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import Body
from gateway.s3.request import S3Request
from gateway.s3.uri import encode
from gateway.sigv4.signing import UpstreamSigner
from gateway.trace_context import NO_LINES

UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"
# Ours in every request: compressed answers would not be the object's bytes.
_UNSIGNED: Final = b"accept-encoding: identity\r\nuser-agent: nqgate\r\n"
_DECLARING_LENGTH: Final = frozenset({b"PUT", b"POST"})  # RFC 9110, 8.6: also without a body; radosgw 16: 411


class UpstreamTarget(NamedTuple):
    """Where the store is. `host_header`: host[:port]. `base_path`: encoded, without a trailing `/`; mostly b"".
    `trailers`: whether it takes a checksum behind the body."""

    host_header: bytes
    base_path: bytes
    region: bytes
    trailers: bool = False


class UpstreamRequest:
    """`head`: request line, headers and the empty line, complete. A body of the declared length follows it."""

    __slots__ = ("head", "method", "path_and_query")

    def __init__(self, method: bytes, path_and_query: bytes, head: bytes) -> None:
        self.method = method
        self.path_and_query = path_and_query
        self.head = head


class SentBody(NamedTuple):
    """What follows the head. `length`: bytes. `payload_line`: x-amz-content-sha256, where it is not what the client
    declared. `headers`: said of it in addition, `without`: and these of the client's not any more."""

    length: int
    payload_line: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    without: frozenset[bytes] = frozenset()


def plan(
    authorized: Authorized,
    target: UpstreamTarget,
    signer: UpstreamSigner,
    now: float,
    body: SentBody | None,
) -> UpstreamRequest:
    """Re-sign an authorized request. `now`: Unix seconds. `body`: None for an operation without one.

    Raises S3Error INTERNAL_ERROR for one that may only probe: `plan_head_bucket` is what it may ask.
    """
    request = authorized.request
    if authorized.only_probes:
        raise S3Error(Code.INTERNAL_ERROR, "a request that may only ask was about to be sent")
    headers = authorized.headers
    if authorized.copy_source is not None:
        headers = [*headers, (b"x-amz-copy-source", render(authorized.copy_source))]
    if body is not None and body.without:
        headers = [header for header in headers if header[0] not in body.without]
    if body is not None and body.headers:
        headers = [*headers, *body.headers]
    return _sign(
        request.method,
        object_path(target, request),
        canonical_query(request, authorized.operation.parameters) if request.query else b"",
        headers,
        (body.payload_line if body is not None else None) or _payload_line(authorized),
        body.length if body is not None else None,
        target,
        signer,
        now,
        request.trace,
    )


def plan_list_buckets(
    target: UpstreamTarget, signer: UpstreamSigner, now: float, continuation_token: str | None, trace: bytes = NO_LINES
) -> UpstreamRequest:
    """One page of the store's own list of buckets; `continuation_token` as the page before named it."""
    query = b""
    if continuation_token is not None:
        query = b"continuation-token=" + encode(continuation_token.encode(), keep_slash=False)
    return _sign(b"GET", target.base_path + b"/", query, [], EMPTY_SHA256, None, target, signer, now, trace)


def plan_head_bucket(request: S3Request, target: UpstreamTarget, signer: UpstreamSigner, now: float) -> UpstreamRequest:
    """Is the bucket of this request there?"""
    path = bucket_path(target, request)
    return _sign(b"HEAD", path, b"", [], EMPTY_SHA256, None, target, signer, now, request.trace)


def plan_abort_upload(
    target: UpstreamTarget, signer: UpstreamSigner, now: float, bucket: str, object_key: bytes, upload_id: bytes
) -> UpstreamRequest:
    """End a multipart upload. Nothing is encoded yet, and nothing is checked here."""
    path = b"%b/%b/%b" % (target.base_path, bucket.encode(), encode(object_key, keep_slash=True))
    query = b"uploadId=" + encode(upload_id, keep_slash=False)
    return _sign(b"DELETE", path, query, [], EMPTY_SHA256, None, target, signer, now)


def object_path(target: UpstreamTarget, request: S3Request) -> bytes:
    """Path-style, whatever the client used. A path-style path, decoded once and encoded, is already these bytes."""
    if not request.virtual_hosted:
        return target.base_path + request.canonical_path
    if not request.object_key:
        return bucket_path(target, request)
    return b"%b/%b" % (bucket_path(target, request), encode(request.object_key, keep_slash=True))


def bucket_path(target: UpstreamTarget, request: S3Request) -> bytes:
    return b"%b/%b" % (target.base_path, request.bucket.encode())


def canonical_query(request: S3Request, parameters: frozenset[bytes]) -> bytes:
    """The parameters the operation knows, encoded, sorted by encoded name, then value.

    What an operation does not know was refused when it was classified; signatures, hoisted headers and x-id stay here.
    """
    known = [
        (encode(name, keep_slash=False), encode(value, keep_slash=False))
        for name, value in request.query.items()
        if name in parameters
    ]
    known.sort()
    return b"&".join([b"%b=%b" % pair for pair in known])


def _payload_line(authorized: Authorized) -> bytes:
    """A hash the client declared binds the store too; bodies are never sent with a signature of their own chunks."""
    if authorized.operation.body is Body.NONE:
        return EMPTY_SHA256
    return authorized.authenticated.payload.sha256 or UNSIGNED_PAYLOAD


def _sign(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    payload_line: bytes,
    content_length: int | None,
    target: UpstreamTarget,
    signer: UpstreamSigner,
    now: float,
    trace: bytes = NO_LINES,
) -> UpstreamRequest:
    """The one place where a head is written. Every header in it is signed but accept-encoding, user-agent, length and
    the trace, which what stands in between may write anew: botocore leaves it unsigned too.

    `payload_line`: the value of x-amz-content-sha256. `content_length`: None where no body follows.
    """
    signed = signer.sign(method, path, query, target.host_header, headers, payload_line, now)
    path_and_query = b"%b?%b" % (path, query) if query else path
    length = b""
    if content_length is not None:
        length = b"content-length: %d\r\n" % content_length
    elif method in _DECLARING_LENGTH:
        length = b"content-length: 0\r\n"
    head = b"".join((method, b" ", path_and_query, b" HTTP/1.1\r\n", signed, _UNSIGNED, trace, length, b"\r\n"))
    return UpstreamRequest(method, path_and_query, head)

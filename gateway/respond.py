"""Every head that reaches the client, and every small document: the store's, filtered or rewritten, and our own.

It decides how a reply travels – relayed, rebuilt, or trickled – and sees heads and whole small documents, never a
stream. A head here is the status line and header lines, each ending in CRLF, without content-length,
transfer-encoding, connection and the empty line: whoever sends the body adds those.
"""

import re
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import cache
from http import HTTPStatus
from typing import Final, NamedTuple

from gateway.authorize import Authorized
from gateway.delete_result import delete_result, nothing_deleted
from gateway.reply_documents import (
    DECLARATION,
    location_constraint,
    name_account,
    replace_element,
    root_element,
)
from gateway.reply_policy import choose_error_headers, choose_reply_headers, passing
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import HeaderNames
from gateway.s3.listing import ListedBucket, page, render_buckets
from gateway.s3.post_answer import SEE_OTHER, Stored, Success, location_of, post_response, redirect_location
from gateway.s3.xml import error_document, error_end, error_start, escape
from gateway.store_errors import StoreError, error_inside, store_error
from keystore.access_key import TenureOf

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_XML: Final = b"content-type: application/xml\r\n"
# An answer about a key, a signature or an instant: nobody in between may give it to somebody else.
_PRIVATE: Final = b"cache-control: private\r\n"
_BODY: Final = (b"content-", b"accept-ranges", b"last-modified", b"expires", b"cache-control")  # what describes a body
_NOT_IN_A_HEADER: Final = re.compile(r"[^\x20-\x7e]+")


class ReplyHead:
    """The store's reply. `values`: of the headers as received, one for each of `names.lowered`."""

    __slots__ = ("names", "status", "values")

    def __init__(self, status: int, names: HeaderNames, values: Sequence[bytes]) -> None:
        self.status = status
        self.names = names
        self.values = values

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """(lower-case name, value), in order."""
        return list(zip(self.names.lowered, self.values, strict=True))


class ReplyAction(Enum):
    """How a reply travels."""

    RELAY = "relay"  # the head as planned, the body as it comes
    REBUILD = "rebuild"  # the body is collected, within a limit, then `rebuild` writes head and body
    TRICKLE = "trickle"  # the head as planned and white space at once, the document by `rebuild` when it is whole


_RELAY, _REBUILD = ReplyAction.RELAY, ReplyAction.REBUILD  # bound once: 0.08 µs for each look-up in the class


class ReplyPlan:
    """`head`: b"" for REBUILD."""

    __slots__ = ("action", "head", "status")

    def __init__(self, action: ReplyAction, head: bytes, status: int) -> None:
        self.action = action
        self.head = head
        self.status = status


class ReplyRules(NamedTuple):
    """`reported_region`: what we say of every bucket. `scheme`: how clients reach us. `hidden`: what no error message
    may contain, in lower case: the store's host, our access key id there.
    """

    reported_region: bytes
    scheme: bytes = b"http"
    hidden: Collection[str] = ()


_Rewrite = Callable[[bytes, Authorized, ReplyRules], bytes]


def _with_our_owner(body: bytes, authorized: Authorized, rules: ReplyRules) -> bytes:
    return name_account(body, authorized.access_key.account)


def _with_our_region(body: bytes, authorized: Authorized, rules: ReplyRules) -> bytes:
    return location_constraint(rules.reported_region)


def _with_our_address(body: bytes, authorized: Authorized, rules: ReplyRules) -> bytes:
    """The address under which the client reached the object, in the style it used."""
    request = authorized.request
    host = request.headers[b"host"].decode("latin-1")
    address = b"%b://%b%b" % (rules.scheme, escape(host).encode(), request.canonical_path)
    return replace_element(_result(body, authorized, rules), b"Location", address)


def _result(body: bytes, authorized: Authorized, rules: ReplyRules) -> bytes:
    """The document behind a declaration of ours: the store's may have gone out already."""
    return DECLARATION + root_element(body)


def _with_refused(body: bytes, authorized: Authorized, rules: ReplyRules) -> bytes:
    """The store's answer for the objects it was asked to delete, ours for those it never heard of."""
    return delete_result(body, authorized.refused, rules.hidden)


# Operation → how its document is rewritten. Lists name the store's owner in every entry; ListObjectsV2 only where the
# client asked with fetch-owner, so the plain one, the busiest of all, streams.
_REWRITES: Final[dict[str, _Rewrite]] = {
    "GetBucketLocation": _with_our_region,
    "ListObjects": _with_our_owner,
    "ListObjectsV2": _with_our_owner,
    "ListObjectVersions": _with_our_owner,
    "ListMultipartUploads": _with_our_owner,
    "ListParts": _with_our_owner,
    "DeleteObjects": _with_refused,
    "CopyObject": _result,
    "UploadPartCopy": _result,
    "CompleteMultipartUpload": _with_our_address,
}
# These report failure inside a 200, after white space that keeps the connection alive for minutes.
_TRICKLING: Final = frozenset({"CopyObject", "UploadPartCopy", "CompleteMultipartUpload"})


def plan_reply(reply: ReplyHead, authorized: Authorized, request_id: bytes, rules: ReplyRules) -> ReplyPlan:
    """How this reply of the store travels, and its head for the client. Raises S3Error INTERNAL_ERROR for nonsense."""
    status = reply.status
    action = _action(status, authorized)
    if action is _REBUILD:
        return ReplyPlan(action, b"", status)
    pick, lines, partial = passing(reply.names, authorized.request, status)
    if partial and status == 200:  # rclone answers a range with 200; SDKs look at the status
        status = 206
    head = _relayed_head(status, lines % pick(reply.values), authorized, request_id, rules)
    return ReplyPlan(action, head, status)


def _action(status: int, authorized: Authorized) -> ReplyAction:
    if 200 <= status < 300 and status not in (204, 206):
        name = authorized.operation.name
        if name in _TRICKLING:
            return ReplyAction.TRICKLE
        if name in _REWRITES and _is_rewritten(name, authorized):
            return _REBUILD
        return _RELAY
    if status < 200:
        raise S3Error(Code.INTERNAL_ERROR, f"the store answered {status}")
    if authorized.only_probes or (status >= 300 and status != 304):
        return _REBUILD
    return _RELAY


def _is_rewritten(name: str, authorized: Authorized) -> bool:
    """ListObjectsV2 names the store only where it was asked to."""
    return name != "ListObjectsV2" or b"fetch-owner" in authorized.request.query


def _relayed_head(status: int, lines: bytes, authorized: Authorized, request_id: bytes, rules: ReplyRules) -> bytes:
    ours = b""
    name = authorized.operation.name
    if name == "CreateBucket":
        ours = b"location: /%b\r\n" % authorized.request.bucket.encode()
    elif name == "HeadBucket":
        ours = b"x-amz-bucket-region: %b\r\n" % rules.reported_region
    ids = (b"x-amz-request-id: ", request_id, b"\r\nx-amz-id-2: ", request_id, b"\r\n")
    return b"".join((_STATUS_LINES.get(status) or _status_line(status), lines, ours, *ids))


def rebuild(
    reply: ReplyHead, body: bytes, authorized: Authorized, request_id: bytes, rules: ReplyRules
) -> tuple[bytes, bytes]:
    """(head, document) for a reply whose action was REBUILD or TRICKLE. `body`: the store's, whole.

    Raises S3Error INTERNAL_ERROR where the store's answer makes no sense.
    """
    if reply.status >= 300:
        return _rebuilt_error(reply, body, authorized, request_id, rules)
    headers = choose_reply_headers(reply.headers, authorized.request)
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        raise S3Error(Code.INTERNAL_ERROR, "the store compressed a document unasked")
    name = authorized.operation.name
    failed = error_inside(root_element(body), rules.hidden) if name in _TRICKLING else None
    if failed is not None:
        document = _document(failed, authorized, request_id)
    else:
        rewrite = _REWRITES.get(name)
        document = body if rewrite is None else rewrite(body, authorized, rules)
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    return _relayed_head(reply.status, lines, authorized, request_id, rules), document


def _rebuilt_error(
    reply: ReplyHead, body: bytes, authorized: Authorized, request_id: bytes, rules: ReplyRules
) -> tuple[bytes, bytes]:
    request = authorized.request
    if request.method == b"HEAD":
        body = _told_in_headers(reply)
    failed = store_error(reply.status, body, of_object=bool(request.object_key), hidden=rules.hidden)
    headers = [] if failed.ours else choose_error_headers(reply.headers)
    if failed.status == Code.SERVICE_UNAVAILABLE.status and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"1"))
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    head = b"%b%b%b%b%b" % (_status_line(failed.status), _XML, _PRIVATE, lines, _ids(request_id))
    if request.method == b"HEAD":
        return head + _in_headers(failed.code, failed.message), b""
    return head, _document(failed, authorized, request_id)


def _told_in_headers(reply: ReplyHead) -> bytes:
    """A HEAD has no document; MinIO and gateways like this one say the code in a header."""
    for name, value in reply.headers:
        if name in (b"x-amz-error-code", b"x-minio-error-code"):
            code = escape(value.decode("latin-1"))
            return f"<Error><Code>{code}</Code><Message></Message></Error>".encode()
    return b""


def _document(failed: StoreError, authorized: Authorized, request_id: bytes) -> bytes:
    return error_document(failed.code, failed.message, _resource(authorized), request_id.decode(), ())


def _resource(authorized: Authorized) -> str:
    return authorized.request.canonical_path.decode("ascii")


def error_reply(error: S3Error, request_id: bytes, *, head_request: bool, resource: str) -> tuple[bytes, bytes]:
    """(head, document) of a refusal of ours. `resource`: the path as the client wrote it. A HEAD gets the code and the
    message in headers and no document.
    """
    code = error.code
    head, document = _refusal(code)
    retry = b"" if error.retry_after is None else b"retry-after: %d\r\n" % error.retry_after
    head = b"%b%b%b" % (head, retry, _ids(request_id))
    if head_request:
        return head + _in_headers(code.wire_name, error.message), b""
    if error.extra or error.message != code.message:
        document = error_start(code.wire_name, error.message, error.extra)
    return head, (document + error_end(resource, request_id.decode())).encode()


def relayed_reply(status: int, headers: Sequence[tuple[bytes, bytes]], request_id: bytes) -> bytes:
    """The head of what the control plane answers to a request for IAM or STS."""
    lines = b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers)
    return b"%b%b%b" % (_status_line(status), lines, _ids(request_id))


@cache
def _refusal(code: Code) -> tuple[bytes, str]:
    """How head and document begin, with the message of the table."""
    head = b"%b%b%b" % (_status_line(code.status), _XML, _PRIVATE)
    return head, error_start(code.wire_name, code.message, ())


def reachable_buckets(authorized: Authorized, buckets: list[ListedBucket], tenure_of: TenureOf) -> list[ListedBucket]:
    """Of all the store's `buckets` those the key may touch. What `tenure_of` raises passes."""
    access_key = authorized.access_key
    return [bucket for bucket in buckets if access_key.permissions(bucket.name, tenure_of)]


def list_buckets_reply(
    authorized: Authorized, reachable: list[ListedBucket], request_id: bytes, rules: ReplyRules
) -> tuple[bytes, bytes]:
    """(head, document) of ListBuckets: a page of the `reachable` buckets."""
    access_key, query = authorized.access_key, authorized.request.query
    if query.get(b"bucket-region", rules.reported_region) != rules.reported_region:
        reachable = []
    shown, token = page(reachable, query)
    prefix = query.get(b"prefix", b"").decode("utf-8", "replace")
    document = render_buckets(shown, owner=access_key.account, prefix=prefix, token=token)
    return b"%b%b%b" % (_status_line(200), _XML, _ids(request_id)), document


def nothing_deleted_reply(authorized: Authorized, request_id: bytes) -> tuple[bytes, bytes]:
    """(head, document) of DeleteObjects when every object it named was refused: the store is not asked."""
    return b"%b%b%b" % (_status_line(200), _XML, _ids(request_id)), nothing_deleted(authorized.refused)


def form_reply(
    reply: ReplyHead, authorized: Authorized, success: Success, request_id: bytes, rules: ReplyRules
) -> tuple[bytes, bytes]:
    """(head, document) for an upload form whose file the store took with 200. The document is b"" but for 201.

    What the store says to the PutObject passes, but for what describes a body: the answer has one of its own or none.
    Every other reply of the store goes the way of all replies, `plan_reply` and `rebuild`.
    """
    headers = [one for one in choose_reply_headers(reply.headers, authorized.request) if not one[0].startswith(_BODY)]
    request = authorized.request
    bucket = b"" if request.virtual_hosted else b"/" + request.bucket.encode()
    location = location_of(b"%b://%b%b" % (rules.scheme, request.headers[b"host"], bucket), request.object_key)
    stored = Stored(location, request.bucket, request.object_key, dict(headers).get(b"etag", b""))
    document = post_response(stored) if success.status == 201 else b""
    if success.status == SEE_OTHER and success.redirect is not None:
        location = redirect_location(success.redirect, stored)
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    kind = _XML if document else b""
    head = b"%b%b%blocation: %b\r\n%b"
    return head % (_status_line(success.status), kind, lines, location, _ids(request_id)), document


def _in_headers(code: str, message: str) -> bytes:
    printable = _NOT_IN_A_HEADER.sub(" ", message)
    return b"x-amz-error-code: %b\r\nx-amz-error-message: %b\r\n" % (code.encode(), printable.encode())


def _ids(request_id: bytes) -> bytes:
    return b"x-amz-request-id: %b\r\nx-amz-id-2: %b\r\n" % (request_id, request_id)


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status

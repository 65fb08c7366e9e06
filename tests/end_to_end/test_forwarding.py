"""What the upstream gets to see, and what the client gets to see of its replies."""

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.house import Recorded
from tests.support.recording_upstream import RecordedRequest, canned, ok

ERROR = (
    b'<?xml version="1.0"?><Error><Code>%b</Code><Message>%b</Message>'
    b"<AWSAccessKeyId>UPSTREAMKEYID</AWSAccessKeyId></Error>"
)


def _names(request: RecordedRequest) -> set[bytes]:
    return {name.lower() for name, _ in request.headers}


# ---- what it sees ----


def test_a_get_leaves_as_exactly_these_headers(recorded: Recorded) -> None:
    sent = [
        ("Range", "bytes=0-9"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", "boto3"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Via", "1.1 p"),
        ("amz-sdk-request", "attempt=1"),
        ("x-rgw-something", "1"),
        ("x-amz-user-agent", "js"),
        ("Connection", "x-custom"),
        ("x-custom", "1"),
    ]
    assert recorded.ask(recorded.signer.head("GET", "/aaa/k?versionId=v&x-id=GetObject", sent)).status == 200
    request = recorded.upstream.only_request()
    assert request.line == b"GET /aaa/k?versionId=v HTTP/1.1"
    required = {b"host", b"authorization", b"x-amz-date", b"x-amz-content-sha256", b"range"}
    assert required <= _names(request) <= required | {b"accept-encoding", b"user-agent", b"connection"}
    assert request.header(b"host") == recorded.upstream.endpoint.removeprefix("http://").encode()
    assert request.values(b"accept-encoding") in ([], [b"identity"])
    assert b"boto3" not in request.head
    assert recorded.signer.access_key_id.encode() not in request.head


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def _everything_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore leaves trace context unsigned, for proxies write it anew; other signers do not know it."""
    monkeypatch.setattr("botocore.auth.SIGNED_HEADERS_BLACKLIST", [])


@pytest.mark.usefixtures("_everything_is_signed")
@pytest.mark.parametrize("signed", [True, False])
def test_a_trace_goes_on_whether_the_client_signed_it_or_not(recorded: Recorded, signed: bool) -> None:
    traced = [("traceparent", TRACEPARENT), ("tracestate", "a=1,b=2")]
    head = recorded.signer.head("GET", "/aaa/k", traced if signed else [], unsigned=[] if signed else traced)
    assert (b";traceparent" in head) is signed
    assert recorded.ask(head).status == 200
    request = recorded.upstream.only_request()
    assert request.header(b"traceparent") == TRACEPARENT.encode()
    assert request.header(b"tracestate") == b"a=1,b=2"
    assert b"trace" not in request.header(b"authorization")


@pytest.mark.usefixtures("_everything_is_signed")
def test_a_trace_that_was_signed_must_not_be_changed_on_its_way(recorded: Recorded) -> None:
    head = recorded.signer.head("GET", "/aaa/k", [("traceparent", TRACEPARENT)])
    assert recorded.ask(head.replace(b"-01\r\n", b"-00\r\n", 1)).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("malformed", [TRACEPARENT + "0", TRACEPARENT.upper(), "x" * 8000, "a, b", "\x1b[31m"])
def test_a_malformed_trace_is_dropped(recorded: Recorded, malformed: str) -> None:
    head = recorded.signer.head("GET", "/aaa/k", unsigned=[("traceparent", malformed), ("tracestate", "a=1")])
    assert recorded.ask(head).status in (200, 400)
    for request in recorded.upstream.requests:
        assert b"trace" not in request.head


def test_an_upload_leaves_with_its_metadata_and_its_length(recorded: Recorded) -> None:
    sent = [("Content-Type", "text/x"), ("x-amz-meta-a_b", "1"), ("x-amz-meta-c", "d"), ("Cache-Control", "no-store")]
    head = recorded.signer.head("PUT", "/aaa/a%20b/%C3%BC", sent, body=b"body")
    assert recorded.ask(head + b"body").status == 200
    request = recorded.upstream.only_request()
    assert request.line == b"PUT /aaa/a%20b/%C3%BC HTTP/1.1"
    for name, value in (*sent, ("content-length", "4")):
        assert request.header(name.encode()) == value.encode()
    assert request.values(b"transfer-encoding") == []
    assert request.body == b"body"


def test_a_chunked_upload_leaves_with_a_length(recorded: Recorded) -> None:
    head = recorded.signer.head("PUT", "/aaa/k", sha256="UNSIGNED-PAYLOAD")
    chunked_body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    reply = recorded.ask(head[:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + chunked_body)
    assert reply.status == 200
    request = recorded.upstream.only_request()
    assert (request.header(b"content-length"), request.body) == (b"5", b"abcde")


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        ("/aaa", b"/aaa"),
        ("/aaa//two//slashes/", b"/aaa//two//slashes/"),
        ("/aaa/%7Etilde%2Bplus%20space", b"/aaa/~tilde%2Bplus%20space"),
        ("/aaa/%c3%a9", b"/aaa/%C3%A9"),
        ("/aaa/bbb/k", b"/aaa/bbb/k"),
        ("/aaa/%3Fx%23y", b"/aaa/%3Fx%23y"),
    ],
)
def test_targets_leave_canonical_and_nothing_is_normalized(recorded: Recorded, target: str, forwarded: bytes) -> None:
    signed = recorded.signer.head("GET", forwarded.decode())
    recorded.ask(signed.replace(forwarded + b" ", target.encode() + b" ", 1))
    assert recorded.upstream.only_request().line.split(b" ")[1].partition(b"?")[0] == forwarded


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        ("GET", "/aaa/k", [], None),
        ("GET", "/aaa?list-type=2&prefix=a%2Fb%20c&delimiter=%2F", [], None),
        ("PUT", "/aaa/%C3%BC", [("x-amz-meta-a", "two  spaces"), ("Content-Type", "a/b")], b"body"),
        ("PUT", "/aaa/to", [("x-amz-copy-source", "/aaa/from")], b""),
        ("DELETE", "/aaa/k?versionId=3", [], None),
    ],
)
def test_botocore_finds_the_upstream_signature_right(
    recorded: Recorded, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None
) -> None:
    recorded.ask(recorded.signer.head(method, target, headers, body=body) + (body or b""))
    request = recorded.upstream.only_request()
    claimed = request.header(b"authorization").decode()
    signed = claimed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", *(name.decode() for name in _names(request) if name.startswith(b"x-amz-"))} <= set(signed)
    assert claimed.endswith(f"Signature={_Judge().signature_of(request, signed)}")


class _Judge(S3SigV4Auth):
    """botocore's signer with the upstream credential, at the time and with the payload hash of a recorded request."""

    def __init__(self) -> None:
        super().__init__(Credentials("UPSTREAMKEYID", "upstream-secret"), "s3", "us-east-1")

    def signature_of(self, request: RecordedRequest, signed: list[str]) -> str:
        method, target, _ = request.line.decode().split(" ")
        again = AWSRequest(method=method, url=f"http://{request.header(b'host').decode()}{target}")
        for name in signed:
            again.headers[name] = request.header(name.encode()).decode()
        again.context["timestamp"] = request.header(b"x-amz-date").decode()
        return str(self.signature(self.string_to_sign(again, self.canonical_request(again)), again))


# ---- what becomes of its replies ----


def test_a_reply_keeps_what_is_the_object_s_and_loses_what_is_the_store_s(recorded: Recorded) -> None:
    kept = [b'etag: "e"', b"last-modified: Mon, 01 Jan 2024 00:00:00 GMT", b"x-amz-meta-a: b", b"x-amz-version-id: 3"]
    lost = [b"server: SecretStore/1", b"set-cookie: s=1", b"x-rgw-object-type: Normal", b"x-minio-x: 1", b"alt-svc: h3"]
    lost += [b"x-amz-request-id: theirs", b"keep-alive: timeout=5", b"access-control-allow-origin: *"]
    recorded.upstream.reset(canned(ok(b"body", *kept, *lost)))
    reply = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    lines = {name + b": " + value for name, value in reply.headers}
    assert set(kept) <= lines
    assert not set(lost) & lines
    assert len(reply.header(b"x-amz-request-id")) >= 16


def test_an_error_of_the_store_keeps_its_code_and_takes_our_request_id(recorded: Recorded) -> None:
    document = ERROR % (b"NoSuchKey", b"It is not there.")
    recorded.upstream.reset(canned(ok(document, b"x-amz-request-id: theirs", status=b"404 Not Found")))
    reply = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert (reply.status, reply.code, reply.message) == (404, "NoSuchKey", "It is not there.")
    assert b"<RequestId>" + reply.header(b"x-amz-request-id") + b"</RequestId>" in reply.body


@pytest.mark.parametrize(
    "code", [b"InvalidAccessKeyId", b"SignatureDoesNotMatch", b"RequestTimeTooSkewed", b"ExpiredToken"]
)
def test_the_store_s_own_trouble_with_us_is_500_and_names_no_credential(recorded: Recorded, code: bytes) -> None:
    recorded.upstream.reset(canned(ok(ERROR % (code, b"UPSTREAMKEYID"), status=b"403 Forbidden")))
    reply = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert (reply.status, reply.code) == (500, "InternalError")
    assert b"UPSTREAMKEYID" not in reply.body


def test_a_redirect_is_neither_followed_nor_relayed(recorded: Recorded) -> None:
    elsewhere = ok(b"", b"location: http://backend.internal/aaa/k", status=b"307 Temporary Redirect")
    recorded.upstream.reset(canned(elsewhere))
    reply = recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert (reply.status, reply.code) == (500, "InternalError")
    assert b"backend.internal" not in reply.body + b"".join(value for _, value in reply.headers)

"""Attacks on the conversation itself: what answers tell, presigned URLs used otherwise, smuggling, upgrades."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.support.attacks import OURS, OURS_WITH_BODY, forwarded, names, presigned_head, refusal
from tests.support.clients import s3_client
from tests.support.house import Recorded
from tests.support.raw_client import Signer
from tests.support.recording_upstream import canned, ok

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

DENIED = (403, "AccessDenied")
BAD_SIGNATURE = (403, "SignatureDoesNotMatch")
BAD_TOKEN = (400, "InvalidToken")
ONE_MECHANISM = (400, "InvalidArgument")


def _boto_presigned(signer: Signer, version: str, *, query: str = "") -> bytes:
    """GET /aaa/k as boto3 presigns it; `query` is added by whoever holds the URL."""
    with s3_client(
        f"http://{signer.host}", signer.access_key_id, signer.secret_access_key, signature_version=version
    ) as client:
        url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": "aaa", "Key": "k"}))
    return f"GET {url.path}?{url.query}{query} HTTP/1.1\r\nHost: {signer.host}\r\n\r\n".encode()


# ---- what an answer tells ----


@pytest.mark.parametrize(
    "condition",
    [
        ("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("If-None-Match", "*"),
        ("If-Match", '"e"'),
        ("If-Unmodified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Range", "bytes=0-0"),
        ("Expect", "100-continue"),
        ("x-amz-expected-bucket-owner", "000000000000"),
        ("x-amz-copy-source-if-match", '"e"'),
    ],
)
def test_b28_no_condition_is_looked_at_before_the_scope(recorded: Recorded, condition: tuple[str, str]) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        for bucket in ("bbb", "never-made"):
            assert refusal(recorded, recorded.scoped.head(method, f"/{bucket}/k", [condition])) == DENIED


# ---- presigned URLs ----


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize(
    "more",
    [
        "&versionId=1",
        "&acl",
        "&acl=",
        "&tagging=",
        "&partNumber=1",
        "&response-content-type=text%2Fhtml",
        "&response-content-disposition=attachment",
        "&x-amz-acl=public-read",
        "&X-Amz-Meta-A=b",
        "&x-id=GetObject",
        "&foo=bar",
    ],
)
def test_b29_a_parameter_added_to_a_presigned_url_is_refused(recorded: Recorded, version: str, more: str) -> None:
    answer = refusal(recorded, _boto_presigned(recorded.signer, version, query=more))
    # SigV2 signs a list of parameters and no other: one that is not on it is refused for being there.
    others = ((400, "InvalidRequest"),) if version == "s3" else ()
    assert answer in (BAD_SIGNATURE, *others)


@pytest.mark.parametrize(
    "name",
    ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Expires", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Algorithm"],
)
def test_b29_a_parameter_of_a_presigned_url_is_there_once_and_in_one_spelling(recorded: Recorded, name: str) -> None:
    sent = _boto_presigned(recorded.signer, "s3v4")
    parameter = re.search(rb"[?&](%b=[^& ]*)" % name.encode(), sent)
    assert parameter is not None
    target = sent.split(b" ")[1]
    for more in (parameter[1], parameter[1].lower(), parameter[1].replace(b"-", b"%2D")):
        assert refusal(recorded, sent.replace(target, target + b"&" + more, 1))[0] == 400
    without = sent.replace(parameter[1], b"x-id=1", 1)
    assert refusal(recorded, without)[0] in (400, 403)


def test_b30_what_the_user_of_a_url_may_say_goes_on_and_nothing_else(recorded: Recorded) -> None:
    allowed = [("Range", "bytes=0-9"), ("If-None-Match", '"e"'), ("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")]
    dropped = [
        ("Cookie", "a=b"),
        ("Referer", "http://elsewhere"),
        ("Accept-Encoding", "gzip"),
        ("x_amz_copy_source", "/bbb/secret"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Proxy-Authorization", "Basic x"),
    ]
    request = forwarded(recorded, presigned_head(recorded.scoped, "GET", "/aaa/k", unsigned=[*allowed, *dropped]))
    assert request.line == b"GET /aaa/k HTTP/1.1"
    assert names(request) == OURS | {name.lower().encode() for name, _ in allowed}


# ---- who signed, and for what ----


@pytest.mark.parametrize("service", ["s3express", "s3tables", "s3-outposts", "sts", "iam", "S3", "s3 ", "s3vectors"])
def test_b31_a_signature_for_another_service_is_refused(recorded: Recorded, service: str) -> None:
    head = recorded.signer.head("GET", "/aaa/k").replace(b"/s3/aws4_request", f"/{service}/aws4_request".encode(), 1)
    assert refusal(recorded, head) == (400, "AuthorizationHeaderMalformed")
    presigned = presigned_head(recorded.signer, "GET", "/aaa/k")
    other = presigned.replace(b"%2Fs3%2Faws4_request", f"%2F{service.strip()}%2Faws4_request".encode(), 1)
    if service.strip() != "s3":
        assert refusal(recorded, other) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize(
    ("part", "other"),
    [(b"/us-east-1/", b"/eu-west-1/"), (b"/us-east-1/", b"/us-east-1x/"), (b"SignedHeaders=", b"SignedHeaders=date;")],
)
def test_b31_the_scope_of_a_signature_cannot_be_exchanged(recorded: Recorded, part: bytes, other: bytes) -> None:
    head = recorded.signer.head("GET", "/aaa/k", unsigned=[("Date", "Mon, 01 Jan 2024 00:00:00 GMT")])
    assert refusal(recorded, head.replace(part, other, 1)) == BAD_SIGNATURE


def test_b31_identity_and_signature_come_from_one_place(recorded: Recorded) -> None:
    """CVE-2026-41145: verified by the header, identified by the query."""
    target = "/bbb/k?X-Amz-Credential=" + recorded.signer.access_key_id
    assert refusal(recorded, recorded.scoped.head("GET", target)) == ONE_MECHANISM
    presigned = presigned_head(recorded.scoped, "GET", "/aaa/k")
    header = next(line for line in recorded.signer.head("GET", "/aaa/k").split(b"\r\n") if line.startswith(b"Auth"))
    for more in (header, b"Authorization: Bearer x", b"Authorization: AWS k:s"):
        assert refusal(recorded, presigned[:-2] + more + b"\r\n\r\n") == ONE_MECHANISM
    swapped = recorded.scoped.head("GET", "/bbb/k").replace(
        recorded.scoped.access_key_id.encode(), recorded.signer.access_key_id.encode(), 1
    )
    assert refusal(recorded, swapped) == BAD_SIGNATURE


@pytest.mark.parametrize("name", ["x-amz-security-token", "X-Amz-Security-Token", "x-amz-s3session-token"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_b32_a_session_token_is_refused_and_never_joins_the_store_s_credential(
    recorded: Recorded, name: str, method: str
) -> None:
    body = b"" if method == "PUT" else None
    assert refusal(recorded, recorded.signer.head(method, "/aaa/k", [(name, "t")], body=body)) == BAD_TOKEN
    unsigned = recorded.signer.head(method, "/aaa/k", body=body, unsigned=[(name, "t")])
    assert refusal(recorded, unsigned) in (BAD_TOKEN, DENIED)
    length = [("Content-Length", "0")] if method == "PUT" else []
    hoisted = presigned_head(recorded.signer, method, f"/aaa/k?{name}=t", unsigned=length)
    assert refusal(recorded, hoisted) in (BAD_TOKEN, (501, "NotImplemented"))


# ---- smuggling ----


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/aaa/k?x-amz-meta-a=b%0D%0Ax-amz-copy-source%3A%20%2Fbbb%2Fsecret", (400, "InvalidArgument")),
        ("/aaa/k?x-amz-meta-a=b%0AX%3A%20y", (400, "InvalidArgument")),
        ("/aaa/k?x-amz-meta-a=b%00", (400, "InvalidArgument")),
        ("/aaa/k?x-amz-meta-a%0D%0AX%3A=b", (400, "InvalidArgument")),
        ("/aaa/k?x-amz-meta-a%3A%20b%0D%0AX=b", (400, "InvalidArgument")),
        ("/aaa/k?x-amz-tagging=a%3Db%0D%0A%0D%0AGET%20%2Fbbb%2Fk%20HTTP%2F1.1", (400, "InvalidArgument")),
    ],
)
def test_b33_a_line_end_hoisted_out_of_a_query_writes_no_header(
    recorded: Recorded, target: str, answer: tuple[int, str]
) -> None:
    head = presigned_head(recorded.signer, "PUT", target, unsigned=[("Content-Length", "0")])
    assert refusal(recorded, head) == answer


@pytest.mark.parametrize(
    "target",
    [
        "/aaa/k%0D%0AHost%3A%20bbb",
        "/aaa/k%20HTTP/1.1%0D%0A%0D%0AGET%20/bbb/k",
        "/aaa?list-type=2&prefix=a%0D%0Ab",
    ],
)
def test_b33_a_line_end_in_a_name_stays_encoded(recorded: Recorded, target: str) -> None:
    request = forwarded(recorded, recorded.scoped.head("GET", target))
    assert (request.line, names(request)) == (b"GET %b HTTP/1.1" % target.encode(), OURS)


# ---- one connection, many clients ----


def test_b34_an_answer_belongs_to_one_key_and_is_kept_by_nobody(recorded: Recorded) -> None:
    recorded.upstream.reset(canned(ok(b"secret of bbb")))
    with recorded.connect() as connection:
        for _ in range(3):
            connection.send(recorded.signer.head("GET", "/bbb/k") + recorded.scoped.head("GET", "/bbb/k"))
            allowed, denied = connection.reply(), connection.reply()
            assert (allowed.status, allowed.body) == (200, b"secret of bbb")
            assert (denied.status, denied.code) == DENIED
            assert denied.header(b"cache-control") == b"private"
            assert b"secret" not in denied.body
    assert len(recorded.upstream.requests) == 3


PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize("target", ["/", "/aaa", "/aaa/k", "/bbb/k", "/aaa/k?acl"])
@pytest.mark.parametrize("headers", [PREFLIGHT, {**PREFLIGHT, "Access-Control-Request-Headers": "authorization"}, {}])
def test_b35_a_preflight_is_not_forwarded_and_opens_nothing(
    recorded: Recorded, target: str, headers: Mapping[str, str]
) -> None:
    lines = [f"OPTIONS {target} HTTP/1.1", f"Host: {recorded.gateway.host}", *(f"{n}: {v}" for n, v in headers.items())]
    reply = recorded.ask("\r\n".join([*lines, "", ""]).encode())
    recorded.upstream.assert_untouched()
    assert (reply.status, reply.code) == DENIED
    assert not any(name.startswith(b"access-control-") for name, _ in reply.headers)


def test_b35_an_origin_is_never_reflected(recorded: Recorded) -> None:
    allowing = [b"access-control-allow-origin: https://evil.example", b"access-control-allow-credentials: true"]
    recorded.upstream.reset(canned(ok(b"", *allowing)))
    reply = recorded.ask(recorded.scoped.head("GET", "/aaa/k", [("Origin", "https://evil.example")]))
    assert reply.status == 200
    assert not any(name.startswith(b"access-control-") for name, _ in reply.headers)
    assert names(recorded.upstream.only_request()) == OURS


ADDRESSES = [
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Client-IP", "127.0.0.1"),
    ("CF-Connecting-IP", "127.0.0.1"),
    ("True-Client-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1"),
    ("Via", "1.1 trusted"),
]


def test_b36_an_address_that_a_client_tells_is_neither_believed_nor_passed_on(recorded: Recorded) -> None:
    assert names(forwarded(recorded, recorded.scoped.head("GET", "/aaa/k", unsigned=ADDRESSES))) == OURS
    assert refusal(recorded, recorded.scoped.head("GET", "/bbb/k", ADDRESSES)) == DENIED
    anonymous = "\r\n".join(["GET /aaa/k HTTP/1.1", "Host: a", *(f"{n}: {v}" for n, v in ADDRESSES), "", ""])
    assert refusal(recorded, anonymous.encode()) == DENIED


@pytest.mark.parametrize(
    "upgrade",
    [
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")],
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "x"),
            ("Sec-WebSocket-Version", "13"),
        ],
        [("Connection", "Upgrade"), ("Upgrade", "TLS/1.0, HTTP/1.1")],
    ],
)
def test_b37_no_connection_is_upgraded(recorded: Recorded, upgrade: list[tuple[str, str]]) -> None:
    with recorded.connect() as connection:
        connection.send(recorded.scoped.head("GET", "/aaa/k", unsigned=upgrade))
        reply = connection.reply()
        assert (reply.status, reply.values(b"upgrade")) == (200, [])
    assert names(recorded.upstream.only_request()) == OURS


def test_b37_connection_takes_nothing_out_of_what_is_verified(recorded: Recorded) -> None:
    forged = replace(recorded.scoped, secret_access_key="s" * 40).head("GET", "/aaa/k")
    hiding = b"Connection: close, Authorization, x-amz-date, Host, x-amz-content-sha256\r\n\r\n"
    assert refusal(recorded, forged[:-2] + hiding) == BAD_SIGNATURE
    assert refusal(recorded, recorded.scoped.head("GET", "/bbb/k")[:-2] + hiding) == DENIED
    anonymous = b"GET /aaa/k HTTP/1.1\r\nHost: a\r\n" + hiding
    assert refusal(recorded, anonymous) == DENIED


@pytest.mark.parametrize("hidden", ["Range", "If-None-Match", "x-amz-meta-a", "Cache-Control"])
def test_b37_connection_takes_nothing_out_of_what_is_sent(recorded: Recorded, hidden: str) -> None:
    signed = [("Range", "bytes=0-1"), ("If-None-Match", "*"), ("x-amz-meta-a", "b"), ("Cache-Control", "no-store")]
    length = ("Content-Length", "0")
    head = presigned_head(
        recorded.scoped, "PUT", "/aaa/k", signed, unsigned=[length, ("Connection", f"close, {hidden}")]
    )
    assert refusal(recorded, head) == (400, "InvalidRequest")


# ---- credentials ----


def test_b39_the_store_sees_one_credential_and_none_of_the_clients(recorded: Recorded) -> None:
    for signer in (recorded.scoped, recorded.signer):
        for head in (
            signer.head("GET", "/aaa/k"),
            signer.head("PUT", "/aaa/k", body=b""),
            presigned_head(signer, "GET", "/aaa/k"),
            _boto_presigned(signer, "s3"),
        ):
            recorded.upstream.reset()
            request = forwarded(recorded, head)
            assert b"Credential=UPSTREAMKEYID/" in request.header(b"authorization")
            assert signer.access_key_id.encode() not in request.head
            assert request.line.split(b" ")[1] == b"/aaa/k"
            assert names(request) <= OURS_WITH_BODY


@pytest.mark.parametrize("version", ["header", "s3v4", "s3"])
def test_b40_a_refused_signature_teaches_nobody_the_right_one(recorded: Recorded, version: str) -> None:
    signer = recorded.scoped
    head = signer.head("GET", "/aaa/k") if version == "header" else _boto_presigned(signer, version)
    found = re.search(rb"[&?, ](?:X-Amz-)?Signature=([^&\s]+)", head)
    assert found is not None
    right = found[1]
    wrong = b"AAAA" + right[4:] if version == "s3" else right[::-1]
    reply = recorded.ask(head.replace(right, wrong, 1))
    recorded.upstream.assert_untouched()
    assert (reply.status, reply.code) == BAD_SIGNATURE
    told = reply.body + b"".join(value for _, value in reply.headers) + recorded.gateway.log_text().encode()
    for secret in (right, wrong, signer.secret_access_key.encode()):
        assert secret not in told

"""Nothing of the store reaches the client: no credential, address, cookie or id of it, and no end that it lacks. And
nothing that anything was signed with reaches the log, not even when it says all that it can.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

import pytest

from tests.support.attacks import presigned_head
from tests.support.bodies import MIB
from tests.support.house import Recorded
from tests.support.posted import posted_form
from tests.support.raw_client import RawConnection, RawReply
from tests.support.recording_upstream import Exchange, Script, canned, ok, short_body
from tests.support.streaming import MODES, streaming_upload

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

COOKIE, HOST_ID, REGION, PRINCIPAL = b"store-session-cookie", b"store-host-id", b"mars-north-7", b"store-principal"
INTERNAL = b"store.internal"  # another address of the store than the one in the configuration
OF_THE_STORE = [
    b"Set-Cookie: session=" + COOKIE,
    b"set-cookie2: session=" + COOKIE,
    b"Server: store.internal",
    b"Via: 1.1 store.internal",
    b"X-Served-By: store.internal",
    b"WWW-Authenticate: AWS4-HMAC-SHA256 realm=store.internal",
    b"Proxy-Authenticate: Basic realm=store.internal",
    b"Location: http://store.internal/aaa/k",
    b"Content-Location: http://store.internal/aaa/k",
    b"Refresh: 0; url=http://store.internal/",
    b"Link: <http://store.internal/>; rel=next",
    b"Alt-Svc: h3=store.internal",
    b"Strict-Transport-Security: max-age=1; store.internal",
    b"Access-Control-Allow-Origin: http://store.internal",
    b"x-amz-request-id: " + HOST_ID,
    b"x-amz-id-2: " + HOST_ID,
    b"x-amz-cf-id: " + HOST_ID,
    b"x-amz-bucket-region: " + REGION,
    b"x-amz-security-token: UPSTREAMKEYID",
    b"x-amz-error-message: UPSTREAMKEYID at store.internal",
    b"x-minio-deployment-id: store.internal",
    b"x-minio-error-desc: UPSTREAMKEYID",
    b"x-rgw-object-type: store.internal",
    b"rgwx-mtime: store.internal",
    b"x-seaweedfs-owner: " + PRINCIPAL,
    b"X-Debug: UPSTREAMKEYID upstream-secret",
]
DOCUMENT = (
    b'<?xml version="1.0"?><Error><Code>%(code)b</Code><Message>%(message)b</Message>'
    b"<AWSAccessKeyId>UPSTREAMKEYID</AWSAccessKeyId><Endpoint>store.internal</Endpoint><Region>mars-north-7</Region>"
    b"<Bucket>store-principal</Bucket><Resource>/store.internal/aaa/k</Resource><RequestId>store-host-id</RequestId>"
    b"<HostId>store-host-id</HostId><StringToSign>AWS4-HMAC-SHA256 mars-north-7</StringToSign>"
    b"<SignatureProvided>store-session-cookie</SignatureProvided><CanonicalRequest>GET /aaa/k host:%(host)b "
    b"upstream-secret</CanonicalRequest></Error>"
)


def _host(recorded: Recorded) -> bytes:
    return recorded.upstream.endpoint.removeprefix("http://").encode()


def _document(recorded: Recorded, code: bytes, message: bytes = b"No.") -> bytes:
    return DOCUMENT % {b"code": code, b"message": message, b"host": _host(recorded)}


def _assert_tells_nothing(recorded: Recorded, reply: RawReply) -> None:
    told = b"\n".join([reply.line, *(name + b": " + value for name, value in reply.headers), reply.body]).lower()
    port = b":%d" % recorded.upstream.port
    for secret in (b"UPSTREAMKEYID", b"upstream-secret", port, COOKIE, HOST_ID, REGION, PRINCIPAL, INTERNAL):
        assert secret.lower() not in told, told


def _ask(recorded: Recorded, method: str = "GET", target: str = "/aaa/k") -> RawReply:
    head = recorded.signer.head(method, target, body=b"" if method in ("PUT", "POST") else None)
    reply = recorded.ask(head, head_request=method == "HEAD")
    _assert_tells_nothing(recorded, reply)
    return reply


# ---- headers ----


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("GET", b"200 OK"),
        ("HEAD", b"200 OK"),
        ("PUT", b"200 OK"),
        ("GET", b"206 Partial Content"),
        ("DELETE", b"204 No Content"),
        ("GET", b"304 Not Modified"),
        ("GET", b"404 Not Found"),
        ("HEAD", b"404 Not Found"),
        ("PUT", b"412 store.internal"),
        ("GET", b"299 store.internal UPSTREAMKEYID"),
    ],
)
def test_headers_of_the_store_stay_inside(recorded: Recorded, method: str, status: bytes) -> None:
    recorded.upstream.reset(canned(ok(b"", *OF_THE_STORE, b'etag: "e"', status=status)))
    reply = _ask(recorded, method)
    assert reply.status == int(status[:3])
    assert len(reply.header(b"x-amz-request-id")) == 16
    assert (reply.values(b"etag") == [b'"e"']) is (reply.status < 400)


@pytest.mark.parametrize("target", ["/aaa", "/aaa?location=", "/aaa?list-type=2", "/"])
def test_headers_beside_a_document_stay_inside(recorded: Recorded, target: str) -> None:
    document = b"<LocationConstraint>mars-north-7</LocationConstraint>" if "location" in target else b"<R></R>"
    if target == "/":
        owner = b"<Owner><ID>store-principal</ID><DisplayName>UPSTREAMKEYID</DisplayName></Owner>"
        document = b"<ListAllMyBucketsResult>%b<Buckets></Buckets></ListAllMyBucketsResult>" % owner
    recorded.upstream.reset(canned(ok(document, *OF_THE_STORE)))
    assert _ask(recorded, "GET", target).status == 200


def test_the_region_of_a_bucket_is_ours(recorded: Recorded) -> None:
    recorded.upstream.reset(canned(ok(b"", *OF_THE_STORE)))
    assert _ask(recorded, "HEAD", "/aaa").header(b"x-amz-bucket-region") == b"us-east-1"


def test_what_the_store_says_before_and_behind_its_reply_stays_inside(recorded: Recorded) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n" + b"\r\n".join(OF_THE_STORE) + b"\r\n\r\n"
    trailers = b"0\r\n" + b"\r\n".join(OF_THE_STORE) + b"\r\n\r\n"
    whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie\r\n\r\n4\r\nbody\r\n" + trailers
    recorded.upstream.reset(canned(interim + whole))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k", unsigned=[("Connection", "close"), ("TE", "trailers")]))
        everything = connection.read_to_end()
    assert b"\r\n4\r\nbody\r\n0\r\n\r\n" in everything
    _assert_tells_nothing(recorded, RawReply(everything, (), b""))
    assert b"trailer:" not in everything.lower()


# ---- errors ----

ABOUT_US = (
    b"InvalidAccessKeyId", b"SignatureDoesNotMatch", b"RequestTimeTooSkewed", b"AuthorizationHeaderMalformed",
    b"AuthorizationQueryParametersError", b"ExpiredToken", b"InvalidToken", b"MissingSecurityHeader", b"RequestExpired",
    b"TokenRefreshRequired", b"AccountProblem", b"NotSignedUp", b"InvalidSecurity", b"CredentialsNotSupported",
)  # fmt: skip


@pytest.mark.parametrize("code", ABOUT_US)
@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized", b"403 Forbidden"])
def test_the_store_s_trouble_with_our_credential_is_an_internal_error(
    recorded: Recorded, code: bytes, status: bytes
) -> None:
    message = b"UPSTREAMKEYID of store.internal in mars-north-7"
    recorded.upstream.reset(canned(ok(_document(recorded, code, message), *OF_THE_STORE, status=status)))
    for method, target in (("GET", "/aaa/k"), ("PUT", "/aaa/k"), ("GET", "/aaa"), ("GET", "/"), ("DELETE", "/aaa/k")):
        reply = _ask(recorded, method, target)
        assert (reply.status, reply.code) == (500, "InternalError")


@pytest.mark.parametrize("status", [301, 302, 303, 305, 307, 308])
def test_a_redirect_of_the_store_is_neither_followed_nor_told(recorded: Recorded, status: int) -> None:
    for document in (b"", _document(recorded, b"PermanentRedirect"), b"<html>store.internal</html>"):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            sent = b"" if method == "HEAD" else document
            recorded.upstream.reset(canned(ok(sent, *OF_THE_STORE, status=b"%d Moved" % status)))
            reply = _ask(recorded, method)
            assert reply.status == 500
            assert "InternalError" in (reply.code, *(value.decode() for value in reply.values(b"x-amz-error-code")))
            assert len(recorded.upstream.requests) == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (b"NoSuchKey", b"404 Not Found"),
        (b"AccessDenied", b"403 Forbidden"),
        (b"InvalidArgument", b"400 Bad Request"),
        (b"XStoreSpecific", b"418 Teapot"),
        (b"InternalError", b"500 Oops"),
        (b"SlowDown", b"503 Busy"),
    ],
)
@pytest.mark.parametrize("naming", [b"%(key)b", b"%(host)b", b"http://%(host)b/aaa", b"arn:aws:iam::1:user/%(who)b"])
def test_a_message_that_names_the_store_is_replaced_and_its_code_kept(
    recorded: Recorded, code: bytes, status: bytes, naming: bytes
) -> None:
    named = naming % {b"key": b"upstreamKEYid", b"host": _host(recorded), b"who": PRINCIPAL}
    document = _document(recorded, code, b"User " + named + b" may not.")
    recorded.upstream.reset(canned(ok(document, *OF_THE_STORE, status=status)))
    reply = _ask(recorded)
    assert (reply.status, reply.code) == (int(status[:3]), code.decode())


@pytest.mark.parametrize(
    "body", [b"<html>store.internal UPSTREAMKEYID</html>", b"UPSTREAMKEYID", b"<Error><Code>", b"{}"]
)
@pytest.mark.parametrize("status", [b"400 No", b"403 No", b"404 No", b"500 No", b"502 No", b"503 No", b"504 No"])
def test_an_error_that_is_no_document_of_s3_tells_nothing(recorded: Recorded, status: bytes, body: bytes) -> None:
    recorded.upstream.reset(canned(ok(body, *OF_THE_STORE, status=status)))
    assert _ask(recorded).code in ("InternalError", "ServiceUnavailable")


def test_an_error_inside_a_200_tells_no_more_than_another(recorded: Recorded) -> None:
    complete = (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
    )
    for code in (b"InvalidAccessKeyId", b"InternalError", b"SlowDown"):
        message = b"UPSTREAMKEYID at " + _host(recorded)
        recorded.upstream.reset(canned(ok(_document(recorded, code, message), *OF_THE_STORE)))
        for head in (
            recorded.signer.head("PUT", "/aaa/k", [("x-amz-copy-source", "/aaa/mine")], body=b""),
            recorded.signer.head("POST", "/aaa/k?uploadId=u", body=complete) + complete,
        ):
            reply = recorded.ask(head)
            _assert_tells_nothing(recorded, reply)
            assert reply.code == ("InternalError" if code == b"InvalidAccessKeyId" else code.decode())


# ---- documents that name the store ----

OWNER = b"<Owner><ID>store-principal</ID><DisplayName>UPSTREAMKEYID</DisplayName></Owner>"
INITIATOR = OWNER.replace(b"Owner", b"Initiator")


@pytest.mark.parametrize(
    ("target", "root", "inside"),
    [
        ("/aaa", b"ListBucketResult", b"<Contents><Key>k</Key>%b</Contents>" % OWNER),
        ("/aaa?list-type=2&fetch-owner=true", b"ListBucketResult", b"<Contents><Key>k</Key>%b</Contents>" % OWNER),
        ("/aaa?versions=", b"ListVersionsResult", b"<Version><Key>k</Key>%b</Version>" % OWNER),
        ("/aaa?uploads=", b"ListMultipartUploadsResult", b"<Upload>%b%b</Upload>" % (INITIATOR, OWNER)),
        ("/aaa/k?uploadId=u", b"ListPartsResult", INITIATOR + OWNER),
    ],
)
def test_a_list_names_the_account_and_not_the_store_s_user(
    recorded: Recorded, target: str, root: bytes, inside: bytes
) -> None:
    recorded.upstream.reset(canned(ok(b"<%b>%b</%b>" % (root, inside, root), *OF_THE_STORE)))
    reply = _ask(recorded, "GET", target)
    assert (reply.status, b"<Owner>" in reply.body) == (200, True)


def test_the_location_of_a_completed_upload_is_ours(recorded: Recorded) -> None:
    complete = (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
    )
    result = b"<CompleteMultipartUploadResult><Location>http://%b/aaa/k</Location></CompleteMultipartUploadResult>"
    recorded.upstream.reset(canned(ok(result % _host(recorded), *OF_THE_STORE)))
    reply = recorded.ask(recorded.signer.head("POST", "/aaa/k?uploadId=u", body=complete) + complete)
    _assert_tells_nothing(recorded, reply)
    assert f"<Location>http://{recorded.gateway.host}/aaa/k</Location>".encode() in reply.body


# ---- replies that break off; the smallest of them are in test_upstream_failures.py ----


def _broken_chunks(*pieces: bytes, head: Sequence[bytes] = ()) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        lines = b"".join(line + b"\r\n" for line in head)
        exchange.send(b"HTTP/1.1 200 OK\r\n" + lines + b"transfer-encoding: chunked\r\n\r\n" + b"".join(pieces))
        exchange.close()

    return script


BROKEN: dict[str, Script] = {
    "one byte short": short_body(2 * MIB, bytes(2 * MIB - 1)),
    "half": short_body(2 * MIB, bytes(MIB)),
    "nothing": short_body(5, b""),
    "between chunks": _broken_chunks(b"5\r\nhello\r\n"),
    "inside a chunk": _broken_chunks(b"5\r\nhel"),
    "inside a chunk's size": _broken_chunks(b"5\r\nhello\r\n1"),
    "before the last line end": _broken_chunks(b"5\r\nhello\r\n0\r\n"),
    "in a megabyte of chunks": _broken_chunks(*[b"10000\r\n%b\r\n" % bytes(65536)] * 16),
    "no chunk's size": _broken_chunks(b"5\r\nhello\r\nstore.internal\r\n"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_reply_that_breaks_off_has_no_end_and_nothing_follows_it(recorded: Recorded, broken: str) -> None:
    recorded.upstream.reset(BROKEN[broken])
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k") * 2)
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()
    assert len(recorded.upstream.requests) == 1


@pytest.mark.parametrize("broken", BROKEN)
def test_to_http_1_0_a_reply_that_breaks_off_ends_with_a_reset(recorded: Recorded, broken: str) -> None:
    """Of a reply without length a clean end of the connection would say that it is whole."""
    recorded.upstream.reset(BROKEN[broken])
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k").replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        with pytest.raises(ConnectionResetError):
            _drain(connection)


def _drain(connection: RawConnection) -> None:
    while connection.socket.recv(MIB):
        pass


@pytest.mark.parametrize("target", ["/aaa", "/aaa?uploads=", "/"])
def test_a_document_that_breaks_off_is_never_passed_on_in_part(recorded: Recorded, target: str) -> None:
    for script in (short_body(100, b"<ListBucketResult><Contents>"), _broken_chunks(b"5\r\n<List\r\n")):
        recorded.upstream.reset(script)
        reply = _ask(recorded, "GET", target)
        assert reply.status in (500, 503)
        assert b"<List" not in reply.body


def test_a_long_answer_that_breaks_off_has_no_clean_end(recorded: Recorded) -> None:
    recorded.upstream.reset(_broken_chunks(b"1\r\n \r\n", b"9\r\n<CopyObje\r\n"))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("PUT", "/aaa/k", [("x-amz-copy-source", "/aaa/mine")], body=b""))
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.reply()


def test_what_the_store_says_of_each_object_tells_no_more_than_another_error(recorded: Recorded) -> None:
    message = b"User: arn:aws:iam::123456789012:user/gw; UPSTREAMKEYID at " + _host(recorded)
    error = b"<Error><Key>k</Key><Code>AccessDenied</Code><Message>%b</Message></Error>" % message
    recorded.upstream.reset(canned(ok(b"<DeleteResult>%b</DeleteResult>" % error)))
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = recorded.ask(recorded.signer.head("POST", "/aaa?delete=", [("Content-MD5", digest)], body=body) + body)
    assert reply.status == 200
    assert b"<Code>AccessDenied</Code>" in reply.body
    assert b"arn:" not in reply.body
    _assert_tells_nothing(recorded, reply)


# ---- the log, at level debug and with a line for every request ----

SENSITIVE = {
    "x-amz-server-side-encryption-customer-key": "c3NlLWMtY3VzdG9tZXIta2V5LW9mLTMyLWJ5dGVzISE=",
    "x-amz-copy-source-server-side-encryption-customer-key": "Y29weS1zc2UtYy1jdXN0b21lci1rZXktMzItYnl0ZXM=",
    "x-amz-security-token": "FwoGZXIvYXdzEtokenOfSomebody",
    "x-amz-s3session-token": "sessionTokenOfSomebody",
    "Cookie": "session=cookieOfSomebody",
    "Proxy-Authorization": "Basic cHJveHk6c2VjcmV0",
}
_SIGNATURE = re.compile(rb"(?i)(?:signature|policy)(?:=|\"\r\n\r\n)([A-Za-z0-9%+/]{20,})")


def _signatures(sent: bytes) -> set[str]:
    found = {match.decode() for match in _SIGNATURE.findall(sent)}
    return found | {unquote(signature) for signature in found}


def _told(recorded: Recorded, request_ids: Sequence[str]) -> str:
    """The log, once all of these stand in it: a line each."""
    end = time.monotonic() + 20
    while True:
        log = recorded.gateway.log_text()
        missing = [request_id for request_id in request_ids if request_id not in log]
        if not missing:
            return log
        assert time.monotonic() < end, f"no line of {missing}"
        time.sleep(0.1)


def _answered(recorded: Recorded, sent: bytes) -> str:
    with recorded.connect() as connection:
        connection.send(sent)
        return connection.reply().header(b"x-amz-request-id").decode()


def test_nothing_that_was_signed_with_stands_in_the_loudest_log(recorded: Recorded) -> None:
    """Right, wrong and malformed, in every form: a right signature of a refused request is a credential for it."""
    signer = recorded.signer
    forger = replace(signer, secret_access_key="forged-secret-of-forty-characters-000000")
    sent = []
    for by in (signer, forger):
        sent += [by.head("GET", "/aaa/k"), by.head("PUT", "/bbb/k", body=b"x") + b"x", by.head("GET", "/aaa?acl=")]
        sent += [
            presigned_head(by, "GET", "/aaa/k"),
            presigned_head(by, "GET", "/aaa/k", unsigned=[("X-Amz-Meta-A", "1")]),
        ]
        sent += [by.head("GET", "/aaa/k", [item]) for item in SENSITIVE.items()]
        sent += [by.head("GET", "/aaa/k", unsigned=[item]) for item in SENSITIVE.items()]
        sent += [streaming_upload(by, b"x" * 70_000, mode).request for mode in MODES]
        credential = (by.access_key_id, by.secret_access_key)
        for version in ("s3v4", "s3"):
            made = posted_form(recorded.gateway.host, credential, b"file", bucket="aaa", signature_version=version)
            sent.append(made.request())
    sent += [one.replace(b"Signature=", b"Signature=,Signature=", 1) for one in sent[:8]]
    secrets = {signer.secret_access_key, forger.secret_access_key, "upstream-secret", *SENSITIVE.values()}
    for one in sent:
        secrets |= _signatures(one)
    assert len(secrets) > 40, "a vacuous run: nothing was signed"
    log = _told(recorded, [_answered(recorded, one) for one in sent])
    assert not [secret for secret in secrets if secret in log or quote(secret, safe="") in log]
    assert all(json.loads(line) for line in log.splitlines() if line.startswith("{"))

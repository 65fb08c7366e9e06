"""The request as the store gets it: nothing of the client's bytes but what was authorized."""

import hashlib

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import EMPTY_SHA256, Authorized
from gateway.forward import (
    SentBody,
    UpstreamRequest,
    UpstreamTarget,
    object_path,
    plan,
    plan_abort_upload,
    plan_head_bucket,
    plan_list_buckets,
)
from gateway.s3.errors import Code, S3Error
from gateway.s3.uri import encode
from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential
from keystore.scope import AllBuckets, Rights
from tests.support.admitted import admit

NOW = 1_700_000_000.0
TARGET = UpstreamTarget(b"store.internal:9000", b"", b"eu-store-1")
SIGNER = UpstreamSigner(UpstreamCredential("AKIASTORE", "the store's secret"), b"eu-store-1")
SHA256 = hashlib.sha256(b"body").hexdigest().encode()


def planned(
    authorized: Authorized, content_length: int | None = None, target: UpstreamTarget = TARGET
) -> UpstreamRequest:
    return plan(authorized, target, SIGNER, NOW, None if content_length is None else SentBody(content_length))


def fields(request: UpstreamRequest) -> list[tuple[bytes, bytes]]:
    assert request.head.endswith(b"\r\n\r\n")
    lines = request.head[:-4].split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def headers(request: UpstreamRequest) -> dict[bytes, bytes]:
    found = fields(request)
    assert len(dict(found)) == len(found), "a header went out twice"
    return dict(found)


def test_a_get_carries_our_own_headers_and_no_other() -> None:
    sent = planned(admit("GET", "/aaa/k", {"user-agent": "boto", "accept-encoding": "gzip", "cookie": "c"}))
    assert sent.head.startswith(b"GET /aaa/k HTTP/1.1\r\nhost: store.internal:9000\r\n")
    found = headers(sent)
    assert found.keys() == {
        b"host", b"x-amz-date", b"x-amz-content-sha256", b"authorization", b"accept-encoding", b"user-agent",
    }  # fmt: skip
    assert found[b"accept-encoding"] == b"identity"
    assert found[b"user-agent"] == b"nqgate"
    assert found[b"x-amz-content-sha256"] == EMPTY_SHA256
    assert b"Credential=AKIASTORE/20231114/eu-store-1/s3/aws4_request" in found[b"authorization"]


def test_nothing_of_the_clients_credential_goes_on() -> None:
    authorized = admit("GET", "/aaa/k", {"authorization": "AWS4-HMAC-SHA256 Credential=NQAKclient/x, Signature=0123"})
    assert b"NQAK" not in planned(authorized).head
    assert b"0123" not in headers(planned(authorized)).get(b"x-client", b"")


def test_every_forwarded_header_is_signed() -> None:
    sent = planned(admit("PUT", "/aaa/k", {"x-amz-meta-a": "1", "content-type": "text/plain"}), 4)
    assert (
        b"SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,"
        in headers(sent)[b"authorization"]
    )


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("GET", "/aaa/k", {}),
        ("GET", "/aaa?list-type=2&prefix=a/b%20c&delimiter=/", {}),
        ("PUT", "/aaa/%c3%bc%20+~!", {"x-amz-meta-b": "1  2", "x-amz-meta-a": "x", "content-type": "text/plain"}),
        ("PUT", "/aaa/to", {"x-amz-copy-source": "/aaa/a%20b"}),
        ("POST", "/aaa/k?uploads", {"x-amz-meta-a-b": "1", "x-amz-meta-a": "2"}),
    ],
)
def test_botocore_signs_the_same_request_the_same_way(method: str, target: str, sent: dict[str, str]) -> None:
    request = planned(admit(method, target, sent))
    found = headers(request)
    unsigned = {b"authorization", b"user-agent", b"accept-encoding", b"content-length"}
    judged = AWSRequest(
        method,
        "http://store.internal:9000" + request.path_and_query.decode(),
        {name.decode(): value.decode() for name, value in found.items() if name not in unsigned},
    )
    judge = S3SigV4Auth(Credentials("AKIASTORE", "the store's secret"), "s3", "eu-store-1")
    judged.context["timestamp"] = found[b"x-amz-date"].decode()
    signature = judge.signature(judge.string_to_sign(judged, judge.canonical_request(judged)), judged)
    assert found[b"authorization"].endswith(b"Signature=" + signature.encode())


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/aaa/k", b"/aaa/k"),
        ("/aaa/%6b", b"/aaa/k"),
        ("/aaa/a b".replace(" ", "%20"), b"/aaa/a%20b"),
        ("/aaa/a+b!'()*", b"/aaa/a%2Bb%21%27%28%29%2A"),
        ("/aaa/%c3%bc~", b"/aaa/%C3%BC~"),
        ("/aaa//two", b"/aaa//two"),
        ("/aaa//k//", b"/aaa//k//"),
        ("/aaa/a%2Fb", b"/aaa/a/b"),
        ("/aaa/a;b", b"/aaa/a%3Bb"),
        ("/aaa/..x/x../...", b"/aaa/..x/x../..."),
    ],
)
def test_the_path_is_written_from_bucket_and_object_key(target: str, path: bytes) -> None:
    authorized = admit("GET", target)
    assert planned(authorized).path_and_query == path
    assert path == b"/aaa/" + encode(authorized.request.object_key, keep_slash=True)


def test_b14_a_virtual_hosted_request_stays_in_its_bucket() -> None:
    authorized = admit("GET", "/bbb/secret", host="aaa.gw.example:9000", domains=(b"gw.example",))
    assert planned(authorized).path_and_query == b"/aaa/bbb/secret"
    assert planned(admit("GET", "//k", host="aaa.gw.example", domains=(b"gw.example",))).path_and_query == b"/aaa//k"
    assert planned(admit("HEAD", "/", host="aaa.gw.example", domains=(b"gw.example",))).path_and_query == b"/aaa"


@given(st.binary(min_size=1, max_size=30).map(lambda raw: raw.replace(b"\0", b"/")))
def test_b12_what_was_authorized_is_what_is_written(object_key: bytes) -> None:
    try:
        object_key.decode()
    except UnicodeDecodeError:
        return
    segments = set(object_key.replace(b"\\", b"/").split(b"/"))
    if {b".", b".."} & segments or segments == {b""}:
        return
    encoded = encode(object_key, keep_slash=True)
    path_style = admit("GET", "/aaa/" + encoded.decode())
    hosted = admit("GET", "/" + encoded.decode(), host="aaa.gw.example", domains=(b"gw.example",))
    assert path_style.request.object_key == hosted.request.object_key == object_key
    assert object_path(TARGET, path_style.request) == object_path(TARGET, hosted.request) == b"/aaa/" + encoded


def test_a_store_below_a_path_is_asked_there() -> None:
    below = TARGET._replace(base_path=b"/s3/v1")
    assert planned(admit("GET", "/aaa/k"), target=below).path_and_query == b"/s3/v1/aaa/k"
    assert plan_list_buckets(below, SIGNER, NOW, None).path_and_query == b"/s3/v1/"


def test_the_query_is_sorted_and_encoded_and_holds_what_the_operation_knows() -> None:
    sent = planned(admit("GET", "/aaa?prefix=a/b%20c&list-type=2&delimiter=/&x-id=ListObjectsV2&start-after=%2b;"))
    assert sent.path_and_query == b"/aaa?delimiter=%2F&list-type=2&prefix=a%2Fb%20c&start-after=%2B%3B"


def test_a_selector_without_value_is_sent_with_an_empty_one() -> None:
    assert planned(admit("POST", "/aaa/k?uploads")).path_and_query == b"/aaa/k?uploads="


def test_b30_what_a_presigned_url_leaves_open_goes_on_and_its_signature_does_not() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=NQAK&X-Amz-Signature=0&versionId=v"
    sent = planned(admit("GET", f"/aaa/k?{query}", {"range": "bytes=0-1"}))
    assert sent.path_and_query == b"/aaa/k?versionId=v"
    assert headers(sent)[b"range"] == b"bytes=0-1"


def test_the_hash_the_client_declared_binds_the_store_too() -> None:
    assert headers(planned(admit("PUT", "/aaa/k", sha256=SHA256), 4))[b"x-amz-content-sha256"] == SHA256


def test_a_body_without_a_declared_hash_is_unsigned() -> None:
    assert headers(planned(admit("PUT", "/aaa/k", sha256=None), 4))[b"x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD"
    assert headers(planned(admit("GET", "/aaa/k", sha256=None)))[b"x-amz-content-sha256"] == EMPTY_SHA256


def test_the_length_is_ours() -> None:
    sent = headers(planned(admit("PUT", "/aaa/k", {"content-length": "9"}), 4))
    assert sent[b"content-length"] == b"4"
    assert b"transfer-encoding" not in sent


def test_a_put_or_post_without_a_body_says_so() -> None:
    assert headers(planned(admit("POST", "/aaa/k?uploads")))[b"content-length"] == b"0"
    assert b"content-length" not in headers(planned(admit("DELETE", "/aaa/k")))


def test_a_rebuilt_document_goes_with_its_own_digests() -> None:
    authorized = admit(
        "POST", "/aaa?delete", {"content-md5": "client", "x-amz-checksum-crc32": "client"}, sha256=SHA256
    )
    sent = plan(authorized, TARGET, SIGNER, NOW, SentBody(7, b"0" * 64, ((b"content-md5", b"bWQ1"),)))
    found = headers(sent)
    assert found[b"x-amz-content-sha256"] == b"0" * 64
    assert found[b"content-md5"] == b"bWQ1"
    assert found[b"content-length"] == b"7"
    assert b"client" not in sent.head


def test_what_is_said_of_a_body_stands_beside_or_instead_of_the_clients_headers() -> None:
    authorized = admit("PUT", "/aaa/k", {"content-encoding": "gzip", "x-amz-sdk-checksum-algorithm": "CRC32"})
    added = ((b"content-encoding", b"aws-chunked,gzip"), (b"x-amz-trailer", b"x-amz-checksum-crc32"))
    body = SentBody(7, b"STREAMING", added, frozenset({b"content-encoding", b"x-amz-sdk-checksum-algorithm"}))
    found = headers(plan(authorized, TARGET, SIGNER, NOW, body))
    assert found[b"content-encoding"] == b"aws-chunked,gzip"
    assert found[b"x-amz-content-sha256"] == b"STREAMING"
    assert b"x-amz-sdk-checksum-algorithm" not in found
    assert b";x-amz-trailer" in found[b"authorization"]


@pytest.mark.parametrize(
    ("source", "written"),
    [("/aaa/k", b"/aaa/k"), ("aaa%2Fa%20b", b"/aaa/a%20b"), ("/aaa/%C3%BC?versionId=v", b"/aaa/%C3%BC?versionId=v")],
)
def test_b2_the_copy_source_is_written_anew(source: str, written: bytes) -> None:
    sent = planned(admit("PUT", "/aaa/to", {"x-amz-copy-source": source}))
    assert headers(sent)[b"x-amz-copy-source"] == written
    assert b";x-amz-copy-source" in headers(sent)[b"authorization"]


def test_b4_an_underscored_copy_source_is_not_there() -> None:
    sent = planned(admit("PUT", "/aaa/k", {"x_amz_copy_source": "/bbb/secret", "x-amz_acl": "public-read"}), 0)
    assert b"/bbb" not in sent.head
    assert b"public" not in sent.head


def test_a_probe_asks_for_the_bucket_and_makes_nothing() -> None:
    authorized = admit("PUT", "/aaa", scope=AllBuckets(Rights.READ_WRITE))
    with pytest.raises(S3Error) as caught:
        planned(authorized, 0)
    assert caught.value.code is Code.INTERNAL_ERROR
    sent = plan_head_bucket(authorized.request, TARGET, SIGNER, NOW)
    assert sent.head.startswith(b"HEAD /aaa HTTP/1.1\r\n")
    assert b"content-length" not in headers(sent)


def test_pages_of_the_list_of_buckets() -> None:
    assert plan_list_buckets(TARGET, SIGNER, NOW, None).path_and_query == b"/"
    assert plan_list_buckets(TARGET, SIGNER, NOW, "a b/&=").path_and_query == b"/?continuation-token=a%20b%2F%26%3D"
    with_newline = plan_list_buckets(TARGET, SIGNER, NOW, "a\r\nx: y")
    assert with_newline.head.count(b"\r\n") == plan_list_buckets(TARGET, SIGNER, NOW, "a").head.count(b"\r\n")


def test_an_abort_is_what_the_gateway_would_send_for_a_client() -> None:
    authorized = admit("DELETE", "/aaa/%C3%BC/a%20%2Bb?uploadId=i%2F1%26x")
    mine = plan_abort_upload(TARGET, SIGNER, NOW, "aaa", "ü/a +b".encode(), b"i/1&x")
    clients = plan(authorized, TARGET, SIGNER, NOW, None)
    assert (mine.method, mine.path_and_query, mine.head) == (clients.method, clients.path_and_query, clients.head)
    assert mine.path_and_query == b"/aaa/%C3%BC/a%20%2Bb?uploadId=i%2F1%26x"
    behind = TARGET._replace(base_path=b"/s3")
    assert plan_abort_upload(behind, SIGNER, NOW, "aaa", b"k", b"i").path_and_query == b"/s3/aaa/k?uploadId=i"


# ---- trace context ----

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_goes_on_unsigned() -> None:
    """Whatever stands between gateway and store may put a span of its own in."""
    sent = headers(planned(admit("GET", "/aaa/k", {"traceparent": TRACEPARENT, "tracestate": "a=1"})))
    assert (sent[b"traceparent"], sent[b"tracestate"]) == (TRACEPARENT.encode(), b"a=1")
    assert b"trace" not in sent[b"authorization"]


def test_a_malformed_trace_is_dropped_and_the_request_goes_on() -> None:
    sent = headers(planned(admit("GET", "/aaa/k", {"traceparent": TRACEPARENT + "0", "tracestate": "a=1"})))
    assert not {b"traceparent", b"tracestate"} & sent.keys()


def test_whatever_is_asked_of_the_store_for_a_request_belongs_to_its_trace() -> None:
    authorized = admit("PUT", "/aaa", {"traceparent": TRACEPARENT})
    line = b"\r\ntraceparent: " + TRACEPARENT.encode() + b"\r\n"
    assert line in plan_head_bucket(authorized.request, TARGET, SIGNER, NOW).head
    assert line in plan_list_buckets(TARGET, SIGNER, NOW, None, authorized.request.trace).head


# ---- several addresses ----


@pytest.mark.parametrize("body", [b"", b"its verified body"])
def test_towards_another_address_it_is_what_would_have_been_planned_for_that(body: bytes) -> None:
    """Signed anew, host and all; the body behind it as it was."""
    authorized = admit("PUT", "/aaa/k", {"x-amz-meta-a": "1", "content-length": str(len(body))})
    here, there = (TARGET._replace(host_header=host, one_of_several=True) for host in (b"a:80", b"b:80"))
    moved = planned(authorized, len(body), here).with_body(body).towards(b"b:80", NOW)
    meant = planned(authorized, len(body), there)
    assert (moved.host, moved.head) == (b"b:80", meant.head + body)
    assert moved.towards(b"a:80", NOW).head == planned(authorized, len(body), here).head + body


def test_towards_another_address_the_trace_goes_along() -> None:
    authorized = admit("GET", "/aaa/k", {"traceparent": TRACEPARENT})
    here = TARGET._replace(host_header=b"a:80", one_of_several=True)
    assert headers(planned(authorized, target=here).towards(b"b:80", NOW))[b"traceparent"] == TRACEPARENT.encode()


def test_a_store_with_one_address_keeps_nothing_to_sign_again() -> None:
    sent = planned(admit("GET", "/aaa/k"))
    assert (sent.host, sent._signing) == (b"", None)

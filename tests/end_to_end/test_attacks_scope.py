"""Attacks that name another bucket in the path or as the source of a copy. More of B2: test_copy_source.py."""

import pytest

from tests.support.attacks import OURS, OURS_WITH_BODY, forwarded, names, presigned_head, refusal
from tests.support.house import Recorded
from tests.support.raw_client import RawReply, Signer
from tests.support.recording_upstream import canned, ok

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

COPIED = ok(b'<?xml version="1.0"?><CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>')
METHODS = ("GET", "HEAD", "PUT", "DELETE")
DENIED = (403, "AccessDenied")


def _head(signer: Signer, method: str, target: str, *headers: tuple[str, str]) -> bytes:
    return signer.head(method, target, headers, body=b"" if method in ("PUT", "POST") else None)


def _copy(recorded: Recorded, signer: Signer, source: str) -> bytes:
    recorded.upstream.reset(canned(COPIED))
    return _head(signer, "PUT", "/aaa/to", ("x-amz-copy-source", source))


# ---- copy sources ----


@pytest.fixture(scope="module")
def writer(_recorded: Recorded) -> Signer:
    """May only write to the bucket `aaa`."""
    return _recorded.gateway.signer(_recorded.gateway.create_key("aaa", rights="write_only"))


@pytest.mark.parametrize("target", ["/aaa/to", "/aaa/to?partNumber=1&uploadId=u"])
@pytest.mark.parametrize("source", ["/aaa/secret", "aaa/secret?versionId=1", "/bbb/secret"])
def test_b1_a_key_that_may_only_write_does_not_read_by_copying(
    recorded: Recorded, writer: Signer, source: str, target: str
) -> None:
    assert refusal(recorded, _head(writer, "PUT", target, ("x-amz-copy-source", source))) == DENIED


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("%252Fbbb%252Fsecret", "InvalidArgument"),
        ("aaa%252F..%252Fbbb/secret", "InvalidBucketName"),
        ("%2562bb/secret", "InvalidBucketName"),
        ("+/bbb/secret", "InvalidBucketName"),
        ("bbb+/secret", "InvalidBucketName"),
        ("aaa@bbb/secret", "InvalidBucketName"),
        ("//aaa@bbb/secret", "InvalidArgument"),
        ("aaa;bbb/secret", "InvalidBucketName"),
        ("aaa,bbb/secret", "InvalidBucketName"),
        ("./bbb/secret", "InvalidBucketName"),
        ("../bbb/secret", "InvalidBucketName"),
        ("?versionId=/bbb/secret", "InvalidArgument"),
        ("aaa/mine?versionId=", "InvalidArgument"),
        ("aaa/mine?versionid=1", "InvalidArgument"),
        ("aaa/mine?versionId=../../bbb/secret", "InvalidArgument"),
        ("aaa/mine?versionId=%2e%2e%2f%2e%2e%2fbbb%2fsecret", "InvalidArgument"),
        ("aaa/%c0%ae%c0%ae/bbb/secret", "InvalidURI"),
        ("aaa/%2e%2e%2fbbb%2fsecret", "InvalidURI"),
        ("aaa/\\..\\bbb\\secret", "InvalidURI"),
        ("file:///bbb/secret", "InvalidBucketName"),
        ("s3://bbb/secret", "InvalidBucketName"),
    ],
)
def test_b2_a_copy_source_that_can_be_read_twice_is_refused(recorded: Recorded, source: str, code: str) -> None:
    sent = _head(recorded.scoped, "PUT", "/aaa/to", ("x-amz-copy-source", source))
    assert refusal(recorded, sent) == (400, code)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("aaa/mine,/bbb/secret", b"/aaa/mine%2C/bbb/secret"),
        ("aaa/mine;/bbb/secret", b"/aaa/mine%3B/bbb/secret"),
        ("aaa/mine%2523/bbb", b"/aaa/mine%2523/bbb"),
        ("aaa/%252e%252e/bbb/secret", b"/aaa/%252e%252e/bbb/secret"),
        ("aaa/a\\bbb\\secret", b"/aaa/a%5Cbbb%5Csecret"),
        ("aaa/http://bbb/secret", b"/aaa/http%3A//bbb/secret"),
        ("aaa/mine?versionId=/bbb/secret", b"/aaa/mine?versionId=%2Fbbb%2Fsecret"),
        ("aaa/mine?versionId=1?versionId=/bbb/k", b"/aaa/mine?versionId=1%3FversionId%3D%2Fbbb%2Fk"),
        ("aaa/mine%26versionId%3D2", b"/aaa/mine%26versionId%3D2"),
        ("aaa/mine%0d%0ax-amz-copy-source:/bbb/k", b"/aaa/mine%0D%0Ax-amz-copy-source%3A/bbb/k"),
    ],
)
def test_b2_another_bucket_inside_an_object_key_stays_inside(recorded: Recorded, source: str, sent: bytes) -> None:
    reply = recorded.ask(_copy(recorded, recorded.scoped, source))
    request = recorded.upstream.only_request()
    assert (reply.status, request.line) == (200, b"PUT /aaa/to HTTP/1.1")
    assert request.header(b"x-amz-copy-source") == sent


@pytest.mark.parametrize(
    "source",
    [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/aaa/object/secret",
        "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/object/secret",
        "arn%3Aaws%3As3%3A%3A%3Abbb/secret",
        "tenant:bbb/secret",
        "tenant%3Abbb/secret",
        ":bbb/secret",
        "tenant$bbb/secret",
    ],
)
def test_b3_an_arn_or_a_tenant_is_no_bucket_not_even_for_a_key_for_all(recorded: Recorded, source: str) -> None:
    sent = _head(recorded.signer, "PUT", "/aaa/to", ("x-amz-copy-source", source))
    assert refusal(recorded, sent) == (400, "InvalidBucketName")


@pytest.mark.parametrize("alias", ["aaa-s3alias", "aaa--ol-s3", "aaa--use1-az4--x-s3", "aaa.s3-accesspoint"])
def test_b3_an_alias_that_begins_with_the_bucket_is_another_bucket(recorded: Recorded, alias: str) -> None:
    assert refusal(recorded, _head(recorded.scoped, "GET", f"/{alias}/k")) == DENIED
    sent = _head(recorded.scoped, "PUT", "/aaa/to", ("x-amz-copy-source", f"{alias}/k"))
    assert refusal(recorded, sent) == DENIED


# ---- headers ----


@pytest.mark.parametrize("signed", [True, False])
def test_b4_headers_with_underscores_never_reach_the_store(recorded: Recorded, signed: bool) -> None:
    spelled = (
        "x_amz_acl",
        "x_amz-acl",
        "x-amz_grant_read",
        "x_amz_meta_a",
        "x_amz_tagging",
        "content_type",
        "x_amz_date",
    )
    sent = [(name, "public-read") for name in spelled]
    head = recorded.scoped.head("PUT", "/aaa/k", sent if signed else (), body=b"", unsigned=() if signed else sent)
    assert names(forwarded(recorded, head)) == OURS_WITH_BODY


def test_b4_metadata_with_an_underscore_must_be_signed(recorded: Recorded) -> None:
    sent = [("x-amz-meta-a_b", "1")]
    assert refusal(recorded, recorded.scoped.head("PUT", "/aaa/k", body=b"", unsigned=sent)) == DENIED


UNSIGNED = [
    ("x-amz-copy-source", "/aaa/mine"),
    ("X-AMZ-COPY-SOURCE", "/bbb/secret"),
    ("x-amz-acl", "public-read"),
    ("x-amz-acl", "private"),
    ("x-amz-grant-read", "id=1"),
    ("x-amz-tagging", "a=b"),
    ("x-amz-meta-a", "b"),
    ("x-amz-meta-snowball-auto-extract", "true"),
    ("x-amz-object-lock-mode", "COMPLIANCE"),
    ("x-amz-bypass-governance-retention", "true"),
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-website-redirect-location", "http://evil"),
    ("x-amz-storage-class", "GLACIER"),
    ("x-amz-security-tokens", "t"),
    ("x-amz-", "nameless"),
]


@pytest.mark.parametrize(("name", "value"), UNSIGNED)
def test_b5_an_x_amz_header_nobody_signed_is_refused(recorded: Recorded, name: str, value: str) -> None:
    unsigned = [(name, value)]
    assert refusal(recorded, recorded.signer.head("PUT", "/aaa/k", body=b"", unsigned=unsigned)) == DENIED
    length = ("Content-Length", "0")
    presigned = presigned_head(recorded.signer, "PUT", "/aaa/k", unsigned=[*unsigned, length])
    assert refusal(recorded, presigned) == DENIED


@pytest.mark.parametrize("second", ["x-amz-copy-source", "X-Amz-Copy-Source", "X-AMZ-COPY-SOURCE"])
@pytest.mark.parametrize("sources", [("/aaa/mine", "/bbb/secret"), ("/bbb/secret", "/aaa/mine"), ("/aaa/a", "/aaa/a")])
def test_b6_a_copy_source_sent_twice_is_refused(recorded: Recorded, second: str, sources: tuple[str, str]) -> None:
    head = recorded.scoped.head(
        "PUT", "/aaa/to", [("x-amz-copy-source", sources[0])], body=b"", unsigned=[(second, sources[1])]
    )
    assert refusal(recorded, head) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("x-amz-copy-source=%2Fbbb%2Fsecret", DENIED),
        ("X-Amz-Copy-Source=bbb%2Fsecret", DENIED),
        ("x-amz-copy-source=%2Faaa%2F..%2Fbbb%2Fsecret", (400, "InvalidURI")),
        ("x-amz-acl=public-read", DENIED),
        ("x-amz-grant-read=id%3D1", DENIED),
        ("x-amz-meta-snowball-auto-extract=true", (501, "NotImplemented")),
        ("x-amz-rename-source=%2Fbbb%2Fsecret", (501, "NotImplemented")),
    ],
)
def test_b7_a_header_hoisted_into_a_presigned_query_is_judged_as_a_header(
    recorded: Recorded, query: str, answer: tuple[int, str]
) -> None:
    head = presigned_head(recorded.scoped, "PUT", f"/aaa/to?{query}", unsigned=[("Content-Length", "0")])
    assert refusal(recorded, head) == answer


def test_b7_a_hoisted_copy_source_within_the_scope_leaves_as_a_header_only(recorded: Recorded) -> None:
    recorded.upstream.reset(canned(COPIED))
    target = "/aaa/to?x-amz-copy-source=aaa%2Fmine"
    reply: RawReply = recorded.ask(presigned_head(recorded.scoped, "PUT", target, unsigned=[("Content-Length", "0")]))
    request = recorded.upstream.only_request()
    assert (reply.status, request.line) == (200, b"PUT /aaa/to HTTP/1.1")
    assert request.header(b"x-amz-copy-source") == b"/aaa/mine"


@pytest.mark.parametrize("source", ["/bbb/secret", "secret", "/aaa/mine"])
def test_b8_nothing_is_renamed_into_or_out_of_a_bucket(recorded: Recorded, source: str) -> None:
    for signer in (recorded.scoped, recorded.signer):
        head = _head(signer, "PUT", "/aaa/to?renameObject=", ("x-amz-rename-source", source))
        assert refusal(recorded, head) == (501, "NotImplemented")


# ---- paths ----


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    [
        "/aaa/../bbb/k",
        "/aaa/..",
        "/aaa/../",
        "/aaa/.",
        "/aaa/x/../../bbb/k",
        "/aaa/x/../y",
        "/aaa/%2e%2e/bbb/k",
        "/aaa/%2E%2E/bbb/k",
        "/aaa/.%2e/bbb/k",
        "/aaa/%2e./bbb/k",
        "/aaa/%2e%2e%2fbbb%2fk",
        "/aaa/..%2Fbbb/k",
        "/aaa/k/%2e",
        "/aaa/./k",
        "/aaa//../bbb/k",
        "/aaa/%2f../bbb/k",
        "/aaa/..%5Cbbb%5Ck",  # SeaweedFS takes a backslash for a slash
        "/aaa/a%5C..%5C..%5Cbbb",
        "/aaa/a%5c%2e%2e/bbb",
    ],
)
def test_b9_dot_segments_are_refused_in_every_spelling(recorded: Recorded, path: str, method: str) -> None:
    assert refusal(recorded, _head(recorded.scoped, method, path)) == (400, "InvalidURI")


@pytest.mark.parametrize("name", ["prefix", "marker", "start-after", "continuation-token", "key-marker"])
@pytest.mark.parametrize("walk", ["..%2Fbbb%2F", "a%2F..%2F..%2Fbbb%2F", ".%2F", "a%2F.%2Fb"])
def test_b9_dot_segments_are_refused_where_a_list_begins(recorded: Recorded, name: str, walk: str) -> None:
    kind = {"marker": "", "key-marker": "uploads=&"}.get(name, "list-type=2&")
    head = _head(recorded.scoped, "GET", f"/aaa?{kind}{name}={walk}")
    assert refusal(recorded, head) == (400, "InvalidArgument")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    ["//", "//bbb/k", "///bbb/k", "//aaa/k", "//aaa/../bbb/k", "/%2Fbbb/k", "/%2f", "/./bbb/k", "/../bbb/k", "/;/bbb"],
)
def test_b10_an_empty_first_segment_is_no_bucket(recorded: Recorded, path: str, method: str) -> None:
    assert refusal(recorded, _head(recorded.scoped, method, path)) == (400, "InvalidBucketName")


ENCODED = [
    "/%62bb/k", "/b%62b/k", "/%61aa/k", "/aaa%2F..%2Fbbb/k", "/aaa%2Fk", "/aaa%2f", "/aaa%00", "/aaa%00/k",
    "/aaa%20/k", "/aaa%0a/k", "/aaa%3F/k", "/aaa%23/k", "/%2e%2e/bbb/k", "/bbb%2Fk", "/aaa%5C..%5Cbbb/k",
    "/%2562bb/k", "/aaa*/k", "/*/k", "/a*a/k", "/aaa,bbb/k", "/aaa;bbb/k", "/aaa:bbb/k", "/aaa@bbb/k", "/[a]aa/k",
    "/aaa./k", "/aaa../k", "/.aaa/k", "/-aaa/k", "/aaa-/k", "/aaa_b/k", "/a..a/k", "/127.0.0.1/k", "/aa/k",
]  # fmt: skip


@pytest.mark.parametrize("path", ENCODED)
def test_b11_an_encoded_bucket_segment_is_no_bucket_not_even_for_a_key_for_all(recorded: Recorded, path: str) -> None:
    for signer in (recorded.scoped, recorded.signer):
        for method in ("GET", "PUT"):
            assert refusal(recorded, _head(signer, method, path)) == (400, "InvalidBucketName")


@pytest.mark.parametrize("bucket", ["aaaa", "aaab", "aaa-b", "aaa.b", "b.aaa", "baaa", "aab", "aaa0", "a-aa"])
def test_b11_a_scope_is_an_exact_name_and_no_prefix(recorded: Recorded, bucket: str) -> None:
    for method in METHODS:
        assert refusal(recorded, _head(recorded.scoped, method, f"/{bucket}/k")) == DENIED


@pytest.mark.parametrize(
    "path",
    ["/aaa/%252e%252e/bbb/k", "/aaa/..%252Fbbb/k", "/aaa/%252F..%252Fbbb", "/aaa/%25%32%65%25%32%65/bbb", "/aaa/%2500"],
)
def test_b12_what_was_authorized_is_what_is_sent_and_nothing_is_decoded_again(recorded: Recorded, path: str) -> None:
    canonical = path.replace("%32%65", "2e")
    head = _head(recorded.scoped, "GET", canonical).replace(canonical.encode(), path.encode(), 1)
    request = forwarded(recorded, head)
    assert (request.line, names(request)) == (b"GET %b HTTP/1.1" % canonical.encode(), OURS)


@pytest.mark.parametrize(
    "object_key",
    [
        "k%00",
        "%00",
        "a%00/../../bbb",
        "%c0%ae%c0%ae/bbb",
        "%e0%80%ae",
        "%ed%a0%80",
        "%ed%b0%80",
        "%ff",
        "%c3",
        "%f5%80%80%80",
    ],
)
def test_b13_nul_and_what_is_not_utf_8_is_refused(recorded: Recorded, object_key: str) -> None:
    for method in METHODS:
        assert refusal(recorded, _head(recorded.scoped, method, f"/aaa/{object_key}")) == (400, "InvalidURI")


@pytest.mark.parametrize(
    "object_key",
    [
        "a%5Cbbb%5Ck",
        "...%5Cbbb%5Ck",
        "%E2%80%A5/bbb/k",  # a two-dot leader
        "%EF%BC%8E%EF%BC%8E/bbb/k",  # full-width dots
        "%EF%BC%8F..%EF%BC%8Fbbb",  # full-width slashes
        "%E2%88%95..%E2%88%95bbb",  # a division slash
        "caf%C3%A9",
        "cafe%CC%81",
        "..%3B/bbb/k",
        "..%20/bbb/k",
        "...//bbb/k",
        "%0D%0AHost%3A%20bbb",
    ],
)
def test_b13_look_alikes_of_dots_and_slashes_go_on_byte_for_byte(recorded: Recorded, object_key: str) -> None:
    request = forwarded(recorded, _head(recorded.scoped, "GET", f"/aaa/{object_key}"))
    assert (request.line, names(request)) == (b"GET /aaa/%b HTTP/1.1" % object_key.encode(), OURS)


def test_b13_a_semicolon_in_a_query_is_data_and_leaves_encoded(recorded: Recorded) -> None:
    canonical = "/aaa?list-type=2&prefix=a%3Bdelete%3D%3Bx"
    head = _head(recorded.scoped, "GET", canonical).replace(b"prefix=a%3Bdelete%3D%3Bx", b"prefix=a;delete=;x", 1)
    assert forwarded(recorded, head).line == b"GET %b HTTP/1.1" % canonical.encode()

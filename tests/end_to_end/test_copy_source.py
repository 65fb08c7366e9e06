"""Every spelling by which a key for bucket `aaa` could copy out of `bbb`. The upstream must see no connection."""

import pytest

from tests.support.house import Recorded
from tests.support.raw_client import RawReply, Signer
from tests.support.recording_upstream import canned, ok

COPIED = ok(b'<?xml version="1.0"?><CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>')
# What real stores make of these differs: the same bytes name three different buckets.
SPELLINGS = (
    "/bbb/secret",
    "bbb/secret",
    "bbb%2Fsecret",
    "%2Fbbb%2Fsecret",
    "%62bb/secret",
    "//bbb/secret",
    "///bbb/secret",
    "//aaa/bbb/secret",
    "%2F/bbb/secret",
    "/%2Fbbb/secret",
    "aaa:/bbb/secret",
    "http://aaa/bbb/secret",
    "http://bbb/secret",
    "https://aaa.example.com/bbb/secret",
    "aaa/secret#x",
    "aaa/../bbb/secret",
    "/aaa/../bbb/secret",
    "/aaa/%2e%2e/bbb/secret",
    "/aaa%2F..%2Fbbb/secret",
    "/aaa/./secret",
    "aaa%00/secret",
    "/aaa/secret%00",
    "/aaa%2Fbbb%2F..%2F..%2Fbbb%2Fsecret",
    "\\bbb\\secret",
    "aaa\\..\\bbb/secret",
    "AAA/secret",
    "BBB/secret",
    "aaa./secret",
    "bbb/secret?versionId=1",
    "aaa/secret?versionId=1&versionId=2",
    "aaa/secret?versionId=1&x=/bbb/secret",
    "aaa/secret?x=1",
    "bbb/aaa/secret",
    "tenant:bbb/secret",
    "aaa:bbb/secret",
    "arn:aws:s3:us-east-1:123456789012:accesspoint/aaa/object/secret",
    "arn:aws:s3:::bbb/secret",
    "bbb-s3alias/secret",
    "aaa",
    "/aaa",
    "aaa/",
    "/",
    "/aaa/%zz",
    "/aaa/%ff",
    "aaa%/secret",
)
TARGETS = ("/aaa/stolen", "/aaa/stolen?partNumber=1&uploadId=u")


def _refused(recorded: Recorded, reply: RawReply) -> None:
    assert reply.status in (400, 403)
    assert reply.code in {"AccessDenied", "InvalidArgument", "InvalidBucketName", "InvalidRequest", "InvalidURI"}
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_another_bucket_leaves_the_gateway(recorded: Recorded, spelling: str, target: str) -> None:
    head = recorded.scoped.head("PUT", target, [("x-amz-copy-source", spelling)], body=b"")
    _refused(recorded, recorded.ask(head))


@pytest.mark.parametrize("spelling", ["/bbb/secret", "bbb%2Fsecret"])
def test_a_copy_source_in_the_query_is_authorized_like_the_header(recorded: Recorded, spelling: str) -> None:
    target = "/aaa/stolen?x-amz-copy-source=" + spelling.replace("%", "%25").replace("/", "%2F")
    reply = recorded.ask(recorded.scoped.head("PUT", target, body=b""))
    assert reply.status in (400, 403, 501)
    recorded.upstream.assert_untouched()


def test_an_unsigned_copy_source_is_refused(recorded: Recorded) -> None:
    head = recorded.signer.head("PUT", "/aaa/stolen", body=b"", unsigned=[("x-amz-copy-source", "/bbb/secret")])
    reply = recorded.ask(head)
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert b"<HeadersNotSigned>x-amz-copy-source</HeadersNotSigned>" in reply.body
    recorded.upstream.assert_untouched()


def test_two_copy_sources_are_refused(recorded: Recorded) -> None:
    sources = [("x-amz-copy-source", "/aaa/mine"), ("x-amz-copy-source", "/bbb/secret")]
    assert recorded.ask(recorded.scoped.head("PUT", "/aaa/stolen", sources, body=b"")).status == 400
    recorded.upstream.assert_untouched()


def test_a_copy_source_spelled_with_underscores_is_dropped(recorded: Recorded) -> None:
    unsigned = [("x_amz_copy_source", "/bbb/secret"), ("x-amz_copy-source", "/bbb/secret")]
    assert recorded.ask(recorded.scoped.head("PUT", "/aaa/plain", body=b"", unsigned=unsigned)).status == 200
    assert b"secret" not in recorded.upstream.only_request().head


@pytest.mark.parametrize("header", ["x-amz-rename-source", "x-amz-write-offset-bytes", "x-amz-fwd-status"])
def test_relatives_of_copy_source_are_refused(recorded: Recorded, header: str) -> None:
    reply = recorded.ask(recorded.scoped.head("PUT", "/aaa/stolen", [(header, "/bbb/secret")], body=b""))
    assert reply.status in (403, 501)
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize("header", ["x-amz-meta-snowball-auto-extract", "x-amz-snowball-extract"])
def test_archives_are_not_unpacked_into_other_buckets(recorded: Recorded, header: str) -> None:
    reply = recorded.ask(recorded.scoped.head("PUT", "/aaa/k.tar", [(header, "true")], body=b""))
    assert reply.status in (403, 501)
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize(
    ("spelling", "forwarded"),
    [
        ("/aaa/mine", b"/aaa/mine"),
        ("aaa/mine", b"/aaa/mine"),
        ("aaa%2Fmine", b"/aaa/mine"),
        ("%2Faaa%2Fa%20b%2f%c3%bc", b"/aaa/a%20b/%C3%BC"),
        ("/aaa/a+b", b"/aaa/a%20b"),
        ("/aaa/a%2Bb", b"/aaa/a%2Bb"),
        ("/aaa//two", b"/aaa//two"),
        ("aaa/mine?versionId=v1", b"/aaa/mine?versionId=v1"),
        ("/aaa/mine%3FversionId=v1", b"/aaa/mine%3FversionId%3Dv1"),
    ],
)
def test_a_copy_inside_the_scope_leaves_regenerated(recorded: Recorded, spelling: str, forwarded: bytes) -> None:
    recorded.upstream.reset(canned(COPIED))
    reply = recorded.ask(recorded.scoped.head("PUT", "/aaa/to", [("x-amz-copy-source", spelling)], body=b""))
    assert reply.status == 200
    assert recorded.upstream.only_request().header(b"x-amz-copy-source") == forwarded


def test_the_same_copy_is_open_to_a_key_for_both_buckets(recorded: Recorded) -> None:
    recorded.upstream.reset(canned(COPIED))
    signer: Signer = recorded.signer
    assert recorded.ask(signer.head("PUT", "/aaa/to", [("x-amz-copy-source", "bbb/k")], body=b"")).status == 200
    assert recorded.upstream.only_request().header(b"x-amz-copy-source") == b"/bbb/k"

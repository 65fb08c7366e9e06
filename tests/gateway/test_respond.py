"""What reaches the client: the store's replies filtered, its errors and documents rewritten, our own answers."""

import xml.etree.ElementTree as ET

import pytest

from gateway.authorize import Authorized
from gateway.respond import (
    ReplyAction,
    ReplyRules,
    error_reply,
    list_buckets_reply,
    plan_reply,
    reachable_buckets,
    rebuild,
)
from gateway.s3.errors import Code, S3Error
from gateway.s3.listing import ListedBucket
from keystore.access_key import TenureOf
from keystore.bucket_claims import UNCLAIMED, Tenure
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.admitted import admit, reply_head, unclaimed

ID = b"0123456789ABCDEF"
RULES = ReplyRules(b"eu-central-1", hidden=("store.internal", "akiastore"))
GET = admit("GET", "/aaa/k")
HEAD = admit("HEAD", "/aaa/k")
COPY = admit("PUT", "/aaa/k", {"x-amz-copy-source": "/aaa/from"})
COMPLETE = admit("POST", "/aaa/a%20b?uploadId=u", host="gw.example:9000")
NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>gone</Message><HostId>store.internal</HostId></Error>"


def relayed(status: int, headers: list[tuple[bytes, bytes]], authorized: Authorized = GET) -> bytes:
    planned = plan_reply(reply_head(status, headers), authorized, ID, RULES)
    assert planned.action is ReplyAction.RELAY
    return planned.head


def rebuilt(
    status: int, body: bytes, authorized: Authorized = GET, *headers: tuple[bytes, bytes]
) -> tuple[bytes, bytes]:
    reply = reply_head(status, list(headers))
    assert plan_reply(reply, authorized, ID, RULES).action is not ReplyAction.RELAY
    head, document = rebuild(reply, body, authorized, ID, RULES)
    check_head(head)
    return head, document


def check_head(head: bytes) -> None:
    """Status line and header lines, each ended, without framing; both ids are ours and once."""
    assert head.startswith(b"HTTP/1.1 ")
    assert head.endswith(b"\r\n")
    assert not head.endswith(b"\r\n\r\n")
    for framing in (b"content-length", b"transfer-encoding", b"connection"):
        assert b"\r\n" + framing + b":" not in head
    assert head.count(b"x-amz-request-id: " + ID) == head.count(b"x-amz-id-2: ") == 1


def status_of(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def code_of(document: bytes) -> str | None:
    return ET.fromstring(document).findtext("Code")


# ---- relayed ----


def test_a_relayed_head_is_the_stores_filtered_with_our_ids() -> None:
    headers = [(b"etag", b'"e"'), (b"server", b"Ceph"), (b"x-amz-request-id", b"tx0"), (b"content-length", b"9")]
    head = relayed(200, headers)
    check_head(head)
    assert head == b'HTTP/1.1 200 OK\r\netag: "e"\r\nx-amz-request-id: %b\r\nx-amz-id-2: %b\r\n' % (ID, ID)


@pytest.mark.parametrize("status", [200, 204, 206, 304])
def test_these_pass_with_their_status(status: int) -> None:
    assert status_of(relayed(status, [])) == status


def test_a_range_answered_with_200_becomes_206() -> None:
    head = relayed(200, [(b"content-range", b"bytes 0-1/9"), (b"x-amz-checksum-crc32", b"AAAAAA==")])
    assert status_of(head) == 206
    assert b"checksum" not in head


def test_an_unlisted_status_still_has_a_status_line() -> None:
    assert relayed(299, []).startswith(b"HTTP/1.1 299 \r\n")


def test_an_interim_answer_at_the_end_is_nonsense() -> None:
    with pytest.raises(S3Error) as refused:
        plan_reply(reply_head(101, []), GET, ID, RULES)
    assert refused.value.code is Code.INTERNAL_ERROR


def test_the_region_is_the_one_we_report() -> None:
    theirs = [(b"x-amz-bucket-region", b"store-region")]
    assert b"store-region" not in relayed(200, theirs)
    head = relayed(200, theirs, admit("HEAD", "/aaa"))
    assert b"x-amz-bucket-region: eu-central-1\r\n" in head
    assert b"store-region" not in head


def test_a_made_bucket_is_located_at_its_name() -> None:
    head = relayed(200, [(b"location", b"http://store.internal/aaa")], admit("PUT", "/aaa"))
    assert b"location: /aaa\r\n" in head
    assert b"store.internal" not in head


def test_the_plain_list_streams_and_one_with_owners_does_not() -> None:
    reply = reply_head(200, [])
    assert plan_reply(reply, admit("GET", "/aaa?list-type=2"), ID, RULES).action is ReplyAction.RELAY
    for target in ("/aaa?list-type=2&fetch-owner=true", "/aaa", "/aaa?versions", "/aaa?uploads", "/aaa/k?uploadId=u"):
        assert plan_reply(reply, admit("GET", target), ID, RULES).action is ReplyAction.REBUILD


# ---- documents ----


def test_owners_in_lists_are_the_account() -> None:
    body = b"<ListBucketResult><Contents><Key>k</Key><Owner><ID>store</ID></Owner></Contents></ListBucketResult>"
    _, document = rebuilt(200, body, admit("GET", "/aaa"), (b"content-type", b"application/xml"))
    assert document == body.replace(b"<ID>store</ID>", b"<ID>default</ID><DisplayName>default</DisplayName>")


def test_the_location_of_a_bucket_is_our_region() -> None:
    body = b"<LocationConstraint>store-region</LocationConstraint>"
    _, document = rebuilt(200, body, admit("GET", "/aaa?location"))
    assert ET.fromstring(document).text == "eu-central-1"


def test_a_completed_upload_is_located_where_the_client_reached_it() -> None:
    body = (
        b'<?xml version="1.0"?><CompleteMultipartUploadResult><Location>http://store.internal/aaa/a%20b</Location>'
        b"<Bucket>aaa</Bucket><Key>a b</Key><ETag>e-1</ETag></CompleteMultipartUploadResult>"
    )
    planned = plan_reply(reply_head(200, []), COMPLETE, ID, RULES)
    assert planned.action is ReplyAction.TRICKLE
    check_head(planned.head)
    _, document = rebuilt(200, b"   \n" + body, COMPLETE)
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUploadResult>')
    found = ET.fromstring(document)
    assert found.findtext("Location") == "http://gw.example:9000/aaa/a%20b"
    assert [found.findtext(tag) for tag in ("Bucket", "Key", "ETag")] == ["aaa", "a b", "e-1"]
    _, secure = rebuild(reply_head(200, []), body, COMPLETE, ID, RULES._replace(scheme=b"https"))
    assert b"<Location>https://gw.example:9000/" in secure


def test_a_hostile_host_does_not_break_the_document() -> None:
    authorized = admit("POST", "/aaa/k?uploadId=u", host="<x>&")
    _, document = rebuilt(200, b"<R><Location/></R>", authorized)
    assert ET.fromstring(document).findtext("Location") == "http://<x>&/aaa/k"


@pytest.mark.parametrize("authorized", [COPY, COMPLETE])
def test_an_error_inside_a_200_keeps_its_code_and_loses_the_store(authorized: Authorized) -> None:
    head, document = rebuilt(200, b"  \n " + NO_SUCH_KEY, authorized)
    assert (status_of(head), code_of(document)) == (200, "NoSuchKey")
    assert b"store.internal" not in document
    _, ours = rebuilt(200, NO_SUCH_KEY.replace(b"NoSuchKey", b"SignatureDoesNotMatch"), authorized)
    assert code_of(ours) == "InternalError"


@pytest.mark.parametrize("body", [b"", b"  \n", b"OK"])
def test_success_without_a_document_is_not_success(body: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        rebuild(reply_head(200, []), body, COPY, ID, RULES)
    assert refused.value.code is Code.INTERNAL_ERROR


def test_a_compressed_document_cannot_be_rewritten() -> None:
    with pytest.raises(S3Error):
        rebuild(reply_head(200, [(b"content-encoding", b"gzip")]), b"\x1f\x8b", admit("GET", "/aaa"), ID, RULES)


# ---- errors of the store ----


def test_an_error_of_the_store_is_written_anew() -> None:
    head, document = rebuilt(404, NO_SUCH_KEY, GET, (b"server", b"Ceph"), (b"x-amz-delete-marker", b"true"))
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\ncontent-type: application/xml\r\n")
    assert b"x-amz-delete-marker: true\r\n" in head
    found = ET.fromstring(document)
    texts = {child.tag: child.text for child in found}
    assert texts | {"HostId": ""} == {
        "Code": "NoSuchKey", "Message": "gone", "Resource": "/aaa/k", "RequestId": ID.decode(), "HostId": "",
    }  # fmt: skip
    assert b"store.internal" not in document


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_b10_a_redirect_of_the_store_is_500_and_names_nothing(status: int) -> None:
    body = b"<Error><Code>TemporaryRedirect</Code><Message>m</Message><Endpoint>store.internal</Endpoint></Error>"
    theirs = ((b"location", b"http://store.internal/aaa/k"), (b"x-amz-version-id", b"v"))
    head, document = rebuilt(status, body, GET, *theirs)
    assert b"version-id" not in head
    assert (status_of(head), code_of(document)) == (500, "InternalError")
    assert b"store.internal" not in head + document


def test_a_busy_store_passes_with_its_message_and_says_when_to_come_again() -> None:
    body = b"<Error><Code>SlowDown</Code><Message>easy</Message></Error>"
    head, document = rebuilt(503, body, GET, (b"retry-after", b"7"))
    assert (status_of(head), code_of(document)) == (503, "SlowDown")
    assert head.count(b"retry-after: 7\r\n") == head.count(b"retry-after") == 1
    head, document = rebuilt(503, b"<html>")
    assert (status_of(head), code_of(document)) == (503, "ServiceUnavailable")
    assert head.count(b"retry-after") == 1


def test_a_failed_head_has_no_document() -> None:
    head, document = rebuilt(404, b"", HEAD)
    assert document == b""
    assert b"x-amz-error-code: NoSuchKey\r\n" in head
    head, _ = rebuilt(403, b"", HEAD)
    assert status_of(head) == 403


@pytest.mark.parametrize("name", [b"x-minio-error-code", b"x-amz-error-code"])
def test_a_failed_head_about_our_credential_is_an_internal_error(name: bytes) -> None:
    head, _ = rebuilt(403, b"", HEAD, (name, b"SignatureDoesNotMatch"))
    assert status_of(head) == 500
    assert b"Signature" not in head


# ---- ours ----


def test_a_refusal_is_s3_xml_with_the_same_id_in_header_and_document() -> None:
    error = S3Error(Code.REQUEST_TIME_TOO_SKEWED, extra=(("ServerTime", "t"),))
    head, document = error_reply(error, ID, head_request=False, resource="/aaa/<k>")
    check_head(head)
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncache-control: private\r\n")
    found = ET.fromstring(document)
    assert found.findtext("Code") == "RequestTimeTooSkewed"
    assert found.findtext("ServerTime") == "t"
    assert found.findtext("Resource") == "/aaa/<k>"
    assert found.findtext("RequestId") == ID.decode()


def test_retry_after_is_said_where_it_is_set() -> None:
    error = S3Error(Code.SERVICE_UNAVAILABLE, retry_after=1)
    assert b"retry-after: 1\r\n" in error_reply(error, ID, head_request=False, resource="/")[0]
    assert b"retry-after" not in error_reply(S3Error(Code.SLOW_DOWN), ID, head_request=False, resource="/")[0]


def test_a_refused_head_says_code_and_message_in_headers() -> None:
    error = S3Error(Code.ACCESS_DENIED, message="no\r\nx: y – ü")
    head, document = error_reply(error, ID, head_request=True, resource="/")
    check_head(head)
    assert document == b""
    assert b"x-amz-error-code: AccessDenied\r\nx-amz-error-message: no x: y    \r\n" in head


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_answer(code: Code) -> None:
    head, document = error_reply(S3Error(code), ID, head_request=False, resource="/")
    assert status_of(head) == code.status
    assert code_of(document) == code.wire_name


# ---- ListBuckets ----


def listed(authorized: Authorized, tenure_of: TenureOf = unclaimed) -> list[str | None]:
    buckets = [ListedBucket(name, "2026-01-02T03:04:05.000Z") for name in ("aaa", "aab", "bbb")]
    reachable = reachable_buckets(authorized, buckets, tenure_of)
    head, document = list_buckets_reply(authorized, reachable, ID, RULES)
    check_head(head)
    return [name.text for name in ET.fromstring(document).iterfind(".//{*}Bucket/{*}Name")]


def test_the_list_of_buckets_is_filtered_by_scope() -> None:
    assert listed(admit("GET", "/")) == ["aaa", "aab", "bbb"]
    assert listed(admit("GET", "/", scope=SpecificBuckets((BucketGrant("aab"), BucketGrant("zzz"))))) == ["aab"]
    assert listed(admit("GET", "/", account="another")) == []


def test_the_list_of_buckets_is_filtered_by_whose_they_are() -> None:
    def tenure_of(bucket: str) -> Tenure:
        return Tenure("another", 1) if bucket == "aab" else UNCLAIMED

    assert listed(admit("GET", "/"), tenure_of) == ["aaa", "bbb"]
    assert listed(admit("GET", "/", account="another"), tenure_of) == ["aab"]
    granted_before = SpecificBuckets((BucketGrant("aaa"), BucketGrant("aab")))
    assert listed(admit("GET", "/", scope=granted_before), tenure_of) == ["aaa"]


def test_the_list_of_buckets_is_filtered_first_and_paged_after() -> None:
    scope = SpecificBuckets((BucketGrant("aab"), BucketGrant("bbb")))
    assert listed(admit("GET", "/?max-buckets=1", scope=scope)) == ["aab"]
    assert listed(admit("GET", "/?prefix=b", scope=scope)) == ["bbb"]
    assert listed(admit("GET", "/?bucket-region=eu-central-1", scope=scope)) == ["aab", "bbb"]
    assert listed(admit("GET", "/?bucket-region=mars", scope=scope)) == []

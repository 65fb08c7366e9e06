"""The table of request headers: what goes on, what stays, what is refused."""

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.header_policy import VERDICTS, choose_headers
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import HeaderNames
from gateway.s3.operation import classify
from keystore.scope import AllBuckets, Rights
from tests.support.admitted import access_key, admit, authenticated, parsed

FULL = AllBuckets()
READ_WRITE = AllBuckets(Rights.READ_WRITE)


def chosen(method: str, target: str, name: str, value: str = "v", **more: str) -> dict[bytes, bytes]:
    """The headers that would go on, when `name` is sent; a copy source is added where the operation needs one."""
    return dict(admit(method, target, {name: value, **more}).headers)


def refusal(name: str, value: str = "v", *, method: str = "PUT", scope: AllBuckets = FULL) -> S3Error:
    with pytest.raises(S3Error) as refused:
        admit(method, "/aaa/k", {name: value}, scope=scope)
    return refused.value


@pytest.mark.parametrize(
    "name",
    [
        "content-type", "content-language", "content-disposition", "cache-control", "expires", "if-match",
        "if-none-match", "x-amz-meta-a", "x-amz-meta-a_b", "x-amz-tagging", "x-amz-storage-class",
        "x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-key-md5", "x-amz-checksum-crc32",
        "x-amz-sdk-checksum-algorithm", "x-amz-website-redirect-location", "x-amz-request-payer", "content-md5",
    ],
)  # fmt: skip
def test_what_s3_says_of_an_object_goes_on_unchanged(name: str) -> None:
    assert chosen("PUT", "/aaa/k", name, "v  w").get(name.encode()) == b"v  w"


def test_what_terraform_says_with_every_lifecycle_goes_on() -> None:
    name, value = "x-amz-transition-default-minimum-object-size", "all_storage_classes_128K"
    assert chosen("PUT", "/aaa?lifecycle", name, value) == {name.encode(): value.encode()}


@pytest.mark.parametrize("name", ["range", "if-range", "if-none-match", "if-modified-since", "x-amz-checksum-mode"])
def test_what_narrows_a_read_goes_on(name: str) -> None:
    assert chosen("GET", "/aaa/k", name) == {name.encode(): b"v"}


@pytest.mark.parametrize(
    "name",
    [
        "connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization", "proxy-connection", "expect",
        "via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cookie", "user-agent",
        "accept-encoding", "accept", "x-http-method-override", "x-http-method", "x-original-url", "x-rewrite-url",
        "x-minio-extract", "x-minio-force-delete", "x-minio-source-etag", "x-minio-replication-actual-object-size",
        "minio-x", "x-rgw-object", "rgwx-uid", "x-ceph-meta", "x-goog-acl", "x-oss-acl", "x-obs-acl", "x-cos-acl",
        "x-emc-namespace", "x-auth-token", "x-storage-token", "x-container-read", "x-object-manifest", "x-copy-from",
        "destination", "seaweed-tag", "amz-sdk-request", "origin", "access-control-request-method", "x-unheard-of",
        "x-amz-user-agent", "x-amz-te", "x-amz-decoded-content-length", "x-amz-trailer", "authorization",
    ],
)  # fmt: skip
def test_what_belongs_to_the_hop_or_to_another_protocol_stays(name: str) -> None:
    assert chosen("GET", "/aaa/k", name) == {}


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-unheard-of", "x-amz-rename-source", "x-amz-rename-source-if-match", "x-amz-write-offset-bytes",
        "x-amz-fwd-status", "x-amz-fwd-header-etag", "x-amz-request-route", "x-amz-request-token",
        "x-amz-create-session-mode", "x-amz-mfa", "x-amz-skip-destination-validation", "x-amz-client-token",
        "x-amz-confirm-remove-self-bucket-access", "x-amz-bucket-namespace", "x-amz-bucket-object-lock-token",
    ],
)  # fmt: skip
def test_an_unknown_or_denied_x_amz_header_is_501_and_named(name: str) -> None:
    error = refusal(name)
    assert (error.code, name in error.message) == (Code.NOT_IMPLEMENTED, True)
    assert error.extra == (("Header", name),)


def test_every_request_header_of_the_s3_model_has_an_answer() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    shapes = [model.operation_model(name).input_shape for name in model.operation_names]
    members = [member.serialization for shape in shapes if shape for member in shape.members.values()]
    names = {entry["name"].lower().encode() for entry in members if entry.get("location") == "header"}
    assert len(names) > 60
    assert all(name.startswith(b"x-amz-") for name in names - VERDICTS.keys()), "a header of S3 would be lost silently"


# ---- attacks ----


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-snowball-auto-extract", "x-amz-snowball-extract", "x-amz-meta-minio-snowball-prefix",
        "x-amz-meta-snowball_auto_extract", "x-amz-meta-minio-snowball-ignore-dirs",
    ],
)  # fmt: skip
def test_b20_no_archive_is_unpacked_into_keys_nobody_checked(name: str) -> None:
    assert refusal(name, "true").code is Code.NOT_IMPLEMENTED


@pytest.mark.parametrize("acl", ["public-read", "public-read-write", "authenticated-read", "log-delivery-write", ""])
def test_b22_a_canned_acl_that_opens_data_is_403(acl: str) -> None:
    assert refusal("x-amz-acl", acl).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("acl", ["private", "bucket-owner-read", "bucket-owner-full-control"])
def test_b22_a_canned_acl_that_opens_nothing_goes_on(acl: str) -> None:
    assert chosen("PUT", "/aaa/k", "x-amz-acl", acl)[b"x-amz-acl"] == acl.encode()


@pytest.mark.parametrize("who", ["full-control", "read", "read-acp", "write", "write-acp"])
def test_b22_grants_in_headers_are_403(who: str) -> None:
    assert (
        refusal(f"x-amz-grant-{who}", "uri=http://acs.amazonaws.com/groups/global/AllUsers").code is Code.ACCESS_DENIED
    )


@pytest.mark.parametrize("ownership", ["ObjectWriter", "BucketOwnerPreferred"])
def test_b22_object_ownership_does_not_bring_acls_back(ownership: str) -> None:
    with pytest.raises(S3Error) as refused:
        admit("PUT", "/aaa", {"x-amz-object-ownership": ownership})
    assert refused.value.code is Code.ACCESS_DENIED
    enforced = admit("PUT", "/aaa", {"x-amz-object-ownership": "BucketOwnerEnforced"})
    assert enforced.headers == [(b"x-amz-object-ownership", b"BucketOwnerEnforced")]


LOCKS = ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold")


@pytest.mark.parametrize("name", LOCKS)
def test_locking_an_object_needs_the_right_to_configure(name: str) -> None:
    assert refusal(name, "COMPLIANCE", scope=READ_WRITE).code is Code.ACCESS_DENIED
    assert chosen("PUT", "/aaa/k", name, "COMPLIANCE")[name.encode()] == b"COMPLIANCE"


def test_b25_bypassing_governance_needs_the_right_to_configure() -> None:
    name = "x-amz-bypass-governance-retention"
    assert refusal(name, "true", method="DELETE", scope=READ_WRITE).code is Code.ACCESS_DENIED
    assert chosen("DELETE", "/aaa/k", name, "true")[name.encode()] == b"true"
    assert admit("DELETE", "/aaa/k", {name: "false"}, scope=READ_WRITE).headers == []
    assert chosen("PUT", "/aaa/k?retention", name, "true")[name.encode()] == b"true"


@pytest.mark.parametrize("name", ["x-amz-security-token", "x-amz-s3session-token"])
def test_b32_a_session_token_is_refused_and_never_joins_the_stores_credential(name: str) -> None:
    assert refusal(name, "FwoGZXIvYXdzE").code is Code.INVALID_TOKEN


@pytest.mark.parametrize("name", ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"])
def test_the_expected_owner_is_compared_with_the_account_and_stays_here(name: str) -> None:
    assert refusal(name, "123456789012").code is Code.ACCESS_DENIED
    assert chosen("PUT", "/aaa/k", name, "default") == {}


def repeated(name: bytes) -> list[tuple[bytes, bytes]]:
    """What would go on of a PUT in which `name` came twice."""
    request = parsed("PUT", "/aaa/k", {name.decode(): "1,2"})
    request.names = HeaderNames(request.names.lowered, frozenset({name}))
    return choose_headers(authenticated(request, access_key(FULL)), classify(request))


@pytest.mark.parametrize("name", [b"content-type", b"range", b"if-match", b"x-amz-copy-source", b"x-amz-storage-class"])
def test_b6_a_header_sent_twice_is_refused_wherever_it_has_a_meaning(name: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        repeated(name)
    assert refused.value.code is Code.INVALID_REQUEST


def test_repeated_metadata_goes_on_as_one_list_and_other_names_stay_unread() -> None:
    assert repeated(b"x-amz-meta-a") == [(b"x-amz-meta-a", b"1,2")]
    assert repeated(b"via") == []


def test_b37_connection_takes_nothing_out_of_what_was_signed() -> None:
    """Nobody signs Connection: with it, the holder of a presigned URL could drop a condition its issuer put in."""
    for listed in ("close, Range", "range", "Keep-Alive,\tRANGE"):
        with pytest.raises(S3Error) as refused:
            chosen("GET", "/aaa/k", "range", "bytes=0-1", connection=listed)
        assert refused.value.code is Code.INVALID_REQUEST
    assert chosen("GET", "/aaa/k", "via", "x", connection="close, via") == {}
    assert chosen("GET", "/aaa/k", "range", "bytes=0-1", connection="keep-alive") == {b"range": b"bytes=0-1"}


# ---- values ----


@pytest.mark.parametrize("value", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "a\0b", "a\x1bb", "\x7f"])
@pytest.mark.parametrize("name", ["x-amz-meta-a", "content-type", "x-amz-tagging", "range"])
def test_b33_no_control_character_leaves_in_a_value(name: str, value: str) -> None:
    assert refusal(name, value).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "grün", "\x80\xff", "~!*'();:@&=+$,/?#[]"])
def test_blanks_tabs_and_bytes_beyond_ascii_pass_as_they_came(value: str) -> None:
    assert chosen("PUT", "/aaa/k", "x-amz-meta-a", value) == {b"x-amz-meta-a": value.encode("latin-1")}


@given(st.binary(max_size=40))
def test_a_value_goes_on_unchanged_or_not_at_all(value: bytes) -> None:
    try:
        headers = admit("PUT", "/aaa/k", {"x-amz-meta-a": value.decode("latin-1")}).headers
    except S3Error as error:
        if error.code is not Code.INVALID_ARGUMENT:
            raise
    else:
        assert headers == [(b"x-amz-meta-a", value)]
        assert not set(value) & {0, 10, 13}


@pytest.mark.parametrize("name", ["x-amz-meta-a b", "x-amz-meta-a:b", "x-amz-meta-a\r\nx", "x-amz-meta-ü"])
def test_a_hoisted_metadata_name_must_be_a_token(name: str) -> None:
    assert refusal(name).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", b"gzip"),
        ("gzip, aws-chunked", b"gzip"),
        ("AWS-Chunked , aws-chunked", None),
        ("aws-chunked, br,aws-chunked,gzip", b"br,gzip"),
        ("gzip", b"gzip"),
        ("x-aws-chunked", b"x-aws-chunked"),
    ],
)
def test_content_encoding_loses_the_transport_and_keeps_the_objects(sent: str, forwarded: bytes | None) -> None:
    assert chosen("PUT", "/aaa/k", "content-encoding", sent).get(b"content-encoding") == forwarded


def test_digests_of_a_rebuilt_document_stay_and_those_of_an_object_go_on() -> None:
    body = {"content-md5": "m", "x-amz-checksum-crc32": "c", "x-amz-sdk-checksum-algorithm": "CRC32"}
    assert admit("POST", "/aaa?delete", body).headers == []
    completed = dict(admit("POST", "/aaa/k?uploadId=u", body | {"x-amz-checksum-type": "FULL_OBJECT"}).headers)
    assert completed[b"x-amz-checksum-crc32"] == b"c"
    assert completed[b"x-amz-checksum-type"] == b"FULL_OBJECT"
    assert b"content-md5" not in completed


def test_a_copy_source_where_nothing_is_copied_is_refused() -> None:
    assert refusal("x-amz-copy-source", "/aaa/k", method="DELETE").code is Code.INVALID_REQUEST
    upload = admit("PUT", "/aaa/k").operation
    request = parsed("PUT", "/aaa/k", {"x-amz-copy-source": "/bbb/secret"})
    with pytest.raises(S3Error) as refused:
        choose_headers(authenticated(request, access_key(FULL)), upload)
    assert refused.value.code is Code.INVALID_REQUEST


def test_a_hoisted_name_cannot_write_a_line_of_its_own_into_the_log() -> None:
    request = parsed("GET", "/aaa/k", {})
    request.headers = {**request.headers, b"x-amz-\nfake line": b"1"}
    with pytest.raises(S3Error) as refused:
        choose_headers(authenticated(request, access_key(FULL)), classify(request))
    assert "\n" not in refused.value.reason + refused.value.message

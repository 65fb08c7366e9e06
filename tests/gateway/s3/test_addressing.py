"""Which bucket a request names: every spelling has one reading, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.addressing import (
    Addressing,
    bucket_of_host,
    check_bucket,
    check_object_key,
    check_reference,
    locate,
)
from gateway.s3.errors import Code, S3Error
from gateway.s3.uri import decode
from keystore.scope import BUCKET_NAME

NOTHING: frozenset[str] = frozenset()
PATH_STYLE = Addressing((), frozenset({"minio"}), dot_segments=False)
HOSTED = Addressing((b"gw.example", b"s3.gw.example"), frozenset({"minio"}), dot_segments=False)


def located(path: bytes, host: bytes = b"any.host", addressing: Addressing = PATH_STYLE) -> tuple[str, bytes, bool]:
    return locate(host, path, decode(path), addressing)


def refusal(path: bytes, host: bytes = b"any.host", addressing: Addressing = PATH_STYLE) -> Code:
    with pytest.raises(S3Error) as caught:
        located(path, host, addressing)
    return caught.value.code


# ---- path style ----


@pytest.mark.parametrize(
    ("path", "bucket", "object_key"),
    [
        (b"/", "", b""),
        (b"/bucket", "bucket", b""),
        (b"/bucket/", "bucket", b""),
        (b"/bucket/k", "bucket", b"k"),
        (b"/bucket//k", "bucket", b"/k"),
        (b"/bucket/k/", "bucket", b"k/"),
        (b"/bucket/%2Fk", "bucket", b"/k"),
        (b"/bucket/a%20b%2Bc+d", "bucket", b"a b+c+d"),
        (b"/bucket/%C3%A4", "bucket", b"\xc3\xa4"),
        (b"/bucket/a%5Cb", "bucket", b"a\\b"),
        (b"/bucket/other/k", "bucket", b"other/k"),
        (b"/bucket/...", "bucket", b"..."),
        (b"/bucket/.a/b.", "bucket", b".a/b."),
    ],
)
def test_the_first_segment_is_the_bucket_and_the_rest_the_object_key(
    path: bytes, bucket: str, object_key: bytes
) -> None:
    assert located(path) == (bucket, object_key, False)


@pytest.mark.parametrize("path", [b"//bucket/k", b"//", b"///", b"//bucket"])
def test_an_empty_bucket_segment_is_refused(path: bytes) -> None:
    assert refusal(path) is Code.INVALID_BUCKET_NAME


@pytest.mark.parametrize(
    "path",
    [
        b"/%62ucket/k",
        b"/a%2F..%2Fbucket",
        b"/bucket%2Fk",
        b"/bucket%00/k",
        b"/bucket%2f",
        b"/Bucket/k",
        b"/bu_cket/k",
        b"/ab",
        b"/.minio.sys/k",
        b"/..",
        b"/.",
        b"/a..b/k",
        b"/192.168.0.1/k",
        b"/bucket-/k",
        b"/tenant:bucket/k",
        b"/arn:aws:s3:::bucket/k",
        b"/WriteGetObjectResponse",
        b"/-/health",
        b"/" + b"a" * 64,
    ],
)
def test_a_bucket_segment_is_a_bucket_name_letter_for_letter(path: bytes) -> None:
    assert refusal(path) is Code.INVALID_BUCKET_NAME


def test_a_name_that_the_store_keeps_for_itself_is_no_bucket() -> None:
    assert refusal(b"/minio/admin/v3/list-users") is Code.INVALID_BUCKET_NAME
    assert refusal(b"/k", b"minio.gw.example", HOSTED) is Code.INVALID_BUCKET_NAME


# ---- virtual-hosted style ----


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        (b"gw.example", None),
        (b"GW.Example:9000", None),
        (b"gw.example.", None),
        (b"gw.example.:443", None),
        (b"s3.gw.example", None),
        (b"127.0.0.1:9000", None),
        (b"[::1]:9000", None),
        (b"[::1]", None),
        (b"localhost:9000", None),
        (b"bucket.gw.example", b"bucket"),
        (b"Bucket.gw.example:9000", b"bucket"),
        (b"a.b.gw.example", b"a.b"),
        (b"bucket.s3.gw.example", b"bucket"),  # not bucket.s3 of the shorter domain
        (b"b.gw.a.gw.example", b"b.gw.a"),
    ],
)
def test_a_host_names_the_bucket_before_the_longest_domain(host: bytes, bucket: bytes | None) -> None:
    assert bucket_of_host(host, HOSTED.domains) == bucket


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"a.gw.example.evil", b"agw.example", b"gw.example:80:80", b"gw.example:x", b"::1", b"."],
)
def test_a_host_that_is_not_served_is_refused(host: bytes) -> None:
    assert refusal(b"/bucket/k", host, HOSTED) is Code.BAD_REQUEST


@pytest.mark.parametrize("host", [b"bucket.gw.example", b"evil.example", b"x"])
def test_without_domains_every_host_is_path_style(host: bytes) -> None:
    assert located(b"/other/k", host)[0] == "other"


def test_the_path_of_a_virtual_hosted_request_is_all_object_key() -> None:
    host = b"aaa.gw.example"
    assert located(b"/bbb/k", host, HOSTED) == ("aaa", b"bbb/k", True)
    assert located(b"//k", host, HOSTED) == ("aaa", b"/k", True)
    assert located(b"/", host, HOSTED) == ("aaa", b"", True)


@pytest.mark.parametrize("host", [b"a_b.gw.example", b"%61aa.gw.example", b".gw.example", b"x@aaa.gw.example"])
def test_a_host_label_is_a_bucket_name_or_refused(host: bytes) -> None:
    assert refusal(b"/k", host, HOSTED) is Code.INVALID_BUCKET_NAME


# ---- object keys ----


@pytest.mark.parametrize(
    "path",
    [
        *(b"../other/k", b"%2e%2e/other/k", b".%2e/k", b"x/../../other", b"./k", b"k/.", b"k/..", b"%2E", b"a/%2E/b"),
        *(b"..", b"..%5Cother", b"x%5c..%5C..%5Cother", b"x%5C../k", b"k%5C."),
    ],
)
def test_a_dot_segment_is_refused_however_it_is_spelled(path: bytes) -> None:
    assert refusal(b"/bucket/" + path) is Code.INVALID_URI
    assert refusal(b"/" + path, b"bucket.gw.example", HOSTED) is Code.INVALID_URI


@pytest.mark.parametrize("path", [b"/", b"//", b"%2F", b"%5C", b"%5C/", b"/%5c%2f"])
def test_an_object_key_of_separators_is_refused(path: bytes) -> None:
    """SeaweedFS and rclone take it for the bucket: DELETE removes an empty one, PUT makes one on rclone."""
    assert refusal(b"/bucket/" + path) is Code.INVALID_URI
    opaque = PATH_STYLE._replace(dot_segments=True)
    assert located(b"/bucket/" + path, addressing=opaque)[0] == "bucket"


def test_dot_segments_pass_where_the_store_keeps_object_keys_opaque() -> None:
    opaque = PATH_STYLE._replace(dot_segments=True)
    assert located(b"/bucket/a/../b", addressing=opaque)[1] == b"a/../b"


@pytest.mark.parametrize("path", [b"a%00b", b"%ff", b"%C0%AE%C0%AE/k", b"%ED%A0%80", b"a%80"])
def test_an_object_key_is_utf8_without_nul(path: bytes) -> None:
    assert refusal(b"/bucket/" + path) is Code.INVALID_URI


def test_an_object_key_has_at_most_1024_bytes() -> None:
    assert len(located(b"/bucket/" + b"a" * 1024)[1]) == 1024
    assert refusal(b"/bucket/" + b"a" * 1025) is Code.KEY_TOO_LONG
    assert refusal(b"/bucket/" + b"%C3%A4" * 513) is Code.KEY_TOO_LONG


@pytest.mark.parametrize("object_key", ["‥/x", "．．/x", "ä", "a\u0308", "\ufeff"])
def test_look_alikes_are_kept_byte_for_byte(object_key: str) -> None:
    check_object_key(object_key.encode(), dot_segments=False)


def test_what_a_file_system_would_walk_along_is_no_reference() -> None:
    for value in (b"../b/", b"a/../b", b"./a", b"x/..", b"..", b"/../b", b"\xff", b"a\0", b"a\\..\\b", b"..\\b"):
        with pytest.raises(S3Error) as caught:
            check_reference(value, dot_segments=False)
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_prefix_may_end_in_the_middle_of_a_dotted_name() -> None:
    for value in (b".", b"a/.", b"a\\.", b".a", b"a/..b", b"a.", b"2~ab.c_d-e"):
        check_reference(value, dot_segments=False)
    check_reference(b"../a", dot_segments=True)


# ---- laws ----


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_a_bucket_name_or_refused(raw: bytes) -> None:
    try:
        name = check_bucket(raw, NOTHING)
    except S3Error:
        return
    assert name.encode() == raw
    assert BUCKET_NAME.fullmatch(name)


@given(st.binary(max_size=40), st.sampled_from([PATH_STYLE, HOSTED]))
def test_arbitrary_hosts_and_paths_raise_only_refusals(tail: bytes, addressing: Addressing) -> None:
    for host, path in ((tail, b"/bucket/k"), (b"aaa.gw.example", b"/" + tail), (b"gw.example", b"/" + tail)):
        try:
            bucket, object_key, _ = located(path, host, addressing)
        except S3Error:
            continue
        assert bucket == "" or BUCKET_NAME.fullmatch(bucket)
        assert bucket or not object_key

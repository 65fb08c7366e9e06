"""ListBuckets: the store's list read, pages of it written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.listing import ListedBucket, page, read_buckets, render_buckets
from gateway.s3.xml import NAMESPACE, parse

DATE = "2026-01-02T03:04:05.678Z"


def listed(*names: str) -> list[ListedBucket]:
    return [ListedBucket(name, DATE) for name in names]


def names(buckets: list[ListedBucket]) -> list[str]:
    return [bucket.name for bucket in buckets]


# ---- reading the store's answer ----


@pytest.mark.parametrize("namespace", ["", f' xmlns="{NAMESPACE}"', ' xmlns="http://doc.s3.amazonaws.com/2006-03-01"'])
def test_the_stores_list_is_read_under_any_namespace(namespace: str) -> None:
    body = (
        f"<?xml version='1.0'?><ListAllMyBucketsResult{namespace}><Owner><ID>store</ID></Owner><Buckets>"
        f"<Bucket><Name>aaa</Name><CreationDate>{DATE}</CreationDate><BucketRegion>x</BucketRegion></Bucket>\n"
        "<Bucket><CreationDate>2026-05-06T07:08:09+00:00</CreationDate><Name>bbb</Name></Bucket></Buckets>"
        "<ContinuationToken>next</ContinuationToken></ListAllMyBucketsResult>"
    )
    buckets = [ListedBucket("aaa", DATE), ListedBucket("bbb", "2026-05-06T07:08:09+00:00")]
    assert read_buckets(body.encode()) == (buckets, "next")


@pytest.mark.parametrize("inside", ["", "<Buckets/>", "<Buckets></Buckets><ContinuationToken/>"])
def test_a_store_without_buckets_has_none(inside: str) -> None:
    assert read_buckets(f"<ListAllMyBucketsResult>{inside}</ListAllMyBucketsResult>".encode()) == ([], None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"<Error><Code>InvalidAccessKeyId</Code></Error>",
        b"<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>",
        b"<!DOCTYPE a><ListAllMyBucketsResult/>",
    ],
)
def test_an_answer_that_is_no_list_is_an_internal_error_not_an_empty_list(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        read_buckets(body)
    assert caught.value.code is Code.INTERNAL_ERROR


# ---- paging ----


def test_buckets_come_by_name_and_all_at_once_unless_asked_otherwise() -> None:
    assert page(listed("bbb", "aaa", "ccc"), {}) == (listed("aaa", "bbb", "ccc"), None)


def test_a_prefix_picks_by_the_beginning_of_the_name() -> None:
    assert names(page(listed("ab1", "b-ab", "ab2"), {b"prefix": b"ab"})[0]) == ["ab1", "ab2"]
    assert page(listed("aaa"), {b"prefix": b"\xff"}) == ([], None)


def test_a_page_ends_where_it_was_asked_to_and_says_where_to_go_on() -> None:
    buckets = listed("aaa", "bbb", "ccc")
    first, token = page(buckets, {b"max-buckets": b"2"})
    assert names(first) == ["aaa", "bbb"]
    assert token is not None
    assert page(buckets, {b"max-buckets": b"2", b"continuation-token": token.encode()}) == (listed("ccc"), None)


def test_a_token_stays_good_when_its_bucket_is_gone() -> None:
    _, token = page(listed("aaa", "bbb", "ccc"), {b"max-buckets": b"2"})
    assert token is not None
    assert names(page(listed("aaa", "ccc"), {b"continuation-token": token.encode()})[0]) == ["ccc"]


@pytest.mark.parametrize("value", [b"0", b"10001", b"-1", b"+5", b" 5", b"5_0", b"", b"x", "５".encode(), b"5\n"])
def test_a_number_of_buckets_is_1_to_10000(value: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        page(listed("aaa"), {b"max-buckets": value})
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("token", [b"%", b"a", b"!!!!", b"_w==", b"\xff"])
def test_a_token_that_is_none_is_refused(token: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        page(listed("aaa"), {b"continuation-token": token})
    assert caught.value.code is Code.INVALID_ARGUMENT


@given(st.sets(st.from_regex(r"[a-z0-9]{3,6}", fullmatch=True), max_size=12), st.integers(1, 5))
def test_pages_together_are_every_bucket_once_in_order(found: set[str], most: int) -> None:
    seen: list[str] = []
    query = {b"max-buckets": str(most).encode()}
    while True:
        shown, token = page(listed(*found), query)
        seen += names(shown)
        if token is None:
            break
        assert len(shown) == most
        query[b"continuation-token"] = token.encode()
    assert seen == sorted(found)


@given(st.binary(max_size=20), st.binary(max_size=6))
def test_arbitrary_tokens_and_numbers_raise_only_refusals(token: bytes, most: bytes) -> None:
    with contextlib.suppress(S3Error):
        page(listed("aaa", "bbb"), {b"continuation-token": token, b"max-buckets": most})


# ---- writing ----


def test_a_page_names_the_account_as_owner_and_keeps_the_stores_dates() -> None:
    document = render_buckets(listed("aaa"), owner="acme & co", prefix="a", token="t")
    owner = "<Owner><ID>acme &amp; co</ID><DisplayName>acme &amp; co</DisplayName></Owner>"
    bucket = f"<Bucket><Name>aaa</Name><CreationDate>{DATE}</CreationDate></Bucket>"
    assert document.decode().endswith(
        f'<ListAllMyBucketsResult xmlns="{NAMESPACE}">{owner}<Buckets>{bucket}</Buckets>'
        "<ContinuationToken>t</ContinuationToken><Prefix>a</Prefix></ListAllMyBucketsResult>"
    )


def test_an_empty_page_is_an_empty_list() -> None:
    document = render_buckets([], owner="default", prefix="", token=None)
    assert b"<Buckets></Buckets></ListAllMyBucketsResult>" in document


@given(st.lists(st.builds(ListedBucket, st.from_regex(r"[a-z0-9]{3,9}", fullmatch=True), st.just(DATE)), max_size=5))
def test_what_is_written_reads_back(buckets: list[ListedBucket]) -> None:
    document = render_buckets(buckets, owner="default", prefix="", token="next")
    assert read_buckets(document) == (buckets, "next")
    assert parse(document) is not None

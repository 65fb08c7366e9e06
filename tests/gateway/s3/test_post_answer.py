from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.post_answer import (
    Stored,
    Success,
    location_of,
    post_response,
    read_success,
    redirect_location,
)
from gateway.s3.post_fields import Expanded

ETAG = b'"43281e21fce675ac3bcb3524b38ca4ed"'
KEY = "user/a b&c=d#é.txt".encode()
STORED = Stored(location_of(b"http://gw.example/bucket", KEY), "bucket", KEY, ETAG)


def success(**fields: bytes) -> Success:
    return read_success(Expanded({name.encode(): value for name, value in fields.items()}))


@pytest.mark.parametrize(
    ("asked", "status"), [(b"200", 200), (b"201", 201), (b"204", 204), (b"", 204), (b"404", 204), (b"0200", 204)]
)
def test_a_status_is_one_of_three_and_204_when_it_is_none(asked: bytes, status: int) -> None:
    assert success(success_action_status=asked) == Success(status, None)
    assert success() == Success(204, None)


@pytest.mark.parametrize("url", [b"https://a.example/done", b"HTTP://[::1]:8080?x=y", b"http://a.example"])
def test_a_redirect_goes_before_a_status(url: bytes) -> None:
    assert success(success_action_redirect=url, success_action_status=b"201") == Success(303, url)
    assert success(redirect=url) == Success(303, url)


def test_the_newer_name_of_the_redirect_wins() -> None:
    assert success(redirect=b"http://old/", success_action_redirect=b"http://new/").redirect == b"http://new/"


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"/relative",
        b"//a.example/",
        b"javascript:alert(1)",
        b"data:text/html,x",
        b"ftp://a.example/",
        b"https:a.example",
        b"https://",
        b"https:///path",
        b"https://a.example\\@b.example/",
        b"https://a.example@b.example/",
        b"https://a.example/\r\nSet-Cookie: a=b",
        b"https://a.example/\n",
        b"https://a.example/ b",
        b"https://a.example/\xc3\xa9",
        b"https://a.example:99999x/",
        b' https://a.example/"',
    ],
)
def test_a_redirect_that_is_no_web_address_counts_as_absent(url: bytes) -> None:
    assert success(success_action_redirect=url, success_action_status=b"200") == Success(200, None)


@pytest.mark.parametrize("url", [b"https://a.example/done", b"https://a.example/?x=1&y=2", b"https://a.example#top"])
def test_the_redirect_names_bucket_key_and_etag_in_its_query(url: bytes) -> None:
    parts = urlsplit(redirect_location(url, STORED).decode("ascii"))
    query = parse_qs(parts.query)
    assert query["bucket"] == ["bucket"]
    assert query["key"] == [KEY.decode()]
    assert query["etag"] == [ETAG.decode()]
    assert parts.fragment == urlsplit(url).fragment.decode()
    assert parts.hostname == "a.example"
    assert query.keys() - {"bucket", "key", "etag"} == parse_qs(urlsplit(url.decode()).query).keys()


def test_the_location_encodes_the_whole_key() -> None:
    assert STORED.location == b"http://gw.example/bucket/user%2Fa%20b%26c%3Dd%23%C3%A9.txt"


def test_the_document_of_a_201_has_no_namespace_and_four_elements() -> None:
    root = fromstring(post_response(STORED))
    assert root.tag == "PostResponse"
    assert [(child.tag, child.text) for child in root] == [
        ("Location", STORED.location.decode()),
        ("Bucket", "bucket"),
        ("Key", KEY.decode()),
        ("ETag", ETAG.decode()),
    ]


@given(st.binary(max_size=80), st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_no_redirect_and_no_key_makes_a_second_header_line(url: bytes, object_key: str) -> None:
    stored = STORED._replace(object_key=object_key.encode("utf-8", "ignore"))
    for attempt in (url, b"https://a.example/" + url):
        redirect = success(success_action_redirect=attempt).redirect
        if redirect is not None:
            assert redirect_location(redirect, stored).decode("ascii").isprintable()
    fromstring(post_response(stored))

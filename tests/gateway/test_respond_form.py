"""What an upload form is answered once the store took its file."""

import xml.etree.ElementTree as ET

import pytest

from gateway.authorize import Authorized
from gateway.respond import ReplyAction, ReplyRules, form_reply, plan_reply, rebuild
from gateway.s3.post_answer import Success
from tests.support.admitted import admit, reply_head

ID = b"0123456789ABCDEF"
RULES = ReplyRules(b"eu-central-1", scheme=b"https")
FORM = admit("PUT", "/aaa/dir/a%20b%C3%A9", sha256=None, host="gw.example:9000")
STORED = [
    (b"etag", b'"abc"'),
    (b"x-amz-version-id", b"v1"),
    (b"content-length", b"0"),
    (b"content-type", b"text/html"),
    (b"cache-control", b"max-age=9"),
    (b"set-cookie", b"a=b"),
    (b"x-amz-request-id", b"theirs"),
    (b"connection", b"close"),
]


def answered(success: Success, authorized: Authorized = FORM) -> tuple[int, dict[str, str], bytes]:
    head, document = form_reply(reply_head(200, STORED), authorized, success, ID, RULES)
    status_line, *lines = head.decode().split("\r\n")
    assert lines.pop() == ""
    names = [line.partition(": ")[0] for line in lines]
    assert len(names) == len(set(names))
    return int(status_line.split(" ")[1]), dict(line.split(": ", 1) for line in lines), document


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_has_the_stores_etag_and_our_address_of_the_object(status: int) -> None:
    found, headers, document = answered(Success(status, None))
    assert (found, document) == (status, b"")
    assert headers == {
        "etag": '"abc"',
        "x-amz-version-id": "v1",
        "location": "https://gw.example:9000/aaa/dir%2Fa%20b%C3%A9",
        "x-amz-request-id": ID.decode(),
        "x-amz-id-2": ID.decode(),
    }


def test_a_201_names_the_object_in_a_document() -> None:
    status, headers, document = answered(Success(201, None))
    root = ET.fromstring(document)
    assert (status, headers["content-type"]) == (201, "application/xml")
    assert {child.tag: child.text for child in root} == {
        "Location": headers["location"],
        "Bucket": "aaa",
        "Key": "dir/a bé",
        "ETag": '"abc"',
    }


def test_a_303_sends_the_browser_on_with_bucket_key_and_etag() -> None:
    status, headers, document = answered(Success(303, b"https://app.example/done?x=1#end"))
    assert (status, document) == (303, b"")
    wanted = "https://app.example/done?x=1&bucket=aaa&key=dir%2Fa%20b%C3%A9&etag=%22abc%22#end"
    assert headers["location"] == wanted


def test_a_virtual_hosted_form_is_answered_in_its_own_style() -> None:
    form = admit("PUT", "/k", sha256=None, host="aaa.s3.example", domains=(b"s3.example",))
    assert answered(Success(204, None), form)[1]["location"] == "https://aaa.s3.example/k"


@pytest.mark.parametrize("status", [403, 404, 500, 307])
def test_an_error_of_the_store_is_that_of_an_upload(status: int) -> None:
    reply = reply_head(status, [])
    assert plan_reply(reply, FORM, ID, RULES).action is ReplyAction.REBUILD
    head, document = rebuild(reply, b"", FORM, ID, RULES)
    assert b"<Error>" in document
    assert b"location:" not in head

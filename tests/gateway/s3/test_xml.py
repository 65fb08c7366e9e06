"""XML at the border: what is written is well-formed whatever it says, what is read can do nothing but be read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, MAX_TAGS, NAMESPACE, error_document, escape, local_name, parse, read_error


def refused(body: bytes) -> bool:
    with pytest.raises(S3Error) as caught:
        parse(body)
    return caught.value.code is Code.MALFORMED_XML


def test_an_error_document_has_the_elements_of_s3_in_order() -> None:
    document = error_document("AccessDenied", "No.", "/b/k", "0123456789ABCDEF", (("Region", "us-east-1"),))
    assert document == DECLARATION.encode() + (
        b"<Error><Code>AccessDenied</Code><Message>No.</Message><Region>us-east-1</Region><Resource>/b/k</Resource>"
        b"<RequestId>0123456789ABCDEF</RequestId><HostId>0123456789ABCDEF</HostId></Error>"
    )


def test_markup_in_a_message_stays_text() -> None:
    document = error_document("C", "</Message><Code>&amp;", "/<b>", "1")
    assert read_error(document) == ("C", "</Message><Code>&amp;")


@given(st.text(alphabet=st.characters()))
def test_any_text_survives_but_for_what_xml_cannot_hold(text: str) -> None:
    found = parse(f"<a>{escape(text)}</a>".encode()).text or ""
    holdable = "".join(
        char
        for char in text
        if char in "\t\n\r"
        or ("\x20" <= char <= "\ud7ff")
        or ("\ue000" <= char <= "\ufffd")
        or ("\U00010000" <= char <= "\U0010ffff")
    )
    assert found == holdable


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://example.org/x">%x;]><a/>',
        b'<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a/>',
        b"<!DOCTYPE a><a/>",
        b'<?xml version="1.0"?>\n<!-- c --><!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><a>&b;</a>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16-le"),
        b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4<a/>',
        b'\xef\xbb\xbf<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    ],
)
def test_a_dtd_is_refused_in_every_dress(body: bytes) -> None:
    assert refused(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"\0",
        b"text",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a/>trailing",
        b"<a>&undefined;</a>",
        b"<a>&#xD800;</a>",
        b"<a>&#0;</a>",
        b"<a>\xff</a>",
        b"<a>\xed\xa0\x80</a>",
        b"<a b=1/>",
        "<a>x</a>".encode("utf-16"),
        b'<?xml version="1.0" encoding="cp1252"?><a>\xe4</a>',
    ],
)
def test_what_is_no_utf8_document_is_refused(body: bytes) -> None:
    assert refused(body)


def test_a_declared_encoding_changes_no_byte() -> None:
    assert parse('<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode()).text == "ä"


def test_a_byte_order_mark_and_comments_are_passed_over() -> None:
    assert parse(b"\xef\xbb\xbf<?xml version='1.0'?><!-- c --><a>x<!-- <b> --><?p i?>y</a>").text == "xy"


def test_a_document_of_nothing_but_tags_is_refused_before_it_is_read() -> None:
    most = (MAX_TAGS - 2) // 2
    assert len(parse(b"<a>" + b"<b></b>" * most + b"</a>")) == most
    assert refused(b"<a>" + b"<b></b>" * (most + 1) + b"</a>")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("<Key/>", "Key"),
        (f'<Key xmlns="{NAMESPACE}"/>', "Key"),
        (f'<s3:Key xmlns:s3="{NAMESPACE}"/>', "Key"),
        ('<Key xmlns="http://example.org/"/>', "{http://example.org/}Key"),
    ],
)
def test_the_namespace_of_s3_and_none_are_the_same_and_another_is_not(tag: str, name: str) -> None:
    assert local_name(parse(tag.encode())) == name


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>", ("NoSuchKey", "gone")),
        (b"<Error>\n  <Code> NoSuchKey </Code>\n</Error>", ("NoSuchKey", "")),
        (b'<Error xmlns="http://example.org/"><Code>X</Code></Error>', ("X", "")),
        (b"<Error><Message>m</Message></Error>", None),
        (b"<html><Code>X</Code></html>", None),
    ],
)
def test_an_error_of_the_store_is_read_for_code_and_message(body: bytes, said: tuple[str, str] | None) -> None:
    assert read_error(body) == said


@given(st.binary(max_size=80))
def test_arbitrary_bytes_parse_or_are_malformed(body: bytes) -> None:
    for document in (body, b"<a>" + body + b"</a>", b"<?xml " + body + b"?><a/>"):
        with contextlib.suppress(S3Error):
            parse(document)

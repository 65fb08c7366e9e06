"""The second bucket of a copy: whatever the spelling, the bucket that is checked is the bucket that is written."""

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.copy_source import CopySource, parse_copy_source, render
from gateway.s3.errors import Code, S3Error


def parsed(value: bytes, *, dot_segments: bool = False) -> CopySource:
    return parse_copy_source(value, dot_segments=dot_segments)


def refusal(value: bytes) -> Code:
    with pytest.raises(S3Error) as caught:
        parsed(value)
    return caught.value.code


@pytest.mark.parametrize(
    "value",
    [
        b"/bbb/secret",
        b"bbb/secret",
        b"bbb%2Fsecret",
        b"%2Fbbb%2Fsecret",
        b"%2fbbb/secret",
        b"/%62bb/secret",
        b"/bbb/%73ecret",
    ],
)
def test_every_spelling_that_stores_read_as_one_bucket_is_that_bucket(value: bytes) -> None:
    assert parsed(value) == CopySource("bbb", b"secret", None)
    assert render(parsed(value)) == b"/bbb/secret"


@pytest.mark.parametrize(
    "value",
    [
        b"//bbb/secret",
        b"%2F/bbb/secret",
        b"//aaa/bbb/secret",
        b"aaa:/bbb/secret",
        b"http://aaa/bbb/secret",
        b"aaa/k#x",
        b"/aaa/k?versionId=v#x",
        b"tenant:bbb/secret",
        b"arn:aws:s3:eu-west-1:123456789012:accesspoint/x/object/k",
        b"arn:aws:s3-outposts:eu-west-1:123456789012:outpost/o/object/k",
        b"",
        b"/",
        b"bbb",
        b"/bbb",
        b"/bbb/",
        b"?versionId=v",
        b"BBB/secret",
        b"../bbb/secret",
        b"aaa/../bbb/secret",
        b"aaa%2F..%2Fbbb%2Fsecret",
        b"aaa/%2e%2e/bbb/secret",
        b"aaa%00/secret",
        b"aaa/k%00",
        b"aaa/%ff",
        b"aaa/%C0%AE%C0%AE",
        b"aaa/%",
        b"aaa/%zz",
        b" aaa/k",
        b"aaa/k?",
        b"aaa/k?versionId",
        b"aaa/k?versionId=",
        b"aaa/k?versionId=a&versionId=b",
        b"aaa/k?versionId=a&x=b",
        b"aaa/k?x=versionId=a",
        b"aaa/k?VersionId=a",
        b"aaa/k?versionId=..%2F..%2Fbbb%2Fsecret",
        b"aaa/k?versionId=%ff",
        b"aaa/k?acl",
    ],
)
def test_a_spelling_that_stores_read_differently_is_refused(value: bytes) -> None:
    assert refusal(value) in (Code.INVALID_ARGUMENT, Code.INVALID_BUCKET_NAME, Code.INVALID_URI)


def test_a_raw_plus_is_a_space_and_leaves_as_one() -> None:
    assert render(parsed(b"/aaa/a+b%2Bc")) == b"/aaa/a%20b%2Bc"


def test_an_encoded_question_mark_belongs_to_the_object_key() -> None:
    assert parsed(b"/aaa/k%3FversionId=v") == CopySource("aaa", b"k?versionId=v", None)
    assert render(parsed(b"/aaa/k%3FversionId=v")) == b"/aaa/k%3FversionId%3Dv"


def test_a_version_is_decoded_once_and_written_anew() -> None:
    assert parsed(b"/aaa/k?versionId=a%2Bb") == CopySource("aaa", b"k", b"a+b")
    assert render(parsed(b"/aaa/k?versionId=a%2Bb")) == b"/aaa/k?versionId=a%2Bb"


def test_an_object_key_keeps_its_slashes() -> None:
    assert parsed(b"/aaa//k/") == CopySource("aaa", b"/k/", None)
    assert render(parsed(b"/aaa//k/")) == b"/aaa//k/"


def test_dot_segments_pass_where_the_store_keeps_object_keys_opaque() -> None:
    assert parsed(b"/aaa/x/../k", dot_segments=True).object_key == b"x/../k"


def test_an_object_key_that_is_too_long_is_refused() -> None:
    assert refusal(b"/aaa/" + b"k" * 1025) is Code.KEY_TOO_LONG


# ---- laws ----


@given(st.binary(max_size=60))
def test_arbitrary_bytes_name_a_source_or_are_refused(value: bytes) -> None:
    for spelled in (value, b"/aaa/" + value, b"aaa/k?versionId=" + value):
        try:
            source = parsed(spelled)
        except S3Error:
            continue
        assert parsed(render(source)) == source


object_keys = st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text and "." not in text)


@given(object_keys, st.none() | st.from_regex(r"[A-Za-z0-9~+_/=-]{1,40}", fullmatch=True))
def test_what_is_rendered_parses_to_itself(object_key: str, version_id: str | None) -> None:
    source = CopySource("bucket", object_key.encode(), None if version_id is None else version_id.encode())
    assert parsed(render(source)) == source


def _as_stores_read(path: bytes) -> set[bytes]:
    """The buckets that a reader could see: decoding before or after splitting, any number of leading slashes gone."""
    decoded = unquote_to_bytes(path)
    readings = {decoded.lstrip(b"/").split(b"/")[0], decoded.removeprefix(b"/").split(b"/")[0]}
    readings.add(unquote_to_bytes(path.removeprefix(b"/").split(b"/")[0]).removeprefix(b"/").split(b"/")[0])
    return readings


PIECES = ["aaa", "bbb", "/", "%2F", "%2f", "..", ".", "%61", "#", ":", "http:", "%25", "+", "k"]


@given(st.lists(st.sampled_from(PIECES)))
def test_what_is_accepted_is_read_alike_by_every_store(pieces: list[str]) -> None:
    value = "".join(pieces).encode()
    try:
        source = parsed(value)
    except S3Error:
        return
    written = render(source)
    assert _as_stores_read(written) == {source.bucket.encode()}
    assert source.bucket.encode() in _as_stores_read(value)


@given(st.lists(st.sampled_from([True, False]), min_size=10, max_size=10))
def test_any_encoding_of_any_letter_gives_the_same_source(encoded: list[bool]) -> None:
    text = "bbb/secret"
    value = "".join(f"%{ord(char):02x}" if hide else quote(char) for char, hide in zip(text, encoded, strict=True))
    assert parsed(value.encode()) == CopySource("bbb", b"secret", None)

"""Percent-encoding: one spelling out, strict reading in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.uri import decode, decode_query, encode

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_is_kept_if_unreserved_and_encoded_upper_case_otherwise(byte: int) -> None:
    raw = bytes([byte])
    expected = raw if raw in UNRESERVED else b"%%%02X" % byte
    assert encode(raw, keep_slash=False) == expected
    assert encode(raw, keep_slash=True) == (b"/" if raw == b"/" else expected)


@given(st.binary())
def test_what_is_encoded_decodes_to_itself(raw: bytes) -> None:
    assert decode(encode(raw, keep_slash=True)) == raw
    assert decode(encode(raw, keep_slash=False)) == raw
    assert decode_query(encode(raw, keep_slash=False)) == raw


def test_decoding_happens_once() -> None:
    assert decode(b"%252e%2f%41") == b"%2e/A"


def test_plus_is_a_space_in_a_query_and_a_plus_in_a_path() -> None:
    assert decode_query(b"a+b%2Bc") == b"a b+c"
    assert decode(b"a+b") == b"a+b"


@pytest.mark.parametrize("raw", [b"%", b"a%4", b"%zz", b"%%41", b"%4g", b"%+1", b"% 1", b"%\n4", b"%0x", b"%4_1"])
def test_an_escape_without_two_hex_digits_is_refused(raw: bytes) -> None:
    for reads in (decode, decode_query):
        with pytest.raises(S3Error) as caught:
            reads(raw)
        assert caught.value.code is Code.INVALID_URI


@given(st.binary())
def test_arbitrary_bytes_decode_or_are_refused(raw: bytes) -> None:
    try:
        decoded = decode(raw)
    except S3Error:
        return
    assert decode(encode(decoded, keep_slash=True)) == decoded

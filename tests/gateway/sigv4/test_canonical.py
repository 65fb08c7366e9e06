"""AWS's published S3 examples, each step on its own, and each mutated in one byte."""

import hashlib
import hmac
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sigv4.canonical import (
    canonical_block,
    canonical_query,
    canonical_request,
    canonical_value,
    layout,
    string_to_sign,
)
from keystore.derived import derive_date_key, derive_signing_key

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and …/sigv4-query-string-auth.html
SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DATE = b"20130524"
TIMESTAMP = b"20130524T000000Z"
SCOPE = b"20130524/us-east-1/s3/aws4_request"
EMPTY = hashlib.sha256(b"").hexdigest().encode()
HOST = b"examplebucket.s3.amazonaws.com"


class Published(NamedTuple):
    method: bytes
    path: bytes
    query: dict[bytes, bytes]
    headers: list[tuple[bytes, bytes]]
    payload_line: bytes
    request_hash: bytes
    signature: bytes


EXAMPLES = {
    "get object": Published(
        b"GET",
        b"/test.txt",
        {},
        [
            (b"host", HOST),
            (b"range", b"bytes=0-9"),
            (b"x-amz-content-sha256", EMPTY),
            (b"x-amz-date", TIMESTAMP),
        ],
        EMPTY,
        b"7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        b"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": Published(
        b"PUT",
        b"/test%24file.text",
        {},
        [
            (b"date", b"Fri, 24 May 2013 00:00:00 GMT"),
            (b"host", HOST),
            (b"x-amz-content-sha256", b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            (b"x-amz-date", TIMESTAMP),
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        ],
        b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        b"9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        b"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get lifecycle": Published(
        b"GET",
        b"/",
        {b"lifecycle": b""},
        [(b"host", HOST), (b"x-amz-content-sha256", EMPTY), (b"x-amz-date", TIMESTAMP)],
        EMPTY,
        b"9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        b"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": Published(
        b"GET",
        b"/",
        {b"max-keys": b"2", b"prefix": b"J"},
        [(b"host", HOST), (b"x-amz-content-sha256", EMPTY), (b"x-amz-date", TIMESTAMP)],
        EMPTY,
        b"df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        b"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    "presigned get": Published(
        b"GET",
        b"/test.txt",
        {
            b"X-Amz-Algorithm": b"AWS4-HMAC-SHA256",
            b"X-Amz-Credential": b"AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            b"X-Amz-Date": TIMESTAMP,
            b"X-Amz-Expires": b"86400",
            b"X-Amz-SignedHeaders": b"host",
        },
        [(b"host", HOST)],
        b"UNSIGNED-PAYLOAD",
        b"3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04",
        b"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ),
}


def request_of(example: Published) -> bytes:
    names = [name for name, _ in example.headers]
    block = canonical_block(layout(names, names), dict(example.headers))
    query = canonical_query(example.query)
    return canonical_request(example.method, example.path, query, block, example.payload_line)


def signature_of(request: bytes) -> bytes:
    signing_key = derive_signing_key(derive_date_key(SECRET, DATE), b"us-east-1", b"s3")
    text = string_to_sign(TIMESTAMP, SCOPE, request)
    return hmac.digest(signing_key, text, "sha256").hex().encode()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_canonical_request_is_the_published_one(name: str) -> None:
    request = request_of(EXAMPLES[name])
    assert hashlib.sha256(request).hexdigest().encode() == EXAMPLES[name].request_hash


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_string_to_sign_holds_its_hash(name: str) -> None:
    lines = string_to_sign(TIMESTAMP, SCOPE, request_of(EXAMPLES[name])).split(b"\n")
    assert lines == [b"AWS4-HMAC-SHA256", TIMESTAMP, SCOPE, EXAMPLES[name].request_hash]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_signature_is_the_published_one(name: str) -> None:
    assert signature_of(request_of(EXAMPLES[name])) == EXAMPLES[name].signature


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_changed_byte_changes_the_signature(name: str) -> None:
    request = request_of(EXAMPLES[name])
    for place in range(len(request)):
        changed = request[:place] + bytes([request[place] ^ 1]) + request[place + 1 :]
        assert signature_of(changed) != EXAMPLES[name].signature


def test_query_is_sorted_by_name_then_value_not_by_the_joined_text() -> None:
    query = {b"x-amz-meta-a-b": b"1", b"x-amz-meta-a": b"2", b"B": b"", b"a": b"/ +~"}
    assert canonical_query(query) == b"B=&a=%2F%20%2B~&x-amz-meta-a=2&x-amz-meta-a-b=1"


def test_the_signature_itself_is_left_out_of_the_query() -> None:
    assert canonical_query({b"X-Amz-Signature": b"x", b"a": b"b"}, without=b"X-Amz-Signature") == b"a=b"


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        (b"a", b"a"),
        (b"a  b", b"a b"),
        (b"a \t b", b"a b"),
        (b'"a   b"', b'"a b"'),
        (b" a ", b"a"),
        (b"a\xa0\xa0b", b"a\xa0\xa0b"),
        (b"", b""),
    ],
)
def test_blanks_are_sp_and_tab_and_nothing_else(value: bytes, canonical: bytes) -> None:
    assert canonical_value(value) == canonical


VALUES = st.binary(max_size=30).filter(lambda value: b"\n" not in value and value == value.strip(b" \t"))


@given(st.dictionaries(st.sampled_from([b"a", b"b%b", b"c", b"d-%", b"e"]), VALUES, min_size=1))
def test_the_fast_way_of_writing_headers_is_the_slow_one(headers: dict[bytes, bytes]) -> None:
    names = sorted(headers)
    lines = b"".join(b"%b:%b\n" % (name, canonical_value(headers[name])) for name in names)
    expected = lines + b"\n" + b";".join(names)
    assert canonical_block(layout(names, names), headers) == expected
    places = list(reversed(range(len(names))))
    assert canonical_block(layout(names, places), [headers[name] for name in reversed(names)]) == expected

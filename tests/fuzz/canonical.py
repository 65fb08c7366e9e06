"""Percent-encoding and the canonical forms: they turn round, and canonicalising what is canonical changes nothing."""

import re
from urllib.parse import quote, unquote_to_bytes

from gateway.s3.addressing import Addressing
from gateway.s3.errors import S3Error
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead, parse_request
from gateway.s3.uri import decode, decode_query, encode
from gateway.sigv4.canonical import canonical_block, canonical_query, canonical_value, layout
from tests.fuzz.case import Target, case_of, reached, seed

ADDRESSING = Addressing((), frozenset(), dot_segments=True)
HOST = {b"host": b"h"}
NAMES = header_names((b"host",))
MALFORMED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
TARGET = re.compile(rb"[\x21\x22\x24-\x7e]*\Z")


def canonical_target(octets: bytes) -> None:
    material = case_of(octets).material
    for keep_slash in (False, True):
        _check_encoding(material, keep_slash=keep_slash)
    _check_decoding(material)
    _check_query(material)
    _check_headers(material)


def _check_encoding(raw: bytes, *, keep_slash: bool) -> None:
    encoded = encode(raw, keep_slash=keep_slash)
    assert encoded == quote(raw, safe="-._~/" if keep_slash else "-._~").encode()
    assert decode(encoded) == raw
    assert encode(decode(encoded), keep_slash=keep_slash) == encoded


def _check_decoding(raw: bytes) -> None:
    malformed = MALFORMED.search(raw) is not None
    try:
        decoded = decode(raw)
        as_query = decode_query(raw)
    except S3Error:
        assert malformed
        return
    assert not malformed
    assert decoded == unquote_to_bytes(raw)
    assert as_query == unquote_to_bytes(raw.replace(b"+", b" "))
    reached["decoded"] += 1


def _parsed(raw: bytes) -> dict[bytes, bytes]:
    return parse_request(RequestHead(b"GET", b"/aaa?" + raw, HOST, NAMES, 1), ADDRESSING).query


def _check_query(raw: bytes) -> None:
    try:
        query = _parsed(raw)
    except S3Error:
        return
    assert TARGET.match(raw)
    pieces = [piece.partition(b"=") for piece in raw.replace(b"+", b" ").split(b"&") if piece]
    assert query == {unquote_to_bytes(name): unquote_to_bytes(value) for name, _, value in pieces}
    assert len(query) == len(pieces)
    canonical = canonical_query(query)
    # Names and values apart: the joined text sorts differently.
    pairs = [piece.split(b"=") for piece in canonical.split(b"&")] if canonical else []
    assert pairs == sorted(pairs)
    assert [len(pair) for pair in pairs] == [2] * len(query)
    again = _parsed(canonical)
    assert again == query
    assert canonical_query(again) == canonical
    for left_out in query:
        rest = {name: value for name, value in query.items() if name != left_out}
        assert canonical_query(query, without=left_out) == canonical_query(rest)
    if len(query) > 1:
        reached["query"] += 1


def _check_headers(material: bytes) -> None:
    """Lines of `name:value`, as the head parser would hand them over."""
    lines = [line.partition(b":") for line in material.split(b"\n")[:8]]
    headers = {name.lower(): value.strip(b" \t") for name, colon, value in lines if colon and name}
    for value in headers.values():
        canonical = canonical_value(value)
        assert canonical_value(canonical) == canonical
        assert canonical.split() == value.split()
        assert b"  " not in canonical
        assert b"\t" not in canonical
    if not headers:
        return
    names = sorted(headers)
    expected = b"".join([b"%b:%b\n" % (name, canonical_value(headers[name])) for name in names])
    expected += b"\n" + b";".join(names)
    assert canonical_block(layout(names, names), headers) == expected
    assert canonical_block(layout(names, range(len(names))), [headers[name] for name in names]) == expected
    reached["headers"] += 1


SEEDS = (
    seed(b"a=%2F&b+c=d%20e&x-amz-meta-a=2&x-amz-meta-a-b=1&acl"),
    seed(b"a=1&a=2"),
    seed(b"/k\xc3\xbc/ a+b~%"),
    seed(b"%41%c3%BC+%25%2541&&=x"),
    seed(b"host: h:1\nx-a%b: a  b\t\tc\nx-amz-date:20260921T133320Z"),
)
WORDS = (b"%25", b"%2F", b"%2f", b"%3D", b"%26", b"+", b"&", b"=", b"-", b"  ", b"\t", b"\n", b": ", b"%%b", b"%00")
CANONICAL_TARGET = Target(canonical_target, SEEDS, WORDS, frozenset({"decoded", "query", "headers"}))

"""Request heads: from arbitrary bytes to an addressed request and its claim, and written anew."""

import re
from calendar import timegm
from datetime import UTC, datetime
from email.utils import parsedate_tz
from urllib.parse import unquote_to_bytes

from gateway.s3.addressing import Addressing
from gateway.s3.errors import S3Error
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead, S3Request, parse_request
from gateway.s3.uri import encode
from gateway.sigv4.canonical import canonical_query
from gateway.sigv4.claim import Claim, ClaimRules, Form, check_time, read_claim
from gateway.wire.heads import ChunkedBody, ParsedRequest, parse_request_head
from tests.fuzz.case import Case, Target, case_of, reached, seed

END = b"\r\n\r\n"
FIELDS = 24
NOW = 1_790_000_000.0  # 2026-09-21
DOMAINS, DOTS, REGIONS, NO_V2 = 1, 2, 4, 8
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", re.ASCII)
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")


def head_target(octets: bytes) -> None:
    case = case_of(octets)
    received = (case.material + END).lstrip(b"\r\n")  # as the server does with empty lines in front
    if not received:
        return
    block = received[: received.index(END) + len(END)]
    try:
        parsed = parse_request_head(block, FIELDS)
    except S3Error:
        return
    reached["head"] += 1
    _check_head(parsed, block)
    addressing = Addressing((b"s3.example",) if case.has(DOMAINS) else (), frozenset({"reserved"}), case.has(DOTS))
    try:
        request = parse_request(parsed.head, addressing)
    except S3Error:
        return
    reached["request"] += 1
    _check_request(request, addressing)
    _check_claim(case, request)


# ---- the head ----


def _check_head(parsed: ParsedRequest, block: bytes) -> None:
    head = parsed.head
    method, target, minor, headers = _plainly_read(block)
    assert (head.method, head.target, head.http_minor) == (method, target, minor)
    assert head.headers == headers
    assert tuple(dict.fromkeys(head.names.lowered)) == tuple(headers)
    assert not any(octet in value for value in headers.values() for octet in (b"\r", b"\n", b"\0"))
    assert all(TOKEN.match(name) for name in headers)
    assert isinstance(parsed.body, ChunkedBody) == (b"transfer-encoding" in headers)
    if not isinstance(parsed.body, ChunkedBody):
        assert parsed.body == int(headers.get(b"content-length", b"0")) >= 0
    again = parse_request_head(_written(head), FIELDS)
    assert (again.head.method, again.head.target, again.head.http_minor) == (method, target, minor)
    assert again.head.headers == headers
    assert again.keep_alive == parsed.keep_alive
    assert type(again.body) is type(parsed.body)


def _plainly_read(block: bytes) -> tuple[bytes, bytes, int, dict[bytes, bytes]]:
    """The one reading that every HTTP parser agrees on: lines end in CRLF, names end at the first colon."""
    first, *lines = block.removesuffix(END).split(b"\r\n")
    words = first.split(b" ")
    assert len(words) == 3
    assert words[2] in (b"HTTP/1.0", b"HTTP/1.1")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon
        name, value = name.lower(), value.strip(b" \t")
        headers[name] = headers[name] + b"," + value if name in headers else value
    return words[0], words[1], int(words[2][-1:]), headers


def _written(head: RequestHead) -> bytes:
    lines = [b"%b %b HTTP/1.%d" % (head.method, head.target, head.http_minor)]
    lines += [b"%b: %b" % field for field in head.headers.items()]
    return b"\r\n".join(lines) + END


# ---- the request ----


def _check_request(request: S3Request, addressing: Addressing) -> None:
    object_key = request.object_key
    assert object_key.decode("utf-8").find("\0") < 0
    assert len(object_key) <= 1024
    assert request.bucket or not object_key
    assert not request.bucket or (BUCKET.match(request.bucket) and request.bucket != "reserved")
    if not addressing.dot_segments:
        assert not {b".", b".."} & set(object_key.split(b"/"))
    path = unquote_to_bytes(request.raw_path)
    if request.virtual_hosted:
        assert path == b"/" + object_key
        assert request.all_headers[b"host"].lower().startswith(request.bucket.encode() + b".s3.example")
    elif request.bucket:
        bucket = b"/" + request.bucket.encode()
        assert path in (bucket + b"/" + object_key, bucket)
        assert (request.raw_path + b"/").startswith(bucket + b"/")  # as sent: an encoded slash ends no name
    assert all(b"_" not in name or name.startswith(b"x-amz-meta-") for name in request.headers)
    query = canonical_query(request.query)
    again = parse_request(_retargeted(request, request.canonical_path + (b"?" + query if query else b"")), addressing)
    assert _struct(again) == _struct(request)
    assert canonical_query(again.query) == query
    if request.bucket:
        upstream = b"/%b/%b" % (request.bucket.encode(), encode(object_key, keep_slash=True))
        behind = parse_request(_retargeted(request, upstream), Addressing((), frozenset(), addressing.dot_segments))
        assert (behind.bucket, behind.object_key) == (request.bucket, object_key)


def _retargeted(request: S3Request, target: bytes) -> RequestHead:
    headers = request.all_headers
    return RequestHead(request.method, target, headers, header_names(tuple(headers)), request.http_minor)


def _struct(request: S3Request) -> tuple[object, ...]:
    where = (request.bucket, request.object_key, request.canonical_path, request.virtual_hosted)
    return (request.method, *where, request.query, request.headers, request.all_headers)


# ---- the claim ----


def _check_claim(case: Case, request: S3Request) -> None:
    regions = frozenset({b"us-east-1"}) if case.has(REGIONS) else None
    try:
        claim = read_claim(request, ClaimRules(regions, not case.has(NO_V2), b"us-east-1"))
    except S3Error:
        return
    reached[f"claim: {claim.form.value}"] += 1
    assert re.fullmatch(r"[A-Za-z0-9_-]{3,128}", claim.access_key_id)
    names = {name.lower() for name in request.query}
    forms = {
        Form.HEADER: b"authorization" in request.all_headers,
        Form.PRESIGNED: not names.isdisjoint((b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature")),
        Form.PRESIGNED_V2: not request.query.keys().isdisjoint((b"AWSAccessKeyId", b"Signature")),
    }
    assert [form for form, present in forms.items() if present] == [claim.form]
    if claim.form is Form.PRESIGNED_V2:
        assert not case.has(NO_V2)
        assert b"x-amz-copy-source" not in request.all_headers
    else:
        _check_v4(claim, regions)
    if (
        claim.form is Form.HEADER
        and b"x-amz-date" not in request.headers
        and claim.timestamp != request.headers[b"date"]
    ):
        read = parsedate_tz(request.headers[b"date"].decode())
        assert read is not None
        assert claim.issued_at == timegm(read[:6]) - (read[9] or 0)  # without a zone it is UTC, wherever this runs
    try:
        check_time(claim, NOW)
    except S3Error:
        return
    reached["in time"] += 1


def _check_v4(claim: Claim, regions: frozenset[bytes] | None) -> None:
    assert claim.scope == b"/".join([claim.date, claim.region, b"s3", b"aws4_request"])
    assert claim.service == b"s3"
    assert regions is None or claim.region in regions
    assert re.fullmatch(rb"[0-9a-f]{64}", claim.signature)
    assert claim.timestamp.startswith(claim.date)
    moment = datetime.strptime(claim.timestamp.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert claim.issued_at == moment.timestamp()
    assert claim.expires is None or 1 <= claim.expires <= 604_800
    assert list(claim.signed_headers) == sorted(set(claim.signed_headers))
    assert all(TOKEN.match(name) for name in claim.signed_headers)


# ---- good examples ----

CREDENTIAL = b"NQAK0123456789abcdef/20260921/us-east-1/s3/aws4_request"
STAMP = b"20260921T133320Z"  # NOW
AUTHORIZATION = b"Authorization: AWS4-HMAC-SHA256 Credential=%b, SignedHeaders=host;x-amz-date, Signature=%b"
UNSIGNED = b"x-amz-content-sha256: UNSIGNED-PAYLOAD"
PRESIGNED = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%b&X-Amz-Date=%b&X-Amz-Expires=300&X-Amz-SignedHeaders=host"
    b"&X-Amz-Signature=%b"
) % (CREDENTIAL.replace(b"/", b"%2F"), STAMP, b"5" * 64)
V2 = b"AWSAccessKeyId=NQAK0123456789abcdef&Expires=1790000300&Signature=%2Fx%3D"


def _request(first: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([first, *lines]) + END


SIGNED = (AUTHORIZATION % (CREDENTIAL, b"5" * 64), UNSIGNED)
SEEDS = (
    seed(
        _request(b"GET /bucket/k%20/%C3%BC?versionId=a%2Fb&x HTTP/1.1", b"Host: h:1", b"x-amz-date: " + STAMP, *SIGNED)
    ),
    seed(
        _request(b"PUT /k HTTP/1.1", b"Host: aaa.s3.example", b"Content-Length: 5", b"x-amz-meta-a_b:  c\td \t"),
        DOMAINS,
    ),
    seed(_request(b"PUT /aaa/x/../k HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked", b"X-A: 1", b"x-a: 2"), DOTS),
    seed(_request(b"GET /aaa?list-type=2&prefix=a%2B+b&max-keys=7 HTTP/1.0", b"Host: h", b"Connection: close, x")),
    seed(_request(b"GET /aaa/k?" + PRESIGNED + b" HTTP/1.1", b"Host: h", b"Expect: 100-continue"), REGIONS),
    seed(_request(b"HEAD /aaa/k?" + V2 + b" HTTP/1.1", b"Host: h")),
    seed(_request(b"GET / HTTP/1.1", b"Host: h", b"Date: Mon, 21 Sep 2026 13:33:20 GMT", *SIGNED)),
    seed(_request(b"GET / HTTP/1.1", b"Host: h", b"Date: Mon, 21 Sep 2026 13:33:20 -0000", *SIGNED)),
    seed(_request(b"GET / HTTP/1.1", b"Host: h", b"Date: " + STAMP, b"Upgrade: h2c", b"Connection: upgrade", *SIGNED)),
    seed(_request(b"FOO / HTTP/1.1", b"Host: h", b"x_amz_copy_source: aaa/k")),
    seed(_request(b"GET /aaa/%2561%252e%252E/x HTTP/1.1", b"Host: h", b"Host: h")),
    seed(_request(b"GET /aaa/%2561%252e%252E/x HTTP/1.1", b"Host: h")),
    seed(_request(b"GET /aaa%2Fk/x HTTP/1.1", b"Host: h")),
    seed(_request(b"GET /aaa/x/../k HTTP/1.1", b"Host: h")),
    seed(_request(b"GET /aaa/k?" + PRESIGNED + b" HTTP/1.1", b"Host: h", b"x-amz-date: " + STAMP, *SIGNED)),
    seed(_request(b"GET /aaa/k?" + PRESIGNED.replace(b"=host", b"=x%3Bhost") + b" HTTP/1.1", b"Host: h")),
)
WORDS = (
    *(b"\r\n", b"\n", b"\r\n ", b": ", b" HTTP/1.1", b"HTTP/0.9", b"%2F", b"%2f..%2F", b"%00", b"%25", b"//", b"/./"),
    *(b"?", b"&", b"=", b"+", b"#", b"Host: ", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Upgrade: x"),
    *(b"Expect: 100-continue", b"X-Amz-Signature=", b"Signature=", b"Credential=", b"SignedHeaders=", b"-0000", b"\t"),
    *(b"X-Amz-Security-Token=", b"partNumber=", b"uploadId=", b"aaa.s3.example.:80", b"[::1]", b"\xc3\xbc", b"\xff"),
)
ENDS = frozenset({"head", "request", "in time", "claim: header", "claim: presigned", "claim: presigned, SigV2"})
HEAD_TARGET = Target(head_target, SEEDS, WORDS, ENDS)

"""One request as the gateway understands it: parsed once from bytes, never re-read from the wire.

Knows nothing of keys, scopes or stores. Everything downstream reads this and nothing else: what is
authorized is what is re-serialized.
"""

import re
from typing import Final

from gateway.s3.addressing import Addressing, check_reference, locate
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import HeaderNames
from gateway.s3.uri import decode, decode_query, encode
from gateway.trace_context import NO_LINES, trace_lines

METHODS: Final = frozenset({b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"})
_TARGET: Final = re.compile(rb"/[\x21\x22\x24-\x7e]*\Z")  # origin-form, visible ASCII, no `#`
_PLAIN_TARGET: Final = re.compile(rb"/[A-Za-z0-9\-._~/]*\Z")  # no query, and its own encoding
_META: Final = b"x-amz-meta-"
# Said twice, these could be read differently here and behind: refused. Any other repeated name is joined or dropped.
_SINGLETONS: Final = frozenset(
    b"authorization cache-control content-disposition content-encoding content-language content-length content-md5 "
    b"content-type date expect expires host if-match if-modified-since if-none-match if-unmodified-since range "
    b"transfer-encoding".split()
)
# What names an object, a beginning of one, a version or an upload: under the rules of object keys, wherever it goes.
_NAMING: Final = frozenset(
    b"prefix marker start-after key-marker continuation-token uploadId upload-id-marker versionId "
    b"version-id-marker".split()
)
# Some stores make paths of a part's number.
_NUMBERS: Final = frozenset(b"partNumber part-number-marker max-keys max-parts max-uploads max-buckets".split())
_NUMBER: Final = re.compile(rb"[0-9]{1,10}\Z")
_NO_QUERY: Final[dict[bytes, bytes]] = {}
NOTHING_HOISTED: Final[frozenset[bytes]] = frozenset()


class RequestHead:
    """What the HTTP parser hands over: bytes as received. Header names lower-cased; values with outer blanks trimmed.

    `headers` is in arrival order; the values of a repeated name are joined with b",".
    """

    __slots__ = ("headers", "http_minor", "method", "names", "target")

    def __init__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], names: HeaderNames, http_minor: int
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.names = names
        self.http_minor = http_minor  # 0 or 1


class S3Request:
    """A parsed, addressed request.

    `raw_path`, `raw_query`: as received (no `?`). `canonical_path`: raw_path strictly percent-decoded once and
    re-encoded (upper-case hex, `/` kept), for the client's signature. `query`: decoded name → decoded value, each name
    once. `headers`: as in RequestHead, without any name that contains `_`, except those beginning `x-amz-meta-`;
    `all_headers`: every header as received, for canonicalization only. `bucket`: "" on service level, else a valid
    bucket name. `object_key`: decoded bytes, b"" on bucket and service level, valid UTF-8 without NUL. `hoisted`: names
    of `query` that are headers instead, and stand in `headers`; none until the signature held. `source`: the address it
    came from, "" while nobody has said. `trace`: the header lines that tell the store which trace it belongs to.
    """

    __slots__ = (
        "all_headers",
        "bucket",
        "canonical_path",
        "headers",
        "hoisted",
        "http_minor",
        "method",
        "names",
        "object_key",
        "query",
        "raw_path",
        "raw_query",
        "source",
        "trace",
        "virtual_hosted",
    )

    method: bytes
    raw_path: bytes
    raw_query: bytes
    canonical_path: bytes
    query: dict[bytes, bytes]
    headers: dict[bytes, bytes]
    hoisted: frozenset[bytes]
    all_headers: dict[bytes, bytes]
    names: HeaderNames
    http_minor: int
    bucket: str
    object_key: bytes
    virtual_hosted: bool
    source: str
    trace: bytes


def parse_request(head: RequestHead, addressing: Addressing) -> S3Request:
    """One head → one addressed request.

    S3Error METHOD_NOT_ALLOWED, INVALID_URI, BAD_REQUEST, INVALID_REQUEST, INVALID_ARGUMENT, INVALID_BUCKET_NAME,
    KEY_TOO_LONG.
    """
    method, target, headers, names = head.method, head.target, head.headers, head.names
    if method not in METHODS:
        raise S3Error(Code.METHOD_NOT_ALLOWED, "unknown method")
    plain = _PLAIN_TARGET.match(target) is not None
    if not plain and not _TARGET.match(target):
        raise S3Error(Code.INVALID_URI, "not an origin-form target of visible ASCII")
    host = headers.get(b"host")
    if not host:
        raise S3Error(Code.BAD_REQUEST, "no Host", message="The Host header is missing or empty.")
    if names.repeated:
        _check_repeated(names.repeated)
    request = S3Request()
    request.method = method
    if plain:
        decoded = request.raw_path = request.canonical_path = target
        request.raw_query = b""
        request.query = _NO_QUERY
    else:
        decoded = _take_target(request, target, addressing)
    request.bucket, request.object_key, request.virtual_hosted = locate(host, request.raw_path, decoded, addressing)
    request.all_headers = headers
    request.headers = _without_underscores(headers) if names.underscored else headers
    request.hoisted = NOTHING_HOISTED
    request.names = names
    request.http_minor = head.http_minor
    request.source = ""
    request.trace = trace_lines(headers) if b"traceparent" in headers else NO_LINES
    return request


def _take_target(request: S3Request, target: bytes, addressing: Addressing) -> bytes:
    """Path and query into the request; → the decoded path."""
    raw_path, _, raw_query = target.partition(b"?")
    decoded = decode(raw_path)
    request.raw_path = raw_path
    request.raw_query = raw_query
    request.canonical_path = encode(decoded, keep_slash=True)
    request.query = _parse_query(raw_query, addressing.dot_segments) if raw_query else _NO_QUERY
    return decoded


def _check_repeated(repeated: frozenset[bytes]) -> None:
    for name in repeated:
        if name in _SINGLETONS or (name.startswith(b"x-amz-") and not name.startswith(_META)):
            shown = name.decode("ascii", "replace")
            raise S3Error(Code.INVALID_REQUEST, f"{shown} given twice", message=f"The header {shown} was given twice.")


def _without_underscores(headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Stores read `_` as `-` (radosgw 16 copied for `x_amz_copy_source`): such names are gone, metadata excepted."""
    return {name: value for name, value in headers.items() if b"_" not in name or name.startswith(_META)}


def _parse_query(raw: bytes, dot_segments: bool) -> dict[bytes, bytes]:
    """Split on `&` only, at the first `=`; `;` is data. A name given twice is refused: readers differ on it."""
    query: dict[bytes, bytes] = {}
    for piece in raw.split(b"&"):
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        decoded = decode_query(name)
        if not decoded:
            raise S3Error(Code.INVALID_ARGUMENT, "a query parameter without a name")
        if decoded in query:
            raise S3Error(
                Code.INVALID_ARGUMENT, "a query parameter given twice", message="A query parameter was given twice."
            )
        query[decoded] = value = decode_query(value)
        if value and decoded in _NAMING:
            check_reference(value, dot_segments=dot_segments)
        elif value and decoded in _NUMBERS and not _NUMBER.match(value):
            shown = decoded.decode()
            raise S3Error(Code.INVALID_ARGUMENT, f"{shown} is no number", message=f"{shown} must be a number.")
    return query

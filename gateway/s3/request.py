"""One request as the gateway understands it: parsed once from bytes, never re-read from the wire.

Knows nothing of keys, scopes or stores. Everything downstream reads this and nothing else (PROTOCOL invariant:
what is authorized is what is re-serialized).
"""

from typing import NamedTuple


class RequestHead(NamedTuple):
    """What the HTTP parser hands over: bytes as received. Header names lower-cased; values with outer blanks trimmed.

    `headers` is in arrival order; a repeated name is joined with b"," and listed in `repeated`.
    """

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    repeated: frozenset[bytes]
    http_minor: int  # 0 or 1


class S3Request:
    """A parsed, addressed request.

    `raw_path`, `raw_query`: as received (no `?`). `canonical_path`: raw_path strictly percent-decoded once and
    re-encoded (upper-case hex, `/` kept), for the client's signature. `query`: decoded name → decoded value, each name
    once. `headers`: as in RequestHead, without any name that contains `_`, except those beginning `x-amz-meta-`;
    `all_headers`: every header as received, for canonicalization only. `bucket`: "" on service level, else a valid
    bucket name. `object_key`: decoded bytes, b"" on bucket and service level, valid UTF-8 without NUL.
    """

    __slots__ = (
        "all_headers",
        "bucket",
        "canonical_path",
        "headers",
        "http_minor",
        "method",
        "object_key",
        "query",
        "raw_path",
        "raw_query",
        "repeated",
        "virtual_hosted",
    )

    method: bytes
    raw_path: bytes
    raw_query: bytes
    canonical_path: bytes
    query: dict[bytes, bytes]
    headers: dict[bytes, bytes]
    all_headers: dict[bytes, bytes]
    repeated: frozenset[bytes]
    http_minor: int
    bucket: str
    object_key: bytes
    virtual_hosted: bool

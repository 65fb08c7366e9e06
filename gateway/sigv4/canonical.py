"""The canonical request and the string to sign, on bytes.

The blocks follow https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Nothing here knows a
key. Written exactly so, the path is decoded once and encoded once, never normalized.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.s3.uri import encode

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
TERMINATOR: Final = b"aws4_request"
_BLANKS: Final = re.compile(rb"[ \t]+")


def canonical_query(query: Mapping[bytes, bytes], *, without: bytes | None = None) -> bytes:
    """Decoded names and values → encoded, sorted by encoded name, then value. `without`: a name that is left out.

    The pairs are sorted, not the joined text: `-` sorts before `=`.
    """
    pairs = [
        (encode(name, keep_slash=False), encode(value, keep_slash=False))
        for name, value in query.items()
        if name != without
    ]
    pairs.sort()
    return b"&".join([b"%b=%b" % pair for pair in pairs])


def canonical_value(value: bytes) -> bytes:
    """Outer blanks gone, runs of SP and TAB one SP, also inside quotes; no other white space is touched."""
    return _BLANKS.sub(b" ", value).strip(b" ")


def canonical_headers(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """(lower-case name, value) in the order of the signed names → one line each.

    Joined first; only where blanks stand that must go is each value looked at (1.2 instead of 2.4 µs for six headers).
    """
    block = b"\n".join(map(b":".join, headers)) + b"\n"
    if b"  " in block or b"\t" in block or b": " in block or b" \n" in block:
        return b"".join([b"%b:%b\n" % (name, canonical_value(value)) for name, value in headers])
    return block


def canonical_request(
    method: bytes, path: bytes, query: bytes, headers: bytes, signed_headers: bytes, payload_line: bytes
) -> bytes:
    """`path`, `query`, `headers` in canonical form; `signed_headers` joined with `;`."""
    return b"%b\n%b\n%b\n%b\n%b\n%b" % (method, path, query, headers, signed_headers, payload_line)


def string_to_sign(timestamp: bytes, scope: bytes, request: bytes) -> bytes:
    """`timestamp`: ISO basic. `scope`: date/region/service/aws4_request. `request`: the canonical request."""
    digest = hashlib.sha256(request).hexdigest().encode()
    return b"AWS4-HMAC-SHA256\n%b\n%b\n%b" % (timestamp, scope, digest)

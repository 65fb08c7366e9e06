"""The canonical request and the string to sign, on bytes.

The blocks follow https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Nothing here knows a
key. Written exactly so, the path is decoded once and encoded once, never normalized.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.s3.header_names import literal, picker
from gateway.s3.uri import encode

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
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


class Layout(NamedTuple):
    """How headers of certain names are written. `pick` takes their values, in the order of the signed names; `block` is
    the format of the canonical headers, the empty line and the signed names, one `%b` for each value."""

    pick: Callable[[Any], tuple[bytes, ...]]
    block: bytes


def layout(names: Sequence[bytes], places: Sequence[object]) -> Layout:
    """`names`: lower-case, ascending. `places`: where the value of each is found: its name in a mapping, its index."""
    lines = b"".join([literal(name) + b":%b\n" for name in names])
    return Layout(picker(places), b"%b\n%b" % (lines, literal(b";".join(names))))


def canonical_block(layout: Layout, headers: Mapping[bytes, bytes] | Sequence[bytes]) -> bytes:
    """Canonical headers, the empty line and the signed names. `headers`: values without outer blanks.

    Written first; only where blanks stand that must go is each value looked at (1 instead of 2.4 µs for six headers).
    """
    values = layout.pick(headers)
    block = layout.block % values
    if block.find(b"  ") >= 0 or block.find(b"\t") >= 0:
        return layout.block % tuple([canonical_value(value) for value in values])
    return block


def canonical_request(method: bytes, path: bytes, query: bytes, block: bytes, payload_line: bytes) -> bytes:
    """`path`, `query`, `block` in canonical form."""
    return b"\n".join((method, path, query, block, payload_line))


def string_to_sign(timestamp: bytes, scope: bytes, request: bytes) -> bytes:
    """`timestamp`: ISO basic. `scope`: date/region/service/aws4_request. `request`: the canonical request."""
    return b"\n".join((ALGORITHM, timestamp, scope, hashlib.sha256(request).hexdigest().encode()))

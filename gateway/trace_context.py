"""W3C Trace Context (https://www.w3.org/TR/trace-context-2/): which trace a request belongs to, and what the store is
told of it.

What a client says of its trace is checked by the grammar, bounded, written anew and trusted for nothing: whoever sends
it may write anything. What does not hold is dropped, never an error. Pure: ids and whether to sample are handed in.
"""

import re
from collections.abc import Mapping
from typing import Final

# 2.2.2: version, trace-id, parent-id, trace-flags; a later version may go on behind another dash.
_TRACEPARENT: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x2b\x2d-\x7e]{0,200})?\Z"
)
_NO_VERSION: Final = b"ff"
_ZEROS: Final = b"0" * 32
_SAMPLED: Final = 1
_KNOWN_FLAGS: Final = 3  # sampled, and since level 2: the trace id is random; the others must not be passed on
# 2.3.1: members key=value, separated by commas with blanks around them; a member may be empty.
_VALUE: Final = rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(rb"([a-z0-9][a-z0-9_\-*/@]{0,255})=" + _VALUE + rb"\Z")
MAX_MEMBERS: Final = 32  # 2.3.1.1
MAX_TRACESTATE: Final = 512  # bytes; 2.3.1.5: at least so much should be passed on
NO_LINES: Final = b""


class TraceParent:
    """`trace_id`: 32 and `span_id`: 16 lower-case hex digits, not all zero. `flags`: those that are known."""

    __slots__ = ("flags", "span_id", "trace_id")

    def __init__(self, trace_id: bytes, span_id: bytes, flags: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags

    @property
    def sampled(self) -> bool:
        return self.flags & _SAMPLED == _SAMPLED

    def line(self) -> bytes:
        return b"traceparent: 00-%b-%b-%02x\r\n" % (self.trace_id, self.span_id, self.flags)


def read_traceparent(value: bytes | None) -> TraceParent | None:
    """None for what is not there, is malformed, or came twice: header values that repeat are joined with commas."""
    found = None if value is None else _TRACEPARENT.match(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == _NO_VERSION or (version == b"00" and more is not None):
        return None
    if trace_id == _ZEROS or span_id == _ZEROS[:16]:
        return None
    return TraceParent(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS)


def read_tracestate(value: bytes | None) -> bytes:
    """Its members as they go on, b"" when there are none, or one of them is malformed, or they are too many."""
    if not value or len(value) > MAX_TRACESTATE:
        return b""
    members = [member for member in (piece.strip(b" \t") for piece in value.split(b",")) if member]
    names = set()
    for member in members:
        found = _MEMBER.match(member)
        if found is None:
            return b""
        names.add(found[1])
    return b",".join(members) if len(members) == len(names) <= MAX_MEMBERS else b""


def trace_lines(headers: Mapping[bytes, bytes], span: TraceParent | None = None) -> bytes:
    """The header lines that tell the store of the trace; NO_LINES where the client told none that holds.

    `span`: what stands between the client and the store, instead of the client's own. RFC 9110, 7.6.1: what Connection
    lists is for this hop.
    """
    parent = read_traceparent(headers.get(b"traceparent"))
    if parent is None:
        return NO_LINES if span is None else span.line()
    connection = headers.get(b"connection", b"").lower()
    if b"traceparent" in connection or b"tracestate" in connection:
        return NO_LINES if span is None else span.line()
    state = read_tracestate(headers.get(b"tracestate"))
    told = (parent if span is None else span).line()
    return b"%btracestate: %b\r\n" % (told, state) if state else told

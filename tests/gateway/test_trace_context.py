"""Trace context: the grammar of W3C, what goes on of it, and that nothing else does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trace_context import MAX_TRACESTATE, TraceParent, read_traceparent, read_tracestate, trace_lines

TRACE_ID = b"0af7651916cd43dd8448eb211c80319c"  # the example of the specification
SPAN_ID = b"b7ad6b7169203331"
PARENT = b"00-%b-%b-01" % (TRACE_ID, SPAN_ID)
LINE = b"traceparent: %b\r\n" % PARENT


def test_the_example_of_the_specification_is_read() -> None:
    parent = read_traceparent(PARENT)
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.flags, parent.sampled) == (TRACE_ID, SPAN_ID, 1, True)
    assert parent.line() == LINE


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        PARENT[:-1],
        PARENT + b"0",
        PARENT + b"-",
        PARENT + b"-more",
        PARENT + b"\n",
        PARENT + b" ",
        b" " + PARENT,
        PARENT.upper(),
        PARENT.replace(b"-", b"_"),
        PARENT.replace(b"a", b"g"),
        b"ff" + PARENT[2:],
        b"0" + PARENT[2:],
        b"00-%b-%b-01" % (b"0" * 32, SPAN_ID),
        b"00-%b-%b-01" % (TRACE_ID, b"0" * 16),
        PARENT + b"," + PARENT,
        b"cc" + PARENT[2:] + b"," + PARENT,
        b"cc" + PARENT[2:] + b".more",
        b"cc" + PARENT[2:] + b"-\xff",
        b"cc" + PARENT[2:] + b"-" + b"x" * 201,
    ],
)
def test_what_is_malformed_is_no_parent_and_is_not_passed_on(malformed: bytes) -> None:
    assert read_traceparent(malformed) is None
    assert trace_lines({b"traceparent": malformed, b"tracestate": b"a=1"}) == b""


def test_of_a_later_version_goes_on_what_this_one_knows() -> None:
    """2.2.3: the fields of version 00 are read, and written as version 00 with no flag that it does not know."""
    later = b"cc" + PARENT[2:-2] + b"ff-what-the-future-says"
    assert trace_lines({b"traceparent": later}) == LINE.replace(b"-01", b"-03")


def test_of_nothing_nothing_goes_on() -> None:
    assert trace_lines({}) == b""
    assert trace_lines({b"tracestate": b"a=1"}) == b""


STATES = {
    b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    b" a=1 ,\t, b=2 x ": b"a=1,b=2 x",
    b"0tenant@system=1": b"0tenant@system=1",
    b",".join(b"m%d=1" % number for number in range(32)): b",".join(b"m%d=1" % number for number in range(32)),
    b"": b"",
    b",": b"",
    b"a": b"",
    b"a=": b"",
    b"A=1": b"",
    b"a=1=2": b"",
    b"a=1,b\x00=2": b"",
    b"a=\xff": b"",
    b"a=1\r\nx: y": b"",
    b"a=1,a=2": b"",
    b",".join(b"m%d=1" % number for number in range(33)): b"",
    b"a=" + b"x" * 257: b"",
    b"a=" + b"x" * (MAX_TRACESTATE - 1): b"",
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_goes_on_whole_or_not_at_all(state: bytes) -> None:
    assert read_tracestate(state) == STATES[state]
    expected = b"tracestate: %b\r\n" % STATES[state] if STATES[state] else b""
    assert trace_lines({b"traceparent": PARENT, b"tracestate": state}) == LINE + expected


@pytest.mark.parametrize("connection", [b"traceparent", b"close, TraceParent", b"tracestate"])
def test_what_connection_lists_is_for_this_hop(connection: bytes) -> None:
    headers = {b"traceparent": PARENT, b"tracestate": b"a=1", b"connection": connection}
    assert trace_lines(headers) == b""
    assert trace_lines({**headers, b"connection": b"close"}) == LINE + b"tracestate: a=1\r\n"


def test_a_span_in_between_takes_the_parent_s_place_and_keeps_its_state() -> None:
    span = TraceParent(TRACE_ID, b"1" * 16, 0)
    told = b"traceparent: 00-%b-1111111111111111-00\r\n" % TRACE_ID
    assert trace_lines({}, span) == told
    assert trace_lines({b"traceparent": b"nonsense", b"tracestate": b"a=1"}, span) == told
    assert trace_lines({b"traceparent": PARENT, b"tracestate": b"a=1"}, span) == told + b"tracestate: a=1\r\n"


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_whatever_is_said_no_header_is_forged(parent: bytes, state: bytes) -> None:
    for said in (parent, PARENT, b"00-" + parent):
        told = trace_lines({b"traceparent": said, b"tracestate": state})
        assert re.fullmatch(rb"(traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\r\n(tracestate: [ -~]+\r\n)?)?", told)

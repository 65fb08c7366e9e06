"""Spans: whose decision it is to sample, what the store is told, and what a span says and does not say."""

from typing import Any

import pytest

from gateway.authorize import Authorized
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead
from gateway.source import NOBODY
from gateway.telemetry.request_record import End, RequestRecord
from gateway.telemetry.tracing import Span, Tracing
from tests.support.admitted import admit

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
NOW = 1_790_000_000.0


def parent(sampled: bool) -> str:
    return f"00-{TRACE_ID}-{PARENT_ID}-0{int(sampled)}"


def record(**known: Any) -> RequestRecord:
    made = RequestRecord(b"0123456789ABCDEF", b"GET", "192.0.2.1", 7.0)
    made.status, made.ended = 200, 7.5
    for name, value in known.items():
        setattr(made, name, value)
    return made


def head_of(**headers: str) -> RequestHead:
    fields = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    return RequestHead(b"GET", b"/aaa/k?X-Amz-Signature=SECRET", fields, header_names(tuple(fields)), 1)


class Traced:
    """One request through a `Tracing` of this ratio. `spans`: what was exported."""

    def __init__(self, ratio: float, **settings: Any) -> None:
        self.spans: list[Span] = []
        self.tracing = Tracing(self.spans.append, ratio, NOBODY, clock=lambda: NOW, **settings)

    def admitted(self, headers: dict[str, str], **known: Any) -> Authorized:
        authorized = admit("GET", "/aaa/k", headers)
        authorized.request.source = "198.51.100.7"
        self.tracing.begin(authorized.request)
        self.tracing.ended(record(**known), head_of(**headers), authorized)
        return authorized


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("sampled", [True, False])
def test_of_who_may_ask_the_parent_decides(ratio: float, sampled: bool) -> None:
    traced = Traced(ratio)
    traced.admitted({"traceparent": parent(sampled)})
    assert len(traced.spans) == int(sampled)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("sampled", [True, False])
def test_of_a_stranger_nothing_is_believed(ratio: float, sampled: bool) -> None:
    traced = Traced(ratio)
    traced.tracing.ended(record(status=403, reason="no"), head_of(traceparent=parent(sampled)), None)
    assert len(traced.spans) == int(ratio)
    for span in traced.spans:
        assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE_ID, PARENT_ID)


def test_without_a_parent_the_ratio_decides() -> None:
    traced = Traced(0.25)
    for _ in range(2000):
        traced.admitted({})
    assert 350 < len(traced.spans) < 650
    assert len({span.trace_id for span in traced.spans}) == len(traced.spans)
    assert all(span.parent_id is None for span in traced.spans)


def test_the_store_is_told_of_the_gateway_s_span_and_keeps_the_state() -> None:
    traced = Traced(0.0)
    authorized = traced.admitted({"traceparent": parent(True), "tracestate": "a=1"})
    [span] = traced.spans
    assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE_ID, PARENT_ID)
    line = f"traceparent: 00-{TRACE_ID}-{span.span_id:016x}-01\r\ntracestate: a=1\r\n"
    assert authorized.request.trace == line.encode()


def test_what_is_not_sampled_is_told_as_such() -> None:
    """The store must not begin a trace of its own in its place."""
    told = Traced(0.0).admitted({}).request.trace
    assert told.startswith(b"traceparent: 00-")
    assert told.endswith(b"-02\r\n")


def test_a_span_says_what_the_conventions_name() -> None:
    traced = Traced(1.0)
    traced.admitted(
        {"user-agent": "boto3/1"},
        operation="GetObject",
        access_key_id="NQAK1",
        bucket="aaa",
        sent=1000,
        asked=7.1,
        replied=7.35,
    )
    [span] = traced.spans
    assert (span.name, span.failed) == ("GetObject", False)
    assert (span.began, span.ended) == (int((NOW - 0.5) * 1e9), int(NOW * 1e9))
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 1000,
        "client.address": "198.51.100.7",
        "aws.request_id": "0123456789ABCDEF",
        "rpc.method": "GetObject",
        "aws.s3.bucket": "aaa",
        "nqgate.access_key_id": "NQAK1",
        "nqgate.account": "default",
        "nqgate.end": "whole",
        "nqgate.store_seconds": pytest.approx(0.25),
        "user_agent.original": "boto3/1",
    }


def test_an_object_is_named_only_where_that_was_asked_for() -> None:
    traced = Traced(1.0, object_keys=True)
    traced.admitted({})
    assert traced.spans[0].attributes["aws.s3.key"] == "k"


@pytest.mark.parametrize(
    ("known", "failed"),
    [
        ({"status": 404}, False),
        ({"status": 403, "reason": "no"}, False),
        ({"status": 503}, True),
        ({"end": End.CUT}, True),
    ],
)
def test_what_failed_is_ours_and_not_the_client_s(known: dict[str, Any], failed: bool) -> None:
    traced = Traced(1.0)
    traced.admitted({}, **known)
    assert traced.spans[0].failed is failed


def test_neither_query_nor_authorization_nor_a_claim_is_said_and_everything_is_bounded() -> None:
    traced = Traced(1.0)
    head = head_of(authorization="SECRET", cookie="SECRET", user_agent="x" * 8000)
    refused = record(method=b"X" * 8000, status=403, reason="y" * 8000, claimed="SECRET")
    traced.tracing.ended(refused, head, None)
    [span] = traced.spans
    assert "SECRET" not in repr(span)
    assert span.name == "HTTP"
    assert len(repr(span)) < 4000


def test_a_head_that_could_not_be_read_has_a_span_too() -> None:
    traced = Traced(1.0)
    traced.tracing.ended(record(method=b"", status=400, reason="no HTTP"), None, None)
    assert traced.spans[0].attributes["http.request.method"] == "_OTHER"

"""Traces of a whole gateway: spans at a collector, and what becomes of requests while there is none."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import recorded_gateway
from tests.support.collector import RunningCollector
from tests.support.house import Recorded
from tests.support.server_process import LOOPBACK, free_port

pytestmark = pytest.mark.server

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with RunningCollector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector: RunningCollector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    settings = {"telemetry": {"otlp_endpoint": collector.endpoint, "sample_ratio": 0.0}}
    with recorded_gateway(tmp_path_factory.mktemp("traced"), settings=settings) as opened:
        yield opened


def span_of(collector: RunningCollector, request_id: str) -> tuple[Any, dict[str, Any]]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for span in list(collector.spans):
            said = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
            if said["aws.request_id"] == request_id:
                return span, said
        time.sleep(0.05)
    raise AssertionError(f"no span of {request_id}")


def test_a_sampled_request_has_a_span_between_the_client_s_and_the_store_s(
    traced: Recorded, collector: RunningCollector
) -> None:
    traced.upstream.reset()
    sent = [("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"), ("tracestate", "a=1")]
    reply = traced.ask(traced.scoped.head("GET", "/aaa/k", unsigned=sent))
    span, said = span_of(collector, reply.header(b"x-amz-request-id").decode())
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("GetObject", TRACE_ID, PARENT_ID)
    assert (said["aws.s3.bucket"], said["http.response.status_code"]) == ("aaa", 200)
    request = traced.upstream.only_request()
    assert request.header(b"traceparent").decode() == f"00-{TRACE_ID}-{span.span_id.hex()}-01"
    assert request.header(b"tracestate") == b"a=1"


def test_who_is_not_sampled_has_none_and_the_store_hears_so(traced: Recorded, collector: RunningCollector) -> None:
    traced.upstream.reset()
    before = len(collector.spans)
    assert traced.ask(traced.scoped.head("GET", "/aaa/k")).status == 200
    assert traced.upstream.only_request().header(b"traceparent").endswith(b"-02")
    forged = traced.scoped.head("GET", "/aaa/k").replace(b"Signature=", b"Signature=0", 1)
    stranger = forged[:-2] + f"traceparent: 00-{TRACE_ID}-{PARENT_ID}-01\r\n\r\n".encode()
    assert traced.ask(stranger).status in (400, 403)
    sent = [("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01")]
    reply = traced.ask(traced.scoped.head("GET", "/aaa/k", unsigned=sent))
    span_of(collector, reply.header(b"x-amz-request-id").decode())
    assert len(collector.spans) == before + 1


def test_a_collector_that_is_down_costs_a_line_and_no_request(tmp_path: Path) -> None:
    settings = {"telemetry": {"otlp_endpoint": f"http://{LOOPBACK}:{free_port()}", "sample_ratio": 1.0}}
    with recorded_gateway(tmp_path, settings=settings) as alone:
        for _ in range(20):
            assert alone.ask(alone.scoped.head("GET", "/aaa/k")).status == 200
        end = time.monotonic() + 30
        while "spans do not arrive" not in alone.gateway.log_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        log = alone.gateway.log_text()
        assert log.count("spans do not arrive") <= len(alone.gateway.workers())
        assert "Traceback" not in log

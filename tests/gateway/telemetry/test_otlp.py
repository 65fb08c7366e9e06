"""Spans over OTLP/HTTP to a collector of the test; one that is down costs a line a minute."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.telemetry.otlp import BATCH, QUEUE, Complaints, Exporter, traces_url
from gateway.telemetry.tracing import Span
from tests.support.collector import Collector

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
SPAN = Span("GetObject", TRACE_ID, 0x11, 0x22, 1_790_000_000_000_000_000, 1_790_000_001_000_000_000, True, {"a": "b"})


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    async with TestServer(app) as server:
        made.endpoint = str(server.make_url("/")).rstrip("/")
        yield made


@pytest.fixture
def _quiet() -> Iterator[None]:
    library = logging.getLogger("opentelemetry")
    handlers, propagate = list(library.handlers), library.propagate
    yield
    library.handlers[:], library.propagate = handlers, propagate


async def test_a_span_arrives_under_the_ids_that_the_store_was_told(collector: Collector) -> None:
    exporter = Exporter(collector.endpoint, "1.2.3")
    exporter.export(SPAN)
    exporter.export(SPAN._replace(span_id=0x33, parent_id=None, failed=False))
    await asyncio.to_thread(exporter.close)
    told, root = collector.spans
    assert (told.name, told.trace_id.hex(), told.kind) == ("GetObject", f"{TRACE_ID:032x}", told.SPAN_KIND_SERVER)
    assert (told.span_id.hex(), told.parent_span_id.hex()) == (f"{0x11:016x}", f"{0x22:016x}")
    assert (told.start_time_unix_nano, told.end_time_unix_nano) == (SPAN.began, SPAN.ended)
    assert told.status.code == told.status.STATUS_CODE_ERROR
    assert {one.key: one.value.string_value for one in told.attributes} == {"a": "b"}
    assert (root.span_id.hex(), root.parent_span_id.hex(), root.status.code) == (f"{0x33:016x}", "", 0)
    assert collector.resource["service.name"] == "nqgate"
    assert collector.resource["service.version"] == "1.2.3"


async def test_what_does_not_fit_into_the_queue_is_dropped_and_nobody_waits(collector: Collector) -> None:
    """A collector that does not answer yet, and ten times as many spans as the queue holds."""
    collector.silent = asyncio.Event()
    exporter = Exporter(collector.endpoint, "1")
    await asyncio.to_thread(lambda: [exporter.export(SPAN) for _ in range(10 * QUEUE)])
    collector.silent.set()
    await asyncio.to_thread(exporter.close)
    async with asyncio.timeout(60):
        while not collector.spans:
            await asyncio.sleep(0.05)
    assert len(collector.spans) <= QUEUE + 4 * BATCH  # a batch that was given up is sent again


@pytest.mark.usefixtures("_quiet")
def test_troubles_are_told_once_a_minute_with_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    library = logging.getLogger("opentelemetry")
    library.handlers[:], library.propagate = [Complaints(lambda: now[0])], False
    with caplog.at_level(logging.WARNING, "nqgate.otlp"):
        for _ in range(50):
            logging.getLogger("opentelemetry.exporter").error("Connection %s", "refused")
        now[0] += 61
        logging.getLogger("opentelemetry.exporter").error("again")
    assert [one.getMessage() for one in caplog.records] == [
        "spans do not arrive: Connection refused (0 such lines were kept back)",
        "spans do not arrive: again (49 such lines were kept back)",
    ]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("https://h/otlp/v1/traces", "https://h/otlp/v1/traces"),
    ],
)
def test_the_usual_path_is_added_where_none_is_named(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url

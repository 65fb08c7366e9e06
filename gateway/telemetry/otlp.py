"""Finished spans to a collector, over OTLP/HTTP: the one module that imports OpenTelemetry, which is an extra.

The library's own batch processor sends them from a thread of its own; what does not fit into its queue is dropped. A
collector that is down costs spans and a line in the log each minute, never a request.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway.telemetry.tracing import Span

LOG: Final = logging.getLogger("nqgate.otlp")
TRACES: Final = "/v1/traces"
QUEUE: Final = 2048  # spans of 2 KiB
BATCH: Final = 512
PERIOD_MS: Final = 1000.0  # a span is shown after a second; the library's own 5 are long to look at a screen
TIMEOUT: Final = 5.0  # seconds for one batch
LAST_WORDS: Final = 2.0  # seconds at the end of the process for what is left
COMPLAIN_EVERY: Final = 60.0


class _Ids(IdGenerator):
    """Those that the store was told, not new ones."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class Exporter:
    """Of one process. `endpoint`: http[s]://HOST:PORT[/PATH], of the collector; without a path the usual one."""

    def __init__(self, endpoint: str, version: str, *, period_ms: float = PERIOD_MS) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": "nqgate", "service.version": version})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        sender = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=TIMEOUT)
        batches = BatchSpanProcessor(
            sender, max_queue_size=QUEUE, schedule_delay_millis=period_ms, max_export_batch_size=BATCH
        )
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("nqgate", version)

    def export(self, span: Span) -> None:
        """By the library's own tracer, begun and ended at once: it was decided before that this one is sampled."""
        self._ids.trace_id, self._ids.span_id = span.trace_id, span.span_id
        parent = Context()
        if span.parent_id is not None:
            above = SpanContext(
                span.trace_id, span.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
            )
            parent = set_span_in_context(NonRecordingSpan(above), parent)
        told = self._tracer.start_span(
            span.name, parent, SpanKind.SERVER, attributes=span.attributes, start_time=span.began
        )
        if span.failed:
            told.set_status(StatusCode.ERROR)
        told.end(span.ended)

    def close(self) -> None:
        """Sends what is left, if that can be done soon."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(LAST_WORDS)


class Complaints(logging.Handler):
    """What the library says of its troubles, once a minute. A batch that fails is told by it several times."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._next = 0.0
        self._kept_back = 0

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        if now < self._next:
            self._kept_back += 1
            return
        self._next = now + COMPLAIN_EVERY
        kept_back, self._kept_back = self._kept_back, 0
        LOG.warning("spans do not arrive: %s (%d such lines were kept back)", record.getMessage(), kept_back)


def traces_url(endpoint: str) -> str:
    address, path = endpoint.split("://", 1)[1].partition("/")[::2]
    return endpoint if path else f"{endpoint.split('://', 1)[0]}://{address}{TRACES}"


def open_exporter(endpoint: str, version: str) -> Callable[[Span], None]:
    """For the life of this process."""
    library = logging.getLogger("opentelemetry")
    library.handlers[:] = [Complaints()]
    library.propagate = False
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it says of each attempt what the library says of them all
    exporter = Exporter(endpoint, version)
    atexit.register(exporter.close)
    return exporter.export

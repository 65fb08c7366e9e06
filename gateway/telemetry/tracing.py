"""Spans: which requests get one, under which trace, and what is said in it. Knows no exporter and no library for it.

A span of the gateway takes the place of its parent in what the store is told, so that the store's spans hang below it.
Whether to sample is the parent's decision once the signature held; of strangers it is not believed, for anybody could
fill the queue of spans with it: `sample_ratio` decides alone.
"""

import time
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from gateway.authorize import Authorized
from gateway.s3.request import METHODS, RequestHead, S3Request
from gateway.source import Trusted, source_address
from gateway.telemetry.request_record import End, RequestRecord
from gateway.trace_context import TraceParent, read_traceparent, trace_lines

RANDOM_TRACE_ID: Final = 2  # a flag of level 2
SAMPLED: Final = 1
MAX_TEXT: Final = 512  # characters of what a client chose, or of a reason
NS: Final = 1_000_000_000
_VALUE: Final = slice(len("traceparent: "), len("traceparent: ") + 55)
_LINE: Final = len(TraceParent(b"0" * 32, b"0" * 16, 0).line())
_CUT: Final = End.CUT

Value = str | int | float


class Span(NamedTuple):
    """Ids as numbers; `parent_id`: None of one that begins its trace. Times in Unix nanoseconds."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began: int
    ended: int
    failed: bool
    attributes: dict[str, Value]


class Tracing:
    """`export` takes one finished span and must not wait. `ratio`: of the requests whose sampling nobody decided."""

    def __init__(
        self,
        export: Callable[[Span], None],
        ratio: float,
        trusted: Trusted,
        *,
        object_keys: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._export = export
        self._ratio = ratio
        self._trusted = trusted
        self._object_keys = object_keys
        self._clock = clock
        self._random = Random()  # noqa: S311 – ids of spans are no secrets

    def begin(self, request: S3Request) -> None:
        """Of a request that was admitted: its span is what the store hears of."""
        told = request.trace
        parent = read_traceparent(told[_VALUE]) if told else None
        span = self._fresh() if parent is None else TraceParent(parent.trace_id, self._id(8), parent.flags)
        request.trace = span.line() + told[_LINE:]

    def ended(self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None) -> None:
        told = None if authorized is None else read_traceparent(authorized.request.trace[_VALUE])
        own = told or self._fresh()
        if not own.sampled:
            return
        parent = None if head is None else read_traceparent(trace_lines(head.headers)[_VALUE])
        if parent is not None and told is None:  # it was refused before it was admitted
            own = TraceParent(parent.trace_id, own.span_id, own.flags)
        ended = self._clock()
        self._export(
            Span(
                record.operation or _method(record) or "HTTP",
                int(own.trace_id, 16),
                int(own.span_id, 16),
                None if parent is None else int(parent.span_id, 16),
                int((ended - (record.ended - record.began)) * NS),
                int(ended * NS),
                record.status >= 500 or record.end is _CUT,
                self._attributes(record, head, authorized),
            )
        )

    def _fresh(self) -> TraceParent:
        sampled = SAMPLED if self._random.random() < self._ratio else 0
        return TraceParent(self._id(16), self._id(8), sampled | RANDOM_TRACE_ID)

    def _id(self, octets: int) -> bytes:
        return b"%0*x" % (octets * 2, self._random.getrandbits(octets * 8) or 1)

    def _attributes(
        self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None
    ) -> dict[str, Value]:
        """By OpenTelemetry's semantic conventions for HTTP servers and AWS; what they do not know is `nqgate.…`."""
        forwarded_for = None if head is None else head.headers.get(b"x-forwarded-for")
        said: dict[str, Value] = {
            "http.request.method": _method(record) or "_OTHER",
            "http.response.status_code": record.status,
            "http.request.body.size": record.received,
            "http.response.body.size": record.sent,
            "client.address": source_address(record.source, forwarded_for, self._trusted)[:MAX_TEXT],
            "aws.request_id": record.request_id.decode(),
        }
        texts = {
            "rpc.method": record.operation,
            "aws.s3.bucket": record.bucket,
            "error.type": record.code,
            "nqgate.access_key_id": record.access_key_id,
            "nqgate.refusal": record.reason,
            "nqgate.store_error": record.store_error,
            "nqgate.end": record.end.value,
        }
        if authorized is not None:
            texts["client.address"] = authorized.request.source
            texts["nqgate.account"] = authorized.access_key.account
            if self._object_keys:
                texts["aws.s3.key"] = authorized.request.object_key.decode("utf-8", "backslashreplace")
        if head is not None:
            texts["user_agent.original"] = head.headers.get(b"user-agent", b"").decode("utf-8", "backslashreplace")
        said.update({name: text[:MAX_TEXT] for name, text in texts.items() if text})
        if record.replied and record.asked:
            said["nqgate.store_seconds"] = max(record.replied - record.asked, 0.0)
        return said


def _method(record: RequestRecord) -> str:
    return record.method.decode() if record.method in METHODS else ""

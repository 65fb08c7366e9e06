"""What one request adds to the numbers."""

import pytest

from gateway.config_limits import LimitsSettings
from gateway.telemetry.metrics import ANSWER, BY_NAME, CELLS, LIMIT, OPERATION, OTHER, SECONDS, place_of
from gateway.telemetry.request_counts import RequestCounts
from gateway.telemetry.request_record import End, RequestRecord

TOOK = "nqgate_request_seconds"
REPLIED = "nqgate_store_reply_seconds"


class Counted:
    """The numbers after some records."""

    def __init__(self) -> None:
        self.cells = [0] * CELLS
        self._counts = RequestCounts(self.cells)

    def count(self, record: RequestRecord) -> None:
        self._counts.count(record)

    def at(self, name: str, *values: str, beyond: int = 0) -> int:
        return self.cells[place_of(name, *values) + beyond]


@pytest.fixture
def counted() -> Counted:
    return Counted()


def record(operation: str = "GetObject", status: int = 200, **known: object) -> RequestRecord:
    made = RequestRecord(b"0123456789ABCDEF", b"GET", "192.0.2.1", 100.0)
    made.operation, made.status, made.ended = operation, status, 100.0
    for name, value in known.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("status", "end", "answer"),
    [
        (200, End.WHOLE, "2xx"),
        (304, End.WHOLE, "3xx"),
        (404, End.WHOLE, "4xx"),
        (503, End.WHOLE, "5xx"),
        (200, End.CUT, "cut"),
        (0, End.LEFT, "left"),
        (200, End.LEFT, "left"),
        (999, End.WHOLE, "5xx"),
        (101, End.WHOLE, "5xx"),
    ],
)
def test_a_request_is_counted_once_by_operation_and_answer(
    counted: Counted, status: int, end: End, answer: str
) -> None:
    counted.count(record(status=status, end=end))
    found = {
        (operation, value): counted.at("nqgate_requests", operation, value)
        for operation in OPERATION
        for value in ANSWER
        if counted.at("nqgate_requests", operation, value)
    }
    assert found == {("GetObject", answer): 1}


@pytest.mark.parametrize("operation", ["", "MadeUp", "GetObject\nx"])
def test_an_operation_that_is_none_makes_no_series(counted: Counted, operation: str) -> None:
    counted.count(record(operation, 403))
    assert counted.at("nqgate_requests", "none", "4xx") == 1


def test_times_fall_into_the_first_bucket_that_holds_them(counted: Counted) -> None:
    for seconds in (0.0, 0.001, 0.0011, 300.0, 301.0):
        counted.count(record(began=100.0, ended=100.0 + seconds))
    place = place_of(TOOK, "download")
    buckets = counted.cells[place : place + len(SECONDS) + 1]
    assert (buckets[0], buckets[1], buckets[len(SECONDS) - 1], buckets[len(SECONDS)]) in ((2, 1, 1, 1), (1, 2, 1, 1))
    assert sum(buckets) == 5
    assert counted.cells[place + BY_NAME[TOOK].width - 1] == pytest.approx(601.0021e6, abs=5)


def test_the_stores_time_is_counted_only_where_it_answered(counted: Counted) -> None:
    counted.count(record(status=503, asked=100.0))
    assert sum(counted.cells[place_of(REPLIED, "download") :][: len(SECONDS) + 1]) == 0
    counted.count(record(asked=100.0, replied=100.02, ended=100.03))
    assert counted.at(REPLIED, "download", beyond=SECONDS.index(0.025)) == 1


def test_bytes_are_counted_by_group(counted: Counted) -> None:
    counted.count(record(received=3, sent=5))
    counted.count(record("PutObject", received=7))
    assert counted.at("nqgate_received_bytes", "download") == 3
    assert counted.at("nqgate_received_bytes", "upload") == 7
    assert counted.at("nqgate_sent_bytes", "download") == 5


@pytest.mark.parametrize(
    ("known", "error", "reason"),
    [
        ({"code": "AccessDenied"}, ("AccessDenied", "gateway"), "scope"),
        ({"code": "NoSuchKey", "from_store": True}, ("NoSuchKey", "store"), None),
        ({"code": "MadeUpByAStore", "from_store": True}, ("other", "store"), None),
        ({"code": "ServiceUnavailable", "reason": "keystore: no"}, ("ServiceUnavailable", "gateway"), "keystore"),
        ({"end": End.CUT, "from_store": True, "reason": "the store closed"}, None, "store"),
        ({"end": End.CUT, "code": "InvalidAccessKeyId"}, ("InvalidAccessKeyId", "gateway"), "access_key"),
        ({"end": End.LEFT}, None, None),
        ({}, None, None),
    ],
)
def test_errors_are_counted_by_code_and_refusals_by_reason(
    counted: Counted, known: dict[str, object], error: tuple[str, str] | None, reason: str | None
) -> None:
    counted.count(record(status=400, **known))
    errors, refusals = BY_NAME["nqgate_errors"], BY_NAME["nqgate_refusals"]
    assert [values for values in errors.series if counted.at(errors.name, *values)] == ([error] if error else [])
    assert [values for values in refusals.series if counted.at(refusals.name, *values)] == (
        [(reason,)] if reason else []
    )


def test_nothing_is_counted_outside_what_belongs_to_requests(counted: Counted) -> None:
    """The place of the next operation, group and code begins where that of one ends."""
    for operation in OPERATION:
        for status in (200, 304, 404, 503):
            counted.count(record(operation, status, code="NoSuchKey", received=1, sent=1, replied=400.0, ended=900.0))
    named = {"nqgate_requests", "nqgate_errors", "nqgate_refusals", TOOK, REPLIED, "nqgate_received_bytes"}
    outside = [
        name
        for name, metric in BY_NAME.items()
        if name not in named | {"nqgate_sent_bytes"}
        and any(counted.cells[place_of(name, *metric.series[0]) :][: metric.size])
    ]
    assert outside == []
    assert all(counted.at("nqgate_requests", one, value) == 1 for one in OPERATION for value in ANSWER[:4])


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        ("too many requests at once: limits.requests", "requests"),
        ("too many requests at once, and this key has its share: limits.requests", "requests"),
        ("too many requests of one access key at once: limits.requests_per_access_key", "requests_per_access_key"),
        ("the spool: No space left on device", "other"),
        ("the process has no memory left", "other"),
        ("limits.made_up", "other"),
    ],
)
def test_who_is_told_to_slow_down_is_counted_by_the_limit(counted: Counted, told: str, limit: str) -> None:
    counted.count(record(status=503, code="SlowDown", reason=told))
    counted.count(record(status=503, code="SlowDown", reason=told, from_store=True))
    counted.count(record(status=403, code="AccessDenied", reason="limits.requests"))
    assert {name: counted.at("nqgate_limited", name) for name in LIMIT if counted.at("nqgate_limited", name)} == {
        limit: 1
    }


def test_every_limit_that_may_be_reached_is_a_setting() -> None:
    assert {name for name in LIMIT if name != OTHER} <= set(LimitsSettings.model_fields)

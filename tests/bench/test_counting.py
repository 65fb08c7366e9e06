"""What is timed is what a gateway does: the figures are never looked at here."""

from bench import counting
from gateway.telemetry.metrics import CELLS, place_of
from gateway.telemetry.request_counts import RequestCounts


def test_the_request_that_is_counted_is_one_that_the_store_answered() -> None:
    cells = [0] * CELLS
    RequestCounts(cells).count(counting.counted())
    assert cells[place_of("nqgate_requests", "GetObject", "2xx")] == 1
    assert cells[place_of("nqgate_sent_bytes", "download")] == 1024


def test_the_least_of_some_rounds_is_of_one_turn() -> None:
    done: list[None] = []
    assert counting.least(lambda: done.append(None), rounds=3, turns=5) > 0
    assert len(done) == 15

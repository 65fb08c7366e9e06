"""What counting one request costs by itself: `PYTHONPATH=.venv/native:. python -P -m bench.counting`.

The least of many short rounds, for whatever else runs on the machine only adds.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.telemetry.metrics import CELLS
from gateway.telemetry.request_counts import RequestCounts
from gateway.telemetry.request_record import RequestRecord

ROUNDS: Final = 400
TURNS: Final = 2000  # in one of them


def counted() -> RequestRecord:
    """A GET of 1 KiB that the store answered in a millisecond."""
    record = _begun()
    record.operation, record.status, record.sent, record.from_store = "GetObject", 200, 1024, True
    record.asked, record.replied, record.ended = 1.0001, 1.0009, 1.001
    return record


def _begun() -> RequestRecord:
    return RequestRecord(b"0123456789ABCDEF", b"GET", "192.0.2.1", 1.0)


def least(work: Callable[[], object], rounds: int = ROUNDS, turns: int = TURNS) -> float:
    """Nanoseconds of one turn."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(turns):
            work()
        found.append(time.perf_counter() - began)
    return min(found) / turns * 1e9


def costs() -> dict[str, float]:
    """Nanoseconds, by part."""
    counts = RequestCounts([0] * CELLS)
    return {
        "the record": least(_begun),
        "four readings of the clock": 4 * least(time.monotonic),
        "counting": least(partial(counts.count, counted())),
    }


def main() -> None:
    found = costs()
    for part, nanoseconds in {**found, "together": sum(found.values())}.items():
        print(f"{part:28}{nanoseconds:6.0f} ns")


if __name__ == "__main__":
    main()

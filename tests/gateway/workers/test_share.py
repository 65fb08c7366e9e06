import os

import pytest

from gateway.config import LimitsSettings
from gateway.wire.limits import Limits
from gateway.workers.share import processors, share

LIMITS = Limits(**LimitsSettings().model_dump())


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 48])
def test_the_parts_together_are_the_limit_and_hardly_more(workers: int) -> None:
    part = share(LIMITS, workers)
    for name in ("connections", "upstream_connections", "buffer_total", "spool_total"):
        assert 0 <= getattr(part, name) * workers - getattr(LIMITS, name) < workers


def test_what_holds_for_one_request_is_not_shared() -> None:
    part = share(LIMITS, 4)
    assert part._replace(connections=0, upstream_connections=0, buffer_total=0, spool_total=0) == LIMITS._replace(
        connections=0, upstream_connections=0, buffer_total=0, spool_total=0
    )


def test_every_worker_may_serve_somebody() -> None:
    part = share(LIMITS._replace(connections=1, upstream_connections=1), 48)
    assert (part.connections, part.upstream_connections) == (1, 1)


def test_processors_are_those_this_process_may_use() -> None:
    assert processors() == len(os.sched_getaffinity(0))

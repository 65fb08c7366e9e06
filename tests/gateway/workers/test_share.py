import os

import pytest

from gateway.config import LimitsSettings
from gateway.wire.limits import Limits
from gateway.workers.share import processors, share

SHARED = """
connections connections_per_address handshakes requests requests_per_access_key requests_per_address
refusals_per_address upstream_connections buffer_total spool_total
""".split()
LIMITS = Limits(**LimitsSettings().model_dump())


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 48])
def test_the_parts_together_are_the_limit_and_hardly_more(workers: int) -> None:
    part = share(LIMITS, workers)
    for name in SHARED:
        assert 0 <= getattr(part, name) * workers - getattr(LIMITS, name) < workers


def test_what_holds_for_one_request_is_not_shared() -> None:
    none = dict.fromkeys(SHARED, 0)
    assert share(LIMITS, 4)._replace(**none) == LIMITS._replace(**none)


def test_no_limit_is_none_in_every_worker() -> None:
    assert share(LIMITS._replace(requests_per_address=0), 48).requests_per_address == 0


def test_every_worker_may_serve_somebody() -> None:
    part = share(LIMITS._replace(connections=1, upstream_connections=1), 48)
    assert (part.connections, part.upstream_connections) == (1, 1)


def test_processors_are_those_this_process_may_use() -> None:
    assert processors() == len(os.sched_getaffinity(0))

"""Each worker's part of the limits that hold for the whole gateway."""

import os
from typing import Final

from gateway.wire.limits import Limits

_SHARED: Final = (
    "connections",
    "connections_per_address",
    "handshakes",
    "requests",
    "requests_per_access_key",
    "requests_per_address",
    "refusals_per_address",
    "upstream_connections",
    "buffer_total",
    "spool_total",
)


def share(limits: Limits, workers: int) -> Limits:
    """Rounded up, so that every worker can serve; what is 0, no limit, stays so. How many connections each gets is the
    kernel's choice, so a limit that one has reached may be one that another has not."""
    return limits._replace(**{name: -(-getattr(limits, name) // workers) for name in _SHARED})


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))

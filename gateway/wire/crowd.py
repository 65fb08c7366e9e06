"""Which client connections give way when there are as many as may be. Pure: it closes nothing.

Those that wait for a request go first, the idle ones of whoever has most connections at the head of them. A connection
with a request under way never does: strangers could end the work of others by coming in numbers.
"""

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from gateway.wire.addresses import Address

AT_REST: Final = 1.0  # seconds without a request: who asks one after the other does not lose its connection in between
_BATCH: Final = 64  # one in so many is let go at once, so that not every newcomer costs a look at all of them


class Resting(Protocol):
    """A client connection. `since`: when its present wait began; `idle`: nothing of a request is here."""

    address: Address
    since: float

    @property
    def idle(self) -> bool: ...
    @property
    def expects_head(self) -> bool: ...


T = TypeVar("T", bound=Resting)


def giving_way(connections: Iterable[T], limit: int, now: float) -> list[T]:
    """Some, for newcomers to come; [] when all are at work. `now`: the clock of `since`."""
    resting = [one for one in connections if one.expects_head and now - one.since >= AT_REST]
    resting.sort(key=_order)
    return resting[: max(1, limit // _BATCH)]


def _order(connection: Resting) -> tuple[int, bool, float]:
    return -connection.address.connections, not connection.idle, connection.since

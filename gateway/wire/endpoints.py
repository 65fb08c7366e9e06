"""The addresses that the store is reached at, and which of them the next connection goes to.

They are one store: what one of them holds, all do. What fails is put aside while another is left, so never the last.
It opens nothing and looks nothing up; the pool does, and tells it the time.
"""

import logging
import ssl
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.wire.upstream import UpstreamConnection

LOG: Final = logging.getLogger("nqgate.upstream")
# Resets, silence and 5xx in a row, with no good answer between them; a refused connection needs no second proof. One
# is chance: a store that restarts breaks what runs, and serves the next.
FAILURES: Final = 3
# What proxies and stores answer whose own back is broken. 500 is left out: often it is one object that cannot be read.
FAILING: Final = range(502, 505)
FIRST_PAUSE: Final = 1.0  # seconds aside; doubled each time it is still dead
LONGEST_PAUSE: Final = 30.0


class Endpoint(NamedTuple):
    """Where the store listens. `tls` is None for plain http; `server_name` is what its certificate must say. `path`: of
    its Unix socket, instead of all that. `host_header`: how it is called, where others are called differently."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str | None
    path: str | None = None
    host_header: bytes = b""

    @property
    def shown(self) -> str:
        """For the log."""
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Waited:
    """The pool, as far as an address needs it. No protocol: compiled, an attribute of one is looked up by its name."""

    clock: float

    def take_waiting(self, connection: UpstreamConnection) -> bool:
        raise NotImplementedError

    def room_again(self) -> None:
        raise NotImplementedError

    def ailing(self, address: "Address", reason: str) -> None:
        raise NotImplementedError

    def recovered(self, address: "Address") -> None:
        raise NotImplementedError


class Address:
    """One address, and the connections to it. `aside`: nobody is sent there. `gone`: DNS names it no more, so what is
    open is closed as it becomes free. `ill`: said in the log, and not taken back yet."""

    __slots__ = (
        "_pool",
        "aside",
        "connections",
        "endpoint",
        "failures",
        "gone",
        "host",
        "idle",
        "ill",
        "opening",
        "pause",
        "until",
    )

    def __init__(self, pool: Waited, endpoint: Endpoint) -> None:
        self._pool = pool
        self.endpoint = endpoint
        self.host = endpoint.host_header
        self.connections: set[UpstreamConnection] = set()
        self.idle: list[UpstreamConnection] = []
        self.opening = 0
        self.failures = 0
        self.aside = False
        self.gone = False
        self.ill = False
        self.pause = 0.0
        self.until = 0.0

    @property
    def open(self) -> int:
        return len(self.connections) + self.opening

    @property
    def in_flight(self) -> int:
        return len(self.connections) + self.opening - len(self.idle)

    # ---- what its connections tell ----

    def release(self, connection: UpstreamConnection) -> None:
        """A connection is free again: the longest waiting exchange gets it, else it lies idle. If it is closing, the
        next who takes it sees that, or it leaves when it is lost."""
        self.judge(connection)
        if self.gone or self.aside:
            connection.transport.abort()
            return
        pool = self._pool
        if not pool.take_waiting(connection):
            connection.idle_since = pool.clock
            self.idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        self.judge(connection)
        self.connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._pool.room_again()

    def judge(self, connection: UpstreamConnection) -> None:
        """By its last answer, once."""
        status, connection.status = connection.status, 0
        if status in FAILING:
            self.failed(f"it answered {status}")
        elif status:
            self.failures = 0
            if self.ill and not self.aside:  # the last one left, which had failed
                self._pool.recovered(self)

    def failed(self, reason: str) -> None:
        self.failures += 1
        if self.failures >= FAILURES:
            self._pool.ailing(self, reason)

    # ---- what the pool does with it ----

    def put_aside(self, now: float) -> None:
        """Its idle connections are closed: they count, and lead to what is dead."""
        self.aside = True
        self.pause = min(max(FIRST_PAUSE, 2 * self.pause), LONGEST_PAUSE)
        self.until = now + self.pause
        self.drop_idle()

    def take_back(self) -> None:
        self.aside = False
        self.pause = 0.0
        self.failures = 0

    def drop_idle(self) -> None:
        idle, self.idle = self.idle, []
        for connection in idle:
            connection.transport.abort()

    def close_older(self, oldest: float) -> None:
        while self.idle and self.idle[0].idle_since < oldest:
            self.idle.pop(0).transport.abort()


def least_busy(addresses: Sequence[Address], turn: int) -> Address | None:
    """The one with the fewest requests under way; of equals the one whose turn it is. None when all are aside."""
    found: Address | None = None
    number = len(addresses)
    for step in range(number):
        address = addresses[(turn + step) % number]
        if not address.aside and (found is None or address.in_flight < found.in_flight):
            found = address
    return found


def next_to_try(addresses: Sequence[Address], tried: Sequence[Address], turn: int) -> Address | None:
    """Where a connection that failed is tried next: what serves before what is aside, of those whoever is due first."""
    left = [address for address in addresses if address not in tried]
    aside = min((address for address in left if address.aside), key=lambda address: address.until, default=None)
    return least_busy(left, turn) or aside

"""What a worker and the supervisor measure of themselves, written to their slots ten times a second.

It reads numbers that others keep, and changes nothing. Of the requests themselves `telemetry.request_counts` hears.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic, time
from typing import Final, NamedTuple, Protocol

from gateway.telemetry.histogram import observe
from gateway.telemetry.metrics import MICROSECOND, place_of
from gateway.telemetry.own_usage import OwnUsage
from gateway.telemetry.request_counts import RequestCounts
from gateway.telemetry.slots import Slot
from gateway.wire.engine import Engine

LOG: Final = logging.getLogger("nqgate")
EVERY: Final = 0.1  # seconds between two writings: what a worker that is killed counted since is lost
SELDOM: Final = 10  # of these, between two looks at what costs a system call

_BUSY: Final = place_of("nqgate_upstream_connections", "busy")
_IDLE: Final = place_of("nqgate_upstream_connections", "idle")
_OPENING: Final = place_of("nqgate_upstream_connections", "opening")
_READY: Final = place_of("nqgate_workers", "ready")
_STARTING: Final = place_of("nqgate_workers", "starting")


_CONNECTIONS: Final = place_of("nqgate_connections")
_CONNECTIONS_LIMIT: Final = place_of("nqgate_connections_limit")
_IN_FLIGHT: Final = place_of("nqgate_requests_in_flight")
_WAITING: Final = place_of("nqgate_upstream_waiting")
_UPSTREAM_LIMIT: Final = place_of("nqgate_upstream_connections_limit")
_UNREACHABLE: Final = place_of("nqgate_upstream_unreachable_workers")
_ADDRESSES: Final = place_of("nqgate_upstream_addresses")
_ASIDE: Final = place_of("nqgate_upstream_addresses_aside")
_MEMORY: Final = place_of("nqgate_body_memory_bytes")
_MEMORY_LIMIT: Final = place_of("nqgate_body_memory_limit_bytes")
_SPOOL: Final = place_of("nqgate_spool_bytes")
_SPOOL_LIMIT: Final = place_of("nqgate_spool_limit_bytes")
_WORKER_CHANGE: Final = place_of("nqgate_worker_change")
_FRESH: Final = place_of("nqgate_keystore_fresh")
_RELOAD_REFUSED: Final = place_of("nqgate_reload_refused")
_KEYSTORE_CHANGE: Final = place_of("nqgate_keystore_change")
_LEASE: Final = place_of("nqgate_keystore_lease_seconds")
_MEASURED_AT: Final = place_of("nqgate_measured_at_seconds")


class _Counted:
    """A number that others count from 0, added to one that outlives them."""

    def __init__(self, slot: Slot, name: str, *values: str) -> None:
        self._slot = slot
        self._place = place_of(name, *values)
        self._told = 0

    def told(self, value: int) -> None:
        self._slot.add(self._place, value - self._told)
        self._told = value


def _look(number: int, usage: OwnUsage, write: Callable[[], None]) -> None:
    """One that fails is logged, and the next is tried."""
    try:
        if number % SELDOM == 0:
            usage.measure()
        write()
    except Exception:
        LOG.exception("measuring failed")


class WorkerMeasures:
    """Of one worker. `applied`: the last change of the keystore that it knows."""

    def __init__(self, slot: Slot, engine: Engine, applied: Callable[[], int]) -> None:
        self._slot = slot
        self._engine = engine
        self._applied = applied
        self._usage = OwnUsage(slot, "worker")
        self._requests = RequestCounts(slot.cells)
        self._cut = _Counted(slot, "nqgate_transfers_cut")
        self._past_recall = _Counted(slot, "nqgate_transfers_past_recall")
        self._opened = _Counted(slot, "nqgate_upstream_opened")
        self._failures = _Counted(slot, "nqgate_upstream_connect_failures")
        engine.on_ended = (*engine.on_ended, self._requests.count)

    async def run(self) -> None:
        """Until cancelled; what was counted then is for `write`."""
        looks = 0
        while True:
            asked = monotonic()
            await asyncio.sleep(EVERY)
            observe(self._slot, "nqgate_loop_lag_seconds", max(0.0, monotonic() - asked - EVERY))
            _look(looks, self._usage, self.write)
            looks += 1

    def write(self) -> None:
        put, engine = self._slot.put, self._engine
        limits, pool = engine.limits, engine.upstream.pool
        put(_CONNECTIONS, engine.connections)
        put(_CONNECTIONS_LIMIT, limits.connections)
        put(_IN_FLIGHT, engine.running)
        put(_BUSY, pool.busy)
        put(_IDLE, pool.idle)
        put(_OPENING, pool.opening)
        put(_WAITING, pool.waiting)
        put(_UPSTREAM_LIMIT, limits.upstream_connections)
        put(_UNREACHABLE, int(pool.last_error is not None))
        put(_ADDRESSES, len(pool.addresses))
        put(_ASIDE, pool.aside)
        put(_MEMORY, engine.memory.taken)
        put(_MEMORY_LIMIT, limits.buffer_total)
        put(_SPOOL, engine.spool_room.files.taken)
        put(_SPOOL_LIMIT, limits.spool_total)
        put(_WORKER_CHANGE, self._applied())
        self._cut.told(engine.transfers_cut)
        self._past_recall.told(engine.transfers_past_recall)
        self._opened.told(pool.opened)
        self._failures.told(pool.failures)
        self._slot.write()


class KeystoreState(NamedTuple):
    """As the supervisor knows it. `lease_left`: seconds, 0 when it has run out; None where there is none."""

    fresh: Callable[[], bool]
    applied: Callable[[], int]
    lease_left: Callable[[], float | None]


class Gang(Protocol):
    """`workers.supervisor.Supervisor`, as far as it is measured."""

    restarts: int

    @property
    def alive(self) -> tuple[int, int]: ...


class Restarted(Protocol):
    """What is started again when it ends: `workers.control.ControlPlane`."""

    restarts: int


class Reloads:
    """How often a reload was asked for, and what became of it. `refused_last`: the newest of them was."""

    __slots__ = ("done", "refused", "refused_last")

    def __init__(self) -> None:
        self.done = 0
        self.refused = 0
        self.refused_last = False

    def count(self, *, refused: bool) -> None:
        self.done += not refused
        self.refused += refused
        self.refused_last = refused


class SupervisorMeasures:
    """Of the supervisor, and what it alone knows: its workers, and whether the keystore is proven."""

    def __init__(self, slot: Slot, keystore: KeystoreState, gang: Gang, control: Restarted, reloads: Reloads) -> None:
        self._slot = slot
        self._keystore = keystore
        self._gang = gang
        self._control = control
        self._reloads = reloads
        self._usage = OwnUsage(slot, "supervisor")
        self._done = _Counted(slot, "nqgate_reloads", "done")
        self._refused = _Counted(slot, "nqgate_reloads", "refused")
        self._workers = _Counted(slot, "nqgate_worker_restarts")
        self._planes = _Counted(slot, "nqgate_control_plane_restarts")
        slot.put(place_of("nqgate_started_at_seconds"), int(time()))
        slot.put(place_of("nqgate_keystore_leased"), int(keystore.lease_left() is not None))

    async def run(self) -> None:
        """Until cancelled."""
        looks = 0
        while True:
            _look(looks, self._usage, self.write)
            looks += 1
            await asyncio.sleep(EVERY)

    def write(self) -> None:
        put, keystore, gang = self._slot.put, self._keystore, self._gang
        put(_FRESH, int(keystore.fresh()))
        put(_KEYSTORE_CHANGE, keystore.applied())
        put(_LEASE, round((keystore.lease_left() or 0.0) / MICROSECOND))
        serving, places = gang.alive
        put(_READY, serving)
        put(_STARTING, places - serving)
        put(_RELOAD_REFUSED, int(self._reloads.refused_last))
        self._done.told(self._reloads.done)
        self._refused.told(self._reloads.refused)
        put(_MEASURED_AT, int(time()))
        self._workers.told(gang.restarts)
        self._planes.told(self._control.restarts)
        self._slot.write()

"""A gateway's row in the table of gateways, in the hands of its keeper: joined, renewed, acknowledged, left.

Law: whatever goes wrong in a proof, nobody knows whether the row was renewed, and so the place under it is given up. A
row that was given up is marked as left only where its renewals are still those that were known; somebody else may hold
it by now, as a copy of this very process would. The others are fenced by the janitors, of which every keeper is one.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from keystore import lease
from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable
from keystore.found_rows import read_store
from keystore.postgres_gateways import (
    ACKNOWLEDGE,
    ADD_GATEWAY,
    FENCE_GATEWAY,
    FORGET_GATEWAYS,
    LEAVE_GATEWAY,
    RENEW_GATEWAY,
    RENEWALS,
    Acknowledgement,
    told_json,
)
from keystore.postgres_server import BEGIN_WRITE, PostgresHand
from keystore.verified_rows import PROTOCOL

MAX_FORMER: Final = 16  # rows given up that are still to be marked as left; the janitors have more patience
NOT_COMMITTED: Final = "the database committed, and warned that it is not proven where it should be, too"


def boottime_ms() -> int:
    """Counts while the machine sleeps, so that a lease ends meanwhile. Rounded down."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class PlaceLost(KeystoreUnavailable):
    """Fenced, taken over or taken out: the row is no longer ours."""


class _Place(NamedTuple):
    id: UUID
    renewals: int


class PostgresLease:
    """`name`: of the gateway, for people. `clock_ms` never goes back."""

    def __init__(self, name: str, clock_ms: Callable[[], int] = boottime_ms) -> None:
        self.name = name
        self._clock_ms = clock_ms
        self._place: _Place | None = None
        self._former: list[_Place] = []
        self._acknowledged: tuple[object, ...] = ()

    @property
    def joined(self) -> bool:
        return self._place is not None

    @property
    def gateway_id(self) -> UUID | None:
        return None if self._place is None else self._place.id

    def give_up(self) -> None:
        """The place is no longer used; who calls it has seen to it that nobody serves under it."""
        if self._place is not None:
            self._former = [*self._former, self._place][-MAX_FORMER:]
            self._place = None

    async def join(self, hand: PostgresHand, keks: str) -> None:
        """Take a new row, and mark as left what was given up. Nobody may serve when this is called."""
        self.give_up()
        place = _Place(uuid4(), 0)
        await hand.run(BEGIN_WRITE)
        await hand.execute(FORGET_GATEWAYS, (self.name,))  # and not those that leave now: somebody may ask for them
        for former in self._former:
            await hand.execute(LEAVE_GATEWAY, (*former, int(time.time())))
        await hand.execute(ADD_GATEWAY, (place.id, self.name, keks, PROTOCOL))
        self._former = [*self._former, place][-MAX_FORMER:]  # until its COMMIT was answered
        if not await hand.commit():
            raise KeystoreUnavailable(NOT_COMMITTED)
        self._former = []
        self._place = place
        self._acknowledged = ()

    async def prove(self, hand: PostgresHand, applied: int, timeout_ms: int) -> tuple[int, StoreRow]:
        """Ask how far the log has come, under the row: the clock before it was asked, and the store row, unverified.

        PlaceLost, KeystoreUnavailable or anything foreign: there is no proof, and no place any more.
        """
        place = self._place
        if place is None:
            raise PlaceLost("it has no place among the gateways")
        self._place = None
        t0_ms = self._clock_ms()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await hand.run(BEGIN_WRITE)
                found = await hand.fetch(RENEW_GATEWAY, *place, applied)
                proven = await hand.commit()
        except BaseException:
            self._former = [*self._former, place][-MAX_FORMER:]
            raise
        if not found:
            raise PlaceLost("its place among the gateways is lost: it was fenced, or another one renewed it")
        place = place._replace(renewals=place.renewals + 1)
        if not proven:
            self._former = [*self._former, place][-MAX_FORMER:]
            raise KeystoreUnavailable(NOT_COMMITTED)
        self._place = place
        return t0_ms, read_store(found)

    async def acknowledge(self, hand: PostgresHand, applied: int, said: Acknowledgement, keks: str) -> None:
        """Say what the word holds and what the workers have taken, if it has not been said on this row."""
        told = applied, min(said.taken, applied), told_json(said), keks
        if self._place is not None and told != self._acknowledged:
            await hand.execute(ACKNOWLEDGE, (self._place.id, *told))
            self._acknowledged = told

    def doubt_acknowledged(self) -> None:
        """A connection was lost: the server may have forgotten what it did not have to keep."""
        self._acknowledged = ()

    async def leave(self, hand: PostgresHand) -> None:
        self.give_up()
        for former in self._former:
            await hand.execute(LEAVE_GATEWAY, (*former, int(time.time())))
        self._former = []


class _Noted(NamedTuple):
    renewals: int
    at_ms: int
    lease_ms: int


class Janitor:
    """Fences the rows of gateways that are not renewed any more, so that a revoke waits for each of them once."""

    def __init__(self, clock_ms: Callable[[], int] = boottime_ms) -> None:
        self._clock_ms = clock_ms
        self._noted: dict[UUID, _Noted] = {}

    async def look(self, hand: PostgresHand, lease_ms: int, mine: UUID | None) -> None:
        noted: dict[UUID, _Noted] = {}
        for found, renewals in await hand.fetch(RENEWALS):
            gateway_id = UUID(str(found))
            now = _Noted(int(str(renewals)), self._clock_ms(), lease_ms)
            before = self._noted.get(gateway_id)
            noted[gateway_id] = before if before is not None and before.renewals == now.renewals else now
        self._noted = noted
        for gateway_id, seen in noted.items():
            waited_ms = lease.wait_ms((seen.lease_ms, lease_ms))
            if gateway_id != mine and lease.may_fence(seen.at_ms, self._clock_ms(), waited_ms):
                await hand.execute(FENCE_GATEWAY, (gateway_id, seen.renewals))

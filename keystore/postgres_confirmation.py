"""Whether every gateway of a keystore on PostgreSQL has taken a change: asked after its commit, of the primary.

A gateway has confirmed when its row says so, or that it has left. One that does neither has lapsed when the lease is
over on our own clock, counted from after the commit: it refuses every new request by then. No other clock is compared.
Those that were not yet in the table after the commit learn the change with their first proof.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple
from uuid import UUID

from keystore import lease
from keystore.board import NOTHING_CUT
from keystore.chain import StoreRow
from keystore.confirmation import SETTLE, Confirmation
from keystore.errors import KeystoreUnavailable
from keystore.found_rows import read_last_change, read_store
from keystore.postgres_gateways import GATEWAYS_AFTER, Gateway, Snapshot, read_gateways
from keystore.postgres_lease import boottime_ms
from keystore.postgres_rows import CHANGE_IN_THE_LOG
from keystore.postgres_server import FOREIGN, PostgresHand, connect, said, server_name
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret

FIRST_POLL: Final = 0.002  # seconds; each pause is half as long again as the one before, up to LAST_POLL
LAST_POLL: Final = 0.05
ANSWER_SECONDS: Final = 2.0  # a look takes milliseconds; who is silent for longer is asked on a new connection
AFTERWARDS: Final = 5.0  # seconds beyond the lease in which a server that was lost may come back, to be asked again
GONE: Final = "the change was committed and is gone again: not proven, run it again"

Sleep = Callable[[float], Awaitable[None]]


class _Judged(NamedTuple):
    confirmed: list[Gateway]  # those that still have a row
    left: int
    lapsed: int
    waited_for: int


async def confirm_postgres(
    url: Secret,
    ring: KekRing,
    seq: int,
    *,
    since: float,
    settle: float = SETTLE,
    leases_ms: Iterable[int] = (),
    clock_ms: Callable[[], int] = boottime_ms,
    sleep: Sleep = asyncio.sleep,
) -> Confirmation:
    """Wait until every gateway has taken the change `seq`, or its lease is over. Called after its COMMIT was answered;
    `since`: time.monotonic() before it was asked for. `leases_ms`: known to the caller, where one was lowered of late.

    A connection that is lost meanwhile makes it wait for the whole lease: what it has not seen until then, it has
    missed. Raises KeystoreUnavailable where the change is not proven: it is gone, or nobody can be asked any more.
    """
    asking = _Asking(url, ring, seq, clock_ms(), sorted(leases_ms), clock_ms)
    pause = FIRST_POLL
    settled_by: float | None = None
    try:
        while True:
            judged = await asking.look()
            if judged is not None and not judged.waited_for and asking.enough:
                settled_by = settled_by or time.monotonic() + min(settle, asking.longest_ms / 1000)
                if not _unsettled(judged, seq) or time.monotonic() > settled_by:
                    return _told(judged, seq, since)
            await sleep(pause)
            pause = min(pause * 1.5, LAST_POLL)
    finally:
        await asking.close()


class _Asking:
    """`enough`: no connection was lost, or the lease is over."""

    def __init__(
        self, url: Secret, ring: KekRing, seq: int, t1_ms: int, leases_ms: list[int], clock_ms: Callable[[], int]
    ) -> None:
        self._url = url
        self._where = server_name(url.expose())
        self._ring = ring
        self._seq = seq
        self._t1_ms = t1_ms
        self._leases_ms = leases_ms
        self._clock_ms = clock_ms
        self._hand: PostgresHand | None = None
        self._lost = False
        self._mac: bytes | None = None
        self._asked: dict[UUID, Gateway] | None = None  # who has to confirm, as last seen

    @property
    def enough(self) -> bool:
        return not self._lost or self._over(self._clock_ms())

    @property
    def longest_ms(self) -> int:
        return lease.wait_ms(self._leases_ms)

    async def look(self) -> _Judged | None:
        """None: the server was not reached, and may be later."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                seen = await self._snapshot()
        except FOREIGN as error:
            self._lost = True
            self._drop()
            patience_ms = lease.wait_ms(self._leases_ms or [lease.DEFAULT_LEASE_MS]) + round(AFTERWARDS * 1000)
            if lease.over(self._t1_ms, self._clock_ms(), patience_ms):
                raise KeystoreUnavailable(
                    f"the change was committed, but {self._where} cannot be asked who has taken it ({said(error)}):"
                    " not proven, run it again"
                ) from error
            return None
        except BaseException:
            self._drop()
            raise
        return self._judge(seen)

    async def _snapshot(self) -> Snapshot:
        if self._hand is None or self._hand.closed:
            self._lost = self._lost or self._hand is not None
            self._hand = await connect(self._url.expose(), self._where, seconds=ANSWER_SECONDS)
        if self._mac is None:
            self._mac = await self._verified(self._hand)
        known = " ".join(str(one) for one in self._asked or ())
        seen = read_gateways(await self._hand.fetch(GATEWAYS_AFTER, known, self._seq))
        self._enter(seen.store)
        if seen.mac != self._mac:
            raise KeystoreUnavailable(GONE)
        return seen

    async def _verified(self, hand: PostgresHand) -> bytes:
        """The MAC of the change, which was written by this keystore."""
        found = await hand.fetch(CHANGE_IN_THE_LOG, self._seq, self._seq)
        store = read_store(found)
        last = read_last_change(found[0][len(StoreRow._fields) + 1 :])
        if last is None:
            raise KeystoreUnavailable(GONE)
        return enter_store(self._ring, store).checked(last).mac

    def _enter(self, store: StoreRow) -> None:
        """Under its MAC, what the lease is."""
        enter_store(self._ring, store)
        self._leases_ms.append(store.lease_ms)
        self._leases_ms = [max(self._leases_ms)]

    def _judge(self, seen: Snapshot) -> _Judged:
        now_ms = self._clock_ms()
        asked = {one.id for one in seen.gateways.values() if not one.row.fenced and not one.row.left}
        if self._asked is not None:
            asked = set(self._asked)
        self._asked = {**(self._asked or {}), **{one: seen.gateways[one] for one in asked if one in seen.gateways}}
        confirmed: list[Gateway] = []
        left = lapsed = waited_for = 0
        for one in asked:
            there = self._asked[one]  # of a row that was taken out meanwhile, what it said before
            if there.row.left:
                left += 1
            else:
                match self._standing(there.row, now_ms):
                    case lease.Standing.CONFIRMED:
                        confirmed.append(there)
                    case lease.Standing.WAITED_FOR:
                        waited_for += 1
                    case lease.Standing.GONE | lease.Standing.LAPSED:
                        lapsed += 1
        return _Judged(confirmed, left, lapsed, waited_for)

    def _standing(self, row: lease.Row, now_ms: int) -> lease.Standing:
        return lease.standing(row, self._seq, since_ms=self._t1_ms, now_ms=now_ms, waited_ms=self.longest_ms)

    def _over(self, now_ms: int) -> bool:
        return lease.over(self._t1_ms, now_ms, self.longest_ms)

    def _drop(self) -> None:
        if self._hand is not None:
            self._hand.drop()
            self._hand = None

    async def close(self) -> None:
        if self._hand is not None:
            await self._hand.close()


def _unsettled(judged: _Judged, seq: int) -> bool:
    cuts = [one.cuts.get(seq, NOTHING_CUT) for one in judged.confirmed]
    return any(cut.settled < cut.in_store for cut in cuts)


def _told(judged: _Judged, seq: int, since: float) -> Confirmation:
    cuts = [one.cuts.get(seq, NOTHING_CUT) for one in judged.confirmed]
    return Confirmation(
        gateways=len(judged.confirmed) + judged.left + judged.lapsed,
        confirmed=len(judged.confirmed) + judged.left,
        lapsed=judged.lapsed,
        elsewhere=(),
        transfers_cut=sum(cut.cut for cut in cuts),
        in_store_settled=sum(cut.settled for cut in cuts),
        in_store_unsettled=tuple(what for one in judged.confirmed for at, what in one.in_store if at == seq),
        took_ms=round((time.monotonic() - since) * 1000),
        out_of_lease=judged.lapsed,
    )

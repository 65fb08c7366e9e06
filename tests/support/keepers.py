"""Keepers as tasks of one process, each behind a proxy of its own, with workers that write down what they are told.

What is judged is the whole history on one clock: from the moment a revoke has returned, no gateway has a word that is
good for who lacks the change, nor one that says it while the ring never held it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from keystore import lease
from keystore.access_key import RevokeReason
from keystore.board import Cut
from keystore.confirmation import Confirmation
from keystore.found_rows import read_store
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_confirmation import confirm_postgres
from keystore.postgres_gateways import Acknowledgement
from keystore.postgres_keeper import PostgresKeeper
from keystore.postgres_log import ToldChange
from keystore.postgres_rows import PUT_STORE, SELECT_STORE
from keystore.postgres_server import connect
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret
from tests.support.postgres import Postgres
from tests.support.rough_proxy import RoughProxy, rough_proxy

LEASE_MS = 3000  # the machine of a test is busy: what is wrong by a tenth of it must be seen


def boot_ms() -> float:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


@dataclass(frozen=True)
class Clock:
    """Runs at `rate` from where BOOTTIME stood at `start`."""

    rate: float = 1.0
    start: float = field(default_factory=boot_ms)

    def __call__(self) -> int:
        return int(self.start + (boot_ms() - self.start) * self.rate)

    def when(self, shown: float) -> float:
        """On BOOTTIME."""
        return self.start + (shown - self.start) / self.rate


class Stored(NamedTuple):
    """A word that was stored. `ringed`: the change up to which the ring held all at that moment."""

    at: float
    word: int
    ringed: int


class Returned(NamedTuple):
    """A revoke that returned."""

    at: float
    seq: int
    confirmation: Confirmation


class FakeWorkers:
    """Take everything at once, unless `takes` is False. `dead`: as after SIGKILL, the word stays as it was."""

    def __init__(self) -> None:
        self.told: list[ToldChange] = []
        self.words: list[Stored] = []
        self.taken = 0
        self.takes = True
        self.dead = False
        self.cuts: dict[int, Cut] = {}
        self.in_store: list[tuple[int, str]] = []
        self.keeper: PostgresKeeper | None = None

    @property
    def ringed(self) -> int:
        """Without a gap behind the last that stands for everything."""
        at = 0
        for change in self.told:
            if change.of == "everything":
                at = max(at, change.seq)
            elif change.seq == at + 1:
                at += 1
        return at

    def ring(self, changes: Sequence[ToldChange]) -> None:
        self.told += changes

    def word(self, word: int) -> None:
        if self.dead:
            return
        self.words.append(Stored(boot_ms(), word, self.ringed))
        if self.takes and self.taken != self.ringed:
            self.taken = self.ringed
            asyncio.get_running_loop().call_soon(lambda: self.keeper and self.keeper.acknowledge_soon())

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(self.taken, self.cuts, self.in_store)


@dataclass
class Host:
    """A gateway: its keeper, the task that runs it, the proxy before it."""

    keeper: PostgresKeeper
    workers: FakeWorkers
    proxy: RoughProxy
    clock: Clock
    task: asyncio.Task[None]

    def kill(self) -> None:
        """As SIGKILL: nothing is said any more."""
        self.workers.dead = True
        self.proxy.blackhole()
        self.task.cancel()

    def good_for(self, seq: int, after: float) -> list[Stored]:
        """Words that were good at some moment behind `after` for who lacks the change `seq`, or never held it."""
        wrong = []
        for number, stored in enumerate(self.workers.words):
            following = self.workers.words[number + 1].at if number + 1 < len(self.workers.words) else float("inf")
            end = min(following, self.clock.when(lease.expiry_of(stored.word)))
            lacks = lease.seq_of(stored.word) < seq or stored.ringed < seq
            if lacks and end > max(stored.at, after):
                wrong.append(stored)
        return wrong


class House:
    """One keystore on a real server, its gateways, and revokes that wait for them. `kind`: the keepers' class.
    `asked_at`: where a revoke asks who has taken it."""

    def __init__(
        self, postgres: Postgres, database: str, ring: KekRing, store: PostgresStore, stack: contextlib.AsyncExitStack
    ) -> None:
        self.postgres = postgres
        self.url = self.asked_at = Secret(postgres.url(database))
        self.ring = ring
        self.store = store
        self.database = database
        self.hosts: list[Host] = []
        self.returned: list[Returned] = []
        self.kind: type[PostgresKeeper] = PostgresKeeper
        self._stack = stack

    async def add(self, *, ready: bool = True, rate: float = 1.0) -> Host:
        proxy = await self._stack.enter_async_context(rough_proxy(self.postgres.port))
        workers, clock = FakeWorkers(), Clock(rate)
        url = Secret(self.postgres.url(self.database, proxy.port))
        keeper = self.kind(url, self.ring, workers, name=f"gateway-{len(self.hosts)}", clock_ms=clock)
        workers.keeper = keeper
        host = Host(keeper, workers, proxy, clock, asyncio.create_task(keeper.run()))
        self.hosts.append(host)
        if ready:
            async with asyncio.timeout(10):
                await keeper.ready()
        return host

    async def lease_is(self, lease_ms: int) -> None:
        """In the store row, signed as any."""
        hand = await connect(self.url.expose(), "tests")
        row = read_store(await hand.fetch(SELECT_STORE))
        rows = enter_store(self.ring, row)
        at = type("At", (), {"seq": row.seq, "head": row.head})
        await hand.execute(PUT_STORE, (1, *rows.store_row(row._replace(lease_ms=lease_ms), at)))  # type: ignore[arg-type]  # its two fields
        await hand.close()

    async def commit_revoke(self, access_key_id: str) -> int:
        await self.store.revoke_key(access_key_id, RevokeReason.OTHER, "ann")
        return self.store.committed_seq

    async def confirm(self, seq: int, since: float | None = None, **more: Callable[[], int] | float) -> Confirmation:
        told = await confirm_postgres(self.asked_at, self.ring, seq, since=since or time.monotonic(), **more)  # type: ignore[arg-type]  # as named
        self.returned.append(Returned(boot_ms(), seq, told))
        return told

    async def revoke(self, access_key_id: str, **more: Callable[[], int] | float) -> Confirmation:
        since = time.monotonic()
        return await self.confirm(await self.commit_revoke(access_key_id), since, **more)

    def sql(self, statement: str) -> list[list[str]]:
        return self.postgres.sql(self.database, statement)

    def violations(self) -> list[tuple[int, int, Stored]]:
        """(revoke, gateway, word)."""
        return [
            (revoke.seq, number, stored)
            for revoke in self.returned
            for number, host in enumerate(self.hosts)
            for stored in host.good_for(revoke.seq, revoke.at)
        ]


@contextlib.asynccontextmanager
async def house_on(postgres: Postgres, database: str, ring: KekRing) -> AsyncIterator[House]:
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_postgres_store(postgres.url(database), ring, create=True))
        house = House(postgres, database, ring, store, stack)
        await house.lease_is(LEASE_MS)
        try:
            yield house
        finally:
            for host in house.hosts:
                host.task.cancel()
            await asyncio.gather(*[host.task for host in house.hosts], return_exceptions=True)

"""Each rule of the lease taken out of the keepers or the revoke: the invariant turns red, and holds again without the
bug, in the very same order of events. A history that cannot see a bug proves nothing without it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keystore import lease, postgres_confirmation, postgres_lease
from keystore.postgres_gateways import ADD_GATEWAY, RENEW_GATEWAY
from keystore.postgres_keeper import PostgresKeeper
from keystore.postgres_log import News, PostgresLog
from keystore.postgres_server import PostgresHand
from keystore.sealing import KekRing
from tests.support.keepers import LEASE_MS, Host, House, house_on
from tests.support.keystore_on_postgres import made
from tests.support.postgres import Postgres

pytestmark = pytest.mark.server

SLOW = 0.76  # of a gateway's clock: just within the bound of 4:3, so that its words last as long as they ever may
with_and_without = pytest.mark.parametrize("bug", [True, False], ids=["bug", "rule"])


@pytest.fixture
async def house(
    postgres: Postgres, postgres_database: str, ring: KekRing, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """Nobody is told of a commit: what a gateway learns it learns by its proofs, and by what it reads again."""
    monkeypatch.setattr("keystore.postgres.CHANNEL", "elsewhere")
    async with house_on(postgres, postgres_database, ring) as opened:
        yield opened


def seen(house: House, bug: bool) -> None:
    found = house.violations()
    assert house.returned
    assert bool(found) is bug, found


async def just_proven(host: Host) -> None:
    known = len(host.workers.words)
    async with asyncio.timeout(5):
        while len(host.workers.words) == known:
            await asyncio.sleep(0.001)


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


class Proofs:
    """Holds one proof between its look at the database and its COMMIT, and cuts the gateway off after the COMMIT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hold = False
        self.then: Callable[[], None] | None = None
        self.looked, self.go = asyncio.Event(), asyncio.Event()
        fetch, commit, proofs = PostgresHand.fetch, PostgresHand.commit, self
        renewing: set[PostgresHand] = set()

        async def held(self: PostgresHand, statement: str, *values: object) -> list[tuple[object, ...]]:
            found = await fetch(self, statement, *values)
            if statement == postgres_lease.RENEW_GATEWAY:
                renewing.add(self)
                if proofs.hold:
                    proofs.hold = False
                    proofs.looked.set()
                    await proofs.go.wait()
            return found

        async def cut(self: PostgresHand) -> bool:
            proven = await commit(self)
            if self in renewing and proofs.then is not None and not proofs.hold:
                then, proofs.then = proofs.then, None
                then()
            return proven

        monkeypatch.setattr(PostgresHand, "fetch", held)
        monkeypatch.setattr(PostgresHand, "commit", cut)


@with_and_without
async def test_the_lease_counted_from_the_answer(house: House, monkeypatch: pytest.MonkeyPatch, bug: bool) -> None:
    prove = postgres_lease.PostgresLease.prove

    async def at_reply(self: Any, *arguments: Any) -> Any:
        _, row = await prove(self, *arguments)
        return self._clock_ms(), row

    if bug:
        monkeypatch.setattr(postgres_lease.PostgresLease, "prove", at_reply)
    monkeypatch.setattr(lease, "proof_timeout_ms", lambda lease_ms: 5000)
    proofs = Proofs(monkeypatch)
    access_key_id = await made(house.store)
    host = await house.add(rate=SLOW)
    proofs.then, proofs.hold = host.proxy.blackhole, True
    await proofs.looked.wait()
    confirming = asyncio.ensure_future(house.confirm(await house.commit_revoke(access_key_id)))
    await asyncio.sleep(0.3)
    proofs.go.set()
    assert (await confirming).lapsed == 1
    seen(house, bug)


@with_and_without
async def test_the_lease_extended_before_the_change_is_in_the_ring(
    house: House, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    news = PostgresLog.news

    async def prove(self: Any, hand: PostgresHand) -> int:
        t0_ms, store = await self._lease.prove(hand, self.applied, 200)
        self._lease_ms = store.lease_ms
        self._say(lease.extended(self._word, lease.Proof(t0_ms, store.seq, store.lease_ms), store.seq))
        self._proven.set()
        self._take(await news(self._log, hand))
        return int(t0_ms)

    if bug:
        monkeypatch.setattr(PostgresKeeper, "_prove", prove)
    proofs = Proofs(monkeypatch)
    access_key_id = await made(house.store)
    host = await house.add(rate=SLOW)
    await just_proven(host)
    seq = await house.commit_revoke(access_key_id)
    proofs.then = host.proxy.blackhole
    assert (await house.confirm(seq)).lapsed == 1
    seen(house, bug)


@with_and_without
async def test_a_proof_before_the_row_is_there(house: House, monkeypatch: pytest.MonkeyPatch, bug: bool) -> None:
    join, execute = PostgresKeeper._join, PostgresHand.execute
    registering, go = asyncio.Event(), asyncio.Event()

    async def proof_first(self: Any, hand: PostgresHand) -> None:
        t0_ms = self._clock_ms()
        self._take(await self._log.begin(hand))
        self._say(lease.extended(self._word, lease.Proof(t0_ms, self.applied, LEASE_MS), self.applied))
        await self._lease.join(hand, self._keks)

    async def slow(self: PostgresHand, statement: str, values: Any) -> None:
        if statement == ADD_GATEWAY:
            registering.set()
            await go.wait()
        await execute(self, statement, values)

    monkeypatch.setattr(PostgresKeeper, "_join", proof_first if bug else join)
    monkeypatch.setattr(PostgresHand, "execute", slow)
    monkeypatch.setattr(lease, "proof_timeout_ms", lambda lease_ms: 5000)
    access_key_id = await made(house.store)
    host = await house.add(ready=False)
    await registering.wait()
    told = await house.revoke(access_key_id)
    assert told.gateways == 0
    go.set()
    await host.keeper.ready()
    seen(house, bug)


@with_and_without
async def test_the_gateways_listed_before_the_commit(house: House, monkeypatch: pytest.MonkeyPatch, bug: bool) -> None:
    begin = postgres_confirmation._Asking.__init__

    def listed(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self._asked = {}  # as it was before

    if bug:
        monkeypatch.setattr(postgres_confirmation._Asking, "__init__", listed)
    access_key_id = await made(house.store)
    host = await house.add()
    await just_proven(host)
    host.proxy.blackhole()
    await house.revoke(access_key_id)
    seen(house, bug)


@with_and_without
async def test_a_fenced_row_that_still_gets_proofs(house: House, monkeypatch: pytest.MonkeyPatch, bug: bool) -> None:
    if bug:
        lenient = RENEW_GATEWAY.replace("NOT fenced AND ", "")
        assert lenient != RENEW_GATEWAY
        monkeypatch.setattr(postgres_lease, "RENEW_GATEWAY", lenient)
    access_key_id = await made(house.store)
    host, _ = await house.add(), await house.add()
    await just_proven(host)
    host.proxy.refuses = True
    host.proxy.reset()  # while it rests: its place is not in doubt
    await until(lambda: house.sql("SELECT count(*) FROM nqgate.gateway WHERE fenced") == [["1"]])
    proofs = Proofs(monkeypatch)
    host.proxy.heal()
    if bug:
        await until(host.keeper.fresh)
        await just_proven(host)
    else:
        await just_proven(host)
        await until(host.keeper.fresh)
    assert proofs.then is None
    host.proxy.blackhole()
    await house.revoke(access_key_id)
    seen(house, bug)


@with_and_without
async def test_no_reading_again_after_the_connection_was_lost(
    house: House, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    """What was committed meanwhile is taken for told."""
    news = PostgresLog.news

    async def untold(self: PostgresLog, hand: PostgresHand) -> News:
        return (await news(self, hand))._replace(told=())

    access_key_id = await made(house.store)
    host = await house.add()
    await just_proven(host)
    host.proxy.refuses = True
    host.proxy.reset()
    seq = await house.commit_revoke(access_key_id)
    if bug:
        monkeypatch.setattr(PostgresLog, "news", untold)
        host.workers.takes = False
        host.workers.taken = seq  # they hold all that they were told
    host.proxy.heal()
    assert (await house.confirm(seq)).confirmed == 1
    seen(house, bug)


@with_and_without
async def test_a_wait_that_is_too_short(house: House, monkeypatch: pytest.MonkeyPatch, bug: bool) -> None:
    if bug:
        shorter = property(lambda self: lease.wait_ms(self._leases_ms) * 9 // 10)
        monkeypatch.setattr(postgres_confirmation._Asking, "longest_ms", shorter)
    access_key_id = await made(house.store)
    host = await house.add(rate=SLOW)
    await just_proven(host)
    host.proxy.blackhole()
    assert (await house.revoke(access_key_id)).lapsed == 1
    seen(house, bug)


# ---- a COMMIT that warns ----


@contextlib.contextmanager
def lonely(postgres: Postgres) -> Iterator[None]:
    """The primary waits for a standby that there is not."""

    def names(wanted: str) -> None:
        postgres.sql("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{wanted}'")
        postgres.sql("postgres", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while postgres.sql("postgres", "SHOW synchronous_standby_names") != [[wanted]]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    names("ghost")
    try:
        yield
    finally:
        names("")


WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'"


@with_and_without
async def test_a_warning_taken_for_a_proof(
    house: House, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    """A COMMIT that is cancelled while it waits for a standby succeeds; after a failover it was never there."""
    if bug:
        monkeypatch.setattr(PostgresHand, "_told", lambda self, connection, message: None)
    monkeypatch.setattr(lease, "proof_timeout_ms", lambda lease_ms: 5000)
    host = await house.add()
    with ExitStack() as stack:
        stack.enter_context(lonely(postgres))
        async with asyncio.timeout(5):
            while not (waiting := house.sql(WAITING)):
                await asyncio.sleep(0.01)
        before = lease.expiry_of(host.workers.words[-1].word)
        house.sql(f"SELECT pg_cancel_backend({waiting[0][0]})")
        await asyncio.sleep(0.1)
        extended = lease.expiry_of(host.workers.words[-1].word) > before
        assert extended is bug

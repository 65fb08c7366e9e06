"""Keepers against one real server, each behind a network of its own. Every test ends with the invariant: from the
moment a revoke has returned, no gateway has a word that is good for who lacks the change."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator

import pytest

from keystore import lease
from keystore.board import Cut
from keystore.errors import KeystoreUnavailable, WentBack, WrongKek
from keystore.postgres_keeper import PostgresKeeper
from keystore.postgres_log import ToldChange
from keystore.sealing import Kek, KekRing, Secret
from tests.support.keepers import LEASE_MS, FakeWorkers, Host, House, boot_ms, house_on
from tests.support.keystore_on_postgres import made
from tests.support.postgres import Postgres, running
from tests.support.rough_proxy import RoughProxy, rough_proxy

pytestmark = pytest.mark.server

SECONDS = 5  # of bad weather
LIVE = "SELECT count(*) FROM nqgate.gateway WHERE NOT fenced AND left_at IS NULL"


@pytest.fixture
async def house(postgres: Postgres, postgres_database: str, ring: KekRing) -> AsyncIterator[House]:
    async with house_on(postgres, postgres_database, ring) as opened:
        yield opened
        assert opened.violations() == []


async def until(holds: object, seconds: float = 30.0) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        await asyncio.sleep(0.01)


# ---- one gateway ----


async def test_the_first_word_is_good_for_nobody_and_the_first_proof_makes_it_good(house: House) -> None:
    host = await house.add()
    first, *others = host.workers.words
    assert first.word == lease.NEVER
    assert host.workers.told[0] == ToldChange(1, "everything")
    assert host.keeper.fresh()
    assert host.keeper.applied == 1
    assert lease.expiry_of(others[-1].word) <= boot_ms() + lease.serve_ms(LEASE_MS)
    assert 0 < host.keeper.lease_left() <= lease.serve_ms(LEASE_MS) / 1000


async def test_nothing_is_left_of_a_lease_however_long_it_has_run_out(house: House) -> None:
    host = await house.add()
    host.keeper._word = lease.NEVER
    assert not host.keeper.fresh()
    assert host.keeper.lease_left() == 0


async def test_a_change_lies_in_the_ring_before_the_word_tells_of_it(house: House) -> None:
    host = await house.add()
    for _ in range(3):
        await made(house.store)
    await until(lambda: host.keeper.applied == 4)
    assert all(stored.ringed >= lease.seq_of(stored.word) for stored in host.workers.words)
    assert [change.seq for change in host.workers.told] == [1, 2, 3, 4]


async def test_a_commit_is_heard_at_once_and_moves_no_time(house: House) -> None:
    await house.lease_is(60_000)  # the next proof is 15 seconds away
    host = await house.add()
    await made(house.store)
    await until(lambda: host.keeper.applied == 2)
    for one, following in zip(host.workers.words, host.workers.words[1:], strict=False):
        if lease.seq_of(one.word) != lease.seq_of(following.word) and following.word:
            assert lease.expiry_of(one.word) == lease.expiry_of(following.word)


async def test_what_nobody_told_is_found_by_the_next_proof(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await house.add()
    monkeypatch.setattr("keystore.postgres.CHANNEL", "elsewhere")
    await made(house.store)
    await until(lambda: host.keeper.applied == 2)


async def test_what_the_workers_have_taken_is_acknowledged(house: House) -> None:
    await house.lease_is(8000)
    host = await house.add()
    host.workers.takes = False
    access_key_id = await made(house.store)
    seq = await house.commit_revoke(access_key_id)
    await until(lambda: house.sql("SELECT applied FROM nqgate.gateway") == [[str(seq)]])
    assert house.sql("SELECT cut_seq FROM nqgate.gateway") == [["1"]]
    host.workers.taken, host.workers.cuts = seq, {seq: Cut(2, 1, 0)}
    host.workers.in_store = [(seq, "PUT photos/one")]
    host.keeper.acknowledge_soon()
    told = await house.confirm(seq, settle=0.1)
    assert (told.confirmed, told.transfers_cut, told.in_store_unsettled) == (1, 2, ("PUT photos/one",))


async def test_who_is_ended_leaves(house: House) -> None:
    await house.lease_is(8000)
    host = await house.add()
    host.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await host.task
    assert host.workers.words[-1].word == lease.NEVER
    assert house.sql(LIVE) == [["0"]]
    told = await house.revoke(await made(house.store))
    assert told.gateways == 0


async def test_records_are_looked_up_anew(house: House) -> None:
    host = await house.add()
    access_key_id = await made(house.store)
    found = await host.keeper.find_key(access_key_id)
    assert found is not None
    assert await host.keeper.find_claims(["photos"]) == {}
    assert (await host.keeper.find_account("default"))[0].name == "default"


async def test_other_keks_are_shown_in_the_row(house: House, ring: KekRing) -> None:
    await house.lease_is(8000)
    host = await house.add()
    with pytest.raises(WrongKek):
        host.keeper.use(KekRing((Kek(b"x" * 32),)))
    newer = Kek(b"n" * 32)
    host.keeper.use(KekRing((*ring.keks, newer)))
    await until(lambda: house.sql("SELECT keks FROM nqgate.gateway")[0][0].endswith(newer.kek_id))
    assert host.keeper.fresh()


async def test_no_password_stands_in_a_log_or_an_error(
    house: House, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    host = await house.add()
    host.proxy.refuses = True
    host.proxy.reset()
    await until(lambda: "is not followed" in caplog.text)
    assert postgres.password not in caplog.text + repr(vars(host.keeper))
    with pytest.raises(KeystoreUnavailable) as told:
        PostgresKeeper(Secret("postgresql://u:s3@cr3t@h/d"), house.ring, FakeWorkers(), name="n")
    assert "cr3t" not in str(told.value)


# ---- revokes that wait for three ----


async def three(house: House) -> list[Host]:
    return [await house.add() for _ in range(3)]


async def test_three_gateways_confirm_a_revoke_at_once(house: House) -> None:
    await house.lease_is(8000)
    await three(house)
    for _ in range(5):
        told = await house.revoke(await made(house.store))
        assert (told.gateways, told.confirmed, told.lapsed) == (3, 3, 0)
        assert told.took_ms < 2000  # it takes some 30; the machine may be busy


@pytest.mark.parametrize("way", ["there", "back", "both"])
async def test_a_gateway_that_is_cut_off_lapses_with_its_lease(house: House, way: str) -> None:
    hosts = await three(house)
    access_key_id = await made(house.store)
    hosts[1].proxy.there.black = way != "back"
    hosts[1].proxy.back.black = way != "there"
    told = await house.revoke(access_key_id)
    if told.lapsed:
        assert LEASE_MS < told.took_ms < LEASE_MS + 2000
        assert (told.gateways, told.confirmed, told.lapsed, told.proven) == (3, 2, 1, True)
        assert not hosts[1].keeper.fresh()
    assert hosts[0].keeper.fresh()
    assert hosts[2].keeper.fresh()
    hosts[1].proxy.heal()
    await until(hosts[1].keeper.fresh)
    assert hosts[1].keeper.applied == house.store.committed_seq
    told = await house.revoke(access_key_id)
    assert (told.gateways, told.confirmed) == (3, 3)


async def test_a_gateway_serves_again_soon_after_it_is_healed(house: House) -> None:
    host = await house.add()
    host.proxy.blackhole()
    await until(lambda: not host.keeper.fresh())
    assert host.keeper.lease_left() <= 0
    host.proxy.heal()
    before = time.monotonic()
    await until(host.keeper.fresh)
    assert time.monotonic() - before < 3  # it takes 0.3; the machine may be busy


async def test_a_short_loss_of_the_connection_is_ridden_out(house: House) -> None:
    """Under the same row, and nobody is refused meanwhile."""
    await house.lease_is(8000)
    host = await house.add()
    rows = house.sql("SELECT id FROM nqgate.gateway")
    for _ in range(3):
        host.proxy.reset()
        access_key_id = await made(house.store)
        until_ms = boot_ms() + 300
        while boot_ms() < until_ms:
            assert host.keeper.fresh()
            await asyncio.sleep(0.005)
    assert house.sql("SELECT id FROM nqgate.gateway") == rows
    assert (await house.revoke(access_key_id)).confirmed == 1


async def test_a_gateway_that_was_killed_is_fenced_and_costs_one_revoke(house: House) -> None:
    hosts = await three(house)
    access_key_id = await made(house.store)
    hosts[2].kill()
    assert (await house.revoke(access_key_id)).lapsed >= 1
    await until(lambda: house.sql(LIVE) == [["2"]])
    told = await house.revoke(access_key_id)
    assert (told.gateways, told.confirmed) == (2, 2)


async def test_a_gateway_that_was_fenced_while_it_was_cut_off_takes_a_new_place(house: House) -> None:
    hosts = await three(house)
    former = hosts[0].keeper._lease.gateway_id
    hosts[0].proxy.blackhole()
    await until(lambda: house.sql(LIVE) == [["2"]])
    hosts[0].proxy.heal()
    await until(hosts[0].keeper.fresh)
    assert hosts[0].keeper._lease.gateway_id != former
    assert (await house.revoke(await made(house.store))).confirmed == 3


async def test_joining_during_revokes_lets_nothing_through(house: House) -> None:
    await house.add()
    access_key_id = await made(house.store)

    async def revoking() -> None:
        for _ in range(8):
            await house.revoke(access_key_id)

    async def joining() -> None:
        for _ in range(4):
            await house.add()

    await asyncio.gather(revoking(), joining())
    assert (await house.revoke(access_key_id)).confirmed == 5


async def test_a_copied_incarnation_loses_its_place_and_takes_another(house: House) -> None:
    hosts = [await house.add() for _ in range(2)]
    hosts[1].keeper._lease._place = hosts[0].keeper._lease._place
    await until(lambda: hosts[0].keeper._lease.gateway_id != hosts[1].keeper._lease.gateway_id)
    await until(lambda: all(host.keeper.fresh() for host in hosts))
    # The row that nobody holds any more is fenced; then both confirm, each under its own.
    await until(lambda: house.sql(LIVE) == [["2"]])
    assert (await house.revoke(await made(house.store))).gateways == 2


async def test_look_ups_that_find_another_log_end_the_word_at_once(house: House) -> None:
    host = await house.add()
    await made(house.store)
    await until(lambda: host.keeper.applied == 2)
    house.sql("UPDATE nqgate.change SET mac = '\\x00' WHERE seq = 2")
    with pytest.raises(WentBack):
        await host.keeper.find_key("NQAKone")
    assert not host.keeper.fresh()
    assert host.workers.words[-1].word == lease.NEVER
    await asyncio.sleep(0.4)
    assert not host.keeper.fresh()  # a proof that was under way extends nothing


async def test_a_log_that_went_back_is_not_served(house: House, caplog: pytest.LogCaptureFixture) -> None:
    host = await house.add()
    kept = house.sql("SELECT seq, head, mac FROM nqgate.store")[0]
    await made(house.store)
    await until(lambda: host.keeper.applied == 2)
    house.sql(
        f"DELETE FROM nqgate.change WHERE seq = 2;"
        f" UPDATE nqgate.store SET seq = {kept[0]}, head = '{kept[1]}', mac = '{kept[2]}'"
    )
    await until(lambda: not host.keeper.fresh())
    assert host.workers.words[-1].word == lease.NEVER  # and not when its lease was over
    await asyncio.sleep(0.5)
    assert not host.keeper.fresh()
    assert "went back in time" in caplog.text
    await made(house.store)
    await asyncio.sleep(0.5)
    assert not host.keeper.fresh()
    await until(lambda: house.sql(LIVE) == [["0"]])  # and no revoke waits for it
    await house.store.adopt(0, "ann", {})
    await until(host.keeper.fresh)
    assert host.workers.told[-1].of == "everything"


# ---- the server ----


async def test_a_server_that_crashes_and_starts_again_forgets_no_revocation(ring: KekRing) -> None:
    with running() as server:
        server.sql("postgres", "CREATE DATABASE crashing")
        async with house_on(server, "crashing", ring) as house:
            hosts = await three(house)
            access_key_id = await made(house.store)
            assert (await house.revoke(access_key_id)).confirmed == 3
            words = [len(host.workers.words) for host in hosts]
            await asyncio.to_thread(crash, server)
            await until(lambda: all(len(h.workers.words) > n for h, n in zip(hosts, words, strict=True)), 20.0)
            await until(lambda: all(host.keeper.fresh() for host in hosts), 20.0)
            told = await house.revoke(access_key_id)
            assert told.confirmed >= 3
            assert house.violations() == []


def crash(server: Postgres) -> None:
    """Kill one of its processes: the server ends all the others, and recovers."""
    killed = server.sql("postgres", "SELECT pid FROM pg_stat_activity WHERE application_name = 'nqgate' LIMIT 1")
    os.kill(int(killed[0][0]), signal.SIGKILL)


# ---- any order of faults ----


class Weather:
    """Faults in any order: of the networks of gateways and of the revoke, of gateways that die and others that join.
    Any two clocks run at rates within 4:3; with 0.76 and 1.3 a janitor fenced a gateway that still served."""

    def __init__(self, house: House, seed: int) -> None:
        self.chance = random.Random(seed)
        self.house = house
        self.ended = 0.0
        self.died = 0

    async def add(self) -> None:
        await self.house.add(ready=False, rate=self.chance.choice((0.87, 1.0, 1.15)))

    async def faults(self, revoker: RoughProxy) -> None:
        chance = self.chance
        while boot_ms() < self.ended:
            host = chance.choice([one for one in self.house.hosts if not one.workers.dead])
            proxy = revoker if chance.random() < 0.1 else host.proxy
            match chance.randrange(8):
                case 0:
                    proxy.blackhole()
                case 1:
                    proxy.there.black = True
                case 2:
                    proxy.back.black = True
                case 3:
                    proxy.there.delay, proxy.back.delay = chance.uniform(0, 0.06), chance.uniform(0, 0.06)
                case 4:
                    proxy.reset()
                case 5 | 6:
                    proxy.heal()
                case 7 if self.died < 2:
                    self.died += 1
                    host.kill()
                    await self.add()
            await asyncio.sleep(chance.uniform(0.0, 0.3))
        for one in (revoker, *[host.proxy for host in self.house.hosts if not host.workers.dead]):
            one.heal()

    async def revokes(self, access_key_id: str) -> None:
        while boot_ms() < self.ended:
            seq = await self.house.commit_revoke(access_key_id)
            with contextlib.suppress(KeystoreUnavailable):  # not proven: nothing was promised
                await self.house.confirm(seq)
            await asyncio.sleep(self.chance.uniform(0.0, 0.1))


@pytest.mark.parametrize("seed", range(4))
async def test_no_sequence_of_faults_lets_a_revoked_key_through(house: House, seed: int) -> None:
    weather = Weather(house, seed)
    for _ in range(3):
        await weather.add()
    access_key_id = await made(house.store)
    async with rough_proxy(house.postgres.port) as revoker:
        house.asked_at = Secret(house.postgres.url(house.database, revoker.port))
        weather.ended = boot_ms() + SECONDS * 1000
        await asyncio.gather(weather.faults(revoker), weather.revokes(access_key_id))
        alive = [host for host in house.hosts if not host.workers.dead]
        await until(lambda: all(host.keeper.fresh() for host in alive))
        house.asked_at = house.url
        assert (await house.revoke(access_key_id)).confirmed >= len(alive)
    assert len(house.returned) >= 2

"""A rotation on PostgreSQL: every live gateway must have the KEK first, and it is whole whenever it is stopped."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from keystore.errors import Conflict, KeystoreUnavailable, RecordRefused, WrongKek
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_audit import audit_postgres
from keystore.postgres_rotation import boottime, kek_status_postgres, require_loaded_postgres
from keystore.rotation import rotate
from keystore.sealing import Kek, KekRing, Secret
from tests.support.keystore_on_postgres import Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

NEW = Kek(b"n" * 32)
KEYS = 5


@pytest.fixture
async def both(ring: KekRing, store: PostgresStore) -> KekRing:
    """Of a keystore with KEYS keys and a claim, and another KEK that is loaded."""
    for _ in range(KEYS):
        await made(store)
    await store.claim_bucket("photos", "default", "ann")
    return KekRing((*ring.keks, NEW))


@pytest.fixture
def joined(sql: Sql) -> Callable[..., str]:
    """The row of a gateway; → its id."""

    def join(name: str, *keks: str, ended: str = "") -> str:
        gateway_id = str(uuid4())
        sql(
            "INSERT INTO nqgate.gateway (id, name, applied, cut_seq, keks, protocol)"
            f" VALUES ('{gateway_id}', '{name}', 1, 1, '{' '.join(keks)}', 2)"
        )
        if ended:
            sql(f"UPDATE nqgate.gateway SET {ended} WHERE id = '{gateway_id}'")
        return gateway_id

    return join


class Clock:
    """Time that passes only while somebody sleeps; `meanwhile` is called then."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.now = 1000.0
        self.meanwhile = meanwhile

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.5)
        self.meanwhile()


async def required(url: str, ring: KekRing, clock: Clock) -> float:
    """How long it waited."""
    began = clock.now
    await require_loaded_postgres(Secret(url), ring, NEW.kek_id, clock=clock, sleep=clock.sleep)
    return clock.now - began


# ---- who has which ----


async def test_gateways_that_have_it_and_those_that_ended_are_not_waited_for(
    url: str, both: KekRing, joined: Callable[..., str]
) -> None:
    assert await required(url, both, Clock()) == 0
    joined("a", "old", NEW.kek_id)
    joined("b", "old", ended="fenced = true")
    joined("c", "old", ended="left_at = 1")
    assert await required(url, both, Clock()) == 0


async def test_a_live_gateway_that_lacks_it_is_named(
    url: str, both: KekRing, joined: Callable[..., str], sql: Sql
) -> None:
    joined("host-a", NEW.kek_id)
    joined("host-b", "old")
    clock = Clock(lambda: sql("UPDATE nqgate.gateway SET renewals = renewals + 1"))
    with pytest.raises(Conflict, match=f"gateway host-b has not loaded key-encryption key {NEW.kek_id}"):
        await required(url, both, clock)


async def test_it_waits_for_a_gateway_that_is_about_to_look(
    url: str, both: KekRing, joined: Callable[..., str], sql: Sql
) -> None:
    joined("host-a", "old")
    clock = Clock(lambda: sql(f"UPDATE nqgate.gateway SET renewals = renewals + 1, keks = 'old {NEW.kek_id}'"))
    assert await required(url, both, clock) == 0.5


async def test_a_gateway_is_dead_when_it_has_renewed_nothing_for_a_lease_and_not_before(
    url: str, both: KekRing, joined: Callable[..., str]
) -> None:
    joined("host-a", "old")
    assert await required(url, both, Clock()) == 4.0


async def test_one_that_renews_late_is_alive(url: str, both: KekRing, joined: Callable[..., str], sql: Sql) -> None:
    gateway_id = joined("host-a", "old")
    looks: list[int] = []

    def renew_at_last() -> None:
        looks.append(1)
        if len(looks) == 7:  # after 3.5 of 4 seconds
            sql(f"UPDATE nqgate.gateway SET renewals = 1 WHERE id = '{gateway_id}'")

    with pytest.raises(Conflict, match="host-a"):
        await required(url, both, Clock(renew_at_last))


async def test_how_long_a_lease_is_is_taken_from_a_verified_row_only(
    url: str, both: KekRing, joined: Callable[..., str], sql: Sql
) -> None:
    """Whoever shortened it could have a live gateway taken for a dead one."""
    joined("host-a", "old")
    sql("UPDATE nqgate.store SET lease_ms = 1")
    with pytest.raises(RecordRefused):
        await required(url, both, Clock())


def test_the_clock_goes_on() -> None:
    assert boottime() <= boottime()


# ---- status and the pass over all rows ----


async def test_status_counts_what_stands_under_each_and_who_has_which(
    url: str, ring: KekRing, both: KekRing, joined: Callable[..., str]
) -> None:
    joined("host-b", ring.newest.kek_id, NEW.kek_id)
    joined("host-a", ring.newest.kek_id)
    joined("host-c", ended="left_at = 1")
    status = await kek_status_postgres(Secret(url), both)
    old, new = status.keks
    assert (old.access_keys, old.accounts, old.buckets, old.changes) == (KEYS, 1, 1, KEYS + 2)
    assert (old.seals, new.seals, new.newest, new.rows) == (True, False, True, 0)
    assert [(one.name, one.keks) for one in status.gateways] == [
        ("host-a", (ring.newest.kek_id,)), ("host-b", (ring.newest.kek_id, NEW.kek_id)),
    ]  # fmt: skip
    assert (status.due, status.finished) == (KEYS + 2, False)


async def test_status_is_said_of_keystores_of_ours_only(url: str, both: KekRing, sql: Sql) -> None:
    with pytest.raises(WrongKek):
        await kek_status_postgres(Secret(url), KekRing((NEW,)))
    sql("DROP SCHEMA nqgate CASCADE")
    with pytest.raises(KeystoreUnavailable, match="there is no keystore"):
        await kek_status_postgres(Secret(url), both)


async def test_a_rotation_that_is_stopped_after_any_page_is_whole_and_goes_on(
    url: str, both: KekRing, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int) -> None:
        if done >= 3:
            raise Stopped

    async with open_postgres_store(url, both, create=False) as opened:
        with pytest.raises(Stopped):
            await rotate(opened, NEW.kek_id, "ann", stop, page=2)
    half = await kek_status_postgres(Secret(url), both)
    assert half.newest.seals
    assert (half.newest.rows, half.finished) == (3, False)
    assert (await audit_postgres(Secret(url), both, tmp_path / "none")).findings == []
    async with open_postgres_store(url, both, create=False) as opened:
        assert await rotate(opened, NEW.kek_id, "ann", page=2) == KEYS + 2 - 3
        assert len(await opened.list_keys(None)) == KEYS
    done = await kek_status_postgres(Secret(url), both)
    assert (done.finished, done.due, done.newest.rows) == (True, 0, KEYS + 2)
    assert (await audit_postgres(Secret(url), both, tmp_path / "none")).findings == []


async def test_an_old_row_put_back_after_a_rotation_is_refused(url: str, both: KekRing, sql: Sql) -> None:
    sql("CREATE TABLE public.kept AS TABLE nqgate.access_key")
    async with open_postgres_store(url, both, create=False) as opened:
        await rotate(opened, NEW.kek_id, "ann")
        sql("DELETE FROM nqgate.access_key; INSERT INTO nqgate.access_key TABLE public.kept")
        with pytest.raises(KeystoreUnavailable, match="wrong key"):
            await opened.list_keys(None)

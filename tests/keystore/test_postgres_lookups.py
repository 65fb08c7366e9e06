"""Cold look-ups on a real server: what is found, what is refused, and who may share an answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keystore import postgres_lookups
from keystore.access_key import RevokeReason, Status
from keystore.errors import KeystoreUnavailable, RecordRefused, WentBack
from keystore.postgres import PostgresStore
from keystore.postgres_log import PostgresLog
from keystore.postgres_lookups import Lookups
from keystore.postgres_server import PostgresHand, connect
from keystore.sealing import KekRing, Secret
from tests.support.keystore_on_postgres import WISH, Sql, hand, made, sql, store, url

__all__ = ["hand", "sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server


@pytest.fixture
async def log(store: PostgresStore, hand: PostgresHand, ring: KekRing) -> PostgresLog:
    begun = PostgresLog(ring)
    begun.take(await begun.begin(hand))
    return begun


@pytest.fixture
def reached() -> list[PostgresHand]:
    """Every connection that was made."""
    return []


@pytest.fixture
async def lookups(log: PostgresLog, url: str, reached: list[PostgresHand]) -> AsyncIterator[Lookups]:
    async def reach() -> PostgresHand:
        reached.append(await connect(url, "tests"))
        return reached[-1]

    opened = Lookups(log, "tests", reach)
    yield opened
    await opened.close()
    assert all(one.closed for one in reached)


async def follow(log: PostgresLog, hand: PostgresHand) -> None:
    log.take(await log.news(hand))


async def test_a_key_is_found_with_its_secret(lookups: Lookups, store: PostgresStore) -> None:
    access_key, secret = await store.create_key(WISH, "ann")
    found = await lookups.find_key(access_key.access_key_id)
    assert found is not None
    assert (found[0], found[1].expose()) == (access_key, secret.expose())
    assert secret.expose() not in repr(found)


async def test_what_never_was_and_what_was_deleted_is_none(lookups: Lookups, store: PostgresStore) -> None:
    access_key_id = await made(store)
    await store.delete_key(access_key_id, "ann")
    for unknown in (access_key_id, "NQAKnever", "a b", "", "x" * 200, "a\x00b"):
        assert await lookups.find_key(unknown) is None


async def test_a_look_up_is_as_new_as_the_last_commit(lookups: Lookups, store: PostgresStore) -> None:
    access_key_id = await made(store)
    await lookups.find_key(access_key_id)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "ann")
    found = await lookups.find_key(access_key_id)
    assert found is not None
    assert found[0].status.value == "revoked"


async def test_a_key_that_was_found_serves_again_until_a_change_is_handed_out(
    lookups: Lookups, store: PostgresStore, log: PostgresLog, hand: PostgresHand, reached: list[PostgresHand]
) -> None:
    """Every SigV2 signature asks for it: none of them may wait for the database."""
    access_key_id = await made(store)
    await follow(log, hand)
    first = await lookups.known_key(access_key_id)
    assert first is not None
    reached[0].drop()  # who asks the database again needs another connection
    again = await lookups.known_key(access_key_id)
    assert again is not None
    assert (again[0], again[1].expose()) == (first[0], first[1].expose())
    assert len(reached) == 1
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    await follow(log, hand)
    later = await lookups.known_key(access_key_id)
    assert later is not None
    assert later[0].status is Status.REVOKED
    assert len(reached) == 2


async def test_what_was_found_while_a_change_was_handed_out_is_not_kept(
    lookups: Lookups, store: PostgresStore, log: PostgresLog, hand: PostgresHand
) -> None:
    access_key_id = await made(store)
    asking = asyncio.create_task(lookups.find_key(access_key_id))
    await asyncio.sleep(0)
    await follow(log, hand)
    assert await asking is not None
    assert lookups._kept == {}


async def test_claims_and_accounts_are_found(lookups: Lookups, store: PostgresStore) -> None:
    await store.create_account("team", "ann")
    await store.claim_bucket("photos", "team", "ann")
    assert [claim.account for claim in (await lookups.find_claims(["photos", "logs"])).values()] == ["team"]
    assert await lookups.find_claims(["logs"]) == {}
    account, secret = await lookups.find_account("team")
    assert (account.name, secret) == ("team", None)
    await store.set_upstream("team", "AKIAX", Secret("upstream"), "ann")
    account, secret = await lookups.find_account("team")
    assert secret is not None
    assert (account.upstream, secret.expose()) == ("AKIAX", "upstream")
    with pytest.raises(RecordRefused, match="nobody"):
        await lookups.find_account("nobody")


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE nqgate.access_key SET mac = '\\x00'",
        "DELETE FROM nqgate.access_key",
        "UPDATE nqgate.change SET record_sha256 = '\\x00' WHERE seq = 2",
        "UPDATE nqgate.store SET seq = 9",
        "DELETE FROM nqgate.store",
    ],
)
async def test_what_does_not_verify_is_refused(
    lookups: Lookups, log: PostgresLog, hand: PostgresHand, store: PostgresStore, sql: Sql, deed: str
) -> None:
    access_key_id = await made(store)
    sql(deed)
    with pytest.raises(KeystoreUnavailable):
        await lookups.find_key(access_key_id)


async def test_another_log_than_the_one_that_was_read_went_back(
    lookups: Lookups, log: PostgresLog, hand: PostgresHand, store: PostgresStore, sql: Sql
) -> None:
    access_key_id = await made(store)
    await made(store)
    await follow(log, hand)
    sql("DELETE FROM nqgate.change WHERE seq = 3")
    with pytest.raises(WentBack, match="change 3 was known"):
        await lookups.find_key(access_key_id)


async def test_before_the_log_was_read_nothing_is_looked_up(ring: KekRing) -> None:
    async def never() -> PostgresHand:
        raise AssertionError

    with pytest.raises(KeystoreUnavailable, match="not been read yet"):
        await Lookups(PostgresLog(ring), "tests", never).find_key("NQAKone")


# ---- who shares an answer, and who waits ----


async def test_who_asks_for_the_same_meanwhile_shares_one_look_up(
    lookups: Lookups, store: PostgresStore, reached: list[PostgresHand], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    fetch = PostgresHand.fetch

    async def counted(self: PostgresHand, statement: str, *values: object) -> list[tuple[object, ...]]:
        asked.extend(values)
        return await fetch(self, statement, *values)

    access_key_id = await made(store)
    monkeypatch.setattr(PostgresHand, "fetch", counted)
    found = await asyncio.gather(*[lookups.find_key(access_key_id) for _ in range(20)])
    assert [one is found[0] for one in found] == [True] * 20
    assert asked.count(access_key_id) == 1
    await asyncio.gather(*[lookups.find_key(f"NQAK{number}") for number in range(20)])
    assert len(reached) == 2


async def test_who_has_applied_a_change_never_shares_what_was_read_before_it(
    lookups: Lookups, log: PostgresLog, hand: PostgresHand, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older look-up is still under way, its answer delayed."""
    access_key_id = await made(store)
    looked, go = asyncio.Event(), asyncio.Event()
    ask = Lookups._fetch

    async def slow(self: Lookups, statement: str, *values: object) -> list[tuple[object, ...]]:
        found = await ask(self, statement, *values)
        if not looked.is_set():
            looked.set()
            await go.wait()
        return found

    monkeypatch.setattr(Lookups, "_fetch", slow)
    older = asyncio.ensure_future(lookups.find_key(access_key_id))
    await looked.wait()
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "ann")
    await follow(log, hand)
    found = await lookups.find_key(access_key_id)
    assert found is not None
    assert found[0].status.value == "revoked"
    go.set()
    await older


async def test_who_gives_up_takes_nobody_with_him(lookups: Lookups, store: PostgresStore) -> None:
    access_key_id = await made(store)
    first, second = (asyncio.ensure_future(lookups.find_key(access_key_id)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_too_many_that_wait_are_told_at_once(
    lookups: Lookups, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lookups, "MAX_WAITING", 3)
    asked = await asyncio.gather(*[lookups.find_key(f"NQAK{n}") for n in range(6)], return_exceptions=True)
    assert [type(one) for one in asked] == [type(None)] * 3 + [KeystoreUnavailable] * 3


async def test_a_connection_that_was_lost_is_replaced(
    lookups: Lookups, store: PostgresStore, reached: list[PostgresHand], sql: Sql
) -> None:
    access_key_id = await made(store)
    await lookups.find_key(access_key_id)
    pid = reached[0]._connection.get_server_pid()
    sql(f"SELECT pg_terminate_backend({pid})")
    assert await lookups.find_key(access_key_id) is not None
    assert len(reached) == 2


async def test_what_is_under_way_at_the_end_is_told(
    log: PostgresLog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaching = asyncio.Event()

    async def reach() -> PostgresHand:
        reaching.set()
        await asyncio.Event().wait()
        raise AssertionError

    lookups = Lookups(log, "tests", reach)
    asked = asyncio.ensure_future(lookups.find_key("NQAKone"))
    await reaching.wait()
    await lookups.close()
    with pytest.raises(KeystoreUnavailable, match="being closed"):
        await asked
    monkeypatch.setattr(postgres_lookups, "ANSWER_SECONDS", 0.05)
    with pytest.raises(KeystoreUnavailable, match="did not answer in time"):
        await lookups.find_key("NQAKone")

"""What is said of a COMMIT whose answer is lost, late or a warning: done only where that is proven."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from keystore import postgres_server
from keystore.access_key import AccessKey, RevokeReason
from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_gateways import CHANNEL
from keystore.postgres_server import PostgresHand, connect
from keystore.sealing import KekRing
from tests.support.keystore_on_postgres import SESSIONS, Sql, log_holds, made, sql, store, url
from tests.support.lossy_proxy import Loss, LossyProxy, lossy_proxy
from tests.support.postgres import Postgres

__all__ = ["sql", "store", "url"]  # fixtures, in place of those of this folder
pytestmark = pytest.mark.server

WAITING = f"SELECT pid FROM ({SESSIONS} AND wait_event = 'SyncRep') s"


@pytest.fixture
async def proxy(postgres: Postgres) -> AsyncIterator[LossyProxy]:
    async with lossy_proxy(postgres.port) as opened:
        yield opened


@pytest.fixture
async def far(
    proxy: LossyProxy, store: PostgresStore, postgres: Postgres, postgres_database: str, ring: KekRing
) -> AsyncIterator[PostgresStore]:
    """A store behind the proxy."""
    async with open_postgres_store(postgres.url(postgres_database, proxy.port), ring, create=False) as opened:
        yield opened


def revoke(store: PostgresStore, access_key_id: str) -> Awaitable[AccessKey]:
    return store.revoke_key(access_key_id, RevokeReason.COMPROMISED, "bob")


async def status(store: PostgresStore, access_key_id: str) -> str:
    return (await store.get_key(access_key_id)).status.value


# ---- answers that are lost ----


async def test_a_commit_whose_answer_is_lost_is_found_by_its_request_id(
    far: PostgresStore, store: PostgresStore, proxy: LossyProxy, url: str, ring: KekRing
) -> None:
    access_key_id = await made(far)
    proxy.loss = Loss.ANSWER
    await revoke(far, access_key_id)
    assert far.committed_seq == await log_holds(url, ring) == 3
    assert await status(store, access_key_id) == "revoked"
    await made(far)


async def test_both_changes_of_a_roll_whose_answer_is_lost_are_found(
    far: PostgresStore, proxy: LossyProxy, url: str, ring: KekRing
) -> None:
    access_key_id = await made(far)
    proxy.loss = Loss.ANSWER
    issued = await far.roll_key(access_key_id, 60, "bob")
    assert await far.get_key(issued.successor.access_key_id) == issued.successor
    assert far.committed_seq == await log_holds(url, ring) == 4


async def test_a_commit_that_never_arrived_is_said_to_be_not_done(
    far: PostgresStore, store: PostgresStore, proxy: LossyProxy, url: str, ring: KekRing
) -> None:
    access_key_id = await made(far)
    proxy.loss = Loss.QUESTION
    with pytest.raises(KeystoreUnavailable, match="was not done"):
        await revoke(far, access_key_id)
    assert far.committed_seq == 2
    assert await status(store, access_key_id) == "active"
    await revoke(far, access_key_id)
    assert await log_holds(url, ring) == 3


async def test_a_commit_that_arrives_late_is_not_said_to_be_not_done(
    far: PostgresStore, store: PostgresStore, proxy: LossyProxy
) -> None:
    """Its backend has the lock until it ends; whoever looked past it would see nothing yet."""
    access_key_id = await made(far)
    proxy.loss = Loss.LATE
    await revoke(far, access_key_id)
    assert await status(store, access_key_id) == "revoked"


async def test_a_commit_that_is_not_answered_in_time_is_looked_up(
    far: PostgresStore, store: PostgresStore, proxy: LossyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_key_id = await made(far)
    monkeypatch.setattr(postgres_server, "COMMIT_SECONDS", 0.3)
    monkeypatch.setattr(postgres_server, "CLOSE_SECONDS", 0.3)
    proxy.loss = Loss.SILENCE
    async with asyncio.timeout(10):
        await revoke(far, access_key_id)
    assert await status(store, access_key_id) == "revoked"


async def test_where_nobody_can_be_asked_the_outcome_is_unknown(
    far: PostgresStore, store: PostgresStore, proxy: LossyProxy, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_key_id = await made(far)
    monkeypatch.setattr("keystore.postgres.SETTLE_SECONDS", 0.3)
    proxy.loss = Loss.ANSWER
    proxy.refuses = True
    with pytest.raises(KeystoreUnavailable, match="unknown"):
        await revoke(far, access_key_id)
    proxy.refuses = False
    assert await status(far, access_key_id) == "revoked"


async def test_a_found_change_that_somebody_edited_is_not_reported_as_done(
    far: PostgresStore, proxy: LossyProxy, sql: Sql
) -> None:
    access_key_id = await made(far)
    sql(
        "CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE nqgate.change SET mac = '\\x00' WHERE seq = new.seq; RETURN NULL; END $$;"
        "CREATE TRIGGER edit AFTER INSERT ON nqgate.change FOR EACH ROW EXECUTE FUNCTION edit()"
    )
    proxy.loss = Loss.ANSWER
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await revoke(far, access_key_id)


# ---- the hint that something was committed ----


async def test_every_commit_is_followed_by_a_hint_in_a_transaction_of_its_own(store: PostgresStore, url: str) -> None:
    listener = await connect(url, "tests")
    heard: list[int] = []
    await listener.listen(CHANNEL, lambda: heard.append(store.committed_seq))
    access_key_id = await made(store)
    await revoke(store, access_key_id)
    async with asyncio.timeout(5):
        while len(heard) < 2:
            await asyncio.sleep(0.01)
    assert heard[0] >= 2  # it was committed before it was told
    await listener.close()


async def test_a_hint_that_is_not_answered_changes_nothing(
    far: PostgresStore, proxy: LossyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystore.postgres.HINT_SECONDS", 0.2)
    access_key_id = await made(far)
    run = PostgresHand.run

    async def silent(self: PostgresHand, text: str) -> str:
        if "NOTIFY" in text:
            await asyncio.sleep(10)
        return await run(self, text)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresHand, "run", silent)
        await revoke(far, access_key_id)
    assert far.committed_seq == 3
    assert await status(far, access_key_id) == "revoked"


# ---- a standby that does not answer ----


@pytest.fixture
def lonely(postgres: Postgres) -> Iterator[Callable[[], None]]:
    """The primary waits for a standby that there is not; call it, and it does no longer."""

    def set_names(names: str) -> None:
        postgres.sql("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        postgres.sql("postgres", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while postgres.sql("postgres", "SHOW synchronous_standby_names") != [[names]]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    set_names("ghost")
    yield lambda: set_names("")
    set_names("")


async def commit_that_waits(sql: Sql) -> str:
    """The backend of it."""
    async with asyncio.timeout(10):
        while not (waiting := await asyncio.to_thread(sql, WAITING)):
            await asyncio.sleep(0.02)
    return waiting[0][0]


@pytest.mark.parametrize("level", ["notice", "error"])
async def test_a_commit_cancelled_while_it_waits_for_a_standby_is_not_reported_as_done(
    store: PostgresStore, postgres_database: str, url: str, ring: KekRing, sql: Sql, level: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """It succeeds, with a warning, which a default of the role must not hide."""
    access_key_id = await made(store)
    sql(f"ALTER ROLE keeper IN DATABASE {postgres_database} SET client_min_messages = {level}")
    async with open_postgres_store(url, ring, create=False) as mine:
        lift = request.getfixturevalue("lonely")
        revoking = asyncio.ensure_future(revoke(mine, access_key_id))
        sql(f"SELECT pg_cancel_backend({await commit_that_waits(sql)})")
        with pytest.raises(KeystoreUnavailable, match="not proven on the standby: run it again"):
            await revoking
        assert mine.committed_seq == 0
        assert await status(mine, access_key_id) == "revoked"
        lift()
        await revoke(mine, access_key_id)
        assert mine.committed_seq == await log_holds(url, ring) == 4


async def test_a_commit_given_up_while_it_waits_for_a_standby_is_not_reported_as_done(
    store: PostgresStore, url: str, ring: KekRing, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_key_id = await made(store)
    lift = request.getfixturevalue("lonely")
    with monkeypatch.context() as patched:
        patched.setattr(postgres_server, "COMMIT_SECONDS", 0.5)
        async with asyncio.timeout(10):
            with pytest.raises(KeystoreUnavailable, match="not proven on the standby"):
                await revoke(store, access_key_id)
    lift()
    async with open_postgres_store(url, ring, create=False) as other:
        assert await status(other, access_key_id) == "revoked"
        await revoke(other, access_key_id)


async def test_a_revoke_cancelled_while_its_commit_waits_for_a_standby_holds_nobody_else_up(
    store: PostgresStore, url: str, ring: KekRing, sql: Sql, request: pytest.FixtureRequest
) -> None:
    access_key_id = await made(store)
    lift = request.getfixturevalue("lonely")
    revoking = asyncio.ensure_future(revoke(store, access_key_id))
    await commit_that_waits(sql)
    revoking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await revoking
    assert sql(SESSIONS) == []
    assert store.committed_seq == 2
    lift()
    await revoke(store, access_key_id)
    assert await log_holds(url, ring) == 4


async def test_a_commit_killed_while_it_waits_for_a_standby_is_done_once_a_later_one_is_proven(
    store: PostgresStore, url: str, ring: KekRing, sql: Sql, request: pytest.FixtureRequest
) -> None:
    access_key_id = await made(store)
    lift = request.getfixturevalue("lonely")
    revoking = asyncio.ensure_future(revoke(store, access_key_id))
    first = await commit_that_waits(sql)
    sql(f"SELECT pg_terminate_backend({first})")
    async with asyncio.timeout(10):
        while await commit_that_waits(sql) == first:
            await asyncio.sleep(0.02)
    assert not revoking.done()
    await asyncio.to_thread(lift)
    await revoking
    assert store.committed_seq == await log_holds(url, ring) == 3


async def test_a_keystore_founded_without_proof_is_not_reported_as_made(
    url: str, ring: KekRing, sql: Sql, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found() -> None:
        async with open_postgres_store(url, ring, create=True):
            pass

    lift = request.getfixturevalue("lonely")
    founding = asyncio.ensure_future(found())
    sql(f"SELECT pg_cancel_backend({await commit_that_waits(sql)})")
    with pytest.raises(KeystoreUnavailable, match="not proven on the standby"):
        await founding
    lift()
    await found()
    assert await log_holds(url, ring) == 1

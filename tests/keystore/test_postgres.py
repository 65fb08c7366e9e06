"""What only PostgreSQL can do wrong: many writers at once, connections that are lost, and a hand on the rows."""

import asyncio
import traceback

import pytest

from keystore import postgres as postgres_module
from keystore.access_key import RevokeReason
from keystore.chain import START
from keystore.errors import KeystoreUnavailable, NotFound, RecordRefused, WentBack, WrongKek
from keystore.found_rows import read_log
from keystore.key_acts import Edit
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_rows import SELECT_LOG
from keystore.postgres_server import connect
from keystore.sealed_rows import enter_store
from keystore.sealing import Kek, KekRing
from tests.support.keystore_on_postgres import SESSIONS, WISH, Sql, log_holds, made, sql, store, url
from tests.support.postgres import Postgres

__all__ = ["sql", "store", "url"]  # fixtures, in place of those of this folder

pytestmark = pytest.mark.server


# ---- opening ----


async def test_a_database_without_a_keystore_is_not_founded_unasked(url: str, ring: KekRing, sql: Sql) -> None:
    with pytest.raises(KeystoreUnavailable, match="there is no keystore"):
        async with open_postgres_store(url, ring, create=False):
            pass
    assert sql("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]


async def test_opening_again_changes_nothing(store: PostgresStore, url: str, ring: KekRing, sql: Sql) -> None:
    before = sql("SELECT *, xmin FROM nqgate.store"), sql("SELECT * FROM nqgate.schema_version")
    async with open_postgres_store(url, ring, create=True) as again:
        assert len(await again.list_accounts()) == 1
    assert (sql("SELECT *, xmin FROM nqgate.store"), sql("SELECT * FROM nqgate.schema_version")) == before


async def test_a_wrong_kek_is_said_at_once(store: PostgresStore, url: str) -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        async with open_postgres_store(url, KekRing((Kek(b"w" * 32),)), create=False):
            pass


async def test_first_starts_at_once_make_one_keystore(url: str, ring: KekRing, sql: Sql) -> None:
    async def start() -> int:
        async with open_postgres_store(url, ring, create=True) as store:
            return len(await store.list_accounts())

    assert await asyncio.gather(*[start() for _ in range(6)]) == [1] * 6
    assert await log_holds(url, ring) == 1


async def test_reading_waits_for_no_writer(store: PostgresStore, url: str, ring: KekRing) -> None:
    access_key_id = await made(store)
    async with store._mutation() as mutation:
        async with asyncio.timeout(5), open_postgres_store(url, ring, create=False) as reader:
            assert (await reader.get_key(access_key_id)).access_key_id == access_key_id
        await mutation.add_account("beta", "ann")


async def test_no_secret_and_no_password_stand_where_they_should_not(
    store: PostgresStore, postgres: Postgres, sql: Sql
) -> None:
    _, secret = await store.create_key(WISH, "ann")
    tables = ("store", "change", "account", "access_key", "schema_version")
    assert secret.expose() not in repr([sql(f"SELECT * FROM nqgate.{table}") for table in tables])
    assert postgres.password not in repr([store, vars(store)])


# ---- many writers ----


async def test_eight_writers_at_once_write_one_chain(url: str, ring: KekRing, store: PostgresStore, sql: Sql) -> None:
    async def write(number: int) -> None:
        async with open_postgres_store(url, ring, create=False) as mine:
            for _ in range(3):
                access_key, _ = await mine.create_key(WISH, f"writer-{number}")
                await mine.revoke_key(access_key.access_key_id, RevokeReason.OTHER, f"writer-{number}")

    await asyncio.gather(*[write(number) for number in range(8)])
    assert await log_holds(url, ring) == 1 + 8 * 3 * 2
    assert len(sql("SELECT DISTINCT actor FROM nqgate.change")) == 9


async def test_sequence_numbers_are_in_the_order_of_commits(url: str, ring: KekRing, store: PostgresStore) -> None:
    """Whoever has seen change n has seen all before it: a reader follows while eight write."""
    seen: list[int] = []

    async def follow() -> None:
        hand = await connect(url, "tests")
        position = START
        while position.seq < 1 + 8 * 3:
            row, changes = read_log(await hand.fetch(SELECT_LOG, position.seq))
            position = enter_store(ring, row).follow(position, changes)
            seen.append(position.seq)
        await hand.close()

    async def write() -> None:
        async with open_postgres_store(url, ring, create=False) as mine:
            for _ in range(3):
                await made(mine)

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), *[write() for _ in range(8)])
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    "default",
    [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "synchronous_commit = off",
        "search_path = pg_temp, public",
    ],
)
async def test_a_default_of_the_role_changes_nothing(
    url: str, ring: KekRing, postgres_database: str, sql: Sql, default: str
) -> None:
    sql(f"ALTER ROLE keeper IN DATABASE {postgres_database} SET {default}")
    async with open_postgres_store(url, ring, create=True) as one, open_postgres_store(url, ring, create=False) as two:
        await asyncio.gather(*[made(store) for store in (one, two, one, two)])
        async with one._mutation() as mutation:
            assert await mutation.fetch("SHOW synchronous_commit") == [("on",)]
            await mutation.add_account("beta", "ann")
    assert await log_holds(url, ring) == 6


# ---- writers that stop ----


def with_limit(monkeypatch: pytest.MonkeyPatch, name: str, limit: str) -> None:
    begin = postgres_module.BEGIN_WRITE
    assert f"{name} = " in begin
    monkeypatch.setattr(postgres_module, "BEGIN_WRITE", f"{begin}SET LOCAL {name} = '{limit}';")


async def test_a_writer_that_stops_inside_a_mutation_loses_its_lock_and_its_half(
    store: PostgresStore, url: str, ring: KekRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stops(mine: PostgresStore) -> None:
        async with mine._mutation() as mutation:
            await mutation.add_account("half", "ann")
            started.set()
            await let_go.wait()
            await mutation.add_account("other", "ann")

    started, let_go = asyncio.Event(), asyncio.Event()
    async with open_postgres_store(url, ring, create=False) as stopped:
        with monkeypatch.context() as patched:
            with_limit(patched, "idle_in_transaction_session_timeout", "300ms")
            stopping = asyncio.create_task(stops(stopped))
            await started.wait()
        await made(store)
        let_go.set()
        with pytest.raises(KeystoreUnavailable):
            await stopping
        await made(stopped)
    assert [account.name for account in await store.list_accounts()] == ["default"]
    assert await log_holds(url, ring) == 3


async def test_who_waits_too_long_for_another_writer_is_told_so(
    store: PostgresStore, url: str, ring: KekRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_limit(monkeypatch, "lock_timeout", "200ms")
    async with open_postgres_store(url, ring, create=False) as holder, holder._mutation() as mutation:
        with pytest.raises(KeystoreUnavailable, match="locked by another writer"):
            await made(store)
        await mutation.add_account("beta", "ann")
    await made(store)
    assert await log_holds(url, ring) == 3


async def test_a_cancelled_mutation_leaves_no_lock_and_no_half(
    store: PostgresStore, url: str, ring: KekRing, sql: Sql
) -> None:
    for turns in range(20):
        task = asyncio.create_task(store.roll_key(await made(store), 0, "bob"))
        await asyncio.sleep(turns * 0.0007)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await made(store)
    await log_holds(url, ring)
    known = await store.list_keys(None)
    assert {key.access_key_id for key in known if key.replaces} == {key.replaced_by for key in known if key.replaced_by}


# ---- connections that are lost ----


async def test_a_connection_lost_while_nobody_used_it_is_replaced(store: PostgresStore, sql: Sql) -> None:
    access_key_id = await made(store)
    for act in (store.get_key, store.get_key):
        sql(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) s")
        assert (await act(access_key_id)).access_key_id == access_key_id
    sql(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) s")
    await made(store)
    assert len(sql(SESSIONS)) == 1


async def test_a_backend_killed_inside_a_mutation_leaves_nothing(
    store: PostgresStore, url: str, ring: KekRing, sql: Sql
) -> None:
    async def killed() -> None:
        async with store._mutation() as mutation:
            await mutation.add_account("half", "ann")
            sql(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) s")
            await mutation.add_account("other", "ann")

    with pytest.raises(KeystoreUnavailable) as caught:
        await killed()
    assert "unknown" not in str(caught.value)
    assert [account.name for account in await store.list_accounts()] == ["default"]
    await made(store)
    assert await log_holds(url, ring) == 2


async def test_a_server_that_went_back_in_time_is_noticed_when_it_is_reached_again(
    store: PostgresStore, sql: Sql
) -> None:
    await made(store)
    before = "CREATE TABLE {0}_before AS SELECT * FROM nqgate.{0}"
    back = "DELETE FROM nqgate.{0}; INSERT INTO nqgate.{0} SELECT * FROM {0}_before"
    tables = ("store", "change", "access_key")
    sql(";".join(before.format(table) for table in tables))
    await made(store)
    sql(";".join(back.format(table) for table in tables))
    sql(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) s")
    for act in (store.list_keys(None), made(store)):
        with pytest.raises(WentBack):
            await act


# ---- a hand on the rows ----


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE nqgate.access_key SET account = 'tenant'",
        "UPDATE nqgate.access_key SET secret_sealed = '\\x00'",
        "UPDATE nqgate.access_key SET mac = '\\x00'",
        "UPDATE nqgate.access_key SET version = version + 1",
        "DELETE FROM nqgate.access_key",
        "DELETE FROM nqgate.change WHERE seq = (SELECT max(seq) FROM nqgate.change)",
        "UPDATE nqgate.change SET kind = 'key.create' WHERE seq = (SELECT max(seq) FROM nqgate.change)",
        "DELETE FROM nqgate.change",
        "UPDATE nqgate.store SET seq = seq - 1",
        "UPDATE nqgate.store SET lease_ms = lease_ms + 1",
        "DELETE FROM nqgate.store",
    ],
)
async def test_a_tampered_record_or_log_is_refused_by_the_writer(
    store: PostgresStore, sql: Sql, statement: str
) -> None:
    access_key_id = await made(store)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    sql(statement)
    with pytest.raises(RecordRefused):
        await store.get_key(access_key_id)
    with pytest.raises(RecordRefused):
        await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")


@pytest.mark.parametrize("behind", ["", "; UPDATE nqgate.store SET seq = seq - 1"])
async def test_nothing_is_written_behind_a_log_whose_tail_was_cut(store: PostgresStore, sql: Sql, behind: str) -> None:
    """With the record that it told of, so that no look-up misses it."""
    await made(store)
    sql(f"DELETE FROM nqgate.change WHERE seq = 2; DELETE FROM nqgate.access_key{behind}")
    with pytest.raises(RecordRefused):
        await made(store)
    assert sql("SELECT max(seq) FROM nqgate.change") == [["1"]]


async def test_an_older_record_put_back_is_refused(store: PostgresStore, sql: Sql) -> None:
    access_key_id = await made(store)
    sql("CREATE TABLE older AS SELECT * FROM nqgate.access_key")
    await store.revoke_key(access_key_id, RevokeReason.UNUSED, "bob")
    sql("DELETE FROM nqgate.access_key; INSERT INTO nqgate.access_key SELECT * FROM older")
    for act in (
        store.get_key(access_key_id),
        store.restore_key(access_key_id, "bob"),
        store.roll_key(access_key_id, 60, "bob"),
        store.update_key(access_key_id, Edit(label="x"), "bob"),
    ):
        with pytest.raises(RecordRefused, match="older one"):
            await act


async def test_a_deleted_record_put_back_is_refused(store: PostgresStore, sql: Sql) -> None:
    access_key_id = await made(store)
    sql("CREATE TABLE older AS SELECT * FROM nqgate.access_key")
    await store.delete_key(access_key_id, "bob")
    sql("INSERT INTO nqgate.access_key SELECT * FROM older")
    with pytest.raises(RecordRefused, match="is back"):
        await store.get_key(access_key_id)


async def test_swapped_rows_are_refused(store: PostgresStore, sql: Sql) -> None:
    ids = [await made(store), await made(store)]
    sql(
        "UPDATE nqgate.access_key k SET record = o.record, secret_sealed = o.secret_sealed, mac = o.mac,"
        " version = o.version, created_at = o.created_at FROM nqgate.access_key o"
        " WHERE o.access_key_id <> k.access_key_id"
    )
    for access_key_id in ids:
        with pytest.raises(RecordRefused):
            await store.get_key(access_key_id)


async def test_a_refused_record_can_still_be_deleted(store: PostgresStore, sql: Sql) -> None:
    access_key_id = await made(store)
    sql("UPDATE nqgate.access_key SET mac = '\\x00'")
    await store.delete_key(access_key_id, "bob")
    with pytest.raises(NotFound):
        await store.get_key(access_key_id)


GONE = (
    "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN DELETE FROM nqgate.change WHERE seq = new.seq; RETURN NULL; END $$;"
    "CREATE TRIGGER gone AFTER INSERT ON nqgate.change FOR EACH ROW EXECUTE FUNCTION gone()"
)


async def test_a_change_taken_out_behind_the_commit_is_not_reported_as_done(store: PostgresStore, sql: Sql) -> None:
    access_key_id = await made(store)
    before = store.committed_seq
    sql(GONE)
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    assert store.committed_seq == before


# ---- what errors say ----


async def test_no_error_holds_the_password(
    postgres: Postgres, postgres_database: str, ring: KekRing, store: PostgresStore, sql: Sql
) -> None:
    url = postgres.url(postgres_database)
    wrong = url.replace(postgres.password, "s3cr3t-guess")
    for bad in (
        wrong,
        url.replace(postgres_database, "no_such_database"),
        url.replace(f":{postgres.port}", ":1"),
        url.replace("127.0.0.1", "no-such-host.invalid"),
        url + "?sslmode=verify-full",
        url + "?sslmode=verify-full&sslrootcert=/nowhere",
        url + "?connect_nothing=1",
        url + "?s3cr3t",
        wrong.replace("guess", "gu@ss"),
        wrong.replace("guess", "gu/ss"),
        wrong.replace("guess", "gu#ss"),
        wrong.replace("guess", "gu?ss"),
    ):
        with pytest.raises(KeystoreUnavailable) as caught:
            async with open_postgres_store(bad, ring, create=False):
                pass
        told = "".join(traceback.format_exception(caught.value))
        for secret in (postgres.password, "s3cr3t"):
            assert secret not in told, bad

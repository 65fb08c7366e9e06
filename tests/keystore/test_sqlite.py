"""What only SQLite can do wrong: locks, crashes, several processes, and a hand on the file."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore import sqlite_file
from keystore.access_key import RevokeReason
from keystore.errors import Conflict, InvalidInput, KeystoreUnavailable, NotFound, RecordRefused, WrongKek
from keystore.key_acts import Edit
from keystore.scope import AllBuckets
from keystore.sealing import Kek, KekRing
from keystore.sqlite import SqliteStore, migrate, open_sqlite_store
from keystore.store import NewKey

Hand = Callable[..., list[Any]]
WISH = NewKey("default", "backup", AllBuckets())
FAR = 4_000_000_000  # Unix seconds
ROLLS = "SELECT count(*) FROM change WHERE kind = 'key.roll'"


async def made(store: SqliteStore) -> str:
    access_key, _ = await store.create_key(WISH, "ann")
    return access_key.access_key_id


async def test_a_new_keystore_is_readable_by_its_owner_only(database: Path, store: SqliteStore) -> None:
    await made(store)
    for name in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


async def test_a_missing_keystore_is_not_made_unasked(tmp_path: Path, ring: KekRing) -> None:
    with pytest.raises(KeystoreUnavailable, match="there is no keystore"):
        async with open_sqlite_store(tmp_path / "none.db", ring, create=False):
            pass
    assert not (tmp_path / "none.db").exists()


async def test_an_empty_file_is_not_founded_unasked(tmp_path: Path, ring: KekRing) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(KeystoreUnavailable, match="is empty"):
        async with open_sqlite_store(tmp_path / "empty.db", ring, create=False):
            pass


async def test_a_url_names_the_same_file_as_its_path(database: Path, ring: KekRing) -> None:
    async with open_sqlite_store(f"sqlite:///{database}", ring, create=False) as store:
        assert len(await store.list_accounts()) == 1


async def test_migrating_again_changes_nothing(database: Path, ring: KekRing, hand: Hand) -> None:
    before = hand("SELECT * FROM store")
    await migrate(database, ring)
    assert hand("SELECT * FROM store") == before


async def test_a_wrong_kek_is_said_at_once(database: Path) -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        async with open_sqlite_store(database, KekRing((Kek(b"w" * 32),)), create=False):
            pass


async def test_no_secret_stands_in_the_file(store: SqliteStore, hand: Hand) -> None:
    _, secret = await store.create_key(WISH, "ann")
    everything = [hand(f"SELECT * FROM {table}") for table in ("store", "change", "account", "access_key")]
    assert secret.expose() not in repr(everything)


async def test_the_log_is_contiguous_and_says_who_did_what(store: SqliteStore, hand: Hand) -> None:
    access_key_id = await made(store)
    await store.revoke_key(access_key_id, RevokeReason.UNUSED, "bob")
    await store.delete_key(access_key_id, "eve")
    assert hand("SELECT seq, kind, actor, access_key_id FROM change ORDER BY seq") == [
        (1, "account.create", "nqgate", None),
        (2, "key.create", "ann", access_key_id),
        (3, "key.revoke", "bob", access_key_id),
        (4, "key.delete", "eve", access_key_id),
    ]
    assert hand("SELECT seq FROM store") == [(4,)]


async def test_deleting_erases_the_sealed_secret(store: SqliteStore, hand: Hand) -> None:
    await store.delete_key(await made(store), "bob")
    assert hand("SELECT count(*) FROM access_key") == [(0,)]


async def test_a_revoke_of_a_revoked_key_writes_a_change(store: SqliteStore, hand: Hand) -> None:
    access_key_id = await made(store)
    for _ in range(3):
        await store.revoke_key(access_key_id, RevokeReason.UNUSED, "bob")
    assert hand("SELECT count(*) FROM change WHERE kind = 'key.revoke'") == [(3,)]


async def test_every_act_of_a_life_is_in_the_log_with_what_it_said(store: SqliteStore, hand: Hand) -> None:
    old = await made(store)
    await store.revoke_key(old, RevokeReason.UNUSED, "bob")
    await store.restore_key(old, "bob")
    await store.update_key(old, Edit("other", FAR), "eve")
    new = (await store.roll_key(old, 60, "ann")).successor.access_key_id
    assert hand("SELECT seq, kind, actor, access_key_id, CAST(body AS TEXT) FROM change WHERE seq > 3") == [
        (4, "key.restore", "bob", old, '{"label":"backup"}'),
        (5, "key.update", "eve", old, f'{{"expires_at":{FAR},"label":"other"}}'),
        (
            6,
            "key.create",
            "ann",
            new,
            f'{{"label":"other","replaces":"{old}","scope":{{"rights":"full","type":"all"}}}}',
        ),
        (7, "key.roll", "ann", old, f'{{"label":"other","overlap":60,"replaced_by":"{new}"}}'),
    ]
    assert hand("SELECT seq FROM store") == [(7,)]


async def test_a_refused_act_leaves_the_log_as_it_was(store: SqliteStore, hand: Hand) -> None:
    access_key_id = await made(store)
    before = hand("SELECT * FROM change"), hand("SELECT * FROM store"), hand("SELECT * FROM access_key")
    for act in (
        store.restore_key(access_key_id, "bob"),
        store.roll_key(access_key_id, -1, "bob"),
        store.update_key(access_key_id, Edit(label=""), "bob"),
    ):
        with pytest.raises((Conflict, InvalidInput)):
            await act
    assert (hand("SELECT * FROM change"), hand("SELECT * FROM store"), hand("SELECT * FROM access_key")) == before


# ---- several processes ----


async def test_two_processes_write_one_chain(store: SqliteStore, elsewhere: Callable[..., Any]) -> None:
    here = await made(store)
    there = elsewhere("create", "from there")
    await store.revoke_key(there, RevokeReason.OTHER, "bob")
    elsewhere("revoke", here)
    assert {key.status.value for key in await store.list_keys(None)} == {"revoked"}


async def test_first_starts_at_once_make_one_keystore(tmp_path: Path, ring: KekRing, kek_file: Path) -> None:
    path = tmp_path / "new.db"
    code = (
        "import asyncio, sys; from pathlib import Path; from keystore.sqlite import migrate;"
        "from keystore.sealing import load_kek_ring;"
        "asyncio.run(migrate(sys.argv[1], load_kek_ring(Path(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, str(path), str(kek_file)]
    starts = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]
    assert [await start.wait() for start in starts] == [0, 0, 0, 0]
    async with open_sqlite_store(path, ring, create=False) as store:
        assert len(await store.list_accounts()) == 1


def test_a_writer_that_holds_the_lock_is_named(database: Path, ring: KekRing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def make_a_key() -> None:
        async with open_sqlite_store(database, ring, create=False) as store:
            await made(store)

    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(KeystoreUnavailable, match=f"locked by process {holder.pid}"):
            asyncio.run(make_a_key())
        holder.kill()
    asyncio.run(make_a_key())


KILLED = -9
KILL_BEFORE = """
import aiosqlite, os
execute = aiosqlite.Connection.execute
async def until_commit(self, sql, *rest):
    if sql == "COMMIT" and self.total_changes:
        os.kill(os.getpid(), 9)
    return await execute(self, sql, *rest)
aiosqlite.Connection.execute = until_commit
"""
KILL_AFTER = KILL_BEFORE.replace("        os.kill", "        await execute(self, sql)\n        os.kill")


async def test_a_revoke_killed_before_its_commit_did_not_happen(
    store: SqliteStore, elsewhere: Callable[..., Any]
) -> None:
    access_key_id = await made(store)
    elsewhere("revoke", access_key_id, before=KILL_BEFORE, ends_with=KILLED)
    assert (await store.get_key(access_key_id)).status.value == "active"
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")


async def test_a_revoke_killed_after_its_commit_holds(store: SqliteStore, elsewhere: Callable[..., Any]) -> None:
    access_key_id = await made(store)
    elsewhere("revoke", access_key_id, before=KILL_AFTER, ends_with=KILLED)
    assert (await store.get_key(access_key_id)).status.value == "revoked"
    await made(store)


async def test_a_roll_killed_before_its_commit_made_nothing_and_ended_nothing(
    store: SqliteStore, elsewhere: Callable[..., Any]
) -> None:
    access_key_id = await made(store)
    before = await store.list_keys(None)
    elsewhere("roll", access_key_id, "0", before=KILL_BEFORE, ends_with=KILLED)
    assert await store.list_keys(None) == before
    await store.roll_key(access_key_id, 60, "bob")


async def test_a_roll_killed_after_its_commit_holds_both_halves(
    store: SqliteStore, elsewhere: Callable[..., Any]
) -> None:
    access_key_id = await made(store)
    elsewhere("roll", access_key_id, "0", before=KILL_AFTER, ends_with=KILLED)
    old, new = sorted(await store.list_keys(None), key=lambda known: known.status.value, reverse=True)
    assert (old.access_key_id, old.status.value, old.replaced_by) == (access_key_id, "revoked", new.access_key_id)
    assert (new.status.value, new.replaces) == ("active", access_key_id)


async def test_a_cancelled_roll_leaves_no_half(store: SqliteStore, hand: Hand) -> None:
    for turns in range(12):
        task = asyncio.create_task(store.roll_key(await made(store), 0, "bob"))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    known = await store.list_keys(None)
    assert {key.access_key_id for key in known if key.replaces} == {key.replaced_by for key in known if key.replaced_by}
    assert hand("SELECT max(seq), count(*) FROM change") == [(1 + len(known) + hand(ROLLS)[0][0],) * 2]


async def test_a_cancelled_mutation_leaves_no_lock_and_no_half(store: SqliteStore, hand: Hand) -> None:
    for turns in range(12):
        task = asyncio.create_task(made(store))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await made(store)
    [[keys]] = hand("SELECT count(*) FROM access_key")
    assert hand("SELECT count(*) FROM change WHERE kind = 'key.create'") == [(keys,)]


# ---- a hand on the file ----


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE access_key SET record = replace(CAST(record AS TEXT), 'revoked', 'active')",
        "UPDATE access_key SET record = CAST(replace(CAST(record AS TEXT), 'backup', 'other') AS BLOB)",
        "UPDATE access_key SET account = 'tenant'",
        "UPDATE access_key SET secret_sealed = zeroblob(85)",
        "UPDATE access_key SET mac = zeroblob(32)",
        "UPDATE access_key SET version = version + 1",
        "DELETE FROM access_key",
        "DELETE FROM change WHERE seq = (SELECT max(seq) FROM change)",
        "UPDATE change SET kind = 'key.create' WHERE seq = (SELECT max(seq) FROM change)",
        "DELETE FROM change",
        "UPDATE store SET seq = seq - 1",
        "DELETE FROM store",
    ],
)
async def test_a_tampered_record_or_log_is_refused_by_the_writer(store: SqliteStore, hand: Hand, sql: str) -> None:
    access_key_id = await made(store)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    try:
        hand(sql)
    except sqlite3.IntegrityError:
        return  # STRICT refused it: text is no record
    with pytest.raises(RecordRefused):
        await store.get_key(access_key_id)
    with pytest.raises(RecordRefused):
        await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")


@pytest.mark.parametrize("act", ["restore", "roll", "update"])
async def test_a_tampered_record_is_not_written_on(store: SqliteStore, hand: Hand, act: str) -> None:
    """A restore, roll or edit of it would put the right MAC on what somebody wrote by hand."""
    access_key_id = await made(store)
    await store.update_key(access_key_id, Edit(label="b"), "ann")
    hand("UPDATE access_key SET record = CAST(replace(CAST(record AS TEXT), 'full', 'read_only') AS BLOB)")
    acts = {
        "restore": lambda: store.restore_key(access_key_id, "bob"),
        "roll": lambda: store.roll_key(access_key_id, 60, "bob"),
        "update": lambda: store.update_key(access_key_id, Edit(label="x"), "bob"),
    }
    with pytest.raises(RecordRefused):
        await acts[act]()


@pytest.mark.parametrize("kept", ["active", "revoked"])
async def test_an_older_record_put_back_is_not_rolled_into_a_new_one(store: SqliteStore, hand: Hand, kept: str) -> None:
    access_key_id = await made(store)
    [older] = hand("SELECT version, record, mac FROM access_key")
    await store.revoke_key(access_key_id, RevokeReason.COMPROMISED, "bob")
    if kept == "revoked":
        [older] = hand("SELECT version, record, mac FROM access_key")
        await store.update_key(access_key_id, Edit(label="x"), "bob")
    hand("UPDATE access_key SET version = ?, record = ?, mac = ?", *older)
    for act in (store.roll_key(access_key_id, 60, "bob"), store.restore_key(access_key_id, "bob")):
        with pytest.raises(RecordRefused):
            await act


async def test_an_edited_account_is_refused(store: SqliteStore, hand: Hand) -> None:
    hand("UPDATE account SET number = '999999999999'")
    with pytest.raises(RecordRefused):
        await store.list_accounts()
    with pytest.raises(RecordRefused):
        await made(store)


async def test_an_inserted_account_is_refused(store: SqliteStore, hand: Hand) -> None:
    columns = "version, created_at, record, kek_id, mac, upstream_sealed"
    hand(f"INSERT INTO account SELECT 'tenant', '999999999999', {columns} FROM account")
    with pytest.raises(RecordRefused):
        await store.list_accounts()


async def test_a_refused_record_can_still_be_deleted(store: SqliteStore, hand: Hand) -> None:
    access_key_id = await made(store)
    hand("UPDATE access_key SET mac = zeroblob(32)")
    await store.delete_key(access_key_id, "bob")
    with pytest.raises(NotFound):
        await store.get_key(access_key_id)


async def test_a_change_taken_out_behind_the_commit_is_not_reported_as_done(store: SqliteStore, hand: Hand) -> None:
    access_key_id = await made(store)
    hand("CREATE TRIGGER gone AFTER INSERT ON change BEGIN DELETE FROM change WHERE seq = new.seq; END")
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")


@pytest.mark.parametrize("kind", ["key.create", "key.roll"])
async def test_either_change_of_a_roll_taken_out_behind_the_commit_is_not_reported_as_done(
    store: SqliteStore, hand: Hand, kind: str
) -> None:
    access_key_id = await made(store)
    hand(
        "CREATE TRIGGER gone AFTER INSERT ON change WHEN new.kind = 'key.roll' "
        f"BEGIN DELETE FROM change WHERE kind = '{kind}' AND seq >= new.seq - 1; END"
    )
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await store.roll_key(access_key_id, 60, "bob")

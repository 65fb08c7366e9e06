"""Somebody who may write the database, but has no KEK, against the directory: refused, never served, never None."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore.access_key import KnownKey, RevokeReason
from keystore.chain import START, Change
from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreUnavailable, RecordRefused
from keystore.scope import AllBuckets
from keystore.sealed_rows import SealedRows
from keystore.sealing import Kek, KekRing, Secret
from keystore.sqlite import SqliteStore
from keystore.sqlite_rows import ADD_CHANGE
from keystore.store import NewKey

TODAY = b"20250101"
WISH = NewKey("default", "backup", AllBuckets())
Elsewhere = Callable[..., Any]
Hand = Callable[..., list[Any]]


async def made(store: SqliteStore, wish: NewKey = WISH) -> tuple[str, Secret]:
    access_key, secret = await store.create_key(wish, "ann")
    return access_key.access_key_id, secret


def found(directory: Directory, access_key_id: str) -> KnownKey:
    known = directory.find(access_key_id, TODAY)
    assert known is not None
    return known


@pytest.fixture
async def two(store: SqliteStore) -> tuple[str, str]:
    """An active key, and a revoked one."""
    active, ended = (await made(store))[0], (await made(store))[0]
    await store.revoke_key(ended, RevokeReason.OTHER, "bob")
    return active, ended


SWAP = (  # the revoked key was written last
    "UPDATE access_key SET {0} = (SELECT {0} FROM access_key o ORDER BY o.rowid LIMIT 1)"
    " WHERE rowid = (SELECT max(rowid) FROM access_key)"
)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE access_key SET record = CAST(replace(CAST(record AS TEXT), '\"revoked\"', '\"active\"') AS BLOB)",
        "UPDATE access_key SET record = CAST(replace(CAST(record AS TEXT), '\"full\"', '\"read_only\"') AS BLOB)",
        "UPDATE access_key SET account = 'tenant'",
        "UPDATE access_key SET created_at = 1",
        "UPDATE access_key SET kek_id = 'older'",
        "UPDATE access_key SET mac = zeroblob(32)",
        SWAP.format("secret_sealed"),
        SWAP.format("record"),
        "DELETE FROM access_key",
        "UPDATE change SET record_sha256 = zeroblob(32)",
        "UPDATE change SET kind = 'key.delete'",
        "DELETE FROM change WHERE kind = 'key.revoke'",
    ],
)
def test_a_tampered_record_is_unavailable_and_never_served(
    directory: Directory, two: tuple[str, str], hand: Hand, sql: str
) -> None:
    hand(sql)
    with pytest.raises(KeystoreUnavailable):
        directory.find(two[1], TODAY)


def test_a_whole_row_swapped_between_ids_is_refused(directory: Directory, two: tuple[str, str], hand: Hand) -> None:
    active, ended = two
    hand("UPDATE access_key SET access_key_id = 'tmp' WHERE access_key_id = ?", ended)
    hand("UPDATE access_key SET access_key_id = ? WHERE access_key_id = ?", ended, active)
    hand("UPDATE access_key SET access_key_id = ? WHERE access_key_id = 'tmp'", active)
    for access_key_id in two:
        with pytest.raises(RecordRefused):
            directory.find(access_key_id, TODAY)


async def test_an_old_row_put_back_with_its_mac_is_refused(
    directory: Directory, store: SqliteStore, hand: Hand
) -> None:
    access_key_id, _ = await made(store)
    [old] = hand("SELECT * FROM access_key")
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    with pytest.raises(RecordRefused, match="older one"):
        directory.find(access_key_id, TODAY)


async def test_a_deleted_row_put_back_is_refused(directory: Directory, store: SqliteStore, hand: Hand) -> None:
    access_key_id, _ = await made(store)
    [old] = hand("SELECT * FROM access_key")
    await store.delete_key(access_key_id, "bob")
    hand("INSERT INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    with pytest.raises(RecordRefused, match="deleted"):
        directory.find(access_key_id, TODAY)


async def test_an_old_row_put_back_and_its_revoke_taken_out_of_the_log_is_refused_at_the_start(
    database: Path, ring: KekRing, store: SqliteStore, hand: Hand
) -> None:
    access_key_id, _ = await made(store)
    [old] = hand("SELECT * FROM access_key")
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    await made(store)
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    hand("DELETE FROM change WHERE kind = 'key.revoke'")
    with pytest.raises(RecordRefused, match="no row 3"):
        open_directory(database, ring)


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
async def test_a_row_taken_out_of_the_log_anywhere_is_refused_at_the_start(
    database: Path, ring: KekRing, two: tuple[str, str], hand: Hand, seq: int
) -> None:
    hand("DELETE FROM change WHERE seq = ?", seq)
    with pytest.raises(RecordRefused):
        open_directory(database, ring)


async def test_a_change_taken_out_before_the_gateway_read_it_is_refused(
    directory: Directory, store: SqliteStore, hand: Hand
) -> None:
    access_key_id, _ = await made(store)
    found(directory, access_key_id)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    hand("DELETE FROM change WHERE kind = 'key.revoke'")
    for _ in range(2):
        with pytest.raises(RecordRefused, match="ends at row"):
            directory.find(access_key_id, TODAY)


async def test_a_keystore_that_went_back_in_time_is_unavailable(
    directory: Directory, store: SqliteStore, hand: Hand
) -> None:
    access_key_id, _ = await made(store)
    [old_store], [old_row] = hand("SELECT * FROM store"), hand("SELECT * FROM access_key")
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    found(directory, access_key_id)
    hand("BEGIN")
    hand("DELETE FROM change WHERE kind = 'key.revoke'")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old_row)
    hand(f"REPLACE INTO store VALUES ({', '.join('?' * len(old_store))})", *old_store)
    hand("COMMIT")
    with pytest.raises(KeystoreUnavailable, match="back in time"):
        directory.find(access_key_id, TODAY)


@pytest.mark.parametrize("sql", ["DELETE FROM store", "UPDATE store SET lease_ms = 9999999", "DROP TABLE change"])
def test_a_tampered_store_row_or_schema_is_unavailable(
    directory: Directory, two: tuple[str, str], hand: Hand, sql: str
) -> None:
    found(directory, two[0])
    hand(sql)
    with pytest.raises(KeystoreUnavailable):
        directory.find(two[0], TODAY)


async def test_a_forged_row_under_another_kek_is_refused(directory: Directory, store: SqliteStore, hand: Hand) -> None:
    await made(store)
    [[store_id]] = hand("SELECT store_id FROM store")
    forger = SealedRows(KekRing((Kek(b"f" * 32),)), store_id)
    key_row = forger.access_key((await store.list_keys(None))[0], Secret("f" * 40))
    draft = Change(0, "r", "key.create", "default", "NQAKforged", "eve", 1, b"{}", b"", "", b"")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *key_row._replace(access_key_id="NQAKforged"))
    with pytest.raises(KeystoreUnavailable):
        directory.find("NQAKforged", TODAY)
    hand(ADD_CHANGE, *forger.change(START, draft)._replace(seq=99))
    with pytest.raises(KeystoreUnavailable):
        directory.find("NQAKforged", TODAY)

"""What the hot path relies on: the very next find after a commit anywhere, and never a record that does not verify."""

import hashlib
import hmac
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore import directory as directory_module
from keystore import remembered
from keystore.access_key import KnownKey, RevokeReason, Status
from keystore.admin_tokens import Role
from keystore.chain import Change, Position
from keystore.directory import MAX_DATES, Directory, open_directory
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.scope import AllBuckets, BucketGrant, SpecificBuckets
from keystore.sealed_rows import enter_store
from keystore.sealing import Kek, KekRing, Secret, create_kek_file, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.sqlite_rows import ADD_CHANGE, PUT_STORE, SELECT_LOG, read_log
from keystore.store import NewKey, NewToken

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


# ---- what is found ----


async def test_a_key_is_found_with_the_derived_key_of_the_day(directory: Directory, store: SqliteStore) -> None:
    access_key_id, secret = await made(store)
    known = found(directory, access_key_id)
    assert known.access_key == await store.get_key(access_key_id)
    assert known.date_keys == {TODAY: hmac.digest(b"AWS4" + secret.expose().encode(), TODAY, "sha256")}
    assert known.keyed == {}


async def test_a_presigned_v2_url_is_computed_from_the_sealed_secret(directory: Directory, store: SqliteStore) -> None:
    access_key_id, secret = await made(store)
    signed = found(directory, access_key_id).hmac_sha1(b"string to sign")
    assert signed == hmac.new(secret.expose().encode(), b"string to sign", hashlib.sha1).digest()


async def test_another_day_is_derived_beside_the_first_and_they_are_bounded(
    directory: Directory, store: SqliteStore
) -> None:
    access_key_id, _ = await made(store)
    for day in range(3 * MAX_DATES):
        date = b"202501%02d" % day
        known = directory.find(access_key_id, date)
        assert known is not None
        assert date in known.date_keys
        assert len(known.date_keys) <= MAX_DATES


@pytest.mark.interpreted  # it reaches inside
async def test_nothing_that_is_handed_out_prints_the_secret(directory: Directory, store: SqliteStore) -> None:
    access_key_id, secret = await made(store)
    known = found(directory, access_key_id)
    assert secret.expose() not in repr(known) + repr(vars(directory))


@pytest.mark.parametrize("access_key_id", ["NQAKnobody", "", "ab", "a" * 129, "NQAK\x00", "ä" * 5, "a' OR 1=1 --"])
def test_an_unknown_id_is_none(directory: Directory, access_key_id: str) -> None:
    assert directory.find(access_key_id, TODAY) is None
    assert directory.find(access_key_id, TODAY) is None


async def test_a_known_key_is_the_same_object_while_nothing_happens(directory: Directory, store: SqliteStore) -> None:
    access_key_id, _ = await made(store)
    known = found(directory, access_key_id)
    assert directory.fresh()
    assert found(directory, access_key_id) is known


# ---- another process changes something ----


def test_a_revoke_in_another_process_is_seen_by_the_very_next_find(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    before = found(directory, access_key_id)
    before.keyed[b"scope"] = hmac.new(b"cached", digestmod="sha256")
    elsewhere("revoke", access_key_id)
    assert not directory.fresh()
    after = found(directory, access_key_id)
    assert after.access_key.status is Status.REVOKED
    assert after.keyed == {}


def test_a_key_made_in_another_process_is_found_though_it_was_just_absent(
    directory: Directory, store: SqliteStore, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    mint = "from keystore import minting; minting.mint_access_key_id = lambda: 'NQAKexpected'\n"
    assert directory.find("NQAKexpected", TODAY) is None
    elsewhere("create", "backup", before=mint)
    assert found(directory, "NQAKexpected").access_key.label == "backup"


def test_a_delete_in_another_process_is_seen_by_the_very_next_find(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    elsewhere("delete", access_key_id)
    assert directory.find(access_key_id, TODAY) is None


async def test_every_one_of_many_revokes_is_seen_at_once(directory: Directory, store: SqliteStore) -> None:
    ids = [(await made(store))[0] for _ in range(40)]
    for access_key_id in ids:
        assert found(directory, access_key_id).access_key.status is Status.ACTIVE
        await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
        assert found(directory, access_key_id).access_key.status is Status.REVOKED


async def test_a_change_of_one_key_leaves_the_others_known(directory: Directory, store: SqliteStore) -> None:
    one, two = (await made(store))[0], (await made(store))[0]
    known = found(directory, one)
    await store.revoke_key(two, RevokeReason.OTHER, "bob")
    assert found(directory, one) is known


@pytest.mark.parametrize(("after", "status"), [("pass", "active"), ("await execute(self, sql)", "revoked")])
def test_a_killed_writer_revoked_if_and_only_if_it_committed(
    directory: Directory, elsewhere: Elsewhere, after: str, status: str
) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    elsewhere("revoke", access_key_id, killed_after=after)
    assert found(directory, access_key_id).access_key.status.value == status


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_checkpoints_hide_no_revoke(directory: Directory, elsewhere: Elsewhere, mode: str) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    elsewhere("sql", f"PRAGMA wal_checkpoint({mode})")
    found(directory, access_key_id)
    elsewhere("revoke", access_key_id)
    elsewhere("sql", f"PRAGMA wal_checkpoint({mode})")
    assert found(directory, access_key_id).access_key.status is Status.REVOKED


def test_no_open_cursor_pins_the_snapshot(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    assert directory.find("NQAKnobody", TODAY) is None
    elsewhere("revoke", access_key_id)
    found(directory, access_key_id)
    [[busy, left, _]] = elsewhere("sql", "PRAGMA wal_checkpoint(TRUNCATE)")
    assert (busy, left) == (0, 0)


def test_the_reader_keeps_the_wal_index_alive_when_every_writer_closed(
    directory: Directory, database: Path, elsewhere: Elsewhere
) -> None:
    elsewhere("create", "backup")
    inode = os.stat(f"{database}-shm").st_ino
    elsewhere("create", "another")
    assert os.stat(f"{database}-shm").st_ino == inode


@pytest.mark.interpreted  # it reaches inside
async def test_a_commit_between_the_select_and_the_end_of_a_refresh_is_not_lost(
    directory: Directory, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded bug: an epoch read after the SELECT would cover a change that the SELECT did not see."""
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    read = directory._read_log

    def read_then_revoke() -> Any:
        log = read()
        monkeypatch.undo()
        elsewhere("revoke", access_key_id)
        return log

    elsewhere("create", "moves the header")
    monkeypatch.setattr(directory, "_read_log", read_then_revoke)
    assert directory.fresh_or_refreshed()
    assert not directory.fresh()
    assert found(directory, access_key_id).access_key.status is Status.REVOKED


@pytest.mark.interpreted  # it reaches inside
async def test_a_long_log_is_followed_in_batches(
    database: Path, ring: KekRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "FOLLOW_AT_MOST", 3)
    monkeypatch.setattr(directory_module, "SELECT_LOG", SELECT_LOG.replace("+ 1000", "+ 3"))
    async with open_sqlite_store(database, ring, create=False) as store:
        for _ in range(8):
            access_key_id, _ = await made(store)
    opened = open_directory(database, ring)
    assert found(opened, access_key_id)
    opened.close()


# ---- who is told ----


async def test_the_touched_key_is_told_and_memory_is_the_truth_by_then(
    directory: Directory, store: SqliteStore
) -> None:
    access_key_id, _ = await made(store)
    found(directory, access_key_id)
    told: list[tuple[str | None, Status]] = []
    directory.on_change = lambda _, key: told.append((key, found(directory, access_key_id).access_key.status))
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    directory.tick()
    assert told == [(access_key_id, Status.REVOKED)]
    directory.tick()
    assert len(told) == 1


async def test_nobody_is_told_of_what_touches_no_key(directory: Directory, store: SqliteStore) -> None:
    told: list[str | None] = []
    directory.on_change = lambda _, key: told.append(key)
    await store.create_account("team", "ann")
    token, _ = await store.create_token(NewToken(Role.OWNER, "ci", "team"), "ann")
    await store.revoke_token(token.token_id, "ann")
    directory.tick()
    assert told == []
    assert directory.fresh()


async def test_a_token_made_or_revoked_makes_nothing_forgotten(directory: Directory, store: SqliteStore) -> None:
    access_key_id, _ = await made(store)
    known, tenure = found(directory, access_key_id), directory.tenure("photos")
    directory.store_credential("default")
    accounts = dict(directory._remembered.accounts)
    token, _ = await store.create_token(NewToken(Role.OWNER, "ci", "default"), "ann")
    assert found(directory, access_key_id) is known
    await store.revoke_token(token.token_id, "ann")
    assert found(directory, access_key_id) is known
    assert directory._tenures == {"photos": tenure}
    assert directory._remembered.accounts == accounts
    assert list(accounts) == ["default"]


async def test_a_sign_in_makes_nothing_forgotten_and_leaves_the_account_as_it_is(
    directory: Directory, store: SqliteStore
) -> None:
    access_key_id, _ = await made(store)
    await store.set_upstream("default", "AKIAOWN", Secret("s" * 40), "ann")
    known, credential = found(directory, access_key_id), directory.store_credential("default")
    for nonce in ("0" * 32, "1" * 32):
        assert await store.note_sign_in(nonce, "link:ann", "default", {})
    assert found(directory, access_key_id) is known
    assert directory.store_credential("default") is credential
    directory._remembered.forget_all()
    again = directory.store_credential("default")
    assert again is not None
    assert again.access_key_id == "AKIAOWN"


async def test_a_change_of_an_unknown_kind_flushes_everything(
    directory: Directory, store: SqliteStore, hand: Hand, ring: KekRing
) -> None:
    access_key_id, _ = await made(store)
    known = found(directory, access_key_id)
    told: list[str | None] = []
    directory.on_change = lambda _, key: told.append(key)
    row, _ = read_log(hand(SELECT_LOG, 0))
    rows = enter_store(ring, row)
    draft = Change(0, "r", "account.suspend", "default", None, "ann", 1, b"{}", b"", "", b"")
    change = rows.change(Position(row.seq, row.head), draft)
    hand("BEGIN IMMEDIATE")
    hand(ADD_CHANGE, *change)
    hand(PUT_STORE, 1, *rows.store_row(row, Position(change.seq, change.mac)))
    hand("COMMIT")
    assert found(directory, access_key_id) is not known
    assert told == [None]


# ---- bounds ----


@pytest.mark.interpreted  # it reaches inside
def test_guessing_ids_neither_grows_memory_nor_displaces_a_live_key(
    directory: Directory, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_ABSENT", 10)
    access_key_id = elsewhere("create", "backup")
    known = found(directory, access_key_id)
    for number in range(100):
        assert directory.find(f"NQAKguess{number}", TODAY) is None
    assert len(directory._remembered.absent) == 10
    assert found(directory, access_key_id) is known


async def test_known_records_are_bounded_by_the_buckets_they_name(
    directory: Directory, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = remembered.KEY_BYTES + 2 * remembered.GRANT_BYTES
    directory._remembered.max_known = 2 * weight + 1
    scope = SpecificBuckets((BucketGrant("photos"), BucketGrant("logs")))
    ids = [(await made(store, NewKey("default", "b", scope)))[0] for _ in range(5)]
    for access_key_id in ids:
        assert found(directory, access_key_id).access_key.access_key_id == access_key_id
    assert list(directory._known) == ids[-2:]
    await store.revoke_key(ids[-1], RevokeReason.OTHER, "bob")
    directory.tick()
    assert directory._remembered._weight == weight


# ---- the file is taken away ----


def unlinked(database: Path) -> None:
    os.unlink(f"{database}-shm")


def replaced_shm(database: Path) -> None:
    shutil.copy(f"{database}-shm", f"{database}-copy")
    os.rename(f"{database}-copy", f"{database}-shm")


def replaced_database(database: Path) -> None:
    shutil.copy(database, f"{database}.copy")  # this opens the database: what a backup script would do elsewhere
    os.rename(f"{database}.copy", database)


def moved(database: Path) -> None:
    os.rename(database, f"{database}.moved")


@pytest.mark.parametrize("act", [unlinked, replaced_shm, replaced_database, moved])
def test_after_the_file_was_taken_away_every_find_is_unavailable(
    directory: Directory, database: Path, elsewhere: Elsewhere, act: Callable[[Path], None]
) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    act(database)
    directory.tick()
    assert not directory.fresh()
    for wanted in (access_key_id, "NQAKnobody", access_key_id):
        with pytest.raises(KeystoreUnavailable, match="restart"):
            directory.find(wanted, TODAY)
    directory.tick()
    assert not directory.fresh_or_refreshed()


def test_a_plain_open_of_the_database_in_this_process_is_found_out(
    directory: Directory, database: Path, elsewhere: Elsewhere
) -> None:
    """Closing the file drops this process's locks; the next writer elsewhere then deletes the -shm as it closes."""
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    database.read_bytes()
    elsewhere("revoke", access_key_id)
    directory.tick()
    with pytest.raises(KeystoreUnavailable, match="deleted"):
        directory.find(access_key_id, TODAY)


def test_a_closed_directory_finds_nothing(database: Path, ring: KekRing) -> None:
    opened = open_directory(database, ring)
    opened.close()
    assert not opened.fresh()
    with pytest.raises(KeystoreUnavailable):
        opened.find("NQAKnobody", TODAY)
    opened.tick()


def test_a_failing_database_is_unavailable_and_never_none(directory: Directory, elsewhere: Elsewhere) -> None:
    directory._connection.close()
    with pytest.raises(KeystoreUnavailable):
        directory.find("NQAKnobody", TODAY)
    elsewhere("create", "moves the header")
    with pytest.raises(KeystoreUnavailable):
        directory.find("NQAKnobody", TODAY)
    assert not directory.fresh_or_refreshed()


# ---- opening ----


def test_a_wrong_kek_is_said_at_the_start(database: Path) -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        open_directory(database, KekRing((Kek(b"w" * 32),)))


def test_a_directory_of_no_keystore_does_not_open(tmp_path: Path, ring: KekRing) -> None:
    with pytest.raises(KeystoreUnavailable, match="there is no keystore"):
        open_directory(tmp_path / "none.db", ring)
    (tmp_path / "empty.db").touch()
    with pytest.raises(KeystoreUnavailable):
        open_directory(tmp_path / "empty.db", ring)


def test_a_database_that_is_not_in_wal_mode_is_refused(database: Path, ring: KekRing, hand: Hand) -> None:
    hand("PRAGMA journal_mode = DELETE")
    with pytest.raises(KeystoreUnavailable, match="not in WAL mode"):
        open_directory(database, ring)


def test_after_the_kek_changed_keys_of_both_are_found(
    database: Path, kek_file: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    old = elsewhere("create", "under the old one")
    create_kek_file(tmp_path / "newer")
    with open(kek_file, "ab") as file:
        file.write((tmp_path / "newer").read_bytes())
    new = elsewhere("create", "under the new one")
    opened = open_directory(database, load_kek_ring(kek_file))
    assert {found(opened, access_key_id).access_key.label[-7:] for access_key_id in (old, new)} == {
        "old one",
        "new one",
    }
    opened.close()


# ---- begun at the end of the log ----


async def test_a_directory_that_believes_the_log_begins_at_its_end_and_goes_on_from_there(
    database: Path, store: SqliteStore, ring: KekRing, hand: Hand
) -> None:
    await made(store)
    access_key_id, _ = await made(store)
    await store.claim_bucket("photos", "default", "ann")
    hand("DELETE FROM change WHERE seq = 1")  # which a directory that reads everything would refuse
    opened = open_directory(database, ring, believed=True)
    assert opened.where()[1] == 4
    assert found(opened, access_key_id).access_key.status is Status.ACTIVE
    assert opened.tenure("photos").account == "default"
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "bob")
    assert found(opened, access_key_id).access_key.status is Status.REVOKED
    opened.close()


@pytest.mark.parametrize(
    "act",
    [
        "DELETE FROM change WHERE seq = (SELECT max(seq) FROM change)",
        "UPDATE change SET at = 9 WHERE seq = (SELECT max(seq) FROM change)",
        "UPDATE change SET mac = x'00' WHERE seq = (SELECT max(seq) FROM change) - 1",
        "UPDATE store SET seq = seq - 1",
    ],
)
async def test_an_end_that_does_not_hold_is_not_believed(
    database: Path, store: SqliteStore, ring: KekRing, hand: Hand, act: str
) -> None:
    await made(store)
    hand(act)
    with pytest.raises(KeystoreUnavailable):
        open_directory(database, ring, believed=True)


async def test_a_claim_that_vanished_with_all_that_tells_of_it_is_refused_where_its_log_was_believed_too(
    database: Path, store: SqliteStore, ring: KekRing, hand: Hand
) -> None:
    await store.create_account("team", "ann")
    await store.claim_bucket("photos", "team", "ann")
    await made(store)
    opened = open_directory(database, ring, believed=True)
    hand("DELETE FROM bucket")
    hand("UPDATE change SET bucket = NULL WHERE bucket = 'photos'")
    with pytest.raises(KeystoreUnavailable):
        opened.tenure("photos")
    opened.close()

"""Everything a database writer without the KEK can do, and that `audit_keystore` says where."""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore.access_key import RevokeReason
from keystore.chain import START, Change
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.high_water import HighWater
from keystore.mark_file import read_mark
from keystore.record import AccessKeyRow, AccountRow, BucketRow
from keystore.scope import AllBuckets
from keystore.sealed_rows import SealedRows
from keystore.sealing import Kek, KekRing, Secret
from keystore.sqlite import SqliteStore
from keystore.sqlite_audit import PAGE, audit_keystore
from keystore.sqlite_rows import ADD_CHANGE, PUT_ACCESS_KEY, PUT_ACCOUNT, PUT_BUCKET
from keystore.store import NewKey

Hand = Callable[..., list[Any]]
Audited = Callable[[], list[tuple[str, str, str]]]


class Made:
    """Two active keys (`one` made first), a revoked one, a deleted one; the account `team` with a claim to `photos`."""

    def __init__(self, one: str, two: str, revoked: str, deleted: str) -> None:
        self.one, self.two, self.revoked, self.deleted = one, two, revoked, deleted


@pytest.fixture
async def made(store: SqliteStore) -> Made:
    ids = []
    for label in ("one", "two", "revoked", "deleted"):
        access_key, _ = await store.create_key(NewKey("default", label, AllBuckets()), "ann")
        ids.append(access_key.access_key_id)
    await store.create_account("team", "ann")
    await store.set_upstream("team", "AKIAOWN", Secret("its-own"), "ann")
    await store.claim_bucket("photos", "team", "ann")
    await store.revoke_key(ids[2], RevokeReason.OTHER, "bob")
    await store.delete_key(ids[3], "bob")
    return Made(*ids)


@pytest.fixture
def audited(database: Path, ring: KekRing) -> Audited:
    """The findings; a clean report has the right counts."""

    def audit() -> list[tuple[str, str, str]]:
        return [tuple(finding) for finding in audit_keystore(database, ring).findings]

    return audit


def test_a_keystore_that_nobody_touched_holds(database: Path, ring: KekRing, made: Made) -> None:
    seen: list[tuple[int, int]] = []
    report = audit_keystore(database, ring, progress=lambda done, whole: seen.append((done, whole)))
    assert report.json() == {
        "ok": True, "changes": 10, "access_keys": 3, "accounts": 2, "buckets": 1, "admin_tokens": 0,
        "found": 0, "findings": [],
    }  # fmt: skip
    assert seen[-1] == (16, 16)


def test_many_pages_are_read(database: Path, ring: KekRing, hand: Hand) -> None:
    hand("BEGIN")
    for seq in range(2, 2 * PAGE + 3):
        hand(ADD_CHANGE, *Change(seq, f"r{seq}", "x", "", None, "eve", 1, b"", b"", "", b"", None))
    hand("COMMIT")
    report = audit_keystore(database, ring)
    assert report.changes == 2 * PAGE + 2


# ---- the acts ----


def test_a_blob_swapped_between_ids_is_found_at_the_one_that_got_it(made: Made, hand: Hand, audited: Audited) -> None:
    hand(
        "UPDATE access_key SET secret_sealed = (SELECT secret_sealed FROM access_key WHERE access_key_id = ?)"
        " WHERE access_key_id = ?",
        made.one,
        made.two,
    )
    findings = audited()
    assert {(table, row_id) for table, row_id, _ in findings} == {("access_key", made.two)}
    assert "fails its MAC" in findings[0][2]
    assert "seal does not open" in findings[1][2]


def test_whole_rows_swapped_between_ids_are_found_at_both(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE access_key SET access_key_id = 'tmp' WHERE access_key_id = ?", made.one)
    hand("UPDATE access_key SET access_key_id = ? WHERE access_key_id = ?", made.one, made.two)
    hand("UPDATE access_key SET access_key_id = ? WHERE access_key_id = 'tmp'", made.two)
    findings = audited()
    for access_key_id in (made.one, made.two):
        told = [what for table, row_id, what in findings if (table, row_id) == ("access_key", access_key_id)]
        assert len(told) == 3
        assert "older one" in told[0]
        assert "MAC" in told[1]
        assert "seal" in told[2]
    assert len(findings) == 6


async def test_an_old_row_back_is_found(made: Made, store: SqliteStore, hand: Hand, audited: Audited) -> None:
    [old] = hand("SELECT * FROM access_key WHERE access_key_id = ?", made.one)
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    [(table, row_id, what)] = audited()
    assert (table, row_id) == ("access_key", made.one)
    assert "older one" in what


async def test_an_old_row_back_with_its_change_edited_too_is_found(
    made: Made, store: SqliteStore, hand: Hand, audited: Audited
) -> None:
    [old] = hand("SELECT * FROM access_key WHERE access_key_id = ?", made.one)
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    record = hashlib.sha256(old[AccessKeyRow._fields.index("record")]).digest()
    hand("UPDATE change SET record_sha256 = ? WHERE seq = 11", record)
    [(table, row_id, what)] = audited()
    assert (table, row_id) == ("change", "11")
    assert "not written by this keystore" in what


async def test_an_old_row_back_and_its_revoke_hidden_under_another_name_is_found(
    made: Made, store: SqliteStore, hand: Hand, audited: Audited
) -> None:
    """A cold look-up takes the creation for the last change then, and serves the key until the log is read again."""
    [old] = hand("SELECT * FROM access_key WHERE access_key_id = ?", made.one)
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    hand("REPLACE INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    hand("UPDATE change SET access_key_id = NULL WHERE seq = 11")
    assert (await store.get_key(made.one)).access_key_id == made.one
    assert audited()[0][:2] == ("change", "11")


async def test_a_revoke_hung_onto_another_key_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE change SET access_key_id = ? WHERE kind = 'key.revoke'", made.two)
    told = {(table, row_id) for table, row_id, _ in audited()}
    assert told == {("change", "9"), ("access_key", made.revoked), ("access_key", made.two)}


async def test_a_deleted_row_back_is_found(made: Made, store: SqliteStore, hand: Hand, audited: Audited) -> None:
    [old] = hand("SELECT * FROM access_key WHERE access_key_id = ?", made.two)
    await store.delete_key(made.two, "bob")
    hand("INSERT INTO access_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    assert audited() == [("access_key", made.two, "was deleted, and its record is back")]


@pytest.mark.parametrize(("table", "name"), [("access_key", "access_key_id"), ("account", "name"), ("bucket", "name")])
def test_a_row_taken_out_is_found(made: Made, hand: Hand, audited: Audited, table: str, name: str) -> None:
    [[row_id]] = hand(f"SELECT {name} FROM {table} ORDER BY rowid DESC LIMIT 1")
    hand(f"DELETE FROM {table} WHERE {name} = ?", row_id)
    assert audited() == [(table, row_id, "its record was taken out")]


def test_the_end_of_the_log_cut_off_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("DELETE FROM change WHERE seq = 10")
    assert audited() == [
        ("change", "9", "the log ends at row 9, the store row says 10"),
        ("access_key", made.deleted, "its record was taken out"),
    ]


def test_a_row_taken_out_of_the_log_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("DELETE FROM change WHERE kind = 'key.revoke'")
    findings = audited()
    assert findings[0] == ("change", "9", "row 9 was taken out of the log")
    assert {row_id for table, row_id, _ in findings if table == "access_key"} == {made.revoked}


@pytest.mark.parametrize(
    "edit",
    [
        "kind = 'key.delete'",
        "actor = 'eve'",
        "at = 1",
        "body = x'7b7d'",
        "account = 'team'",
        "request_id = 'x'",
        "kek_id = 'older'",
        "mac = zeroblob(32)",
    ],
)
def test_an_edited_row_of_the_log_is_found(made: Made, hand: Hand, audited: Audited, edit: str) -> None:
    hand(f"UPDATE change SET {edit} WHERE kind = 'key.revoke'")
    found = audited()
    assert found[0][:2] == ("change", "9")
    assert {table for table, _, _ in found} == {"change"}


def test_rows_of_the_log_swapped_are_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE change SET seq = 100 WHERE seq = 8")
    hand("UPDATE change SET seq = 8 WHERE seq = 9")
    hand("UPDATE change SET seq = 9 WHERE seq = 100")
    assert [row_id for table, row_id, _ in audited() if table == "change"] == ["8", "9", "10"]


def test_inserted_rows_are_found(database: Path, made: Made, hand: Hand, audited: Audited) -> None:
    [[store_id]] = hand("SELECT store_id FROM store")
    forger = KekRing((Kek(b"f" * 32),))
    [row] = hand("SELECT * FROM access_key WHERE access_key_id = ?", made.one)
    hand(PUT_ACCESS_KEY, *AccessKeyRow(*row)._replace(access_key_id="NQAKforged"))
    [account] = hand("SELECT * FROM account WHERE name = 'default'")
    hand(PUT_ACCOUNT, *AccountRow(*account)._replace(name="forged", number="999999999999"))
    [bucket] = hand("SELECT * FROM bucket")
    hand(PUT_BUCKET, *BucketRow(*bucket)._replace(name="forged"))
    draft = Change(0, "r", "key.create", "default", "NQAKlogged", "eve", 1, b"{}", b"x" * 32, "", b"")
    hand(ADD_CHANGE, *SealedRows(forger, store_id).change(START, draft)._replace(seq=11))
    told = {(table, row_id): what for table, row_id, what in reversed(audited())}
    assert told[("access_key", "NQAKforged")] == "no change wrote this record"
    assert told[("account", "forged")] == "no change wrote this record"
    assert told[("bucket", "forged")] == "no change wrote this record"
    assert told[("access_key", "NQAKlogged")] == "its record was taken out"
    assert ("change", "11") in told


@pytest.mark.parametrize(
    "edit",
    [
        "lease_ms = 9999999", "seq = 9", "generation = 2", "head = zeroblob(32)", "min_kek = 'older'",
        "mac = zeroblob(32)", "protocol = 99",
    ],
)  # fmt: skip
def test_an_edited_store_row_is_found(made: Made, hand: Hand, audited: Audited, edit: str) -> None:
    hand(f"UPDATE store SET {edit}")
    [(table, _, what), *others] = audited()
    assert (table, what) == ("store", "the store row fails its MAC")
    assert {other[0] for other in others} <= {"change"}


def test_an_edited_canary_or_id_of_the_store_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE store SET canary = zeroblob(77)")
    assert [table for table, _, _ in audited()] == ["store", "store"]
    hand("UPDATE store SET store_id = 'another'")
    assert {table for table, _, _ in audited()} == {"store", "change", "access_key", "account", "bucket"}


def test_a_store_row_taken_out_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("DELETE FROM store")
    assert audited() == [("store", "", "the store row was taken out")]


@pytest.mark.parametrize("edit", ["account = 'default'", "version = 9", "kek_id = 'x'", "record = x'7b7d'"])
def test_a_bucket_given_away_is_found(made: Made, hand: Hand, audited: Audited, edit: str) -> None:
    hand(f"UPDATE bucket SET {edit}")
    assert {(table, row_id) for table, row_id, _ in audited()} == {("bucket", "photos")}


def test_an_upstream_credential_taken_away_or_exchanged_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE account SET upstream_sealed = zeroblob(60) WHERE name = 'team'")
    assert [row_id for _, row_id, _ in audited()] == ["team", "team"]
    hand("UPDATE account SET upstream_sealed = NULL WHERE name = 'team'")
    assert [row_id for _, row_id, _ in audited()] == ["team"]


def test_an_index_column_that_says_otherwise_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE access_key SET created_at = 1 WHERE access_key_id = ?", made.one)
    [(table, row_id, what)] = audited()
    assert (table, row_id, "MAC" in what) == ("access_key", made.one, True)


def test_a_schema_with_something_more_less_or_else_is_found(made: Made, hand: Hand, audited: Audited) -> None:
    hand("CREATE TRIGGER t AFTER UPDATE ON access_key BEGIN DELETE FROM change; END")
    hand("DROP INDEX change_of_bucket")
    hand("ALTER TABLE account ADD COLUMN extra TEXT")
    assert audited() == [
        ("schema", "index change_of_bucket", "is missing"),
        ("schema", "table account", "was changed"),
        ("schema", "trigger t", "was added"),
    ]


def test_text_that_is_no_utf_8_and_values_of_another_type_are_findings_at_their_row(
    made: Made, hand: Hand, audited: Audited
) -> None:
    hand("UPDATE access_key SET account = CAST(x'ff1b' AS TEXT) WHERE access_key_id = ?", made.one)
    hand("UPDATE change SET actor = CAST(x'ff' AS TEXT) WHERE seq = 3")
    told = {(table, row_id) for table, row_id, _ in audited()}
    assert told == {("access_key", made.one), ("change", "3")}
    hand("PRAGMA writable_schema = ON")
    hand("UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name = 'bucket'")
    hand("PRAGMA writable_schema = RESET")
    hand("UPDATE bucket SET version = 'many'")
    assert {("schema", "table bucket"), ("bucket", "photos")} <= {(table, row_id) for table, row_id, _ in audited()}


def test_an_index_that_does_not_hold_what_its_table_does_is_found(
    database: Path, ring: KekRing, made: Made, hand: Hand
) -> None:
    hand("PRAGMA writable_schema = ON")
    hand("UPDATE sqlite_master SET sql = 'CREATE INDEX change_of_bucket ON change (bucket) WHERE seq < 0'"
         " WHERE name = 'change_of_bucket'")  # fmt: skip
    hand("PRAGMA writable_schema = RESET")
    hand("REINDEX change_of_bucket")
    hand("PRAGMA writable_schema = ON")
    hand("UPDATE sqlite_master SET sql = 'CREATE INDEX change_of_bucket ON change (bucket) WHERE bucket IS NOT NULL'"
         " WHERE name = 'change_of_bucket'")  # fmt: skip
    hand("PRAGMA writable_schema = RESET")
    report = audit_keystore(database, ring)
    assert {finding.table for finding in report.findings} == {"database"}


def test_a_whole_keystore_rolled_back_holds_in_itself_and_is_found_by_its_mark(
    database: Path, ring: KekRing, made: Made, hand: Hand, audited: Audited
) -> None:
    [[store_id]] = hand("SELECT store_id FROM store")
    water = HighWater(database, ring)
    water.meet()
    assert audited() == []
    mark = read_mark(water.path)
    assert mark is not None
    water.file.write(mark._replace(seq=mark.seq + 1))
    [(table, row_id, what)] = audited()
    assert (table, row_id) == ("store", store_id)
    assert what == "the keystore went back in time: change 11 was known, it ends at 10"


def test_a_damaged_mark_is_a_finding_and_the_rest_is_judged(
    database: Path, ring: KekRing, made: Made, hand: Hand, tmp_path: Path
) -> None:
    (tmp_path / "mark").write_text("{")
    hand("UPDATE bucket SET version = 9")
    report = audit_keystore(database, ring, tmp_path / "mark")
    assert [finding.table for finding in report.findings] == ["state", "bucket"]


# ---- what cannot be read ----


def test_a_missing_keystore_another_file_and_another_schema_are_unavailable(
    tmp_path: Path, database: Path, ring: KekRing, hand: Hand
) -> None:
    with pytest.raises(KeystoreUnavailable, match="no keystore at"):
        audit_keystore(tmp_path / "none.db", ring)
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(KeystoreUnavailable):
        audit_keystore(tmp_path / "text", ring)
    hand("PRAGMA user_version = 1")
    with pytest.raises(KeystoreUnavailable, match="schema 1"):
        audit_keystore(database, ring)


def test_another_kek_is_said_and_nothing_judged(database: Path, made: Made) -> None:
    with pytest.raises(WrongKek, match="wrong key"):
        audit_keystore(database, KekRing((Kek(b"o" * 32),)))


async def test_it_is_of_one_moment_whatever_is_written_meanwhile(
    database: Path, ring: KekRing, made: Made, elsewhere: Callable[..., Any]
) -> None:
    written: list[str] = []

    def write(done: int, whole: int) -> None:
        if not written:
            written.append(elsewhere("create", "meanwhile"))

    report = audit_keystore(database, ring, progress=write)
    assert written
    assert (report.found, report.changes) == (0, 10)
    assert audit_keystore(database, ring).changes == 11


def test_reading_writes_nothing(database: Path, ring: KekRing, made: Made, hand: Hand) -> None:
    before = hand("PRAGMA data_version"), hand("SELECT count(*) FROM change")
    audit_keystore(database, ring)
    assert (hand("PRAGMA data_version"), hand("SELECT count(*) FROM change")) == before


def test_the_snapshot_is_closed_whatever_happens(database: Path, ring: KekRing, made: Made, hand: Hand) -> None:
    def fail(done: int, whole: int) -> None:
        raise RuntimeError("shown nowhere")

    with pytest.raises(RuntimeError):
        audit_keystore(database, ring, progress=fail)
    hand("INSERT INTO change SELECT 50, 'x', kind, account, access_key_id, actor, at, body, record_sha256, kek_id,"
         " mac, bucket, token FROM change WHERE seq = 1")  # fmt: skip
    [[busy, _, _]] = hand("PRAGMA wal_checkpoint(TRUNCATE)")
    assert busy == 0
    assert sqlite3.sqlite_version_info >= (3, 37)


def test_rows_that_hide_before_the_first_are_read_too(made: Made, hand: Hand, audited: Audited) -> None:
    hand("UPDATE access_key SET rowid = -9223372036854775808, version = 9 WHERE access_key_id = ?", made.one)
    hand("UPDATE bucket SET rowid = 9223372036854775807, version = 9")
    hand(
        "INSERT INTO change SELECT -5, 'x', kind, account, access_key_id, actor, at, body, record_sha256, kek_id, mac,"
        " bucket, token FROM change WHERE seq = 2"
    )
    told = [(table, row_id) for table, row_id, _ in audited()]
    assert told == [("change", "-5"), ("access_key", made.one), ("bucket", "photos")]

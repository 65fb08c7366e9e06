"""What a hand on the database that has no KEK can do, and that `audit_postgres` says where, as on SQLite."""

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from keystore.access_key import RevokeReason
from keystore.audited_rows import Wanted
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.mark import Mark
from keystore.mark_file import MarkFile
from keystore.postgres import PostgresStore
from keystore.postgres_audit import audit_postgres, expected_schema, list_postgres_changes
from keystore.postgres_rows import PAGE
from keystore.scope import AllBuckets
from keystore.sealing import Kek, KekRing, Secret
from keystore.store import NewKey
from tests.support.keystore_on_postgres import Sql, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures, two in place of those of this folder
pytestmark = pytest.mark.server

Found = list[tuple[str, str, str]]
Audited = Callable[[], Awaitable[Found]]
KEPT = "CREATE TABLE public.kept AS SELECT * FROM nqgate.access_key WHERE access_key_id = '{}'"
PUT_BACK = (
    "DELETE FROM nqgate.access_key WHERE access_key_id = '{}'; INSERT INTO nqgate.access_key SELECT * FROM public.kept"
)


class Made:
    """Two active keys (`one` made first), a revoked one, a deleted one; the account `team` with a claim to `photos`."""

    def __init__(self, one: str, two: str, revoked: str, deleted: str) -> None:
        self.one, self.two, self.revoked, self.deleted = one, two, revoked, deleted


@pytest.fixture
async def made(store: PostgresStore) -> Made:
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
def state_file(tmp_path: Path) -> Path:
    return tmp_path / "kek.state"


@pytest.fixture
def audited(url: str, ring: KekRing, state_file: Path) -> Audited:
    async def audit() -> Found:
        return [tuple(finding) for finding in (await audit_postgres(Secret(url), ring, state_file)).findings]

    return audit


async def test_a_keystore_that_nobody_touched_holds(url: str, ring: KekRing, made: Made, state_file: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = await audit_postgres(Secret(url), ring, state_file, lambda done, whole: seen.append((done, whole)))
    assert report.json() == {
        "ok": True, "changes": 10, "access_keys": 3, "accounts": 2, "buckets": 1, "admin_tokens": 0,
        "found": 0, "findings": [],
    }  # fmt: skip
    assert seen[-1] == (16, 16)


async def test_many_pages_are_read_and_none_is_larger(
    url: str, ring: KekRing, store: PostgresStore, sql: Sql, state_file: Path
) -> None:
    last = 2 * PAGE + 2
    sql(
        "INSERT INTO nqgate.change SELECT n, 'r' || n, 'x', '', NULL, 'eve', 1, '', '', 'kek', '', NULL"
        f" FROM generate_series(2, {last}) n"
    )
    sql(f"INSERT INTO nqgate.bucket SELECT 'b' || n, '', 1, '', 'kek', '' FROM generate_series(1, {PAGE}) n")
    seen = [0]
    report = await audit_postgres(Secret(url), ring, state_file, lambda done, _: seen.append(done))
    assert (report.changes, report.buckets) == (last, PAGE)
    assert max(later - earlier for earlier, later in itertools.pairwise(seen)) == PAGE


# ---- the acts ----


async def test_a_blob_swapped_between_ids_is_found_at_the_one_that_got_it(
    made: Made, sql: Sql, audited: Audited
) -> None:
    sql(
        "UPDATE nqgate.access_key SET secret_sealed ="
        f" (SELECT secret_sealed FROM nqgate.access_key WHERE access_key_id = '{made.one}')"
        f" WHERE access_key_id = '{made.two}'"
    )
    findings = await audited()
    assert {(table, row_id) for table, row_id, _ in findings} == {("access_key", made.two)}
    assert "fails its MAC" in findings[0][2]
    assert "seal does not open" in findings[1][2]


async def test_whole_rows_swapped_between_ids_are_found_at_both(made: Made, sql: Sql, audited: Audited) -> None:
    for before, after in (made.one, "tmp"), (made.two, made.one), ("tmp", made.two):
        sql(f"UPDATE nqgate.access_key SET access_key_id = '{after}' WHERE access_key_id = '{before}'")
    findings = await audited()
    for access_key_id in (made.one, made.two):
        told = [what for table, row_id, what in findings if (table, row_id) == ("access_key", access_key_id)]
        assert len(told) == 3
        assert "older one" in told[0]
    assert len(findings) == 6


async def test_an_old_row_back_is_found(made: Made, store: PostgresStore, sql: Sql, audited: Audited) -> None:
    sql(KEPT.format(made.one))
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    sql(PUT_BACK.format(made.one))
    [(table, row_id, what)] = await audited()
    assert (table, row_id) == ("access_key", made.one)
    assert "older one" in what


async def test_an_old_row_back_with_its_change_edited_too_is_found(
    made: Made, store: PostgresStore, sql: Sql, audited: Audited
) -> None:
    sql(KEPT.format(made.one))
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    sql(PUT_BACK.format(made.one))
    sql("UPDATE nqgate.change SET record_sha256 = (SELECT sha256(record) FROM public.kept) WHERE seq = 11")
    [(table, row_id, what)] = await audited()
    assert (table, row_id) == ("change", "11")
    assert "not written by this keystore" in what


async def test_an_old_row_back_and_its_revoke_hidden_under_another_name_is_found(
    made: Made, store: PostgresStore, sql: Sql, audited: Audited
) -> None:
    sql(KEPT.format(made.one))
    await store.revoke_key(made.one, RevokeReason.OTHER, "bob")
    sql(PUT_BACK.format(made.one))
    sql("UPDATE nqgate.change SET access_key_id = NULL WHERE seq = 11")
    assert (await audited())[0][:2] == ("change", "11")


async def test_a_deleted_row_back_is_found(made: Made, store: PostgresStore, sql: Sql, audited: Audited) -> None:
    sql(KEPT.format(made.two))
    await store.delete_key(made.two, "bob")
    sql(PUT_BACK.format(made.two))
    assert await audited() == [("access_key", made.two, "was deleted, and its record is back")]


@pytest.mark.parametrize(("table", "name"), [("access_key", "access_key_id"), ("account", "name"), ("bucket", "name")])
async def test_a_row_taken_out_is_found(made: Made, sql: Sql, audited: Audited, table: str, name: str) -> None:
    [[row_id]] = sql(f"SELECT max({name}) FROM nqgate.{table}")
    sql(f"DELETE FROM nqgate.{table} WHERE {name} = '{row_id}'")
    assert await audited() == [(table, row_id, "its record was taken out")]


async def test_the_end_of_the_log_cut_off_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("DELETE FROM nqgate.change WHERE seq = 10")
    assert await audited() == [
        ("change", "9", "the log ends at row 9, the store row says 10"),
        ("access_key", made.deleted, "its record was taken out"),
    ]


async def test_a_row_taken_out_of_the_log_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("DELETE FROM nqgate.change WHERE kind = 'key.revoke'")
    findings = await audited()
    assert findings[0] == ("change", "9", "row 9 was taken out of the log")
    assert {row_id for table, row_id, _ in findings if table == "access_key"} == {made.revoked}


@pytest.mark.parametrize(
    "edit",
    ["kind = 'key.delete'", "actor = 'eve'", "at = 1", "body = '{}'", "account = 'team'", "request_id = 'x'",
     "kek_id = 'older'", "mac = ''"],
)  # fmt: skip
async def test_an_edited_row_of_the_log_is_found(made: Made, sql: Sql, audited: Audited, edit: str) -> None:
    sql(f"UPDATE nqgate.change SET {edit} WHERE kind = 'key.revoke'")
    found = await audited()
    assert found[0][:2] == ("change", "9")
    assert {table for table, _, _ in found} == {"change"}


async def test_rows_of_the_log_swapped_are_found(made: Made, sql: Sql, audited: Audited) -> None:
    for before, after in (8, 100), (9, 8), (100, 9):
        sql(f"UPDATE nqgate.change SET seq = {after} WHERE seq = {before}")
    assert [row_id for table, row_id, _ in await audited() if table == "change"] == ["8", "9", "10"]


async def test_inserted_rows_are_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("INSERT INTO nqgate.bucket SELECT 'forged', account, version, record, kek_id, mac FROM nqgate.bucket")
    sql(
        "INSERT INTO nqgate.access_key SELECT 'NQAKforged', account, version, created_at, record, secret_sealed,"
        f" kek_id, mac FROM nqgate.access_key WHERE access_key_id = '{made.one}'"
    )
    told = {(table, row_id): what for table, row_id, what in reversed(await audited())}
    assert told[("access_key", "NQAKforged")] == "no change wrote this record"
    assert told[("bucket", "forged")] == "no change wrote this record"


@pytest.mark.parametrize(
    "edit",
    ["lease_ms = 9999999", "seq = 9", "generation = 2", "head = ''", "min_kek = 'older'", "mac = ''", "protocol = 99"],
)
async def test_an_edited_store_row_is_found(made: Made, sql: Sql, audited: Audited, edit: str) -> None:
    sql(f"UPDATE nqgate.store SET {edit}")
    [(table, _, what), *others] = await audited()
    assert (table, what) == ("store", "the store row fails its MAC")
    assert {other[0] for other in others} <= {"change"}


async def test_a_store_row_taken_out_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("DELETE FROM nqgate.store")
    assert await audited() == [("store", "", "the store row was taken out")]


@pytest.mark.parametrize("edit", ["account = 'default'", "version = 9", "kek_id = 'x'", "record = '{}'"])
async def test_a_bucket_given_away_is_found(made: Made, sql: Sql, audited: Audited, edit: str) -> None:
    sql(f"UPDATE nqgate.bucket SET {edit}")
    assert {(table, row_id) for table, row_id, _ in await audited()} == {("bucket", "photos")}


async def test_a_seal_that_was_broken_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("UPDATE nqgate.account SET upstream_sealed = sha256('x') WHERE name = 'team'")
    assert [row_id for _, row_id, _ in await audited()] == ["team", "team"]
    sql("UPDATE nqgate.account SET upstream_sealed = NULL WHERE name = 'team'")
    assert [row_id for _, row_id, _ in await audited()] == ["team"]


async def test_an_index_column_that_says_otherwise_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql(f"UPDATE nqgate.access_key SET created_at = 1 WHERE access_key_id = '{made.one}'")
    [(table, row_id, what)] = await audited()
    assert (table, row_id, "MAC" in what) == ("access_key", made.one, True)


async def test_rows_that_hide_before_the_first_are_read_too(made: Made, sql: Sql, audited: Audited) -> None:
    sql("INSERT INTO nqgate.bucket SELECT '', account, version, record, kek_id, mac FROM nqgate.bucket")
    sql(
        "INSERT INTO nqgate.change SELECT -9223372036854775808, 'x', kind, account, access_key_id, actor, at, body,"
        " record_sha256, kek_id, mac, bucket FROM nqgate.change WHERE seq = 2"
    )
    assert [(table, row_id) for table, row_id, _ in await audited()] == [
        ("change", "-9223372036854775808"), ("bucket", ""), ("bucket", ""),
    ]  # fmt: skip


# ---- what acts by itself, or hides ----


@pytest.mark.parametrize(
    ("act", "name"),
    [
        ("CREATE TRIGGER t BEFORE UPDATE ON nqgate.access_key FOR EACH ROW"
         " EXECUTE FUNCTION suppress_redundant_updates_trigger()", "trigger t"),
        ("CREATE RULE r AS ON UPDATE TO nqgate.access_key DO INSTEAD NOTHING", "rule r"),
        ("CREATE POLICY p ON nqgate.access_key", "policy p"),
        ("ALTER TABLE nqgate.bucket ENABLE ROW LEVEL SECURITY", "table bucket with row security"),
        ("CREATE TABLE public.more () INHERITS (nqgate.access_key)", "inheritor more"),
        ("CREATE FUNCTION nqgate.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function f"),
        ("CREATE TABLE nqgate.extra (x int)", "table extra"),
        ("CREATE SEQUENCE nqgate.s", "relation of kind S s"),
        ("ALTER TABLE nqgate.change SET UNLOGGED", "table that is not durable change"),
    ],
)  # fmt: skip
async def test_what_acts_on_a_table_by_itself_is_found(
    made: Made, sql: Sql, audited: Audited, act: str, name: str
) -> None:
    sql(act)
    told = {tuple(finding[:2]): finding[2] for finding in await audited()}
    assert told[("schema", name.replace("table bucket with row security", "table with row security bucket"))] == (
        "was added"
    )


async def test_what_is_missing_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql("DROP INDEX nqgate.change_of_bucket")
    assert await audited() == [("schema", "index change_of_bucket", "is missing")]


async def test_a_view_in_the_place_of_a_table_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    sql(
        "ALTER TABLE nqgate.bucket RENAME TO hidden;"
        "CREATE VIEW nqgate.bucket AS SELECT name, 'default'::text AS account, version, record, kek_id, mac FROM"
        " nqgate.hidden"
    )
    told = {finding[:2] for finding in await audited()}
    assert {("schema", "table bucket"), ("schema", "relation of kind v bucket"), ("bucket", "photos")} <= told


async def test_a_row_that_its_index_does_not_show_is_found(made: Made, sql: Sql, audited: Audited) -> None:
    """As after a damage: pages are read by the index, and are short of what a count over the table finds."""
    of_index = "WHERE indexrelid = 'nqgate.bucket_pkey'::regclass"
    sql(f"UPDATE pg_index SET indisready = false {of_index}")
    sql("INSERT INTO nqgate.bucket SELECT 'unseen', account, version, record, kek_id, mac FROM nqgate.bucket")
    sql(f"UPDATE pg_index SET indisready = true {of_index}")
    assert await audited() == [("database", "bucket", "its index shows 1 rows of 2: rebuild it with REINDEX")]


def test_the_schema_that_is_expected_is_read_out_of_the_migrations() -> None:
    assert {"table change", "index change_pkey", "index change_request_id_key", "index account_number_key",
            "index change_of_account"} <= expected_schema()  # fmt: skip


# ---- time ----


async def test_a_whole_keystore_rolled_back_holds_in_itself_and_is_found_by_the_mark_of_this_host(
    made: Made, sql: Sql, audited: Audited, state_file: Path
) -> None:
    [[store_id, generation, seq, head]] = sql("SELECT store_id, generation, seq, encode(head, 'hex') FROM nqgate.store")
    file = MarkFile(state_file, state_file)
    state_file.touch()
    file.write(Mark(store_id, int(generation), int(seq), bytes.fromhex(head), ()))
    assert await audited() == []
    file.write(Mark(store_id, int(generation), int(seq) + 1, bytes.fromhex(head), ()))
    assert await audited() == [
        ("store", store_id, "the keystore went back in time: change 11 was known, it ends at 10")
    ]
    file.write(Mark(store_id, int(generation), int(seq), b"x" * 32, ()))
    [(_, _, what)] = await audited()
    assert "another one stands there" in what


async def test_a_damaged_mark_is_a_finding_and_the_rest_is_judged(
    made: Made, sql: Sql, audited: Audited, state_file: Path
) -> None:
    state_file.write_text("{")
    sql("UPDATE nqgate.bucket SET version = 9")
    assert [table for table, _, _ in await audited()] == ["state", "bucket"]


async def test_it_is_of_one_moment_whatever_is_written_meanwhile(
    url: str, ring: KekRing, made: Made, sql: Sql, state_file: Path
) -> None:
    written: list[int] = []

    def write(done: int, whole: int) -> None:
        if not written:
            written.append(1)
            sql("DELETE FROM nqgate.access_key; DELETE FROM nqgate.bucket; DELETE FROM nqgate.account")

    report = await audit_postgres(Secret(url), ring, state_file, write)
    assert written
    assert (report.found, report.changes, report.access_keys) == (0, 10, 3)
    assert (await audit_postgres(Secret(url), ring, state_file)).found == 6


# ---- what cannot be read ----


async def test_an_empty_database_and_another_schema_are_unavailable_and_nothing_is_made(
    url: str, ring: KekRing, sql: Sql, state_file: Path
) -> None:
    for act in (
        audit_postgres(Secret(url), ring, state_file),
        list_postgres_changes(Secret(url), ring, Wanted(None, None, None, 1)),
    ):
        with pytest.raises(KeystoreUnavailable, match="no keystore on"):
            await act
    assert sql("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]


async def test_an_older_schema_is_not_judged(url: str, ring: KekRing, made: Made, sql: Sql, state_file: Path) -> None:
    sql("DELETE FROM nqgate.schema_version WHERE version > 1")
    with pytest.raises(KeystoreUnavailable, match="schema 1, here"):
        await audit_postgres(Secret(url), ring, state_file)


async def test_a_server_that_is_not_there_is_said_without_the_password(
    url: str, ring: KekRing, state_file: Path
) -> None:
    gone = url.replace(url.rpartition(":")[2].partition("/")[0], "1")
    with pytest.raises(KeystoreUnavailable) as refused:
        await audit_postgres(Secret(gone), ring, state_file)
    password = url.partition("@")[0].rpartition(":")[2]
    assert password not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_another_kek_is_said_and_nothing_judged(url: str, made: Made, state_file: Path) -> None:
    other = KekRing((Kek(b"o" * 32),))
    with pytest.raises(WrongKek, match="wrong key"):
        await audit_postgres(Secret(url), other, state_file)
    with pytest.raises(WrongKek):
        await list_postgres_changes(Secret(url), other, Wanted(None, None, None, 1))

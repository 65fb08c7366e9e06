import sqlite3
from collections.abc import Iterator

import pytest

from keystore import sqlite_rows
from keystore.chain import GENESIS, Change, StoreRow
from keystore.errors import RecordRefused
from keystore.record import AccessKeyRow, AccountRow, BucketRow
from keystore.sqlite_file import migrations

STORE = StoreRow("store-1", 1, 3, b"head", 4000, "kek", 1, "kek", b"canary", b"mac")


def change(seq: int, access_key_id: str | None) -> Change:
    return Change(seq, f"r{seq}", "key.create", "default", access_key_id, "ann", 1, b"{}", b"", "kek", b"mac%d" % seq)


KEY = AccessKeyRow("NQAKone", "default", 1, 5, b"{}", b"sealed", "kek", b"mac")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    for text in migrations():
        opened.executescript(text)
    opened.execute(sqlite_rows.PUT_STORE, (1, *STORE))
    for row in (change(1, None), change(2, "NQAKone"), change(3, "NQAKone")):
        opened.execute(sqlite_rows.ADD_CHANGE, row)
    opened.execute(sqlite_rows.PUT_ACCESS_KEY, KEY)
    yield opened
    opened.close()


def test_the_log_behind_a_position_comes_with_the_store_row(connection: sqlite3.Connection) -> None:
    store, changes = sqlite_rows.read_log(connection.execute(sqlite_rows.SELECT_LOG, (1,)).fetchall())
    assert (store, changes) == (STORE, [change(2, "NQAKone"), change(3, "NQAKone")])
    assert sqlite_rows.read_log(connection.execute(sqlite_rows.SELECT_LOG, (3,)).fetchall()) == (STORE, [])


def test_a_record_comes_with_the_last_change_that_names_it(connection: sqlite3.Connection) -> None:
    [found] = connection.execute(sqlite_rows.FIND_ACCESS_KEY, ("NQAKone",)).fetchall()
    row, last = sqlite_rows.read_found_key(found)
    assert (row, last) == (KEY, (change(3, "NQAKone"), b"mac2"))


def test_an_unknown_id_is_one_row_of_nothing(connection: sqlite3.Connection) -> None:
    [found] = connection.execute(sqlite_rows.FIND_ACCESS_KEY, ("NQAKtwo",)).fetchall()
    assert sqlite_rows.read_found_key(found) == (None, None)


def test_ids_are_compared_byte_by_byte(connection: sqlite3.Connection) -> None:
    [found] = connection.execute(sqlite_rows.FIND_ACCESS_KEY, ("nqakone",)).fetchall()
    assert sqlite_rows.read_found_key(found) == (None, None)


def test_before_the_first_change_stands_the_genesis(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM change WHERE seq > 1")
    _, last = sqlite_rows.read_log_end(connection.execute(sqlite_rows.SELECT_LOG_END).fetchall())
    assert last == (change(1, None), GENESIS)


def test_a_missing_predecessor_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM change WHERE seq = 2")
    with pytest.raises(RecordRefused, match="no row 2"):
        sqlite_rows.read_log_end(connection.execute(sqlite_rows.SELECT_LOG_END).fetchall())


def test_a_missing_store_row_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM store")
    with pytest.raises(RecordRefused, match="store row"):
        sqlite_rows.read_log(connection.execute(sqlite_rows.SELECT_LOG, (0,)).fetchall())


def test_a_changed_schema_cannot_hand_out_other_types(connection: sqlite3.Connection) -> None:
    connection.executescript("DROP TABLE access_key; CREATE TABLE access_key AS SELECT * FROM change WHERE 0")
    for name in AccessKeyRow._fields:
        if name not in Change._fields:
            connection.execute(f"ALTER TABLE access_key ADD COLUMN {name}")
    connection.execute(sqlite_rows.PUT_ACCESS_KEY, KEY._replace(record="text"))  # type: ignore[arg-type]  # the attack
    [found] = connection.execute(sqlite_rows.FIND_ACCESS_KEY, ("NQAKone",)).fetchall()
    with pytest.raises(RecordRefused, match="wrong type"):
        sqlite_rows.read_found_key(found)


def test_a_name_comes_with_the_last_change_that_names_it(connection: sqlite3.Connection) -> None:
    for seq, bucket in ((4, "photos"), (5, "logs"), (6, "photos"), (7, "gone")):
        connection.execute(sqlite_rows.ADD_CHANGE, change(seq, None)._replace(bucket=bucket))
    for name in ("photos", "logs", "unlogged"):
        connection.execute(sqlite_rows.PUT_BUCKET, BucketRow(name, "team", 1, b"{}", "kek", b"mac"))

    def told(statement: str, value: str | None) -> list[tuple[str | None, int | None]]:
        pairs = [sqlite_rows.read_found_bucket(found) for found in connection.execute(statement, (value,)).fetchall()]
        return [(row and row.name, last and last.change.seq) for row, last in pairs]

    expected = [(None, 7), ("logs", 5), ("photos", 6), ("unlogged", None)]
    assert told(sqlite_rows.FIND_BUCKETS, '["gone", "logs", "never", "photos", "unlogged"]') == expected
    assert told(sqlite_rows.LIST_BUCKETS, None) == expected


def test_a_page_begins_at_a_rowid_and_reads_no_index(connection: sqlite3.Connection) -> None:
    for statement, seqs in ((sqlite_rows.PAGE_OF_CHANGES, [2, 3]), (sqlite_rows.PAGE_OF_ACCESS_KEYS, [])):
        page = connection.execute(statement, (2,)).fetchall()
        assert [row[0] for row in page] == seqs
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", (2,)).fetchall()]
        assert [step.split(" USING ")[1] for step in plan] == ["INTEGER PRIMARY KEY (rowid>?)"]
    [first, *_] = connection.execute(sqlite_rows.PAGE_OF_CHANGES, (-(2**63),)).fetchall()
    assert sqlite_rows.read_paged(Change, first) == change(1, None)


def test_a_listed_change_comes_with_the_mac_before_it(connection: sqlite3.Connection) -> None:
    def listed(*wanted: object) -> list[tuple[int, bytes | None]]:
        found = connection.execute(sqlite_rows.LIST_CHANGES, wanted).fetchall()
        return [(one.seq, previous) for one, previous in map(sqlite_rows.read_listed_change, found)]

    assert listed(None, None, None, 10) == [(3, b"mac2"), (2, b"mac1"), (1, GENESIS)]
    assert listed("NQAKone", None, None, 1) == [(3, b"mac2")]
    connection.execute("DELETE FROM change WHERE seq = 2")
    assert listed(None, None, "default", 10) == [(3, None), (1, GENESIS)]
    assert listed(None, "photos", None, 10) == []


def test_the_last_change_of_an_account_is_none_of_its_keys_buckets_tokens_or_sign_ins(
    connection: sqlite3.Connection,
) -> None:
    for seq, names in ((4, {"bucket": "photos"}), (5, {"token": "abc"}), (6, {"kind": "console.sign_in"})):
        connection.execute(sqlite_rows.ADD_CHANGE, change(seq, None)._replace(**names))  # type: ignore[arg-type]
    connection.execute(sqlite_rows.PUT_ACCOUNT, AccountRow("default", "1", 1, 1, b"{}", "kek", b"mac"))
    for statement, values in (
        (sqlite_rows.LIST_ACCOUNTS, (None,)),
        (sqlite_rows.ACCOUNTS_TO_RESEAL, ("", "other", 10)),
    ):
        [found] = connection.execute(statement, values).fetchall()
        assert sqlite_rows.read_found_account(found)[1] == (change(1, None), GENESIS)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]
        assert any("change_of_account" in step for step in plan)


def test_the_changes_of_a_key_are_found_by_its_index(connection: sqlite3.Connection) -> None:
    values = ("NQAKone", None, None, 9)
    for statement in (sqlite_rows.LIST_CHANGES, sqlite_rows.LIST_CHANGES_OF_A_KEY):
        found = [sqlite_rows.read_listed_change(row)[0].seq for row in connection.execute(statement, values).fetchall()]
        assert found == [3, 2]
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]
    assert "change_of_access_key" in plan[0]
    assert not [step for step in plan if "SCAN" in step or "TEMP" in step]


WITHOUT_A_TABLE = {"SCAN s", "SCAN CONSTANT ROW", "SCAN q", "SCAN json_each VIRTUAL TABLE INDEX 1:"}


@pytest.mark.parametrize(
    "statement",
    [
        sqlite_rows.FIND_ACCESS_KEY,
        sqlite_rows.SELECT_LOG,
        sqlite_rows.FIND_BUCKETS,
        sqlite_rows.FIND_ADMIN_TOKEN,
        sqlite_rows.FIND_REQUEST,
    ],
)
def test_the_hot_statements_scan_no_table(connection: sqlite3.Connection, statement: str) -> None:
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", ('["x"]',)).fetchall()]
    assert not [step for step in plan if step.startswith("SCAN") and step not in WITHOUT_A_TABLE]

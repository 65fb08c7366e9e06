from collections.abc import AsyncIterator

import pytest

from keystore import postgres_rows, sqlite_rows
from keystore.chain import GENESIS, Change, StoreRow
from keystore.errors import RecordRefused
from keystore.found_rows import (
    read_found_bucket,
    read_found_key,
    read_last_change,
    read_listed_change,
    read_log,
    read_log_end,
    read_store,
)
from keystore.postgres_server import BEGIN_WRITE, PostgresHand, bring_schema_up, connect
from keystore.record import AccessKeyRow, AccountRow, BucketRow
from tests.support.keystore_on_postgres import url

__all__ = ["url"]  # a fixture
server = pytest.mark.server

STORE = StoreRow("store-1", 1, 3, b"head", 4000, "kek", 1, "kek", b"canary", b"mac")
KEY = AccessKeyRow("NQAKone", "default", 1, 5, b"{}", b"sealed", "kek", b"mac")


def change(seq: int, access_key_id: str | None) -> Change:
    return Change(seq, f"r{seq}", "key.create", "default", access_key_id, "ann", 1, b"{}", b"", "kek", b"mac%d" % seq)


def test_statements_have_the_names_of_those_for_sqlite() -> None:
    """All but those that read a whole table past its indexes, for the audit."""
    of_sqlite = {name for name in vars(sqlite_rows) if name.isupper() and not name.startswith(("_", "PAGE"))}
    of_the_start = {"KEKS_OF_THE_LOG", "LAST_OF_BUCKETS"}  # of a directory that reads the file by itself
    planned = {"LIST_CHANGES_OF_A_KEY"}  # what PostgreSQL's planner makes of LIST_CHANGES by itself
    assert of_sqlite - of_the_start - planned <= set(vars(postgres_rows))


@pytest.fixture
async def hand(url: str) -> AsyncIterator[PostgresHand]:
    opened = await connect(url, "tests")
    await opened.run(BEGIN_WRITE)
    await bring_schema_up(opened, "tests")
    await opened.execute(postgres_rows.PUT_STORE, (1, *STORE))
    for row in (change(1, None), change(2, "NQAKone"), change(3, "NQAKone")):
        await opened.execute(postgres_rows.ADD_CHANGE, row)
    await opened.execute(postgres_rows.PUT_ACCESS_KEY, KEY)
    assert await opened.commit()
    yield opened
    await opened.close()


@server
async def test_the_log_behind_a_position_comes_with_the_store_row(hand: PostgresHand) -> None:
    found = read_log(await hand.fetch(postgres_rows.SELECT_LOG, 1))
    assert found == (STORE, [change(2, "NQAKone"), change(3, "NQAKone")])
    assert read_log(await hand.fetch(postgres_rows.SELECT_LOG, 3)) == (STORE, [])
    assert read_store(await hand.fetch(postgres_rows.SELECT_STORE)) == STORE


@server
async def test_a_row_that_is_put_again_takes_the_place_of_the_one_before(hand: PostgresHand) -> None:
    await hand.execute(postgres_rows.PUT_STORE, (1, *STORE._replace(seq=4, head=b"h")))
    await hand.execute(postgres_rows.PUT_ACCESS_KEY, KEY._replace(version=2, record=b"[]"))
    assert read_store(await hand.fetch(postgres_rows.SELECT_STORE)) == STORE._replace(seq=4, head=b"h")
    [found] = await hand.fetch(postgres_rows.FIND_ACCESS_KEY, "NQAKone")
    assert read_found_key(found)[0] == KEY._replace(version=2, record=b"[]")


@server
async def test_a_record_comes_with_the_last_change_that_names_it(hand: PostgresHand) -> None:
    [found] = await hand.fetch(postgres_rows.FIND_ACCESS_KEY, "NQAKone")
    assert read_found_key(found) == (KEY, (change(3, "NQAKone"), b"mac2"))
    for unknown in ("NQAKtwo", "nqakone"):
        [found] = await hand.fetch(postgres_rows.FIND_ACCESS_KEY, unknown)
        assert read_found_key(found) == (None, None)


@server
async def test_several_records_come_one_for_each_id(hand: PostgresHand) -> None:
    found = [read_found_key(row) for row in await hand.fetch(postgres_rows.FIND_ACCESS_KEYS, '["NQAKtwo", "NQAKone"]')]
    assert sorted(found, key=repr) == [(KEY, (change(3, "NQAKone"), b"mac2")), (None, None)]


@server
async def test_a_record_in_the_log_comes_with_the_store_row_and_the_mac_of_a_known_change(hand: PostgresHand) -> None:
    width = len(StoreRow._fields)
    [found] = await hand.fetch(postgres_rows.KEY_IN_THE_LOG, "NQAKone", 2)
    assert (read_store([found]), found[width]) == (STORE, b"mac2")
    assert read_found_key(found[width + 1 :]) == (KEY, (change(3, "NQAKone"), b"mac2"))
    for unknown, seq in (("NQAKtwo", 2), ("NQAKone", 9)):
        [found] = await hand.fetch(postgres_rows.KEY_IN_THE_LOG, unknown, seq)
        assert (found[width], found[width + 1]) in ((b"mac2", None), (None, "NQAKone"))
    [found] = await hand.fetch(postgres_rows.BUCKETS_IN_THE_LOG, '["photos"]', 2)
    assert set(found[width + 1 :]) == {None}
    [found] = await hand.fetch(postgres_rows.CHANGE_IN_THE_LOG, 3, 3)
    assert read_last_change(found[width + 1 :]) == (change(3, "NQAKone"), b"mac2")


@server
async def test_text_is_ordered_byte_by_byte(hand: PostgresHand) -> None:
    for number, name in enumerate(("b", "B", "a", "_", "ä", "Z")):
        await hand.execute(postgres_rows.PUT_ACCOUNT, AccountRow(name, str(number), 1, 1, b"{}", "kek", b"mac"))
    listed = [row[0] for row in await hand.fetch(postgres_rows.LIST_ACCOUNTS, None)]
    assert listed == sorted(["b", "B", "a", "_", "ä", "Z"])


@server
async def test_a_missing_predecessor_is_refused_and_before_the_first_stands_the_genesis(hand: PostgresHand) -> None:
    await hand.run("DELETE FROM nqgate.change WHERE seq = 2")
    with pytest.raises(RecordRefused, match="no row 2"):
        read_log_end(await hand.fetch(postgres_rows.SELECT_LOG_END))
    await hand.run("DELETE FROM nqgate.change WHERE seq = 3")
    assert read_log_end(await hand.fetch(postgres_rows.SELECT_LOG_END)) == (STORE, (change(1, None), GENESIS))


@server
async def test_a_changed_schema_cannot_hand_out_other_types(hand: PostgresHand) -> None:
    await hand.run("ALTER TABLE nqgate.access_key ALTER COLUMN record TYPE text USING 'text'")
    [found] = await hand.fetch(postgres_rows.FIND_ACCESS_KEY, "NQAKone")
    with pytest.raises(RecordRefused, match="wrong type"):
        read_found_key(found)


@server
async def test_a_name_comes_with_the_last_change_that_names_it(hand: PostgresHand) -> None:
    for seq, bucket in ((4, "photos"), (5, "logs"), (6, "photos"), (7, "gone")):
        await hand.execute(postgres_rows.ADD_CHANGE, change(seq, None)._replace(bucket=bucket))
    for name in ("photos", "logs", "unlogged"):
        await hand.execute(postgres_rows.PUT_BUCKET, BucketRow(name, "team", 1, b"{}", "kek", b"mac"))

    async def told(statement: str, value: str | None) -> list[tuple[str | None, int | None]]:
        pairs = [read_found_bucket(found) for found in await hand.fetch(statement, value)]
        return [(row and row.name, last and last.change.seq) for row, last in pairs]

    expected = [(None, 7), ("logs", 5), ("photos", 6), ("unlogged", None)]
    named = await told(postgres_rows.FIND_BUCKETS, '["gone", "logs", "never", "photos", "unlogged"]')
    assert sorted(named, key=str) == sorted(expected, key=str)
    assert await told(postgres_rows.LIST_BUCKETS, None) == expected


@server
async def test_a_listed_change_comes_with_the_mac_before_it(hand: PostgresHand) -> None:
    async def listed(*wanted: object) -> list[tuple[int, bytes | None]]:
        found = await hand.fetch(postgres_rows.LIST_CHANGES, *wanted)
        return [(one.seq, previous) for one, previous in map(read_listed_change, found)]

    assert await listed(None, None, None, 10) == [(3, b"mac2"), (2, b"mac1"), (1, GENESIS)]
    assert await listed("NQAKone", None, None, 1) == [(3, b"mac2")]
    await hand.run("DELETE FROM nqgate.change WHERE seq = 2")
    assert await listed(None, None, "default", 10) == [(3, None), (1, GENESIS)]
    assert await listed(None, "photos", None, 10) == []


@server
async def test_rows_are_counted_by_the_kek_they_stand_under(hand: PostgresHand) -> None:
    assert await hand.fetch(postgres_rows.COUNT_BY_KEK) == [("access_key", "kek", 1), ("change", "kek", 3)]


@server
@pytest.mark.parametrize(
    ("statement", "value"),
    [
        (postgres_rows.FIND_ACCESS_KEY, "'NQAK77'"),
        (postgres_rows.SELECT_LOG, "19990"),
        (postgres_rows.SELECT_LOG_END, None),
        (postgres_rows.FIND_BUCKETS, "'[\"b77\"]'"),
        (postgres_rows.FIND_ADMIN_TOKEN, "'token77'"),
        (postgres_rows.EVER_ISSUED, "'NQAK77'"),
        (postgres_rows.MAC_AT, "77"),
        (postgres_rows.MAC_OF_REQUEST, "'x77'"),
        (postgres_rows.FIND_REQUEST, "'x77'"),
    ],
)
async def test_the_hot_statements_scan_no_large_table(hand: PostgresHand, statement: str, value: str | None) -> None:
    await hand.run(
        "INSERT INTO nqgate.change SELECT n, 'x' || n, 'k', 'default', CASE WHEN n % 2 = 0 THEN 'NQAK' || n END, 'ann',"
        " 1, '', '', 'kek', '', CASE WHEN n % 4 = 1 THEN 'b' || n END, CASE WHEN n % 4 = 3 THEN 'token' || n END"
        " FROM generate_series(4, 20000) n;"
        "INSERT INTO nqgate.access_key SELECT 'NQAK' || n, 'default', 1, 1, '', '', 'kek', ''"
        " FROM generate_series(4, 20000) n;"
        "INSERT INTO nqgate.bucket SELECT 'b' || n, 'default', 1, '', 'kek', '' FROM generate_series(4, 20000) n;"
        "INSERT INTO nqgate.admin_token SELECT 'token' || n, '', 1, 1, '', 'kek', '' FROM generate_series(4, 20000) n;"
        "ANALYZE nqgate.admin_token; ANALYZE nqgate.change; ANALYZE nqgate.access_key; ANALYZE nqgate.bucket"
    )
    plan = await hand.fetch("EXPLAIN " + statement.replace("$1", value or ""))
    scans = [str(step) for (step,) in plan if "Seq Scan" in str(step) and " on store " not in str(step)]
    assert scans == []

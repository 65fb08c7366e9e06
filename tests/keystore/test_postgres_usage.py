"""Dates of use in PostgreSQL, where many gateways write them: as on SQLite, and nobody waits for nobody for long."""

import asyncio

import pytest

from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_usage import (
    BATCH,
    WRITE_USED,
    forget_usage_postgres,
    read_usage_postgres,
    write_usage_postgres,
)
from keystore.sealing import Secret
from keystore.usage import AT_MOST, MAX_TEXT, Denied, Usage, Used
from tests.support.keystore_on_postgres import Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

USED = Used(1_700_000_000, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2")
DENIED = Denied(1_700_000_100, "GetObject is outside the grants", "secret")


@pytest.fixture
async def ids(store: PostgresStore) -> list[str]:
    return [await made(store) for _ in range(3)]


@pytest.fixture
def at(url: str) -> Secret:
    return Secret(url)


async def test_before_anything_was_used_there_is_nothing(at: Secret, store: PostgresStore) -> None:
    assert await read_usage_postgres(at) == {}
    await forget_usage_postgres(at, "NQAKone")


async def test_what_was_written_is_read(at: Secret, ids: list[str]) -> None:
    one, two, three = ids
    await write_usage_postgres(at, {one: USED, two: USED}, {two: DENIED, three: DENIED})
    assert await read_usage_postgres(at) == {
        one: Usage(USED, None), two: Usage(USED, DENIED), three: Usage(None, DENIED),
    }  # fmt: skip
    assert await read_usage_postgres(at, [two, "NQAKnobody"]) == {two: Usage(USED, DENIED)}
    assert await read_usage_postgres(at, ["NQAKnobody"]) == {}


@pytest.mark.parametrize(("later", "stands"), [(AT_MOST - 1, False), (AT_MOST, True), (-1000, False)])
async def test_a_date_is_written_again_when_it_is_a_minute_newer(
    at: Secret, ids: list[str], later: int, *, stands: bool
) -> None:
    used, denied = USED._replace(at=USED.at + later, bucket="b"), DENIED._replace(at=DENIED.at + later, reason="r")
    await write_usage_postgres(at, {ids[0]: USED}, {ids[0]: DENIED})
    await write_usage_postgres(at, {ids[0]: used}, {ids[0]: denied})
    expected = Usage(used, denied) if stands else Usage(USED, DENIED)
    assert await read_usage_postgres(at) == {ids[0]: expected}


async def test_one_date_does_not_touch_the_other(at: Secret, ids: list[str]) -> None:
    await write_usage_postgres(at, {ids[0]: USED}, {})
    await write_usage_postgres(at, {}, {ids[0]: DENIED})
    assert await read_usage_postgres(at) == {ids[0]: Usage(USED, DENIED)}


async def test_what_no_text_of_the_database_can_hold_loses_no_batch(at: Secret, ids: list[str]) -> None:
    strange = USED._replace(user_agent="a\0b\udcffc" + "x" * 5000, bucket="\x1b[2J")
    await write_usage_postgres(at, {ids[0]: strange, ids[1]: USED}, {})
    found = await read_usage_postgres(at)
    assert found[ids[1]].used == USED
    used = found[ids[0]].used
    assert used is not None
    assert used.user_agent == ("a\ufffdb?c" + "x" * 5000)[:MAX_TEXT]
    assert used.bucket == "\\x1b[2J", "no terminal obeys it"


async def test_a_key_that_is_gone_leaves_no_trace_also_of_a_gateway_that_is_late(
    at: Secret, store: PostgresStore, ids: list[str]
) -> None:
    await write_usage_postgres(at, {ids[0]: USED, ids[1]: USED}, {})
    await store.delete_key(ids[0], "ann")
    await forget_usage_postgres(at, ids[0])
    assert list(await read_usage_postgres(at)) == [ids[1]]
    later = USED._replace(at=USED.at + 1000)
    await write_usage_postgres(at, {ids[0]: later, ids[1]: later}, {ids[0]: DENIED})
    assert await read_usage_postgres(at) == {ids[1]: Usage(later, None)}


async def test_many_gateways_that_write_the_same_keys_at_once_all_end_and_the_latest_stands(
    at: Secret, ids: list[str], sql: Sql
) -> None:
    sql(
        "INSERT INTO nqgate.access_key SELECT 'NQAK' || n, 'default', 1, 1, '', '', 'kek', ''"
        f" FROM generate_series(1, {2 * BATCH}) n"
    )
    every = [f"NQAK{number}" for number in range(1, 2 * BATCH + 1)]

    async def gateway(number: int) -> None:
        used = {each: USED._replace(at=USED.at + 1000 * number) for each in (every, every[::-1])[number % 2]}
        denied = {each: DENIED._replace(at=DENIED.at + 1000 * number) for each in every[:: number + 1]}
        await write_usage_postgres(at, used, denied)

    await asyncio.gather(*[gateway(number) for number in range(6)])
    found = await read_usage_postgres(at)
    assert len(found) == 2 * BATCH
    assert {usage.used.at for usage in found.values() if usage.used} == {USED.at + 5000}


async def test_a_date_that_is_not_newer_locks_no_row(at: Secret, ids: list[str], sql: Sql) -> None:
    """Many gateways tell of the same keys: only the first of a minute costs a write."""
    await write_usage_postgres(at, {ids[0]: USED}, {})
    before = sql("SELECT xmin, xmax, ctid FROM nqgate.usage")
    await write_usage_postgres(at, {ids[0]: USED._replace(at=USED.at + 30)}, {})
    assert sql("SELECT xmin, xmax, ctid FROM nqgate.usage") == before


async def test_dates_that_no_calendar_has_are_none(at: Secret, ids: list[str], sql: Sql) -> None:
    await write_usage_postgres(at, {ids[0]: USED}, {ids[0]: DENIED})
    sql("UPDATE nqgate.usage SET used_at = 9000000000000000000, denied_at = -5")
    assert await read_usage_postgres(at) == {ids[0]: Usage(None, None)}


async def test_nothing_is_connected_to_for_nothing_and_a_lost_server_is_said_without_the_password(url: str) -> None:
    gone = Secret(url.replace(url.rpartition(":")[2].partition("/")[0], "1"))
    await write_usage_postgres(gone, {}, {})
    for act in (write_usage_postgres(gone, {"NQAKone": USED}, {}), read_usage_postgres(gone)):
        with pytest.raises(KeystoreUnavailable) as refused:
            await act
        assert url.partition("@")[0].rpartition(":")[2] not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_a_large_table_is_not_scanned_for_a_batch(ids: list[str], sql: Sql) -> None:
    sql(
        "INSERT INTO nqgate.usage (access_key_id) SELECT 'NQAK' || n FROM generate_series(1, 20000) n;"
        "INSERT INTO nqgate.access_key SELECT 'NQAK' || n, 'default', 1, 1, '', '', 'kek', ''"
        " FROM generate_series(1, 20000) n; ANALYZE nqgate.usage; ANALYZE nqgate.access_key"
    )
    arrays = {1: "'{NQAK7,NQAK8}'", 2: "'{5,6}'", **dict.fromkeys(range(3, 8), "'{x,y}'")}
    statement = WRITE_USED
    for number, values in arrays.items():
        statement = statement.replace(f"${number}", values)
    assert not [step for [step] in sql("EXPLAIN " + statement) if "Seq Scan" in step]

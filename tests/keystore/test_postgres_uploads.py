"""Unfinished uploads in PostgreSQL, where many gateways write them: as on SQLite, and nobody waits for long."""

import asyncio
import itertools

import pytest

from keystore import postgres_uploads
from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_uploads import (
    BATCH,
    STATEMENTS,
    forget_uploads_postgres,
    read_uploads_postgres,
    write_uploads_postgres,
)
from keystore.sealing import Secret
from keystore.uploads import KEPT, TOLD_WITHIN, Note, Unfinished, Upload
from tests.support.keystore_on_postgres import Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

NOW = 1_700_000_000
ONE, TWO = Upload("photos", b"a\xff\x00/'b", b"id-1"), Upload("photos", b"a", b"id-2")
COMPLETING, FAILED, ENDED = Note(completing_at=NOW + 5), Note(), Note(ended=True)


@pytest.fixture
async def ids(store: PostgresStore) -> list[str]:
    return [await made(store) for _ in range(2)]


@pytest.fixture
def at(url: str) -> Secret:
    return Secret(url)


async def test_what_was_begun_is_read_by_its_key_whatever_bytes_name_it(at: Secret, ids: list[str]) -> None:
    assert await read_uploads_postgres(at, ids) == []
    await write_uploads_postgres(at, {ONE: Note(ids[0], NOW), TWO: Note(ids[1], NOW + 1)}, NOW)
    assert await read_uploads_postgres(at, ids[:1]) == [Unfinished(ONE, ids[0], NOW, 0)]
    assert [one.upload for one in await read_uploads_postgres(at, ids)] == [ONE, TWO]


async def test_it_is_completed_in_vain_and_then_ends(at: Secret, ids: list[str]) -> None:
    for note, left in ((Note(ids[0], NOW), [0]), (COMPLETING, [NOW + 5]), (FAILED, [0]), (ENDED, [])):
        await write_uploads_postgres(at, {ONE: note}, NOW)
        assert [one.completing_at for one in await read_uploads_postgres(at, ids)] == left


async def test_in_whatever_order_several_gateways_write_it_what_ended_is_no_ones(at: Secret, ids: list[str]) -> None:
    orders = list(itertools.permutations([Note(ids[0], NOW), COMPLETING, ENDED]))
    for number, told in enumerate(orders):
        for note in told:
            await write_uploads_postgres(at, {ONE._replace(upload_id=b"%d" % number): note}, NOW)
    assert await read_uploads_postgres(at, ids) == []
    over = await read_uploads_postgres(at, [""])
    assert [one.completing_at for one in over] == [-1] * len(orders)
    await write_uploads_postgres(at, {TWO: Note(ids[0], NOW)}, NOW + TOLD_WITHIN + 1)
    assert await read_uploads_postgres(at, [""]) == []


async def test_that_it_is_being_completed_stands_also_when_its_beginning_is_written_last(
    at: Secret, ids: list[str]
) -> None:
    await write_uploads_postgres(at, {ONE: COMPLETING}, NOW)
    await write_uploads_postgres(at, {ONE: Note(ids[0], NOW)}, NOW)
    assert await read_uploads_postgres(at, ids) == [Unfinished(ONE, ids[0], NOW, NOW + 5)]


async def test_what_is_old_goes_and_so_does_what_is_too_many(
    at: Secret, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_uploads_postgres(at, {ONE: Note(ids[0], NOW)}, NOW)
    await write_uploads_postgres(at, {TWO: Note(ids[1], NOW + KEPT)}, NOW + KEPT + 1)
    assert await read_uploads_postgres(at, ids[:1]) == []
    monkeypatch.setattr(postgres_uploads, "MAX_KEPT", 3)
    many = {Upload("b", b"k", b"%d" % number): Note(ids[0], NOW + KEPT + number) for number in range(9)}
    await write_uploads_postgres(at, many, NOW + KEPT + 9)
    found = await read_uploads_postgres(at, ids)
    assert [one.upload.upload_id for one in found] == [b"5", b"6", b"7", b"8"]


async def test_a_key_that_is_gone_leaves_no_upload_also_of_a_gateway_that_is_late(
    at: Secret, store: PostgresStore, ids: list[str]
) -> None:
    await write_uploads_postgres(at, {ONE: Note(ids[0], NOW), TWO: Note(ids[1], NOW)}, NOW)
    await store.delete_key(ids[0], "ann")
    await forget_uploads_postgres(at, ids[0])
    await write_uploads_postgres(at, {ONE: Note(ids[0], NOW)}, NOW)
    assert [one.access_key_id for one in await read_uploads_postgres(at, ids)] == [ids[1]]


async def test_many_gateways_that_write_the_same_uploads_at_once_all_end(at: Secret, ids: list[str]) -> None:
    every = [Upload("b", b"k", b"%04d" % number) for number in range(2 * BATCH)]

    async def gateway(number: int) -> None:
        for note in (Note(ids[0], NOW), COMPLETING, FAILED):
            await write_uploads_postgres(at, dict.fromkeys((every, every[::-1])[number % 2], note), NOW)

    await asyncio.gather(*[gateway(number) for number in range(4)])
    assert len(await read_uploads_postgres(at, ids)) == 2 * BATCH


async def test_nothing_is_connected_to_for_nothing_and_a_lost_server_is_said_without_the_password(url: str) -> None:
    gone = Secret(url.replace(url.rpartition(":")[2].partition("/")[0], "1"))
    await write_uploads_postgres(gone, {}, NOW)
    for act in (write_uploads_postgres(gone, {ONE: ENDED}, NOW), read_uploads_postgres(gone, ["NQAKone"])):
        with pytest.raises(KeystoreUnavailable) as refused:
            await act
        assert url.partition("@")[0].rpartition(":")[2] not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_a_large_table_is_not_scanned_for_a_batch(ids: list[str], sql: Sql) -> None:
    sql(
        "INSERT INTO nqgate.upload SELECT 'b', 'k', convert_to(n::text, 'UTF8'), 'NQAKone', n, 0"
        " FROM generate_series(1, 20000) n; ANALYZE nqgate.upload"
    )
    arrays = {1: "'{b}'", 2: "'{k}'", 3: "'{7}'", 4: "'{NQAKone}'", 5: "'{7}'", 6: "'{0}'"}
    for statement in STATEMENTS:
        for number, values in arrays.items():
            statement = statement.replace(f"${number}", values)
        assert not [step for [step] in sql("EXPLAIN " + statement) if "Seq Scan on upload" in step]

import pytest

from keystore.lineage import successors
from keystore.scope import AllBuckets
from keystore.sqlite import SqliteStore
from keystore.store import NewKey


@pytest.fixture
async def line(store: SqliteStore) -> list[str]:
    """Four keys, each rolled to the next."""
    first, _ = await store.create_key(NewKey("default", "a", AllBuckets()), "test")
    found = [first.access_key_id]
    for _ in range(3):
        found.append((await store.roll_key(found[-1], 60, "test")).successor.access_key_id)
    return found


async def test_those_that_replaced_a_key_come_one_after_the_other(store: SqliteStore, line: list[str]) -> None:
    for place, access_key_id in enumerate(line):
        found = await successors(store, await store.get_key(access_key_id))
        assert [one.access_key_id for one in found] == line[place + 1 :]


async def test_the_line_ends_where_one_is_gone(store: SqliteStore, line: list[str]) -> None:
    await store.delete_key(line[2], "test")
    assert [one.access_key_id for one in await successors(store, await store.get_key(line[0]))] == [line[1]]

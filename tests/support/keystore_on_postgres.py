"""A keystore in a database of its own on a real PostgreSQL, a hand on its rows, and its log judged whole."""

from collections.abc import AsyncIterator, Callable

import pytest

from keystore.chain import START
from keystore.found_rows import read_log
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_rows import SELECT_LOG
from keystore.postgres_server import PostgresHand, connect
from keystore.scope import AllBuckets
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing
from keystore.store import NewKey
from tests.support.postgres import Postgres

WISH = NewKey("default", "backup", AllBuckets())
Sql = Callable[[str], list[list[str]]]
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'nqgate'"


@pytest.fixture
def url(postgres: Postgres, postgres_database: str) -> str:
    return postgres.url(postgres_database)


@pytest.fixture
def sql(postgres: Postgres, postgres_database: str) -> Sql:
    return lambda statement: postgres.sql(postgres_database, statement)


@pytest.fixture
async def store(url: str, ring: KekRing) -> AsyncIterator[PostgresStore]:
    async with open_postgres_store(url, ring, create=True) as opened:
        yield opened


async def made(store: PostgresStore) -> str:
    access_key, _ = await store.create_key(WISH, "ann")
    return access_key.access_key_id


async def log_holds(url: str, ring: KekRing) -> int:
    """The number of its rows; fails unless they are contiguous, chained and end where the store row says."""
    hand = await connect(url, "tests")
    store, changes = read_log(await hand.fetch(SELECT_LOG, 0))
    await hand.close()
    assert enter_store(ring, store).follow(START, changes) == (store.seq, store.head)
    assert [change.seq for change in changes] == list(range(1, store.seq + 1))
    return store.seq


@pytest.fixture
async def hand(store: PostgresStore, url: str) -> AsyncIterator[PostgresHand]:
    """A connection of its own to the database of `store`."""
    opened = await connect(url, "tests")
    yield opened
    await opened.close()

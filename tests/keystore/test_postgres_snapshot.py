"""A keystore on PostgreSQL read by itself: of one moment, writing nothing, leaving no session behind."""

import asyncio

import pytest

from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_rows import SELECT_STORE
from keystore.postgres_snapshot import connected, snapshot
from keystore.sealing import KekRing, Secret
from tests.support.keystore_on_postgres import SESSIONS, Sql, made, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server


async def gone(sql: Sql, count: int) -> bool:
    """Whether no more sessions than these are left, soon."""
    for _ in range(200):
        if len(sql(SESSIONS)) == count:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_snapshot_is_of_one_moment_and_cannot_write(url: str, store: PostgresStore, ring: KekRing) -> None:
    async with snapshot(Secret(url)) as hand:
        before = await hand.fetch(SELECT_STORE)
        await made(store)
        assert await hand.fetch(SELECT_STORE) == before
    with pytest.raises(KeystoreUnavailable, match="read-only transaction"):
        async with snapshot(Secret(url)) as hand:
            await hand.run("DELETE FROM nqgate.change")


async def test_no_session_is_left_whatever_happens(url: str, store: PostgresStore, sql: Sql) -> None:
    for fault in (RuntimeError("shown nowhere"), KeystoreUnavailable("refused"), OSError(28, "full")):
        with pytest.raises((RuntimeError, KeystoreUnavailable)):
            async with snapshot(Secret(url)):
                raise fault
        assert await gone(sql, 1), "of the store that is open"


async def test_where_no_keystore_is_none_is_made(url: str, sql: Sql) -> None:
    with pytest.raises(KeystoreUnavailable, match="there is no keystore on"):
        async with snapshot(Secret(url)):
            raise AssertionError("opened")
    assert sql("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]
    async with connected(Secret(url)) as hand:
        assert await hand.fetch("SELECT 1") == [(1,)]

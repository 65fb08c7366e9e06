"""A keystore on PostgreSQL: each question has a connection of its own. The rest is asked in test_keystore.py."""

import asyncio
import time

import pytest

from keystore.audited_rows import Wanted
from keystore.errors import InvalidInput, KeystoreUnavailable, WrongKek
from keystore.postgres import PostgresStore
from keystore.remote_keystore import RemoteKeystore, open_remote_keystore
from keystore.sealing import Kek, KekRing, Secret
from tests.support.keystore_on_postgres import store, url

__all__ = ["store", "url"]  # fixtures
pytestmark = pytest.mark.server


async def test_what_is_asked_waits_for_no_mutation(url: str, store: PostgresStore) -> None:
    keystore = RemoteKeystore(Secret(url), store)
    async with store._mutation() as mutation, asyncio.timeout(5):
        assert await keystore.usage(None) == {}
        assert await keystore.refusals(None, 10) == []
        assert len(await keystore.changes(Wanted(None, None, None, 10))) == 1
        assert (await keystore.confirmed(1, time.monotonic())).proven
        await mutation.add_account("team", "ann")


async def test_the_log_is_verified_with_the_keks_that_the_store_uses(url: str, store: PostgresStore) -> None:
    keystore = RemoteKeystore(Secret(url), store)
    store.use(KekRing((Kek(b"o" * 32),)))
    for asked in (keystore.changes(Wanted(None, None, None, 10)), keystore.confirmed(1, time.monotonic())):
        with pytest.raises(WrongKek):
            await asked


async def test_text_that_the_database_cannot_hold_is_refused(url: str, store: PostgresStore) -> None:
    keystore = RemoteKeystore(Secret(url), store)
    for asked in (keystore.refusals("a\0b", 10), keystore.refusal("a\0b"), keystore.usage(["\ud800"])):
        with pytest.raises(InvalidInput):
            await asked


async def test_a_database_that_is_away_is_an_answer(ring: KekRing) -> None:
    away = Secret("postgresql://ann:hunter2@127.0.0.1:1/x")
    with pytest.raises(KeystoreUnavailable) as refused:
        async with open_remote_keystore(away, ring, create=False):
            pass
    assert "hunter2" not in str(refused.value)

"""What one mutation writes: as many changes as it has records, contiguous, and the store row where the log ends."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from keystore.access_key import AccessKey, Status
from keystore.chain import Kind, Position
from keystore.errors import NotFound
from keystore.mutation import Entry, Mutation
from keystore.scope import AllBuckets
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing
from keystore.sqlite import SqliteHand
from keystore.sqlite_rows import SELECT_LOG, STATEMENTS, read_log

NOW = 1_700_000_000
KEY = AccessKey("NQAKone", "default", "backup", AllBuckets(), Status.ACTIVE, NOW, "ann")
Hand = Callable[..., list[Any]]
Begin = Callable[[], AbstractAsyncContextManager[Mutation]]


@pytest.fixture
def begin(database: Path, ring: KekRing, hand: Hand) -> Begin:
    @asynccontextmanager
    async def mutation() -> AsyncIterator[Mutation]:
        store, _ = read_log(hand(SELECT_LOG, 0))
        async with aiosqlite.connect(database, isolation_level=None) as connection:
            await connection.execute("BEGIN IMMEDIATE")
            yield Mutation(SqliteHand(connection), STATEMENTS, enter_store(ring, store), store, NOW)
            await connection.execute("COMMIT")

    return mutation


def log_holds(hand: Hand, ring: KekRing) -> int:
    """The number of its rows; fails unless they are contiguous, chained and end where the store row says."""
    store, changes = read_log(hand(SELECT_LOG, 0))
    rows = enter_store(ring, store)
    assert rows.follow(Position(0, bytes(32)), changes) == (store.seq, store.head)
    return store.seq


async def test_two_changes_of_one_mutation_are_contiguous_and_chained(begin: Begin, hand: Hand, ring: KekRing) -> None:
    async with begin() as mutation:
        await mutation.add_key(KEY)
        row, _ = await mutation.find("NQAKone")
        assert row is not None
        await mutation.rewrite_key(Kind.KEY_UPDATE, row, replace(KEY, label="other", version=2), "bob", {"label": "x"})
        assert [change.seq for change in mutation.changes] == [2, 3]
        assert mutation.change is mutation.changes[-1]
    assert log_holds(hand, ring) == 3
    assert hand("SELECT kind, actor, at FROM change WHERE seq > 1") == [
        ("key.create", "ann", NOW),
        ("key.update", "bob", NOW),
    ]


async def test_what_was_not_committed_left_nothing(begin: Begin, hand: Hand, ring: KekRing) -> None:
    async def fails_halfway() -> None:
        async with begin() as mutation:
            await mutation.add_key(KEY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails_halfway()
    assert log_holds(hand, ring) == 1
    assert hand("SELECT count(*) FROM access_key") == [(0,)]


async def test_nothing_was_logged_at_first(begin: Begin) -> None:
    async with begin() as mutation:
        assert (mutation.changes, mutation.change) == ([], None)


async def test_a_rewritten_key_keeps_the_seal_of_its_secret(begin: Begin, hand: Hand) -> None:
    async with begin() as mutation:
        secret = await mutation.add_key(KEY)
        row, last = await mutation.find("NQAKone")
        assert row is not None
        after = replace(KEY, label="other", version=2)
        await mutation.rewrite_key(Kind.KEY_UPDATE, row, after, "bob", {})
        rewritten, last = await mutation.find("NQAKone")
        assert rewritten is not None
        assert mutation.rows.read_access_key(rewritten, last) == after
        assert mutation.rows.open_secret(rewritten).expose() == secret.expose()
        assert rewritten.secret_sealed == row.secret_sealed


async def test_what_is_told_of_a_record_is_canonical_json(begin: Begin, hand: Hand) -> None:
    async with begin() as mutation:
        await mutation.log(Entry(Kind.ACCOUNT_UPSTREAM, "ann", "default", None, b"record", {"b": 1, "a": "ü"}))
    assert hand("SELECT body FROM change WHERE seq = 2") == [('{"a":"ü","b":1}'.encode(),)]


async def test_an_account_that_is_none_is_not_found(begin: Begin) -> None:
    async with begin() as mutation:
        assert (await mutation.account("default")).name == "default"
        with pytest.raises(NotFound):
            await mutation.account("nobody")

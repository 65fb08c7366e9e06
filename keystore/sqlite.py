"""The keystore on SQLite, the writing side: one connection, one writer at a time, each mutation one transaction.

A mutation begins with BEGIN IMMEDIATE, checks that the log ends where the store row says, writes rows, a change for
each and the store row, commits with synchronous=FULL, and reads its changes back. What makes a commit visible to
gateways is the wal-index header, which SQLite writes within COMMIT: nothing else is bumped.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiosqlite

from keystore.board import make_board
from keystore.errors import KeystoreUnavailable
from keystore.mutation import Mutation
from keystore.sealed_rows import SealedRows
from keystore.sealing import KekRing
from keystore.sqlite_file import answering, bring_schema_up, fetch, keystore_path, open_writer
from keystore.sqlite_rows import STATEMENTS
from keystore.store_acts import StoreActs


class SqliteHand:
    """Implements `keystore.statements.Hand`."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        return await fetch(self._connection, statement, *values)

    async def execute(self, statement: str, values: Sequence[object]) -> None:
        await self._connection.execute(statement, values)


class SqliteStore(StoreActs):
    """Implements `keystore.store.Store`. Made by `open_sqlite_store`; `clock` gives Unix seconds."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, ring: KekRing, clock: Callable[[], float]) -> None:
        super().__init__(STATEMENTS, ring, clock)
        self._connection = connection
        self._hand = SqliteHand(connection)
        self._path = path
        self._turn = asyncio.Lock()  # a connection has one transaction: a reader must not see a writer's half

    @contextlib.asynccontextmanager
    async def _mutation(self) -> AsyncIterator[Mutation]:
        async with self._alone():
            async with self._transaction():
                mutation = await self._begun(self._hand)
                yield mutation
            await self._read_back(self._hand, mutation.changes)
            self.committed_seq = mutation.changes[-1].seq

    async def _read(self, statement: str, *values: str | int | None) -> tuple[SealedRows, list[tuple[object, ...]]]:
        async with self._alone():
            rows, _, _ = await self._end_of_log(self._hand)
            return rows, await self._hand.fetch(statement, *values)

    async def prepare(self, *, create: bool) -> None:
        """Bring the schema up, found the keystore if the file is empty, and prove the KEK; under the write lock."""
        async with self._alone(), self._transaction():
            if await bring_schema_up(self._connection, self._path):
                if not create:
                    raise KeystoreUnavailable(
                        f"{self._path} is empty: `nqgate serve` or `nqgate up` makes a keystore of it"
                    )
                await self._found(self._hand)
                make_board(self._path)
            await self._begun(self._hand)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._turn:
            with answering(self._path):
                yield

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
            yield
            await self._connection.execute("COMMIT")
        except BaseException:
            # Statements run in the order they were queued, so this ends also what a cancelled await began.
            await asyncio.shield(self._connection.rollback())
            raise


@contextlib.asynccontextmanager
async def open_sqlite_store(
    url_or_path: str | Path, ring: KekRing, *, create: bool, clock: Callable[[], float] = time.time
) -> AsyncIterator[SqliteStore]:
    """The keystore at `sqlite:///PATH` or PATH, its schema brought up; `create` makes a missing one.

    Raises KeystoreUnavailable (missing, locked, no keystore, newer), WrongKek, RecordRefused.
    """
    path = keystore_path(url_or_path)
    async with open_writer(path, create=create) as connection:
        store = SqliteStore(connection, path, ring, clock)
        await store.prepare(create=create)
        yield store


async def migrate(url_or_path: str | Path, ring: KekRing) -> None:
    """Make the keystore if there is none, bring its schema up, and close it again. Raises as open_sqlite_store."""
    async with open_sqlite_store(url_or_path, ring, create=True):
        pass

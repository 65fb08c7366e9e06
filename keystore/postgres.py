"""The keystore on PostgreSQL, the writing side: one connection, reopened when lost, each mutation one transaction.

A mutation locks the one store row first, so writers follow each other and sequence numbers are in the order of
commits; checks that the log ends where that row says; writes; commits with synchronous_commit = on; and reads its
changes back. A COMMIT without an answer is settled: under the lock of the next writer, when the one in doubt has ended.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from keystore.chain import Change
from keystore.errors import KeystoreError, KeystoreUnavailable, WentBack
from keystore.mutation import Mutation
from keystore.postgres_gateways import CHANNEL
from keystore.postgres_rows import LOCK_STORE, MAC_AT, MAC_OF_REQUEST, STATEMENTS
from keystore.postgres_server import (
    BEGIN_READ,
    BEGIN_WRITE,
    FOREIGN,
    PostgresHand,
    answering,
    bring_schema_up,
    connect,
    migrations,
    said,
    schema_version,
    server_name,
)
from keystore.sealed_rows import SealedRows
from keystore.sealing import KekRing, Secret
from keystore.statements import Hand
from keystore.store_acts import StoreActs

SETTLE_SECONDS: Final = 15.0  # for a server that restarts, to look up what became of a COMMIT
SETTLE_PAUSE: Final = 0.2
HINT_SECONDS: Final = 1.0
UNSETTLED: Final[tuple[type[Exception], ...]] = (*FOREIGN, KeystoreUnavailable)
NOT_PROVEN: Final = "the change was committed here, but it is not proven on the standby: run it again"
NOT_DONE: Final = "the connection was lost at COMMIT and the change was not done: run it again"


class PostgresStore(StoreActs):
    """Implements `keystore.store.Store`. Made by `open_postgres_store`; `clock` gives Unix seconds."""

    def __init__(self, url: Secret, ring: KekRing, clock: Callable[[], float]) -> None:
        super().__init__(STATEMENTS, ring, clock)
        self._url = url
        self._where = server_name(url.expose())
        self._hand: PostgresHand | None = None
        self._committed: Change | None = None
        self._turn = asyncio.Lock()  # a connection has one transaction: a reader must not see a writer's half

    @contextlib.asynccontextmanager
    async def _mutation(self) -> AsyncIterator[Mutation]:
        async with self._alone():
            async with self._transaction(BEGIN_WRITE) as hand:
                await hand.run(LOCK_STORE)
                mutation = await self._begun(hand)
                yield mutation
            await self._commit(hand, mutation.changes)
            self._committed = mutation.changes[-1]
            self.committed_seq = self._committed.seq
            await self._hint()

    async def _read(self, statement: str, *values: str | int | None) -> tuple[SealedRows, list[tuple[object, ...]]]:
        async with self.snapshot() as hand:
            rows, _, _ = await self._end_of_log(hand)
            found = await hand.fetch(statement, *values)
        return rows, found

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Hand]:
        """All that is read on it is of one moment. Nobody else uses this store meanwhile."""
        async with self._alone(), self._transaction(BEGIN_READ) as hand:
            yield hand
            await hand.run("COMMIT")

    async def prepare(self, *, create: bool) -> None:
        """Bring the schema up, found the keystore if the database has none, and prove the KEK. What needs no writing
        waits for no writer."""
        async with self._alone():
            async with self._transaction(BEGIN_READ) as hand:
                known = await schema_version(hand, self._where)
                if known == len(migrations()):
                    await self._begun(hand)
                await hand.run("COMMIT")
            if known == len(migrations()):
                return
            async with self._transaction(BEGIN_WRITE) as hand:
                if await bring_schema_up(hand, self._where):
                    if not create:
                        raise KeystoreUnavailable(
                            f"there is no keystore on {self._where}: `nqgate serve` or `nqgate up` makes one"
                        )
                    await self._found(hand)
                await self._begun(hand)
                if not await hand.commit():
                    raise KeystoreUnavailable(NOT_PROVEN)

    async def close(self) -> None:
        if self._hand is not None:
            hand, self._hand = self._hand, None
            await hand.close()

    # ---- the end of a mutation ----

    async def _commit(self, hand: PostgresHand, changes: Sequence[Change]) -> None:
        assert changes, "every mutation writes a change"
        try:
            proven = await hand.commit()
            if proven:
                await self._read_back(hand, changes)
        except FOREIGN as lost:
            await self.close()  # which also cancels a COMMIT that waits, so that its lock goes
            await self._settle(changes, lost)
            return
        except KeystoreError:
            raise
        except BaseException:
            await self.close()
            raise
        if not proven:
            raise KeystoreUnavailable(NOT_PROVEN)

    async def _hint(self) -> None:
        """Gateways read on at once; who does not hear it reads on with its next proof. In a transaction of its own,
        which waits for no standby: a NOTIFY inside a mutation would make its COMMIT wait for those of others."""
        if self._hand is None:
            return
        text = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}, '{self.committed_seq}'; COMMIT"
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await self._hand.run(text)
        except FOREIGN:
            self._drop()
        except BaseException:
            self._drop()
            raise

    async def _settle(self, changes: Sequence[Change], lost: Exception) -> None:
        """Return if the changes are there, and proven by a COMMIT of our own behind them.

        Under the lock: a backend that still commits holds it, and what it writes is not seen before it lets go.
        """
        found: list[list[tuple[object, ...]]] | None = None
        proven = False
        try:
            await self._reach()
            async with self._transaction(BEGIN_WRITE) as hand:
                await hand.run(LOCK_STORE)
                found = [await hand.fetch(MAC_OF_REQUEST, change.request_id) for change in changes]
            proven = await hand.commit()
        except UNSETTLED as error:
            await self.close()
            if found is None:
                why = str(error) if isinstance(error, KeystoreUnavailable) else said(error)
                raise KeystoreUnavailable(
                    f"the connection to {self._where} was lost at COMMIT, and whether the change was done is unknown"
                    f" ({why}): run it again"
                ) from error
        if found is None or not any(found):
            raise KeystoreUnavailable(NOT_DONE) from lost
        if found != [[(change.mac,)] for change in changes]:
            raise KeystoreUnavailable("the change was committed and is gone again: not proven, run it again")
        if not proven:
            raise KeystoreUnavailable(NOT_PROVEN) from lost

    # ---- connections and transactions ----

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._turn:
            with answering(self._where):
                yield

    @contextlib.asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[PostgresHand]:
        """Open still when the body has ended; with an error, nothing of it is left."""
        try:
            hand = await self._begin(begin)
            yield hand
        except KeystoreError:
            await self._roll_back()
            raise
        except BaseException:
            self._drop()
            raise

    async def _begin(self, begin: str) -> PostgresHand:
        """A connection that was lost while nobody used it is replaced: nothing has been asked of it."""
        if self._hand is not None and not self._hand.closed:
            try:
                await self._hand.run(begin)
            except FOREIGN:
                self._drop()
            else:
                return self._hand
        await self._connect()
        assert self._hand is not None
        await self._hand.run(begin)
        return self._hand

    async def _connect(self) -> None:
        """WentBack when what this store has committed is not there: another server may answer by now."""
        self._hand = await connect(self._url.expose(), self._where)
        known = self._committed
        if known is not None and await self._hand.fetch(MAC_AT, known.seq) != [(known.mac,)]:
            self._drop()
            raise WentBack(f"{self._where} does not have change {known.seq}, which was committed: it went back in time")

    async def _roll_back(self) -> None:
        """The refusal that ended the transaction is what counts, whatever becomes of the connection."""
        if self._hand is None or self._hand.closed:
            return
        try:
            await self._hand.run("ROLLBACK")
        except FOREIGN:
            self._drop()
        except BaseException:
            self._drop()
            raise

    async def _reach(self) -> None:
        """Connect, to a server that restarts too."""
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while True:
            try:
                return await self._connect()
            except FOREIGN:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(SETTLE_PAUSE)

    def _drop(self) -> None:
        if self._hand is not None:
            self._hand.drop()
            self._hand = None


@contextlib.asynccontextmanager
async def open_postgres_store(
    url: str, ring: KekRing, *, create: bool, clock: Callable[[], float] = time.time
) -> AsyncIterator[PostgresStore]:
    """The keystore in the schema `nqgate` of a database that is there; `create` makes one where there is none.

    Raises KeystoreUnavailable (not reached, none there, newer, a server that cannot keep one), WrongKek, RecordRefused.
    """
    store = PostgresStore(Secret(url), ring, clock)
    try:
        await store.prepare(create=create)
        yield store
    finally:
        await store.close()

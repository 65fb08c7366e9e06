"""Records looked up for who does not know them yet: read anew on the primary, and judged with the log they stand in.

A look-up is joined only by who asks for the same while no later change has been handed out: what was read before a
change is never the answer to who has applied it. A database of which the known change is gone is said to have gone
back, whoever finds it out.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from keystore.access_key import ACCESS_KEY_ID, AccessKey
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim
from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable, RecordRefused
from keystore.found_rows import read_claims, read_found_account, read_found_key, read_store
from keystore.postgres_log import PostgresLog
from keystore.postgres_rows import ACCOUNT_IN_THE_LOG, BUCKETS_IN_THE_LOG, KEY_IN_THE_LOG
from keystore.postgres_server import FOREIGN, PostgresHand, answering
from keystore.record import AccessKeyRow
from keystore.sealed_rows import SealedRows
from keystore.sealing import Secret

CONNECTIONS: Final = 2  # so many are under way at once; the others wait
MAX_WAITING: Final = 1000  # of them, told apart; then it is said at once that the keystore does not answer
MAX_KEPT: Final = 1000  # keys that are asked for again and again, as for every SigV2 signature
ANSWER_SECONDS: Final = 2.0  # waiting for a turn included; a look-up takes milliseconds

T = TypeVar("T")


class _Found(NamedTuple):
    """`values`: the columns of the statement, of every row it returned. `at`: the last change that had been handed out
    when it was asked for."""

    rows: SealedRows
    values: list[tuple[object, ...]]
    at: int


class _Key(NamedTuple):
    """A verified record, its secret sealed in `row`."""

    rows: SealedRows
    row: AccessKeyRow
    access_key: AccessKey


def _opened(kept: _Key) -> tuple[AccessKey, Secret]:
    return kept.access_key, kept.rows.open_secret(kept.row)


class Lookups:
    """`reach`: a new connection. `where`: the server, for people."""

    def __init__(self, log: PostgresLog, where: str, reach: Callable[[], Awaitable[PostgresHand]]) -> None:
        self._log = log
        self._where = where
        self._reach = reach
        self._idle: list[PostgresHand] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._under_way: dict[tuple[str, str, int], asyncio.Task[Any]] = {}
        self._kept: dict[str, _Key] = {}
        self._kept_at = -1

    async def find_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        """None for an id that never was or was deleted. Everything here raises KeystoreUnavailable and its kinds."""
        if not ACCESS_KEY_ID.match(access_key_id):
            return None
        return await self._joined("key", access_key_id, lambda: self._find_key(access_key_id))

    async def known_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        """As `find_key`, for who serves under a lease that stands: what was read since the last change that was handed
        out will do, as it does for who has it in memory. What is kept is sealed."""
        position = self._log.position
        kept = self._kept.get(access_key_id) if position is not None and position.seq == self._kept_at else None
        return _opened(kept) if kept is not None else await self.find_key(access_key_id)

    async def find_claims(self, names: Sequence[str]) -> dict[str, BucketClaim]:
        """Of those that somebody claimed."""
        text = json.dumps(sorted(set(names)))
        return await self._joined("claims", text, lambda: self._find_claims(text))

    async def find_account(self, name: str) -> tuple[Account, Secret | None]:
        """With the secret of its own credential at the store, if it has one. RecordRefused when there is none."""
        return await self._joined("account", name, lambda: self._find_account(name))

    async def close(self) -> None:
        """What is under way ends with KeystoreUnavailable."""
        under_way = list(self._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        while self._idle:
            await self._idle.pop().close()

    # ---- what is looked up ----

    async def _find_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        found = await self._ask(KEY_IN_THE_LOG, access_key_id)
        if not found.values:
            return None
        row, last = read_found_key(found.values[0])
        access_key = found.rows.read_access_key(row, last)
        if row is None or access_key is None:
            return None
        kept = _Key(found.rows, row, access_key)
        self._keep(kept, found.at)
        return _opened(kept)

    def _keep(self, found: _Key, at: int) -> None:
        """Found when change `at` was the last that had been handed out; another one ends what was kept before."""
        position = self._log.position
        if position is None or position.seq != at:
            return
        if self._kept_at != at or len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept_at = at
        self._kept[found.access_key.access_key_id] = found

    async def _find_claims(self, names: str) -> dict[str, BucketClaim]:
        found = await self._ask(BUCKETS_IN_THE_LOG, names)
        return read_claims(found.rows, found.values)[0]

    async def _find_account(self, name: str) -> tuple[Account, Secret | None]:
        found = await self._ask(ACCOUNT_IN_THE_LOG, name)
        if not found.values:
            raise RecordRefused(f"account {name}: its record was taken out")
        row, last = read_found_account(found.values[0])
        account = found.rows.read_account(row, last)
        return account, None if account.upstream is None else found.rows.open_upstream(row)

    # ---- one after the other ----

    async def _joined(self, what: str, name: str, look_up: Callable[[], Coroutine[Any, Any, T]]) -> T:
        position = self._log.position
        if position is None:
            raise KeystoreUnavailable("the keystore has not been read yet")
        flight = what, name, position.seq
        task = self._under_way.get(flight)
        if task is None:
            if len(self._under_way) >= MAX_WAITING:
                raise KeystoreUnavailable("too many look-ups wait for the keystore")
            task = asyncio.create_task(look_up())
            self._under_way[flight] = task
            task.add_done_callback(lambda done: self._done(flight, done))
        try:
            found: T = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # and not who waits
                raise KeystoreUnavailable("the keystore is being closed") from None
            raise
        return found

    def _done(self, flight: tuple[str, str, int], task: asyncio.Task[Any]) -> None:
        del self._under_way[flight]
        if not task.cancelled():
            task.exception()  # whoever waited has it; it may be that nobody does any more

    async def _ask(self, statement: str, value: str) -> _Found:
        with answering(self._where):
            async with asyncio.timeout(ANSWER_SECONDS), self._turns:
                return await self._asked(statement, value)

    async def _asked(self, statement: str, value: str) -> _Found:
        known = self._log.position
        assert known is not None, "it was asked for after the log was begun"
        result = await self._fetch(statement, value, known.seq)
        if not result:
            raise KeystoreUnavailable(f"the server {self._where} is no primary, or the store row was taken out")
        store = read_store(result)
        width = len(StoreRow._fields)
        self._log.check(store, known, result[0][width])
        values = [row[width + 1 :] for row in result]
        rows = self._log.rows_for(store)
        return _Found(rows, [row for row in values if any(one is not None for one in row)], known.seq)

    async def _fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """A connection that was lost while nobody used it is replaced."""
        while self._idle:
            hand = self._idle.pop()
            if not hand.closed:
                with contextlib.suppress(*FOREIGN):
                    return await self._fetch_by(hand, statement, *values)
        return await self._fetch_by(await self._reach(), statement, *values)

    async def _fetch_by(self, hand: PostgresHand, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            found = await hand.fetch(statement, *values)
        except BaseException:
            hand.drop()
            raise
        self._idle.append(hand)
        return found

"""The keystore on SQLite, the writing side: one connection, one writer at a time, each mutation one transaction.

A mutation begins with BEGIN IMMEDIATE, checks that the log ends where the store row says, writes rows, one change and
the store row, commits with synchronous=FULL, and reads its change back. What makes a commit visible to gateways is
the wal-index header, which SQLite writes within COMMIT: nothing else is bumped.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import aiosqlite

from keystore import minting
from keystore.access_key import AccessKey, RevokeReason, granted_now, revoked
from keystore.accounts import DEFAULT_ACCOUNT, Account
from keystore.bucket_claims import BucketClaim, assigned, claimed, released, undone
from keystore.chain import START, Change, Kind, Position, StoreRow, record_digest
from keystore.errors import Conflict, InvalidInput, KeystoreUnavailable, NotFound, RecordRefused
from keystore.record import AccessKeyRow, canonical_json
from keystore.scope import scope_json
from keystore.sealed_rows import LastChange, SealedRows, enter_store, found_store
from keystore.sealing import KekRing, Secret
from keystore.sqlite_file import answering, bring_schema_up, fetch, keystore_path, open_writer, scalar
from keystore.sqlite_rows import (
    ADD_CHANGE,
    DELETE_ACCESS_KEY,
    EVER_ISSUED,
    FIND_ACCESS_KEY,
    FIND_BUCKETS,
    LIST_ACCESS_KEYS,
    LIST_ACCOUNTS,
    LIST_BUCKETS,
    NUMBER_TAKEN,
    PUT_ACCESS_KEY,
    PUT_ACCOUNT,
    PUT_BUCKET,
    PUT_STORE,
    SELECT_LOG_END,
    read_claims,
    read_found_account,
    read_found_key,
    read_log_end,
)
from keystore.store import Claimed, NewKey, draft_key

FOUNDER: Final = "nqgate"  # the actor of the first change, which makes the default account
MINT_ATTEMPTS: Final = 5  # 16 of 36 letters collide never; a generator that does is broken


class _Entry(NamedTuple):
    """What the log says of one mutation. `record`: the bytes left, None for none; `told`: for people, no secret."""

    kind: Kind
    actor: str
    account: str
    access_key_id: str | None
    record: bytes | None
    told: dict[str, object]
    bucket: str | None = None


class _Mutation:
    """What one mutation reads and writes with, between BEGIN IMMEDIATE and COMMIT. `now`: Unix seconds."""

    def __init__(self, connection: aiosqlite.Connection, rows: SealedRows, store: StoreRow, now: int) -> None:
        self.execute = connection.execute
        self._connection = connection
        self.rows = rows
        self.now = now
        self.change: Change | None = None
        self._store = store

    async def find(self, access_key_id: str) -> tuple[AccessKeyRow | None, LastChange | None]:
        [found] = await self.fetch(FIND_ACCESS_KEY, access_key_id)
        return read_found_key(found)

    async def fetch(self, statement: str, value: str) -> list[tuple[object, ...]]:
        return await fetch(self._connection, statement, value)

    async def log(self, entry: _Entry) -> None:
        """Append the change of this mutation and move the store row to it."""
        draft = Change(
            seq=0,
            request_id=minting.mint_request_id(),
            kind=entry.kind.value,
            account=entry.account,
            access_key_id=entry.access_key_id,
            actor=entry.actor,
            at=self.now,
            body=canonical_json(entry.told),
            record_sha256=record_digest(entry.record),
            kek_id="",
            mac=b"",
            bucket=entry.bucket,
        )
        self.change = change = self.rows.change(Position(self._store.seq, self._store.head), draft)
        self._store = self.rows.store_row(self._store, Position(change.seq, change.mac))
        await self.execute(ADD_CHANGE, change)
        await self.execute(PUT_STORE, (1, *self._store))

    async def add_account(self, name: str, actor: str) -> Account:
        account = Account(name, await self._free_number(), self.now, actor)
        row = self.rows.account(account)
        await self.execute(PUT_ACCOUNT, row)
        await self.log(_Entry(Kind.ACCOUNT_CREATE, actor, name, None, row.record, {"number": account.number}))
        return account

    async def account(self, name: str) -> Account:
        """NotFound when there is none."""
        found = await self.fetch(LIST_ACCOUNTS, name)
        if not found:
            raise NotFound(f"there is no account {name!r}")
        return self.rows.read_account(*read_found_account(found[0]))

    async def claims(self, names: Iterable[str]) -> dict[str, BucketClaim]:
        return read_claims(self.rows, await self.fetch(FIND_BUCKETS, json.dumps(list(names))))[0]

    async def claim(self, name: str) -> BucketClaim | None:
        return (await self.claims([name])).get(name)

    async def put_claim(self, kind: Kind, claim: BucketClaim) -> None:
        row = self.rows.bucket(claim)
        await self.execute(PUT_BUCKET, row)
        told: dict[str, object] = {"generation": claim.generation, "state": claim.state.value}
        await self.log(_Entry(kind, claim.changed_by, claim.account, None, row.record, told, claim.name))

    async def free_access_key_id(self) -> str:
        """One that no key has or ever had: ids of deleted keys stay in the log."""
        for _ in range(MINT_ATTEMPTS):
            access_key_id = minting.mint_access_key_id()
            if not await self._any(EVER_ISSUED, access_key_id):
                return access_key_id
        raise Conflict("no free access key id was drawn: the random generator repeats itself")

    async def _free_number(self) -> str:
        for _ in range(MINT_ATTEMPTS):
            number = minting.mint_account_number()
            if not await self._any(NUMBER_TAKEN, number):
                return number
        raise Conflict("no free account number was drawn: the random generator repeats itself")

    async def _any(self, question: str, value: str) -> bool:
        [[answer]] = await self.fetch(question, value)
        return bool(answer)


class SqliteStore:
    """Implements `keystore.store.Store`. Made by `open_sqlite_store`; `clock` gives Unix seconds."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, ring: KekRing, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._path = path
        self._ring = ring
        self._clock = clock
        self._turn = asyncio.Lock()  # a connection has one transaction: a reader must not see a writer's half

    # ---- the contract ----

    async def create_account(self, name: str, actor: str) -> Account:
        async with self._mutation() as mutation:
            if await mutation.fetch(LIST_ACCOUNTS, name):
                raise Conflict(f"there is an account {name!r} already")
            return await mutation.add_account(name, actor)

    async def list_accounts(self) -> list[Account]:
        rows, found = await self._read(LIST_ACCOUNTS, None)
        return [rows.read_account(*read_found_account(row)) for row in found]

    async def create_key(self, new: NewKey, actor: str) -> tuple[AccessKey, Secret]:
        async with self._mutation() as mutation:
            await mutation.account(new.account)
            drafted = draft_key(new, await mutation.free_access_key_id(), mutation.now, actor)
            claims = await mutation.claims(drafted.grants or ())
            access_key = granted_now(drafted, claims)
            secret = Secret(minting.mint_secret())
            row = mutation.rows.access_key(access_key, secret)
            await mutation.execute(PUT_ACCESS_KEY, row)
            told: dict[str, object] = {"label": access_key.label, "scope": scope_json(access_key.scope)}
            await mutation.log(_Entry(Kind.KEY_CREATE, actor, row.account, row.access_key_id, row.record, told))
        return access_key, secret

    async def list_keys(self, account: str | None) -> list[AccessKey]:
        rows, found = await self._read(LIST_ACCESS_KEYS, account)
        verified = [rows.read_access_key(*read_found_key(row)) for row in found]
        return [access_key for access_key in verified if access_key is not None]

    async def get_key(self, access_key_id: str) -> AccessKey:
        rows, found = await self._read(FIND_ACCESS_KEY, access_key_id)
        access_key = rows.read_access_key(*read_found_key(found[0]))
        if access_key is None:
            raise _no_such_key(access_key_id)
        return access_key

    async def revoke_key(self, access_key_id: str, reason: RevokeReason, actor: str) -> AccessKey:
        async with self._mutation() as mutation:
            row, last = await mutation.find(access_key_id)
            access_key = mutation.rows.read_access_key(row, last)
            if row is None or access_key is None:
                raise _no_such_key(access_key_id)
            after = revoked(access_key, mutation.now, actor, reason)
            row = mutation.rows.rewritten(row, after)
            await mutation.execute(PUT_ACCESS_KEY, row)
            told: dict[str, object] = {"label": after.label, "reason": reason.value}
            await mutation.log(_Entry(Kind.KEY_REVOKE, actor, row.account, access_key_id, row.record, told))
        return after

    async def delete_key(self, access_key_id: str, actor: str) -> None:
        async with self._mutation() as mutation:
            row, last = await mutation.find(access_key_id)
            if last is None or (row is None and last.change.kind == Kind.KEY_DELETE.value):
                raise _no_such_key(access_key_id)
            await mutation.execute(DELETE_ACCESS_KEY, (access_key_id,))
            await mutation.log(_Entry(Kind.KEY_DELETE, actor, last.change.account, access_key_id, None, {}))

    async def set_upstream(self, name: str, access_key_id: str | None, secret: Secret | None, actor: str) -> Account:
        if (access_key_id is None) is not (secret is None):
            raise InvalidInput("a credential is an access key id and its secret")
        async with self._mutation() as mutation:
            account = await mutation.account(name)
            account = replace(account, upstream=access_key_id, version=account.version + 1)
            row = mutation.rows.account(account, secret)
            await mutation.execute(PUT_ACCOUNT, row)
            told: dict[str, object] = {"upstream_access_key_id": access_key_id}
            await mutation.log(_Entry(Kind.ACCOUNT_UPSTREAM, actor, name, None, row.record, told))
        return account

    # ---- buckets ----

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed:
        async with self._mutation() as mutation:
            before = await mutation.claim(name)
            claim = claimed(before, name, account, mutation.now, actor)
            await mutation.put_claim(Kind.BUCKET_CLAIM, claim)
        return Claimed(claim, before)

    async def undo_claim(self, made: Claimed, actor: str) -> None:
        async with self._mutation() as mutation:
            claim = await self._unmoved(mutation, made.claim.name, made.claim.version)
            assert claim is not None, "a claim that was made has a version"
            await mutation.put_claim(Kind.BUCKET_UNDO, undone(claim, made.before, mutation.now, actor))

    async def release_bucket(self, name: str, version: int, actor: str) -> None:
        async with self._mutation() as mutation:
            claim = await self._unmoved(mutation, name, version)
            await mutation.put_claim(Kind.BUCKET_RELEASE, released(claim, name, mutation.now, actor))

    async def assign_bucket(self, name: str, account: str, actor: str) -> BucketClaim:
        async with self._mutation() as mutation:
            await mutation.account(account)
            claim = assigned(await mutation.claim(name), name, account, mutation.now, actor)
            await mutation.put_claim(Kind.BUCKET_ASSIGN, claim)
        return claim

    async def list_claims(self, account: str | None) -> dict[str, BucketClaim]:
        return read_claims(*await self._read(LIST_BUCKETS, account))[0]

    async def _unmoved(self, mutation: _Mutation, name: str, version: int) -> BucketClaim | None:
        claim = await mutation.claim(name)
        if (0 if claim is None else claim.version) != version:
            raise Conflict(f"the bucket name {name} was claimed anew meanwhile")
        return claim

    # ---- inside ----

    @contextlib.asynccontextmanager
    async def _mutation(self) -> AsyncIterator[_Mutation]:
        async with self._turn:
            with answering(self._path):
                try:
                    await self._connection.execute("BEGIN IMMEDIATE")
                    mutation = await self._begun()
                    yield mutation
                    await self._connection.execute("COMMIT")
                except BaseException:
                    # Statements run in the order they were queued, so this ends also what a cancelled await began.
                    await asyncio.shield(self._connection.rollback())
                    raise
                await self._read_back(mutation.change)

    async def _begun(self) -> _Mutation:
        """RecordRefused unless the log ends exactly where the store row says."""
        rows, store, last = await self._end_of_log()
        at = START if last is None else rows.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
        if at != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")
        return _Mutation(self._connection, rows, store, int(self._clock()))

    async def _end_of_log(self) -> tuple[SealedRows, StoreRow, LastChange | None]:
        store, last = read_log_end(await fetch(self._connection, SELECT_LOG_END))
        return enter_store(self._ring, store), store, last

    async def _read_back(self, change: Change | None) -> None:
        """What was committed must still be there: whoever writes the file behind our back may have taken it out."""
        assert change is not None, "every mutation writes a change"
        if await scalar(self._connection, "SELECT mac FROM change WHERE seq = ?1", change.seq) != change.mac:
            raise KeystoreUnavailable("the change was committed and is gone again: not proven, run it again")

    async def _read(self, statement: str, value: str | None) -> tuple[SealedRows, list[tuple[object, ...]]]:
        async with self._turn:
            with answering(self._path):
                rows, _, _ = await self._end_of_log()
                return rows, await fetch(self._connection, statement, value)

    async def prepare(self, *, create: bool) -> None:
        """Bring the schema up, found the keystore if the file is empty, and prove the KEK; under the write lock."""
        async with self._turn:
            with answering(self._path):
                try:
                    await self._connection.execute("BEGIN IMMEDIATE")
                    if await bring_schema_up(self._connection, self._path):
                        await self._found(create=create)
                    await self._begun()
                    await self._connection.execute("COMMIT")
                except BaseException:
                    await asyncio.shield(self._connection.rollback())
                    raise

    async def _found(self, *, create: bool) -> None:
        if not create:
            raise KeystoreUnavailable(f"{self._path} is empty: `nqgate serve` or `nqgate up` makes a keystore of it")
        rows, store = found_store(self._ring, minting.mint_store_id())
        mutation = _Mutation(self._connection, rows, store, int(self._clock()))
        await mutation.add_account(DEFAULT_ACCOUNT, FOUNDER)


def _no_such_key(access_key_id: str) -> NotFound:
    return NotFound(f"there is no access key {access_key_id}")


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

"""The keystore on SQLite, the writing side: one connection, one writer at a time, each mutation one transaction.

A mutation begins with BEGIN IMMEDIATE, checks that the log ends where the store row says, writes rows, a change for
each and the store row, commits with synchronous=FULL, and reads its changes back. What makes a commit visible to
gateways is the wal-index header, which SQLite writes within COMMIT: nothing else is bumped.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiosqlite

from keystore import minting
from keystore.access_key import AccessKey, RevokeReason, granted_now, revoked
from keystore.accounts import DEFAULT_ACCOUNT, Account
from keystore.board import make_board
from keystore.bucket_claims import BucketClaim, assigned, claimed, released, undone
from keystore.chain import START, Change, Kind, Position, StoreRow
from keystore.errors import Conflict, InvalidInput, KeystoreUnavailable, NotFound, RecordRefused
from keystore.key_acts import Edit, edit_json, restored, rolled, updated
from keystore.record import AccessKeyRow
from keystore.sealed_rows import LastChange, SealedRows, enter_store, found_store
from keystore.sealing import KekRing, Secret
from keystore.sqlite_file import answering, bring_schema_up, fetch, keystore_path, open_writer, scalar
from keystore.sqlite_mutation import Entry, Mutation
from keystore.sqlite_reseal import reseal_page
from keystore.sqlite_rows import (
    DELETE_ACCESS_KEY,
    FIND_ACCESS_KEY,
    LIST_ACCESS_KEYS,
    LIST_ACCOUNTS,
    LIST_BUCKETS,
    PUT_ACCESS_KEY,
    PUT_ACCOUNT,
    SELECT_LOG_END,
    read_claims,
    read_found_account,
    read_found_key,
    read_log_end,
)
from keystore.store import Claimed, Issued, NewKey, Place, Resealed, draft_key

FOUNDER: Final = "nqgate"  # the actor of the first change, which makes the default account


class SqliteStore:
    """Implements `keystore.store.Store`. Made by `open_sqlite_store`; `clock` gives Unix seconds."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, ring: KekRing, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._path = path
        self._ring = ring
        self._clock = clock
        self.committed_seq = 0
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
            access_key = granted_now(drafted, await mutation.claims(drafted.grants or ()))
            secret = await mutation.add_key(access_key)
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
            await mutation.log(Entry(Kind.KEY_REVOKE, actor, row.account, access_key_id, row.record, told))
        return after

    async def restore_key(self, access_key_id: str, actor: str) -> AccessKey:
        async with self._mutation() as mutation:
            row, access_key = await self._known(mutation, access_key_id)
            after = restored(access_key)
            await mutation.rewrite_key(Kind.KEY_RESTORE, row, after, actor, {"label": after.label})
        return after

    async def roll_key(self, access_key_id: str, overlap: int, actor: str) -> Issued:
        async with self._mutation() as mutation:
            row, access_key = await self._known(mutation, access_key_id)
            await mutation.account(access_key.account)
            successor_id = await mutation.free_access_key_id()
            successor, ended = rolled(access_key, successor_id, overlap, mutation.now, actor)
            secret = await mutation.add_key(successor)
            told: dict[str, object] = {"label": ended.label, "replaced_by": successor_id, "overlap": overlap}
            await mutation.rewrite_key(Kind.KEY_ROLL, row, ended, actor, told)
        return Issued(successor, secret, ended)

    async def update_key(self, access_key_id: str, edit: Edit, actor: str) -> AccessKey:
        async with self._mutation() as mutation:
            row, access_key = await self._known(mutation, access_key_id)
            after = updated(access_key, edit, await mutation.claims(edit.buckets), mutation.now)
            await mutation.rewrite_key(Kind.KEY_UPDATE, row, after, actor, edit_json(edit))
        return after

    async def delete_key(self, access_key_id: str, actor: str) -> None:
        async with self._mutation() as mutation:
            row, last = await mutation.find(access_key_id)
            if last is None or (row is None and last.change.kind == Kind.KEY_DELETE.value):
                raise _no_such_key(access_key_id)
            await mutation.execute(DELETE_ACCESS_KEY, (access_key_id,))
            await mutation.log(Entry(Kind.KEY_DELETE, actor, last.change.account, access_key_id, None, {}))

    async def set_upstream(self, name: str, access_key_id: str | None, secret: Secret | None, actor: str) -> Account:
        if (access_key_id is None) is not (secret is None):
            raise InvalidInput("a credential is an access key id and its secret")
        async with self._mutation() as mutation:
            account = await mutation.account(name)
            account = replace(account, upstream=access_key_id, version=account.version + 1)
            row = mutation.rows.account(account, secret)
            await mutation.execute(PUT_ACCOUNT, row)
            told: dict[str, object] = {"upstream_access_key_id": access_key_id}
            await mutation.log(Entry(Kind.ACCOUNT_UPSTREAM, actor, name, None, row.record, told))
        return account

    async def adopt(self, above: int, actor: str, told: dict[str, object]) -> int:
        """Accept the keystore as it stands: its new generation, of which nothing learned before is true."""
        async with self._mutation() as mutation:
            return await mutation.raise_generation(above, actor, told)

    async def reseal(self, kek_id: str, place: Place, limit: int, actor: str) -> Resealed:
        async with self._mutation() as mutation:
            return await reseal_page(mutation, kek_id, place, limit, actor)

    def use(self, ring: KekRing) -> None:
        """Read and write with these KEKs from the next transaction on."""
        self._ring = ring

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

    async def _known(self, mutation: Mutation, access_key_id: str) -> tuple[AccessKeyRow, AccessKey]:
        row, last = await mutation.find(access_key_id)
        access_key = mutation.rows.read_access_key(row, last)
        if row is None or access_key is None:
            raise _no_such_key(access_key_id)
        return row, access_key

    async def _unmoved(self, mutation: Mutation, name: str, version: int) -> BucketClaim | None:
        claim = await mutation.claim(name)
        if (0 if claim is None else claim.version) != version:
            raise Conflict(f"the bucket name {name} was claimed anew meanwhile")
        return claim

    # ---- inside ----

    @contextlib.asynccontextmanager
    async def _mutation(self) -> AsyncIterator[Mutation]:
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
                await self._read_back(mutation.changes)
                if mutation.change is not None:
                    self.committed_seq = mutation.change.seq

    async def _begun(self) -> Mutation:
        """RecordRefused unless the log ends exactly where the store row says."""
        rows, store, last = await self._end_of_log()
        at = START if last is None else rows.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
        if at != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")
        return Mutation(self._connection, rows, store, int(self._clock()))

    async def _end_of_log(self) -> tuple[SealedRows, StoreRow, LastChange | None]:
        store, last = read_log_end(await fetch(self._connection, SELECT_LOG_END))
        return enter_store(self._ring, store), store, last

    async def _read_back(self, changes: Sequence[Change]) -> None:
        """What was committed must still be there: whoever writes the file behind our back may have taken it out."""
        assert changes, "every mutation writes a change"
        for change in changes:
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
        mutation = Mutation(self._connection, rows, store, int(self._clock()))
        await mutation.add_account(DEFAULT_ACCOUNT, FOUNDER)
        make_board(self._path)


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

"""The acts on a keystore, each written once: what a key, an account, a claim or a token becomes, and what the log says.

A store of one database says how a transaction begins and ends, and how rows are read; it gives the statements in its
own words. Knows no database.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from keystore import minting
from keystore.access_key import ACCESS_KEY_ID, AccessKey, KnownKey, RevokeReason, granted_now, revoked
from keystore.accounts import DEFAULT_ACCOUNT, Account
from keystore.admin_tokens import TOKEN_ID, AdminToken, secret_hash, token_text
from keystore.admin_tokens import revoked as token_revoked
from keystore.bucket_claims import BucketClaim, assigned, claimed, released, undone
from keystore.chain import START, Change, Kind, Position, StoreRow
from keystore.derived import StoreCredential, UpstreamCredential
from keystore.errors import Conflict, InvalidInput, KeystoreUnavailable, NotFound, Outdated, RecordRefused
from keystore.found_rows import (
    read_access_keys,
    read_claims,
    read_found_account,
    read_found_key,
    read_log_end,
    read_tokens,
)
from keystore.key_acts import Edit, edit_json, restored, rolled, updated
from keystore.mutation import Entry, Mutation
from keystore.record import AccessKeyRow
from keystore.reseal import reseal_page
from keystore.sealed_rows import SealedRows, enter_store, found_store
from keystore.sealing import KekRing, Secret
from keystore.statements import Hand, Statements
from keystore.store import (
    Claimed,
    Issued,
    KeyOrder,
    NewKey,
    NewToken,
    Once,
    Place,
    Resealed,
    check_foreign,
    check_once,
    check_page,
    check_request_id,
    draft_key,
    draft_token,
)
from keystore.verified_rows import LastChange

FOUNDER: Final = "nqgate"  # the actor of the first change, which makes the default account


class StoreActs(ABC):
    """Implements `keystore.store.Store` over what a subclass adds. `clock` gives Unix seconds."""

    def __init__(self, statements: Statements, ring: KekRing, clock: Callable[[], float]) -> None:
        self._statements = statements
        self._ring = ring
        self._clock = clock
        self.committed_seq = 0

    @property
    def ring(self) -> KekRing:
        """The KEKs it reads and writes with."""
        return self._ring

    # ---- what a database adds ----

    @abstractmethod
    def _mutation(self) -> contextlib.AbstractAsyncContextManager[Mutation]:
        """A transaction of the only writer, from `_begun` on; left without an error, it is durable, its changes were
        seen there after the commit, and `committed_seq` says so. With one, nothing of it is left.
        """

    @abstractmethod
    async def _read(self, statement: str, *values: str | int | None) -> tuple[SealedRows, list[tuple[object, ...]]]:
        """The means to verify what was found, and the rows."""

    # ---- the contract ----

    async def create_account(self, name: str, actor: str) -> Account:
        async with self._mutation() as mutation:
            if await mutation.fetch(mutation.statements.list_accounts, name):
                raise Conflict(f"there is an account {name!r} already")
            return await mutation.add_account(name, actor)

    async def list_accounts(self) -> list[Account]:
        rows, found = await self._read(self._statements.list_accounts, None)
        return [rows.read_account(*read_found_account(row)) for row in found]

    async def create_key(self, new: NewKey, actor: str, once: Once | None = None) -> tuple[AccessKey, Secret]:
        async with self._mutation() as mutation:
            if once is not None:
                check_once(once)
                await mutation.require_first(once)
            await mutation.account(new.account)
            access_key = await self._granted(mutation, new, await mutation.free_access_key_id(), actor)
            return access_key, await mutation.add_key(access_key, once=once)

    async def import_key(self, new: NewKey, access_key_id: str, secret: Secret, actor: str) -> AccessKey:
        check_foreign(access_key_id, secret)
        async with self._mutation() as mutation:
            await mutation.account(new.account)
            await mutation.require_new(access_key_id)
            access_key = await self._granted(mutation, new, access_key_id, actor)
            await mutation.add_key(access_key, secret)
        return access_key

    async def _granted(self, mutation: Mutation, new: NewKey, access_key_id: str, actor: str) -> AccessKey:
        drafted = draft_key(new, access_key_id, mutation.now, actor)
        return granted_now(drafted, await mutation.claims(drafted.grants or ()))

    async def list_keys(self, account: str | None) -> list[AccessKey]:
        return read_access_keys(*await self._read(self._statements.list_access_keys, account))

    async def page_keys(self, account: str | None, after: KeyOrder | None, limit: int) -> list[AccessKey]:
        created_at, access_key_id = check_page(after, limit)
        if account is None:
            found = await self._read(self._statements.page_access_keys, created_at, access_key_id, limit)
        else:
            found = await self._read(self._statements.page_access_keys_of, created_at, access_key_id, limit, account)
        return read_access_keys(*found)

    async def known_key(self, access_key_id: str, date: bytes) -> KnownKey | None:
        if not ACCESS_KEY_ID.match(access_key_id):
            return None
        rows, found = await self._read(self._statements.find_access_key, access_key_id)
        row, last = read_found_key(found[0])
        access_key = rows.read_access_key(row, last)
        return None if row is None or access_key is None else rows.known_key(row, access_key, date)

    async def get_key(self, access_key_id: str) -> AccessKey:
        rows, found = await self._read(self._statements.find_access_key, access_key_id)
        access_key = rows.read_access_key(*read_found_key(found[0]))
        if access_key is None:
            raise _no_such_key(access_key_id)
        return access_key

    async def revoke_key(
        self, access_key_id: str, reason: RevokeReason, actor: str, *, drain: bool = False
    ) -> AccessKey:
        async with self._mutation() as mutation:
            row, last = await mutation.find(access_key_id)
            access_key = mutation.rows.read_access_key(row, last)
            if row is None or access_key is None:
                raise _no_such_key(access_key_id)
            after = revoked(access_key, mutation.now, actor, reason, drain=drain)
            row = mutation.rows.rewritten(row, after)
            await mutation.execute(mutation.statements.put_access_key, row)
            told: dict[str, object] = {
                "label": after.label,
                "reason": reason.value,
                **({"drain": True} if drain else {}),
            }
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

    async def update_key(self, access_key_id: str, edit: Edit, actor: str, version: int | None = None) -> AccessKey:
        async with self._mutation() as mutation:
            row, access_key = await self._known(mutation, access_key_id)
            if version not in (None, access_key.version):
                raise Outdated(f"{access_key_id} was changed meanwhile: version {access_key.version}, not {version}")
            after = updated(access_key, edit, await mutation.claims(edit.buckets), mutation.now)
            await mutation.rewrite_key(Kind.KEY_UPDATE, row, after, actor, edit_json(edit))
        return after

    async def delete_key(self, access_key_id: str, actor: str) -> None:
        async with self._mutation() as mutation:
            row, last = await mutation.find(access_key_id)
            if last is None or (row is None and last.change.kind == Kind.KEY_DELETE.value):
                raise _no_such_key(access_key_id)
            await mutation.execute(mutation.statements.delete_access_key, (access_key_id,))
            await mutation.log(Entry(Kind.KEY_DELETE, actor, last.change.account, access_key_id, None, {}))

    async def set_upstream(self, name: str, access_key_id: str | None, secret: Secret | None, actor: str) -> Account:
        if (access_key_id is None) is not (secret is None):
            raise InvalidInput("a credential is an access key id and its secret")
        async with self._mutation() as mutation:
            account = await mutation.account(name)
            account = replace(account, upstream=access_key_id, version=account.version + 1)
            row = mutation.rows.account(account, secret)
            await mutation.execute(mutation.statements.put_account, row)
            told: dict[str, object] = {"upstream_access_key_id": access_key_id}
            await mutation.log(Entry(Kind.ACCOUNT_UPSTREAM, actor, name, None, row.record, told))
        return account

    async def store_credential(self, account: str) -> StoreCredential | None:
        rows, found = await self._read(self._statements.list_accounts, account)
        if not found:
            raise NotFound(f"there is no account {account!r}")
        row, last = read_found_account(found[0])
        known = rows.read_account(row, last)
        if known.upstream is None:
            return None
        return UpstreamCredential(known.upstream, rows.open_upstream(row).expose())

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

    async def claims(self, names: Iterable[str]) -> dict[str, BucketClaim]:
        wanted = json.dumps(list(dict.fromkeys(names)))
        return read_claims(*await self._read(self._statements.find_buckets, wanted))[0]

    async def list_claims(self, account: str | None) -> dict[str, BucketClaim]:
        return read_claims(*await self._read(self._statements.list_buckets, account))[0]

    # ---- admin tokens ----

    async def create_token(self, new: NewToken, actor: str) -> tuple[AdminToken, Secret]:
        secret = minting.mint_secret()
        async with self._mutation() as mutation:
            token = draft_token(new, await mutation.free_token_id(), secret_hash(secret), mutation.now, actor)
            if token.account is not None:
                await mutation.account(token.account)
            await mutation.put_token(Kind.TOKEN_CREATE, token, actor)
        return token, Secret(token_text(token.token_id, secret))

    async def list_tokens(self, account: str | None = None) -> list[AdminToken]:
        return read_tokens(*await self._read(self._statements.list_admin_tokens, account))

    async def find_token(self, token_id: str) -> AdminToken | None:
        if not TOKEN_ID.match(token_id):
            return None
        found = read_tokens(*await self._read(self._statements.find_admin_token, token_id))
        return found[0] if found else None

    async def revoke_token(self, token_id: str, actor: str) -> AdminToken:
        async with self._mutation() as mutation:
            token = token_revoked(await mutation.token(token_id), mutation.now, actor)
            await mutation.put_token(Kind.TOKEN_REVOKE, token, actor)
        return token

    async def note_sign_in(self, nonce: str, actor: str, account: str | None, told: dict[str, object]) -> bool:
        check_request_id(nonce)
        try:
            async with self._mutation() as mutation:
                if await mutation.done_before(nonce):
                    raise _Spent
                if account is not None:
                    await mutation.account(account)
                entry = Entry(Kind.CONSOLE_SIGN_IN, actor, account or "", None, None, told, request_id=nonce)
                await mutation.log(entry)
        except _Spent:
            return False
        return True

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

    # ---- what databases share ----

    async def _begun(self, hand: Hand) -> Mutation:
        """RecordRefused unless the log ends exactly where the store row says."""
        rows, store, last = await self._end_of_log(hand)
        at = START if last is None else rows.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
        if at != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")
        return Mutation(hand, self._statements, rows, store, int(self._clock()))

    async def _end_of_log(self, hand: Hand) -> tuple[SealedRows, StoreRow, LastChange | None]:
        store, last = read_log_end(await hand.fetch(self._statements.log_end))
        return enter_store(self._ring, store), store, last

    async def _read_back(self, hand: Hand, changes: Sequence[Change]) -> None:
        """What was committed must still be there: whoever writes the database behind our back may have taken it out."""
        assert changes, "every mutation writes a change"
        for change in changes:
            if await hand.fetch(self._statements.mac_at, change.seq) != [(change.mac,)]:
                raise KeystoreUnavailable("the change was committed and is gone again: not proven, run it again")

    async def _found(self, hand: Hand) -> None:
        """Write the first rows of a new keystore."""
        rows, store = found_store(self._ring, minting.mint_store_id())
        mutation = Mutation(hand, self._statements, rows, store, int(self._clock()))
        await mutation.add_account(DEFAULT_ACCOUNT, FOUNDER)


class _Spent(Conflict):
    """Ends a mutation that has nothing to write."""


def _no_such_key(access_key_id: str) -> NotFound:
    return NotFound(f"there is no access key {access_key_id}")

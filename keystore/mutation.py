"""One mutation of a keystore: what is read and written between BEGIN and COMMIT, whatever the database.

Every row that is put is told by a change in the log, and the store row moves with each change. Knows no BEGIN and no
COMMIT: who makes a mutation holds the transaction.
"""

import hmac
import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from keystore import minting
from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.admin_tokens import TOKEN_ID, AdminToken, no_such_token
from keystore.bucket_claims import BucketClaim
from keystore.chain import Change, Kind, Position, StoreRow, record_digest
from keystore.errors import Conflict, NotFound, Repeated
from keystore.found_rows import (
    read_claims,
    read_found_account,
    read_found_admin_token,
    read_found_key,
    read_last_change,
    read_tokens,
)
from keystore.record import AccessKeyRow, canonical_json
from keystore.scope import scope_json
from keystore.sealed_rows import SealedRows
from keystore.sealing import Secret
from keystore.statements import Hand, Statements
from keystore.store import Once
from keystore.verified_rows import LastChange

MINT_ATTEMPTS: Final = 5  # 16 of 36 letters collide never; a generator that does is broken


class Entry(NamedTuple):
    """What the log says of one record. `record`: the bytes left, None for none; `told`: for people, no secret."""

    kind: Kind
    actor: str
    account: str
    access_key_id: str | None
    record: bytes | None
    told: dict[str, object]
    bucket: str | None = None
    token: str | None = None
    request_id: str | None = None  # None = one is minted


class Mutation:
    """`now`: Unix seconds. `changes`: what it has logged so far, with contiguous sequence numbers."""

    def __init__(self, hand: Hand, statements: Statements, rows: SealedRows, store: StoreRow, now: int) -> None:
        self.execute = hand.execute
        self.fetch = hand.fetch
        self.statements = statements
        self.rows = rows
        self.now = now
        self.changes: list[Change] = []
        self._store = store

    @property
    def change(self) -> Change | None:
        """The last one it logged."""
        return self.changes[-1] if self.changes else None

    async def find(self, access_key_id: str) -> tuple[AccessKeyRow | None, LastChange | None]:
        [found] = await self.fetch(self.statements.find_access_key, access_key_id)
        return read_found_key(found)

    async def done_before(self, request_id: str) -> Change | None:
        """The change that is in the log under this request id."""
        found = await self.fetch(self.statements.find_request, request_id)
        last = read_last_change(found[0]) if found else None
        return None if last is None else self.rows.checked(last)

    async def require_first(self, once: Once) -> None:
        """Repeated when this request has made a key; Conflict when its id stands for something else."""
        change = await self.done_before(once.request_id)
        if change is None:
            return
        if change.kind != Kind.KEY_CREATE.value or change.access_key_id is None:
            raise Conflict("the id of this request was used for something else: choose another Idempotency-Key")
        known = str(json.loads(change.body).get("once", ""))
        raise Repeated(change.access_key_id, same=hmac.compare_digest(known.encode(), once.digest.encode()))

    async def log(self, entry: Entry) -> None:
        """Append a change and move the store row to it."""
        draft = Change(
            seq=0,
            request_id=entry.request_id or minting.mint_request_id(),
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
            token=entry.token,
        )
        change = self.rows.change(Position(self._store.seq, self._store.head), draft)
        self._store = self.rows.store_row(self._store, Position(change.seq, change.mac))
        await self.execute(self.statements.add_change, change)
        await self.execute(self.statements.put_store, (1, *self._store))
        self.changes.append(change)

    async def raise_generation(self, above: int, actor: str, told: dict[str, object]) -> int:
        """To one more than it was and than `above`. The change names nothing, and so everything."""
        self._store = self._store._replace(generation=max(self._store.generation, above) + 1)
        await self.log(Entry(Kind.KEYSTORE_ADOPT, actor, "", None, None, told))
        return self._store.generation

    def seal_under_newest(self) -> None:
        """What is put from here on; with the store row, which moves with the next change, every later writer too."""
        self.rows = self.rows.under_newest()

    async def retire_older_keks(self, actor: str) -> None:
        """Nothing that stands under an older KEK than the one that seals is accepted any more, but rows of the log."""
        self._store = self._store._replace(min_kek=self.rows.kek_id)
        await self.log(Entry(Kind.KEK_RETIRE, actor, "", None, None, {"min_kek": self.rows.kek_id}))

    async def add_key(self, access_key: AccessKey, imported: Secret | None = None, once: Once | None = None) -> Secret:
        """Store a new key under a new secret, or the one it brings; made by its `created_by`, on the request `once`."""
        secret = imported or Secret(minting.mint_secret())
        row = self.rows.access_key(access_key, secret)
        await self.execute(self.statements.put_access_key, row)
        told: dict[str, object] = {"label": access_key.label, "scope": scope_json(access_key.scope)}
        if access_key.manage_keys:
            told["manage_keys"] = True
        if access_key.replaces is not None:
            told["replaces"] = access_key.replaces
        if imported is not None:
            told["imported"] = True
        if once is not None:
            told["once"] = once.digest
        entry = Entry(Kind.KEY_CREATE, access_key.created_by, row.account, row.access_key_id, row.record, told)
        await self.log(entry._replace(request_id=once and once.request_id))
        return secret

    async def rewrite_key(
        self, kind: Kind, row: AccessKeyRow, after: AccessKey, actor: str, told: dict[str, object]
    ) -> None:
        """Put `after` in the place of the record in `row`; its secret stays as it is sealed."""
        row = self.rows.rewritten(row, after)
        await self.execute(self.statements.put_access_key, row)
        await self.log(Entry(kind, actor, row.account, row.access_key_id, row.record, told))

    async def add_account(self, name: str, actor: str) -> Account:
        account = Account(name, await self._free_number(), self.now, actor)
        row = self.rows.account(account)
        await self.execute(self.statements.put_account, row)
        await self.log(Entry(Kind.ACCOUNT_CREATE, actor, name, None, row.record, {"number": account.number}))
        return account

    async def account(self, name: str) -> Account:
        """NotFound when there is none."""
        found = await self.fetch(self.statements.list_accounts, name)
        if not found:
            raise NotFound(f"there is no account {name!r}")
        return self.rows.read_account(*read_found_account(found[0]))

    async def token(self, token_id: str) -> AdminToken:
        """NotFound when there is none."""
        if not TOKEN_ID.match(token_id):
            raise no_such_token(token_id)
        found = read_tokens(self.rows, await self.fetch(self.statements.find_admin_token, token_id))
        if not found:
            raise no_such_token(token_id)
        return found[0]

    async def claims(self, names: Iterable[str]) -> dict[str, BucketClaim]:
        return read_claims(self.rows, await self.fetch(self.statements.find_buckets, json.dumps(list(names))))[0]

    async def claim(self, name: str) -> BucketClaim | None:
        return (await self.claims([name])).get(name)

    async def put_claim(self, kind: Kind, claim: BucketClaim) -> None:
        row = self.rows.bucket(claim)
        await self.execute(self.statements.put_bucket, row)
        told: dict[str, object] = {"generation": claim.generation, "state": claim.state.value}
        await self.log(Entry(kind, claim.changed_by, claim.account, None, row.record, told, claim.name))

    async def put_token(self, kind: Kind, token: AdminToken, actor: str) -> None:
        row = self.rows.admin_token(token)
        await self.execute(self.statements.put_admin_token, row)
        told: dict[str, object] = {"label": token.label, "role": token.role.value}
        await self.log(Entry(kind, actor, row.account, None, row.record, told, token=token.token_id))

    async def free_access_key_id(self) -> str:
        """One that no key has or ever had: ids of deleted keys stay in the log."""
        for _ in range(MINT_ATTEMPTS):
            access_key_id = minting.mint_access_key_id()
            if not await self._any(self.statements.ever_issued, access_key_id):
                return access_key_id
        raise Conflict("no free access key id was drawn: the random generator repeats itself")

    async def require_new(self, access_key_id: str) -> None:
        """Conflict when a key has this id or ever had it."""
        if await self._any(self.statements.ever_issued, access_key_id):
            raise Conflict(f"{access_key_id} is or was the id of a key here, and is never given again")

    async def free_token_id(self) -> str:
        """One that no token has or ever had."""
        for _ in range(MINT_ATTEMPTS):
            token_id = minting.mint_token_id()
            [found] = await self.fetch(self.statements.find_admin_token, token_id)
            if read_found_admin_token(found) == (None, None):
                return token_id
        raise Conflict("no free token id was drawn: the random generator repeats itself")

    async def _free_number(self) -> str:
        for _ in range(MINT_ATTEMPTS):
            number = minting.mint_account_number()
            if not await self._any(self.statements.number_taken, number):
                return number
        raise Conflict("no free account number was drawn: the random generator repeats itself")

    async def _any(self, question: str, value: str) -> bool:
        [[answer]] = await self.fetch(question, value)
        return bool(answer)

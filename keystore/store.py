"""The contract of a keystore that can be written: what the command line and the console ask, whatever lies below.

Every mutation is one transaction: the rows, one change row, the head. When a call returns, the mutation is durable.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, Protocol

from keystore.access_key import (
    ACCESS_KEY_ID,
    LATEST,
    AccessKey,
    KnownKey,
    RevokeReason,
    Status,
    check_times,
    clean_label,
)
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken, Role
from keystore.bucket_claims import BucketClaim
from keystore.derived import StoreCredential
from keystore.errors import InvalidInput
from keystore.key_acts import Edit
from keystore.scope import Scope
from keystore.sealing import Secret
from keystore.source_cidrs import clean_cidrs

# Of keys that are imported. AWS's and ours have 40 characters; MinIO lets people choose theirs, from 8 on.
FOREIGN_SECRET: Final = re.compile(r"[!-~]{8,128}\Z")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A wish for a key. `scope` is mandatory; times are Unix seconds."""

    account: str
    label: str
    scope: Scope
    expires_at: int | None = None
    not_before: int | None = None
    source_cidrs: tuple[str, ...] = ()
    manage_keys: bool = False


def check_foreign(access_key_id: str, secret: Secret) -> None:
    """InvalidInput for what cannot be the id or the secret of a key that another program made."""
    if not ACCESS_KEY_ID.match(access_key_id):
        raise InvalidInput("an access key id has 3 to 128 of A-Z, a-z, 0-9, '_' and '-'")
    if not FOREIGN_SECRET.match(secret.expose()):
        raise InvalidInput(f"the secret of {access_key_id} is not 8 to 128 visible ASCII characters")


def draft_key(new: NewKey, access_key_id: str, now: int, actor: str) -> AccessKey:
    """The record of a new key. InvalidInput when label, times or source networks do not hold."""
    check_times(new.not_before, new.expires_at, now)
    return AccessKey(
        access_key_id=access_key_id,
        account=new.account,
        label=clean_label(new.label),
        scope=new.scope,
        status=Status.ACTIVE,
        created_at=now,
        created_by=actor,
        expires_at=new.expires_at,
        not_before=new.not_before,
        source_cidrs=clean_cidrs(new.source_cidrs),
        manage_keys=new.manage_keys,
    )


REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
MAX_DIGEST: Final = 128  # characters


class Once(NamedTuple):
    """`request_id`: 32 hex digits, the same for the same caller and Idempotency-Key. `digest`: of what was asked with
    it."""

    request_id: str
    digest: str


def check_once(once: Once) -> None:
    """InvalidInput for what no caller derives."""
    check_request_id(once.request_id)
    if not 1 <= len(once.digest) <= MAX_DIGEST or not once.digest.isascii():
        raise InvalidInput(f"the digest of a request has 1 to {MAX_DIGEST} ASCII characters")


def check_request_id(request_id: str) -> None:
    if not REQUEST_ID.match(request_id):
        raise InvalidInput("a request id has 32 of 0-9 and a-f")


MAX_PAGE: Final = 1000  # keys of one page
KeyOrder = tuple[int, str]  # created_at and id of a key: the order of pages
NEWEST_KEY: Final[KeyOrder] = (2**63 - 1, "")


def check_page(after: KeyOrder | None, limit: int) -> KeyOrder:
    """Behind which key a page begins. InvalidInput for a place no key can have, and for a page of none or too many."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} keys")
    if after is not None and not (0 <= after[0] <= LATEST and ACCESS_KEY_ID.match(after[1])):
        raise InvalidInput("no page of keys begins there: ask for the first one")
    return NEWEST_KEY if after is None else after


@dataclass(frozen=True, slots=True)
class NewToken:
    """A wish for an admin token. `account`: of an owner. `expires_at`: Unix seconds."""

    role: Role
    label: str
    account: str | None = None
    expires_at: int | None = None


def draft_token(new: NewToken, token_id: str, secret_sha256: bytes, now: int, actor: str) -> AdminToken:
    """The record of a new token. InvalidInput when label or expiry do not hold, or role and account do not fit."""
    check_times(None, new.expires_at, now)
    return AdminToken(
        token_id=token_id,
        label=clean_label(new.label),
        role=new.role,
        account=new.account,
        created_at=now,
        created_by=actor,
        secret_sha256=secret_sha256,
        expires_at=new.expires_at,
    )


class Issued(NamedTuple):
    """What a roll made: the successor with its secret, and the record of the key it replaces."""

    successor: AccessKey
    secret: Secret
    ended: AccessKey


class Claimed(NamedTuple):
    """A claim that was made, and what stood there before: what `undo_claim` needs."""

    claim: BucketClaim
    before: BucketClaim | None


class Table(Enum):
    """Whose rows stand under a KEK, in the order in which they are sealed anew."""

    ACCOUNT = "account"
    ACCESS_KEY = "access_key"
    BUCKET = "bucket"
    ADMIN_TOKEN = "admin_token"  # noqa: S105


class Place(NamedTuple):
    """Behind which id of which table a pass over all rows goes on."""

    table: Table
    after: str


FIRST_PLACE: Final = Place(Table.ACCOUNT, "")


class Resealed(NamedTuple):
    """How many rows a page had, and where the next one begins; None: the older KEKs are retired, the pass is over."""

    rows: int
    following: Place | None


class Store(Protocol):
    """Raises KeystoreUnavailable when the database does not answer, RecordRefused for a row that fails its MAC.

    `committed_seq`: of the last change that was made through this store and is durable; 0 = none.
    """

    committed_seq: int

    async def create_account(self, name: str, actor: str) -> Account:
        """InvalidInput for the name, Conflict when it is taken."""

    async def list_accounts(self) -> list[Account]:
        """By name."""

    async def set_upstream(self, name: str, access_key_id: str | None, secret: Secret | None, actor: str) -> Account:
        """Give the account a credential of its own at the store, or take it away: both are None then.

        NotFound for the account, InvalidInput for the id.
        """

    async def store_credential(self, account: str) -> StoreCredential | None:
        """The account's own at the store; None: the gateway's is used. NotFound for the account."""

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed:
        """Take the name for `account`. Always writes, so that what was decided on an older claim is seen to be old.

        Conflict when another account holds it, InvalidInput for a name that is none.
        """

    async def undo_claim(self, made: Claimed, actor: str) -> None:
        """The store refused to make the bucket. Conflict when the name was claimed anew meanwhile: it stays so."""

    async def release_bucket(self, name: str, version: int, actor: str) -> None:
        """The bucket was deleted. `version`: of the claim it was deleted under, 0 = none. Conflict as `undo_claim`."""

    async def assign_bucket(self, name: str, account: str, actor: str) -> BucketClaim:
        """Give the name to `account`, whoever holds it. NotFound for the account, InvalidInput for the name."""

    async def claims(self, names: Iterable[str]) -> dict[str, BucketClaim]:
        """By name: of these, as many as were ever claimed. Costs what they are, not what the keystore has."""

    async def list_claims(self, account: str | None) -> dict[str, BucketClaim]:
        """By name: of those the account holds, or held last; None = all. What nobody claimed is not among them."""

    async def create_key(self, new: NewKey, actor: str, once: Once | None = None) -> tuple[AccessKey, Secret]:
        """The only time the secret is seen. InvalidInput for label or times, NotFound for the account.

        Repeated when the request `once` has made a key before, however long ago: none is made now.
        """

    async def import_key(self, new: NewKey, access_key_id: str, secret: Secret, actor: str) -> AccessKey:
        """A key that another program made. Conflict for an id that a key here has or ever had."""

    async def list_keys(self, account: str | None) -> list[AccessKey]:
        """Oldest first; None = of all accounts. Revoked and expired ones included, deleted ones gone."""

    async def page_keys(self, account: str | None, after: KeyOrder | None, limit: int) -> list[AccessKey]:
        """Newest first, by created_at and then id; None = of all accounts. `after`: of the last key of the page before,
        None = the first page. `limit`: at most MAX_PAGE; fewer are the last page. InvalidInput for both."""

    async def known_key(self, access_key_id: str, date: bytes) -> KnownKey | None:
        """As `directory.find`, read anew each time: kDate of `date` (b"YYYYMMDD") is there. None for an id that no key
        has."""

    async def get_key(self, access_key_id: str) -> AccessKey:
        """NotFound when it never was or was deleted."""

    async def revoke_key(
        self, access_key_id: str, reason: RevokeReason, actor: str, *, drain: bool = False
    ) -> AccessKey:
        """Always writes a change, also for a key that is revoked already: a no-op could be undone by a crash. `drain`:
        requests that were admitted before may finish; InvalidInput for a compromised key."""

    async def restore_key(self, access_key_id: str, actor: str) -> AccessKey:
        """NotFound; Conflict unless it is revoked, and not as compromised. An expired key stays expired."""

    async def roll_key(self, access_key_id: str, overlap: int, actor: str) -> Issued:
        """One mutation of two changes: a successor that reaches the same, and the end of the old key `overlap` seconds
        from now, 0 = at once, by a revoke. The only time the successor's secret is seen.

        NotFound, InvalidInput for the overlap, Conflict as `key_acts.rolled`.
        """

    async def update_key(self, access_key_id: str, edit: Edit, actor: str, version: int | None = None) -> AccessKey:
        """NotFound, InvalidInput and Conflict as `key_acts.updated`. `version`: of the record that the caller has seen,
        None = any; Outdated when it is another one by now."""

    async def delete_key(self, access_key_id: str, actor: str) -> None:
        """From any state, and even when its record is refused. The id is never issued again."""

    async def create_token(self, new: NewToken, actor: str) -> tuple[AdminToken, Secret]:
        """The record, and the token as text: the only time it is seen.

        InvalidInput for label, expiry, or an account that does not fit the role; NotFound for the account.
        """

    async def list_tokens(self, account: str | None = None) -> list[AdminToken]:
        """Oldest first; None = all, else those of the account's owners. Revoked and expired ones included."""

    async def find_token(self, token_id: str) -> AdminToken | None:
        """Held against the last change of the log that names it. None for an id that no token ever had.

        A token that is found opens nothing by that: see `admin_tokens.holds` and `admin_tokens.usable`.
        """

    async def revoke_token(self, token_id: str, actor: str) -> AdminToken:
        """NotFound. Always writes a change, as `revoke_key`; final."""

    async def note_sign_in(self, nonce: str, actor: str, account: str | None, told: dict[str, object]) -> bool:
        """That somebody signs in by a link: a change of the log, under the link's nonce, 32 hex digits. False when it
        was used before: nobody may sign in by it now. `account`: of an owner. `told`: for people, no secret.

        NotFound for the account, InvalidInput for what is no nonce.
        """

    async def reseal(self, kek_id: str, place: Place, limit: int, actor: str) -> Resealed:
        """Seal the next `limit` rows behind `place` under `kek_id`, the newest KEK that is loaded, from which call on
        everything written is sealed under it. When no row is left under another one, retire the older KEKs instead:
        what stands under them is refused from then on, except rows of the log. One transaction, and one change.

        Conflict when `kek_id` is not the newest; RecordRefused for a row that does not hold, and nothing was done.
        """

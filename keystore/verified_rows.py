"""Rows read under the MAC keys of one keystore: what needs no key-encryption key, and opens no seal.

A row is judged together with the last change that names it, so that an older row put back, a deleted one put back, and
one taken out are all refused. Knows no database.
"""

import hmac
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken
from keystore.bucket_claims import BucketClaim
from keystore.chain import Change, Kind, Position, StoreRow, follow, record_digest, store_mac
from keystore.errors import KeystoreUnavailable, RecordRefused, WrongKek
from keystore.record import (
    AccessKeyRow,
    AccountRow,
    AdminTokenRow,
    BucketRow,
    read_access_key,
    read_account,
    read_admin_token,
    read_bucket,
)

PROTOCOL: Final = 4  # 2: changes that name a bucket; 3: that name an admin token; 4: of an account that leave no record


class LastChange(NamedTuple):
    """The newest change that names a record, and the MAC of the row before it (GENESIS before the first)."""

    change: Change
    previous_mac: bytes


class Macs(Protocol):
    """The MAC keys of one keystore by kek_id, 32 bytes each. WrongKek for a KEK that is not loaded; a retired one has
    a key for the chain only."""

    def record(self, kek_id: str) -> bytes: ...
    def chain(self, kek_id: str) -> bytes: ...
    def store(self, kek_id: str) -> bytes: ...


class HandedMac(NamedTuple):
    """The MAC keys of one KEK, handed to a process that does not hold it. Of a retired one `record` and `store` are
    b""."""

    kek_id: str
    record: bytes
    chain: bytes
    store: bytes

    def __repr__(self) -> str:
        return f"HandedMac({self.kek_id}, <hidden>)"


class HandedMacs:
    """The MAC keys of the keystore `store_id`, the oldest KEK first, as `MacKeys.handed` gave them."""

    __slots__ = ("_by_id", "_macs", "store_id")

    def __init__(self, store_id: str, macs: tuple[HandedMac, ...]) -> None:
        self.store_id = store_id
        self._macs = macs
        self._by_id = {mac.kek_id: mac for mac in macs}

    @property
    def usable(self) -> list[str]:
        """The kek_ids that are not retired, the newest last."""
        return [mac.kek_id for mac in self._macs if mac.record]

    def record(self, kek_id: str) -> bytes:
        return self._found(kek_id, self._named(kek_id).record)

    def chain(self, kek_id: str) -> bytes:
        return self._named(kek_id).chain

    def store(self, kek_id: str) -> bytes:
        return self._found(kek_id, self._named(kek_id).store)

    def since(self, kek_id: str) -> "HandedMacs":
        """With the KEKs older than `kek_id` retired. WrongKek when that one is not there."""
        self.record(kek_id)
        oldest = [mac.kek_id for mac in self._macs].index(kek_id)
        retired = tuple(mac._replace(record=b"", store=b"") for mac in self._macs[:oldest])
        return HandedMacs(self.store_id, (*retired, *self._macs[oldest:]))

    def _named(self, kek_id: str) -> HandedMac:
        found = self._by_id.get(kek_id)
        if found is None:
            raise WrongKek(f"wrong key: something stands under key-encryption key {kek_id}, which is not loaded")
        return found

    @staticmethod
    def _found(kek_id: str, mac_key: bytes) -> bytes:
        if not mac_key:
            raise WrongKek(f"wrong key: key-encryption key {kek_id} is retired and reads the change log only")
        return mac_key


class VerifiedRows:
    """Everything raises RecordRefused for what does not hold, and WrongKek for a row under a KEK that is not loaded."""

    __slots__ = ("_macs", "store_id")

    def __init__(self, macs: Macs, store_id: str) -> None:
        self._macs = macs
        self.store_id = store_id

    def check_store_row(self, row: StoreRow) -> None:
        if row.store_id != self.store_id:
            raise KeystoreUnavailable("another keystore lies where this one was")
        if not hmac.compare_digest(store_mac(self._macs.store(row.kek_id), row), row.mac):
            raise RecordRefused("the store row fails its MAC")

    def require_log_keys(self, kek_ids: Iterable[str]) -> None:
        """WrongKek when a part of the log was written under a KEK that is not loaded, retired or not."""
        for kek_id in kek_ids:
            self._macs.chain(kek_id)

    def follow(self, position: Position, changes: list[Change]) -> Position:
        return follow(position, changes, self.store_id, self._macs.chain)

    def read_access_key(self, row: AccessKeyRow | None, last: LastChange | None) -> AccessKey | None:
        """The verified record that `last` left, None for an id that never was or was deleted."""
        what = "" if row is None else f"access key {row.access_key_id}"
        if last is None:
            if row is not None:
                raise RecordRefused(f"{what}: no change wrote this record")
            return None
        change = self.checked(last)
        if change.kind == Kind.KEY_DELETE.value:
            if row is not None:
                raise RecordRefused(f"{what}: was deleted, and its record is back")
            return None
        if row is None:
            raise RecordRefused(f"access key {change.access_key_id}: its record was taken out")
        self._check_newest(what, row.record, change)
        return read_access_key(self._macs.record(row.kek_id), self.store_id, row)

    def read_account(self, row: AccountRow, last: LastChange | None) -> Account:
        if last is None:
            raise RecordRefused(f"account {row.name}: no change wrote this record")
        self._check_newest(f"account {row.name}", row.record, self.checked(last))
        return read_account(self._macs.record(row.kek_id), self.store_id, row)

    def read_bucket(self, row: BucketRow | None, last: LastChange | None) -> BucketClaim | None:
        """The verified claim that `last` left, None for a name that nobody ever claimed. Claims are never deleted."""
        if last is None:
            if row is not None:
                raise RecordRefused(f"bucket {row.name}: no change wrote this record")
            return None
        change = self.checked(last)
        if row is None:
            raise RecordRefused(f"bucket {change.bucket}: its record was taken out")
        self._check_newest(f"bucket {row.name}", row.record, change)
        return read_bucket(self._macs.record(row.kek_id), self.store_id, row)

    def read_admin_token(self, row: AdminTokenRow | None, last: LastChange | None) -> AdminToken | None:
        """The verified record that `last` left, None for an id that no token ever had. Tokens are never deleted."""
        if last is None:
            if row is not None:
                raise RecordRefused(f"admin token {row.token_id}: no change wrote this record")
            return None
        change = self.checked(last)
        if row is None:
            raise RecordRefused(f"admin token {change.token}: its record was taken out")
        self._check_newest(f"admin token {row.token_id}", row.record, change)
        return read_admin_token(self._macs.record(row.kek_id), self.store_id, row)

    def checked(self, last: LastChange) -> Change:
        """The change, which was written by this keystore behind the one before it."""
        self.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
        return last.change

    def _check_newest(self, what: str, record: bytes, change: Change) -> None:
        if not hmac.compare_digest(record_digest(record), change.record_sha256):
            raise RecordRefused(f"{what}: the record is not the one last written; an older one may have been put back")


def check_protocol(row: StoreRow) -> None:
    """KeystoreUnavailable for a keystore of a newer gateway."""
    if row.protocol > PROTOCOL:
        raise KeystoreUnavailable(f"the keystore speaks protocol {row.protocol}, this gateway {PROTOCOL}: upgrade it")


def enter_verified(macs: HandedMacs, row: StoreRow) -> VerifiedRows:
    """The means to read the keystore whose store row this is. Raises WrongKek, RecordRefused when the row fails its
    MAC, KeystoreUnavailable for another keystore and for a protocol this version does not know.
    """
    check_protocol(row)
    rows = VerifiedRows(macs.since(row.min_kek), macs.store_id)
    rows.check_store_row(row)
    return rows

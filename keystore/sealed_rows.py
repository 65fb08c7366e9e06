"""Rows written and read under the keys of one keystore: what every store and every reader of one shares.

Knows no database. Writing: records become rows with seal and MAC. Opening: what was sealed is read again. How rows are
judged is `verified_rows`.
"""

import hmac
from typing import Final

from keystore.access_key import AccessKey, KnownKey
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken
from keystore.bucket_claims import BucketClaim
from keystore.chain import START, Change, Position, StoreRow, linked, store_mac
from keystore.derived import derive_date_key
from keystore.record import (
    AccessKeyRow,
    AccountRow,
    AdminTokenRow,
    BucketRow,
    access_key_mac,
    access_key_record,
    account_mac,
    account_record,
    admin_token_mac,
    admin_token_record,
    bucket_mac,
    bucket_record,
)
from keystore.sealing import Binding, Kek, KekRing, MacKeys, Secret, check_canary, open_seal, seal, seal_canary
from keystore.verified_rows import PROTOCOL, LastChange, VerifiedRows, check_protocol

DEFAULT_LEASE_MS: Final = 4000


def secret_binding(account: str, access_key_id: str) -> Binding:
    return Binding("secret", account, access_key_id)


def upstream_binding(account: str) -> Binding:
    return Binding("upstream", account, account)


class SealedRows(VerifiedRows):
    """Rows of the keystore `store_id`, under the KEKs of `ring`: `sealing` seals, the newest unless said otherwise;
    all of them open.
    """

    __slots__ = ("_ring", "_sealing")

    def __init__(self, ring: KekRing, store_id: str, sealing: Kek | None = None) -> None:
        super().__init__(MacKeys(ring, store_id), store_id)
        self._ring = ring
        self._sealing = sealing or ring.newest

    def under_newest(self) -> "SealedRows":
        """To read the same, and seal under the newest loaded KEK: a store row of it makes every writer do so."""
        return SealedRows(self._ring, self.store_id)

    @property
    def kek_id(self) -> str:
        """Of the KEK that seals."""
        return self._sealing.kek_id

    # ---- writing ----

    def access_key(self, access_key: AccessKey, secret: Secret) -> AccessKeyRow:
        kek = self._sealing
        binding = secret_binding(access_key.account, access_key.access_key_id)
        sealed = seal(kek, binding, secret.expose().encode())
        return self._access_key_row(access_key, sealed, kek.kek_id)

    def rewritten(self, row: AccessKeyRow, access_key: AccessKey) -> AccessKeyRow:
        """The row with a new record and the same seal: a change of state never needs the secret."""
        return self._access_key_row(access_key, row.secret_sealed, row.kek_id)

    def _access_key_row(self, access_key: AccessKey, sealed: bytes, kek_id: str) -> AccessKeyRow:
        index = (access_key.access_key_id, access_key.account, access_key.version, access_key.created_at)
        row = AccessKeyRow(*index, access_key_record(access_key), sealed, kek_id, b"")
        return row._replace(mac=access_key_mac(self._macs.record(kek_id), self.store_id, row))

    def account(self, account: Account, upstream_secret: Secret | None = None) -> AccountRow:
        """`upstream_secret`: of its own credential at the store, if it has one."""
        kek = self._sealing
        index = (account.name, account.number, account.version, account.created_at)
        sealed = None
        if upstream_secret is not None:
            sealed = seal(kek, upstream_binding(account.name), upstream_secret.expose().encode())
        row = AccountRow(*index, account_record(account), kek.kek_id, b"", sealed)
        return row._replace(mac=account_mac(self._macs.record(kek.kek_id), self.store_id, row))

    def bucket(self, claim: BucketClaim) -> BucketRow:
        kek_id = self.kek_id
        row = BucketRow(claim.name, claim.account, claim.version, bucket_record(claim), kek_id, b"")
        return row._replace(mac=bucket_mac(self._macs.record(kek_id), self.store_id, row))

    def admin_token(self, token: AdminToken) -> AdminTokenRow:
        index = (token.token_id, token.account or "", token.version, token.created_at)
        return self.resealed_admin_token(AdminTokenRow(*index, admin_token_record(token), "", b""))

    # Re-sealing: rows that were read, and so verified, with the very bytes of their records.

    def resealed_access_key(self, row: AccessKeyRow) -> AccessKeyRow:
        kek = self._sealing
        sealed = seal(kek, secret_binding(row.account, row.access_key_id), self.open_secret(row).expose().encode())
        row = row._replace(secret_sealed=sealed, kek_id=kek.kek_id)
        return row._replace(mac=access_key_mac(self._macs.record(kek.kek_id), self.store_id, row))

    def resealed_account(self, row: AccountRow) -> AccountRow:
        kek = self._sealing
        sealed = row.upstream_sealed
        if sealed is not None:
            sealed = seal(kek, upstream_binding(row.name), self.open_upstream(row).expose().encode())
        row = row._replace(upstream_sealed=sealed, kek_id=kek.kek_id)
        return row._replace(mac=account_mac(self._macs.record(kek.kek_id), self.store_id, row))

    def resealed_bucket(self, row: BucketRow) -> BucketRow:
        row = row._replace(kek_id=self.kek_id)
        return row._replace(mac=bucket_mac(self._macs.record(self.kek_id), self.store_id, row))

    def resealed_admin_token(self, row: AdminTokenRow) -> AdminTokenRow:
        row = row._replace(kek_id=self.kek_id)
        return row._replace(mac=admin_token_mac(self._macs.record(self.kek_id), self.store_id, row))

    def change(self, position: Position, draft: Change) -> Change:
        """`draft` as the row after `position`; its seq, kek_id and mac are set here."""
        kek_id = self.kek_id
        numbered = draft._replace(seq=position.seq + 1, kek_id=kek_id)
        return linked(self._macs.chain(kek_id), self.store_id, position.head, numbered)

    def store_row(self, row: StoreRow, position: Position) -> StoreRow:
        """`row` at `position`."""
        kek = self._sealing
        canary = row.canary if row.kek_id == kek.kek_id else seal_canary(kek, self.store_id)
        moved = row._replace(seq=position.seq, head=position.head, kek_id=kek.kek_id, canary=canary, protocol=PROTOCOL)
        return moved._replace(mac=store_mac(self._macs.store(kek.kek_id), moved))

    # ---- opening ----

    def open_upstream(self, row: AccountRow) -> Secret:
        """The secret of the account's own credential at the store, in a row that was read and has one."""
        assert row.upstream_sealed is not None
        opened = open_seal(self._ring.named(row.kek_id), upstream_binding(row.name), row.upstream_sealed)
        return Secret(opened.decode())

    def open_secret(self, row: AccessKeyRow) -> Secret:
        """The secret in a row whose MAC held."""
        kek = self._ring.named(row.kek_id)
        return Secret(open_seal(kek, secret_binding(row.account, row.access_key_id), row.secret_sealed).decode())

    def known_key(self, row: AccessKeyRow, access_key: AccessKey, date: bytes) -> KnownKey:
        """Of a row that was read, with kDate of b"YYYYMMDD"."""

        def secret() -> bytes:
            return self.open_secret(row).expose().encode()

        date_keys = {date: derive_date_key(secret(), date)}
        return KnownKey(access_key, date_keys, lambda string_to_sign: hmac.digest(secret(), string_to_sign, "sha1"))


def found_store(ring: KekRing, store_id: str) -> tuple[SealedRows, StoreRow]:
    """A new keystore with an empty log: the means to write it, and its store row."""
    rows = SealedRows(ring, store_id)
    kek_id = ring.newest.kek_id
    canary = seal_canary(ring.newest, store_id)
    blank = StoreRow(store_id, 1, *START, DEFAULT_LEASE_MS, kek_id, PROTOCOL, kek_id, canary, b"")
    return rows, rows.store_row(blank, START)


def enter_store(ring: KekRing, row: StoreRow) -> SealedRows:
    """The means to read and write the keystore whose store row this is, under the KEK that this row stands under.

    Raises WrongKek when the KEK is not the one it was sealed with, RecordRefused when the row fails its MAC,
    KeystoreUnavailable for a protocol this version does not know.
    """
    check_protocol(row)
    check_canary(ring, row.kek_id, row.store_id, row.canary)
    ring = ring.since(row.min_kek)
    rows = SealedRows(ring, row.store_id, ring.named(row.kek_id))
    rows.check_store_row(row)
    return rows


__all__ = ["PROTOCOL", "LastChange", "SealedRows", "enter_store", "found_store"]

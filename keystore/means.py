"""What a directory cannot know by itself: how to enter the keystore, and what is derived from sealed secrets.

`RingMeans` is for the process that holds the key-encryption keys. One that holds none has means that ask it.
"""

import hmac
from collections.abc import Callable
from typing import Final, Protocol

from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.chain import StoreRow
from keystore.derived import StoreCredential, UpstreamCredential, derive_date_key
from keystore.record import AccessKeyRow, AccountRow
from keystore.sealed_rows import SealedRows, enter_store
from keystore.sealing import KekRing
from keystore.verified_rows import VerifiedRows

MAX_CREDENTIALS: Final = 10_000  # accounts whose credential stays opened; then all begin anew, at 30 µs each


class Means(Protocol):
    """Rows handed in were verified. Everything raises KeystoreUnavailable and its kinds; NotKnownYet where another
    process has been asked."""

    def enter(self, row: StoreRow) -> VerifiedRows: ...
    def date_key(self, row: AccessKeyRow, access_key: AccessKey, date: bytes) -> bytes:
        """kDate, 32 bytes."""

    def hmac_sha1(self, row: AccessKeyRow, access_key: AccessKey) -> Callable[[bytes], bytes]:
        """String to sign → 20 bytes, for SigV2."""

    def credential(self, row: AccountRow, account: Account) -> StoreCredential:
        """Of an account that has one: the same object while the row is the same."""


class RingMeans:
    """The means of who holds the KEKs of `ring`."""

    def __init__(self, ring: KekRing) -> None:
        self._ring = ring
        self._rows: SealedRows | None = None
        self._credentials: dict[str, tuple[AccountRow, StoreCredential]] = {}

    def enter(self, row: StoreRow) -> SealedRows:
        """Raises as `enter_store`; then what was entered before stays."""
        self._rows = entered = enter_store(self._ring, row)
        return entered

    def date_key(self, row: AccessKeyRow, access_key: AccessKey, date: bytes) -> bytes:
        return derive_date_key(self._secret(row), date)

    def hmac_sha1(self, row: AccessKeyRow, access_key: AccessKey) -> Callable[[bytes], bytes]:
        return lambda string_to_sign: hmac.digest(self._secret(row), string_to_sign, "sha1")

    def credential(self, row: AccountRow, account: Account) -> StoreCredential:
        kept = self._credentials.get(account.name)
        if kept is not None and kept[0] is row:
            return kept[1]
        assert account.upstream is not None
        credential = UpstreamCredential(account.upstream, self._entered.open_upstream(row).expose())
        if len(self._credentials) >= MAX_CREDENTIALS:
            self._credentials.clear()
        self._credentials[account.name] = row, credential
        return credential

    def _secret(self, row: AccessKeyRow) -> bytes:
        return self._entered.open_secret(row).expose().encode()

    @property
    def _entered(self) -> SealedRows:
        assert self._rows is not None, "rows are read after the keystore was entered"
        return self._rows

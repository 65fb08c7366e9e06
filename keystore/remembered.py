"""What a directory remembers of verified rows, bounded: the oldest go first, and come back for the price of a look-up.

Knows no database and proves nothing: who remembers must forget what a change has touched.
"""

from collections.abc import Callable
from typing import Final

from keystore.access_key import AccessKey, KnownKey
from keystore.accounts import Account
from keystore.bucket_claims import Tenure
from keystore.record import AccessKeyRow, AccountRow

MAX_KNOWN: Final = 100_000  # records and the buckets they name, together: about 100 MB when full
MAX_ABSENT: Final = 10_000  # ids that do not exist; kept apart, so that guessing never displaces a live key
MAX_TENURES: Final = 100_000  # names of buckets whose owner is remembered: about 20 MB when full
MAX_ACCOUNTS: Final = 10_000  # accounts of which it is remembered whether they have a credential at the store


class Held(KnownKey):
    """A KnownKey with what is needed to derive for another day: the row, its secret still sealed."""

    __slots__ = ("row", "weight")

    def __init__(self, access_key: AccessKey, row: AccessKeyRow, hmac_sha1: Callable[[bytes], bytes]) -> None:
        super().__init__(access_key, {}, hmac_sha1)
        self.row = row
        self.weight = 1 + len(access_key.grants or ())


class Remembered:
    """`known`, `absent`, `tenures`, `accounts` may be read directly, and stay the same objects."""

    __slots__ = ("_max_known", "_weight", "absent", "accounts", "known", "tenures")

    def __init__(self, max_known: int = MAX_KNOWN) -> None:
        self.known: dict[str, Held] = {}
        self.absent: dict[str, None] = {}
        self.tenures: dict[str, Tenure] = {}
        self.accounts: dict[str, tuple[AccountRow, Account]] = {}
        self._max_known = max_known
        self._weight = 0

    def keep(self, held: Held) -> Held:
        self.known[held.access_key.access_key_id] = held
        self._weight += held.weight
        while self._weight > self._max_known:
            self._weight -= self.known.pop(next(iter(self.known))).weight
        return held

    def keep_absent(self, access_key_id: str) -> None:
        if len(self.absent) >= MAX_ABSENT:
            del self.absent[next(iter(self.absent))]
        self.absent[access_key_id] = None

    def keep_tenure(self, bucket: str, tenure: Tenure) -> Tenure:
        if len(self.tenures) >= MAX_TENURES:
            del self.tenures[next(iter(self.tenures))]
        self.tenures[bucket] = tenure
        return tenure

    def keep_account(self, row: AccountRow, account: Account) -> None:
        if len(self.accounts) >= MAX_ACCOUNTS:
            del self.accounts[next(iter(self.accounts))]
        self.accounts[row.name] = row, account

    def forget_key(self, access_key_id: str) -> None:
        self.absent.pop(access_key_id, None)
        held = self.known.pop(access_key_id, None)
        if held is not None:
            self._weight -= held.weight

    def forget_all(self) -> None:
        self.known.clear()
        self.absent.clear()
        self.tenures.clear()
        self.accounts.clear()
        self._weight = 0

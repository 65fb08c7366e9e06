"""What a directory remembers of verified rows, bounded: the oldest go first, and come back for the price of a look-up.

Knows no database and proves nothing: who remembers must forget what a change has touched.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from keystore.access_key import AccessKey, KnownKey
from keystore.accounts import Account
from keystore.bucket_claims import Tenure
from keystore.record import AccessKeyRow, AccountRow

# What the hot path has to do with a key is little beside the record: measured in a worker that has verified requests.
KEY_BYTES: Final = 5_500  # the record, its row, keys of two days or regions
GRANT_BYTES: Final = 350  # each bucket that its scope names
MAX_KNOWN: Final = 112 << 20  # bytes of records: 20,000 keys for one bucket each. A worker stays below 200 MiB
MAX_ABSENT: Final = 10_000  # ids that do not exist; kept apart, so that guessing never displaces a live key
MAX_TENURES: Final = 50_000  # names of buckets whose owner is remembered: about 10 MB when full
MAX_ACCOUNTS: Final = 10_000  # accounts of which it is remembered whether they have a credential at the store


class Kept(KnownKey):
    """A KnownKey with what it costs to remember it, in bytes."""

    __slots__ = ("weight",)

    def __init__(self, access_key: AccessKey, hmac_sha1: Callable[[bytes], bytes]) -> None:
        super().__init__(access_key, {}, hmac_sha1)
        self.weight = KEY_BYTES + GRANT_BYTES * len(access_key.grants or ())


class Held(Kept):
    """With what is needed to derive for another day: the row, its secret still sealed."""

    __slots__ = ("row",)

    def __init__(self, access_key: AccessKey, row: AccessKeyRow, hmac_sha1: Callable[[bytes], bytes]) -> None:
        super().__init__(access_key, hmac_sha1)
        self.row = row


K = TypeVar("K", bound=Kept)


class Remembered(Generic[K]):
    """`max_known`: bytes. `known`, `absent`, `tenures`, `accounts` may be read directly, and stay the same objects."""

    __slots__ = ("_weight", "absent", "accounts", "known", "max_known", "tenures")

    def __init__(self, max_known: int = MAX_KNOWN) -> None:
        self.known: dict[str, K] = {}
        self.absent: dict[str, None] = {}
        self.tenures: dict[str, Tenure] = {}
        self.accounts: dict[str, tuple[AccountRow, Account]] = {}
        self.max_known = max_known
        self._weight = 0

    def keep(self, held: K) -> K:
        """In the place of what was known of that key."""
        access_key_id = held.access_key.access_key_id
        self.forget_key(access_key_id)
        self.known[access_key_id] = held
        self._weight += held.weight
        while self._weight > self.max_known:
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

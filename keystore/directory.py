"""What the hot path asks: find() an access key, proven fresh on every call, without awaiting anything.

One read-only connection for the process, one read, then the wal-index header is mapped. While its 96 bytes equal those
read before the last refresh, nothing was committed since and memory is the truth; else the log is read on from where
it was known, and what it names is forgotten. A record is verified (seal, MAC, chain) before it enters memory. What
cannot be verified raises; it is never None, for None means that the key does not exist.

Law: `find` and `refresh` belong to one thread and never await. Every statement fetches all rows: an unfinished cursor
would pin the snapshot. The directory does not judge status or time, and never hands out a secret.
"""

import contextlib
import hmac
import json
import mmap
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from keystore.access_key import ACCESS_KEY_ID, AccessKey, KnownKey
from keystore.bucket_claims import BucketClaim, Tenure, tenure
from keystore.chain import OF_A_BUCKET, OF_A_KEY, OF_AN_ACCOUNT, OF_SEALS, START, Change, StoreRow
from keystore.errors import KeystoreError, KeystoreUnavailable, RecordRefused
from keystore.record import AccessKeyRow
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret
from keystore.sqlite_file import answering, keystore_path, refuse_remote, uri
from keystore.sqlite_rows import (
    FIND_ACCESS_KEY,
    FIND_BUCKETS,
    FOLLOW_AT_MOST,
    LIST_ACCOUNTS,
    SELECT_LOG,
    read_claims,
    read_found_account,
    read_found_key,
    read_log,
)
from keystore.wal_index import HEADER, WalIndex

OnChange = Callable[[int, str | None], None]

# Readers wait for nobody in WAL mode, except while another process recovers the log after a crash. The event loop
# stands still meanwhile, so it is short; then the answer is 503.
BUSY_SECONDS: Final = 0.1
MAX_KNOWN: Final = 100_000  # records and the buckets they name, together: about 100 MB when full
MAX_ABSENT: Final = 10_000  # ids that do not exist; kept apart, so that guessing never displaces a live key
MAX_TENURES: Final = 100_000  # names of buckets whose owner is remembered: about 20 MB when full
MAX_CHASES: Final = 3  # looks at claims that are newer than the log that was followed; more is not a coincidence
MAX_CREDENTIALS: Final = 10_000  # accounts of which it is remembered whether they have a credential at the store
MAX_DATES: Final = 16  # per key: today and its neighbours, and the days of presigned URLs, which live for seven


class _Held(KnownKey):
    """A KnownKey with what is needed to derive for another day: the row, its secret still sealed."""

    __slots__ = ("row", "weight")

    def __init__(self, access_key: AccessKey, row: AccessKeyRow, hmac_sha1: Callable[[bytes], bytes]) -> None:
        super().__init__(access_key, {}, hmac_sha1)
        self.row = row
        self.weight = 1 + len(access_key.grants or ())


class StoreCredential(NamedTuple):
    """An account's own credential at the store."""

    access_key_id: str
    secret: Secret


class Directory:
    """Made by `open_directory`, for one event loop. `on_change(seq, access_key_id)` is called from within a refresh
    for every key that the change `seq` touched, with None when any may have been, as when a bucket changed hands;
    memory is up to date by then. `on_applied(seq)` follows, when all that is known to be in the log has been told.
    """

    def __init__(self, connection: sqlite3.Connection, wal_index: WalIndex, path: Path, ring: KekRing) -> None:
        self.on_change: OnChange | None = None
        self.on_applied: Callable[[int], None] | None = None
        self._connection = connection
        self._wal_index = wal_index
        self._header: mmap.mmap | bytes = wal_index.header
        self._path = path
        self._lost = ""
        self._known: dict[str, _Held] = {}
        self._weight = 0
        self._absent: dict[str, None] = {}
        self._tenures: dict[str, Tenure] = {}
        self._credentials: dict[str, StoreCredential | None] = {}
        self._written_at: dict[str, int] = {}  # of every name with a claim: the change that last wrote it
        self._applied = START
        self._epoch = b""  # the header before the last refresh; b"" equals nothing
        self._telling = False
        self._untold: deque[tuple[int, str | None]] = deque()
        self._ring = ring
        self._store, _ = self._read_log()
        self._rows = enter_store(ring, self._store)
        self._refresh()

    # ---- the hot path ----

    def fresh(self) -> bool:
        """Whether memory is still the truth: nothing was committed since the last refresh. 0.08 µs, no system call."""
        return self._header[:HEADER] == self._epoch

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        """The verified record with kDate of `date` (b"YYYYMMDD") in its date_keys; None for an id that does not exist.

        Raises KeystoreUnavailable when freshness cannot be proven, the database fails or the record does not verify.
        0.15 µs for a known key, about 80 µs for a cold one, 10 µs for an id that does not exist.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        held = self._known.get(access_key_id)
        if held is None:
            held = self._look_up(access_key_id)
            if held is None:
                return None
        if date not in held.date_keys:
            self._derive(held, date)
        return held

    def tenure(self, bucket: str) -> Tenure:
        """Whose a bucket of this name is, whether or not there is one. Raises KeystoreUnavailable as `find`.

        0.15 µs for a known name, some 15 µs for one without a claim that was not asked for of late.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        known = self._tenures.get(bucket)
        return self._remember_tenure(bucket, self.claim(bucket)) if known is None else known

    def learn_tenures(self, buckets: list[str]) -> None:
        """Read at once what `tenure` will be asked for: 1,000 names one by one would hold the event loop up."""
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        unknown = [bucket for bucket in buckets if bucket not in self._tenures]
        claims = self._look_up_claims(unknown) if unknown else {}
        for bucket in unknown:
            self._remember_tenure(bucket, claims.get(bucket))

    def claim(self, bucket: str) -> BucketClaim | None:
        """The verified claim to a name, None where nobody ever claimed it; always read anew. Raises as `find`."""
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        return self._look_up_claims([bucket]).get(bucket)

    def store_credential(self, account: str) -> StoreCredential | None:
        """The account's own credential at the store; None: it uses the gateway's. The same object until it changes.

        Raises KeystoreUnavailable as `find`, and for an account that does not exist.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        if account not in self._credentials:
            self._look_up_credential(account)
        return self._credentials[account]

    # ---- staying fresh ----

    def tick(self) -> None:
        """Every 20 ms: prove that the mapped header is still the live one, and read the log on if it moved.

        Raises nothing of the keystore's: what is wrong is said by the next find.
        """
        if not self._lost:
            self._lost = self._wal_index.lost()
        self.fresh_or_refreshed()

    def fresh_or_refreshed(self) -> bool:
        """Whether a find could be answered now."""
        with contextlib.suppress(KeystoreError):
            if self._lost or not self.fresh():
                self._refresh()
            return True
        return False

    def _refresh(self) -> None:
        """Read the log on, forget what it names, and remember the header as it was before the first SELECT.

        Whatever fails leaves no epoch behind, so that the next find tries again from where the log was known.
        """
        self._epoch = b""
        if self._lost:
            raise KeystoreUnavailable(f"{self._lost}: restart the gateway")
        epoch = self._wal_index.epoch()
        self._follow_log()
        self._epoch = epoch
        self._tell()

    def _tell(self) -> None:
        """Whoever is told may look keys up, and so find news: those are told, and applied, after this is done."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold and self.on_change is not None:
                self.on_change(*self._untold.popleft())
            if self.on_applied is not None:
                self.on_applied(self._applied.seq)
        finally:
            self._telling = False

    def _follow_log(self) -> None:
        """Apply every change behind `applied`, batch by batch, each verified before it is applied."""
        while True:
            store, changes = self._read_log()
            self._check_store(store)
            self._applied = self._rows.follow(self._applied, changes)
            for change in changes:
                self._apply(change)
            if len(changes) < FOLLOW_AT_MOST:
                break
        if self._applied != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {self._applied.seq}, the store row says {store.seq}")

    def _check_store(self, store: StoreRow) -> None:
        self._rows.check_store_row(store)
        if store.seq < self._applied.seq or store.generation < self._store.generation:
            raise KeystoreUnavailable(
                f"the keystore went back in time: change {self._applied.seq} was known, it now ends at {store.seq}"
            )
        if _terms(store) != _terms(self._store):
            self._rows = enter_store(self._ring, store)
            self._flush()
            self._note(store.seq, None)
        self._store = store

    def _apply(self, change: Change) -> None:
        """Drop what the change touched. A change of an unknown kind may have touched anything."""
        if change.bucket is not None:
            self._written_at[change.bucket] = change.seq
        if change.kind in OF_A_KEY and change.access_key_id is not None:
            self._forget_key(change.access_key_id)
            self._note(change.seq, change.access_key_id)
        elif change.kind in OF_A_BUCKET and change.bucket is not None:
            self._tenures.pop(change.bucket, None)
            self._note(change.seq, None)
        elif change.kind in OF_AN_ACCOUNT:
            self._credentials.pop(change.account, None)
        elif change.kind not in OF_SEALS:
            self._flush()
            self._note(change.seq, None)

    def _forget_key(self, access_key_id: str) -> None:
        self._absent.pop(access_key_id, None)
        held = self._known.pop(access_key_id, None)
        if held is not None:
            self._weight -= held.weight

    def _flush(self) -> None:
        self._known.clear()
        self._absent.clear()
        self._tenures.clear()
        self._credentials.clear()
        self._weight = 0

    def _note(self, seq: int, access_key_id: str | None) -> None:
        """Kept until the refresh has succeeded, also across failed ones: nobody is told before memory is the truth."""
        if self.on_change is not None:
            self._untold.append((seq, access_key_id))

    # ---- cold look-ups ----

    def _look_up(self, access_key_id: str) -> _Held | None:
        if access_key_id in self._absent or not ACCESS_KEY_ID.match(access_key_id):
            return None
        [found] = self._select(FIND_ACCESS_KEY, access_key_id)
        row, last = read_found_key(found)
        access_key = self._rows.read_access_key(row, last)
        if row is None or access_key is None:
            self._remember_absent(access_key_id)
            return None
        return self._remember(_Held(access_key, row, self._hmac_sha1(row)))

    def _remember(self, held: _Held) -> _Held:
        """The oldest go first; a live one comes back for the price of one look-up."""
        self._known[held.access_key.access_key_id] = held
        self._weight += held.weight
        while self._weight > MAX_KNOWN:
            oldest = self._known.pop(next(iter(self._known)))
            self._weight -= oldest.weight
        return held

    def _remember_absent(self, access_key_id: str) -> None:
        if len(self._absent) >= MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        self._absent[access_key_id] = None

    def _look_up_claims(self, buckets: list[str]) -> dict[str, BucketClaim]:
        """Of those that have one. What the log said of a name when it was followed must be what is found now: a claim
        that vanished with all that tells of it would make the bucket the default account's.
        """
        for _ in range(MAX_CHASES):
            found = self._select(FIND_BUCKETS, json.dumps(buckets))
            claims, written_at = read_claims(self._rows, found)
            if max(written_at.values(), default=0) <= self._applied.seq:
                break
            self._refresh()  # something was committed meanwhile
        for bucket in buckets:
            if written_at.get(bucket) != self._written_at.get(bucket):
                raise RecordRefused(f"bucket {bucket}: its claim is not the one the log last told of")
        return claims

    def _remember_tenure(self, bucket: str, claim: BucketClaim | None) -> Tenure:
        if len(self._tenures) >= MAX_TENURES:
            del self._tenures[next(iter(self._tenures))]
        found = self._tenures[bucket] = tenure(claim)
        return found

    def _look_up_credential(self, account: str) -> None:
        found = self._select(LIST_ACCOUNTS, account)
        if not found:
            raise RecordRefused(f"account {account}: its record was taken out")
        row, last = read_found_account(found[0])
        upstream = self._rows.read_account(row, last).upstream
        if len(self._credentials) >= MAX_CREDENTIALS:
            del self._credentials[next(iter(self._credentials))]
        own = None if upstream is None else StoreCredential(upstream, self._rows.open_upstream(row))
        self._credentials[account] = own

    def _derive(self, held: _Held, date: bytes) -> None:
        """kDate = HMAC-SHA256("AWS4" + secret, date).

        https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        """
        initial = b"AWS4" + self._rows.open_secret(held.row).expose().encode()
        while len(held.date_keys) >= MAX_DATES:
            del held.date_keys[next(iter(held.date_keys))]
        held.date_keys[date] = hmac.digest(initial, date, "sha256")

    def _hmac_sha1(self, row: AccessKeyRow) -> Callable[[bytes], bytes]:
        rows = self._rows

        def hmac_sha1(string_to_sign: bytes) -> bytes:
            return hmac.digest(rows.open_secret(row).expose().encode(), string_to_sign, "sha1")

        return hmac_sha1

    # ---- the connection ----

    def _read_log(self) -> tuple[StoreRow, list[Change]]:
        return read_log(self._select(SELECT_LOG, self._applied.seq))

    def _select(self, statement: str, value: str | int) -> list[tuple[object, ...]]:
        with answering(self._path):
            return self._connection.execute(statement, (value,)).fetchall()

    def where(self) -> tuple[tuple[int, int, int, int], int]:
        """Which files are open here (device and inode of the database and its wal-index), and the last change read."""
        return self._wal_index.identity, self._applied.seq

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on. WrongKek, and nothing is changed, when one that is needed is missing."""
        self._rows = enter_store(ring, self._store)
        self._ring = ring

    def close(self) -> None:
        """The last thing done with this database in the process; every later find raises."""
        self._lost = "the directory was closed"
        self._epoch = b""
        self._header = b"closed"
        self._flush()
        self._connection.close()
        self._wal_index.close()


def open_directory(url_or_path: str | Path, ring: KekRing, *, on_change: OnChange | None = None) -> Directory:
    """The directory of an existing keystore, its whole change log verified (about 15 µs a row).

    Call it on the thread that will call find. Raises KeystoreUnavailable, WrongKek, RecordRefused.
    """
    path = keystore_path(url_or_path)
    with answering(path):
        refuse_remote(path)
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            _read_once(connection, path)
            directory = Directory(connection, WalIndex(path), path, ring)
        except BaseException:
            connection.close()
            raise
    directory.on_change = on_change
    return directory


def _read_once(connection: sqlite3.Connection, path: Path) -> None:
    """Before its first read a connection has no -shm."""
    connection.execute("SELECT seq FROM store").fetchall()
    [[mode]] = connection.execute("PRAGMA journal_mode").fetchall()
    if mode != "wal":
        raise KeystoreUnavailable(f"{path} is in {mode} mode, not in WAL mode: no commit could be seen")


def _terms(store: StoreRow) -> tuple[int, str, int]:
    """What holds for the keystore as a whole: when it moves, nothing learned before stands."""
    return store.generation, store.min_kek, store.protocol

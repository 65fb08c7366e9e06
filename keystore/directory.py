"""What the hot path asks: find() an access key, proven fresh on every call, without awaiting anything.

One read-only connection for the process, one read, then the wal-index header is mapped. While its 96 bytes equal those
read before the last refresh, nothing was committed since and memory is the truth; else the log is read on from where
it was known, and what it names is forgotten. A record is verified (seal, MAC, chain) before it enters memory. What
cannot be verified raises; it is never None, for None means that the key does not exist.

Law: `find` and `refresh` belong to one thread and never await. Every statement fetches all rows: an unfinished cursor
would pin the snapshot. The directory does not judge status or time, and never hands out a secret.
"""

import contextlib
import json
import mmap
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from keystore.access_key import ACCESS_KEY_ID, NO_DATE, AccessKey, KnownKey
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim, Tenure, tenure
from keystore.chain import OF_A_BUCKET, OF_A_KEY, OF_AN_ACCOUNT, OF_NO_REQUEST, START, Change, Position, StoreRow
from keystore.derived import StoreCredential
from keystore.errors import KeystoreError, KeystoreUnavailable, RecordRefused
from keystore.means import Means, RingMeans
from keystore.record import AccountRow
from keystore.remembered import MAX_KNOWN, Held, Remembered
from keystore.sealing import KekRing
from keystore.sqlite_file import answering, keystore_path, refuse_remote, uri
from keystore.sqlite_rows import (
    FIND_ACCESS_KEY,
    FIND_BUCKETS,
    FOLLOW_AT_MOST,
    KEKS_OF_THE_LOG,
    LAST_OF_BUCKETS,
    LIST_ACCOUNTS,
    SELECT_LOG,
    SELECT_LOG_END,
    read_claims,
    read_found_account,
    read_found_key,
    read_log,
    read_log_end,
    read_written_at,
)
from keystore.wal_index import HEADER, WalIndex

OnChange = Callable[[int, str | None], None]

# Readers wait for nobody in WAL mode, except while another process recovers the log after a crash. The event loop
# stands still meanwhile, so it is short; then the answer is 503.
BUSY_SECONDS: Final = 0.1
MAX_CHASES: Final = 3  # looks at claims that are newer than the log that was followed; more is not a coincidence
MAX_DATES: Final = 16  # per key: today and its neighbours, and the days of presigned URLs, which live for seven


class Directory:
    """Made by `open_directory`, for one event loop. `on_change(seq, access_key_id)` is called from within a refresh
    for every key that the change `seq` touched, with None when any may have been, as when a bucket changed hands;
    memory is up to date by then. `on_applied(seq)` follows, when all that is known to be in the log has been told.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        wal_index: WalIndex,
        path: Path,
        means: Means,
        max_known: int = MAX_KNOWN,
        *,
        believed: bool = False,
    ) -> None:
        self.on_change: OnChange | None = None
        self.on_applied: Callable[[int], None] | None = None
        self._connection = connection
        self._wal_index = wal_index
        self._header: mmap.mmap | bytes = wal_index.header
        self._path = path
        self._lost = ""
        self._remembered: Remembered[Held] = Remembered(max_known)
        self._known = self._remembered.known
        self._tenures = self._remembered.tenures
        self._written_at: dict[str, int] = {}  # of every name with a claim: the change that last wrote it
        self._applied = START
        self._epoch = b""  # the header before the last refresh; b"" equals nothing
        self._telling = False
        self._untold: deque[tuple[int, str | None]] = deque()
        self._refused_keys: set[str] = set()
        self._refused_buckets: set[str] = set()
        self._means = means
        self._store, _ = self._read_log()
        self._rows = means.enter(self._store)
        if believed:
            self._begin_at_the_end()
        self._refresh()

    # ---- the hot path ----

    def fresh(self) -> bool:
        """Whether memory is still the truth: nothing was committed since the last refresh. 0.08 µs, no system call."""
        return self._header[:HEADER] == self._epoch

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        """The verified record with kDate of `date` (b"YYYYMMDD", or NO_DATE) in its date_keys; None for an id that does
        not exist.

        Raises KeystoreUnavailable when freshness cannot be proven, the database fails or the record does not verify;
        NotKnownYet while another process is asked for kDate, as may `hmac_sha1` of what is returned.
        0.15 µs for a known key, about 80 µs for a cold one, 10 µs for an id that does not exist.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        held = self._known.get(access_key_id) or self._look_up(access_key_id)
        if held is None:
            return None
        if date not in held.date_keys:
            self._derive(held, date)
        return held

    def record(self, access_key_id: str) -> AccessKey | None:
        """As `find`, where no signature is to be verified: nobody else is asked. The same object until it changes."""
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        held = self._known.get(access_key_id) or self._look_up(access_key_id)
        return None if held is None else held.access_key

    def tenure(self, bucket: str) -> Tenure:
        """Whose a bucket of this name is, whether or not there is one. Raises KeystoreUnavailable as `find`.

        0.15 µs for a known name, some 15 µs for one without a claim that was not asked for of late.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        known = self._tenures.get(bucket)
        return self._remembered.keep_tenure(bucket, tenure(self.claim(bucket))) if known is None else known

    def learn_tenures(self, buckets: list[str]) -> None:
        """Read at once what `tenure` will be asked for: 1,000 names one by one would hold the event loop up."""
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        unknown = [bucket for bucket in buckets if bucket not in self._tenures]
        claims = self._look_up_claims(unknown) if unknown else {}
        for bucket in unknown:
            self._remembered.keep_tenure(bucket, tenure(claims.get(bucket)))

    def claim(self, bucket: str) -> BucketClaim | None:
        """The verified claim to a name, None where nobody ever claimed it; always read anew. Raises as `find`."""
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        return self._look_up_claims([bucket]).get(bucket)

    def store_credential(self, account: str) -> StoreCredential | None:
        """The account's own credential at the store; None: it uses the gateway's. The same object until it changes.

        Raises KeystoreUnavailable as `find`, and for an account that does not exist; NotKnownYet as `find`.
        """
        if self._header[:HEADER] != self._epoch:
            self._refresh()
        row, found = self._remembered.accounts.get(account) or self._look_up_account(account)
        return None if found.upstream is None else self._means.credential(row, found)

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
            self._rows = self._means.enter(store)
            self._remembered.forget_all()
            self._note(store.seq, None)
        self._store = store

    def _apply(self, change: Change) -> None:
        """Drop what the change touched. A change of an unknown kind may have touched anything."""
        if change.bucket is not None:
            self._written_at[change.bucket] = change.seq
            self._refused_buckets.discard(change.bucket)
        if change.kind in OF_A_KEY and change.access_key_id is not None:
            self._remembered.forget_key(change.access_key_id)
            self._refused_keys.discard(change.access_key_id)
            self._note(change.seq, change.access_key_id)
        elif change.kind in OF_A_BUCKET and change.bucket is not None:
            self._tenures.pop(change.bucket, None)
            self._note(change.seq, None)
        elif change.kind in OF_AN_ACCOUNT:
            self._remembered.accounts.pop(change.account, None)
        elif change.kind not in OF_NO_REQUEST:
            self._remembered.forget_all()
            self._note(change.seq, None)

    def _note(self, seq: int, access_key_id: str | None) -> None:
        """Kept until the refresh has succeeded, also across failed ones: nobody is told before memory is the truth."""
        if self.on_change is not None:
            self._untold.append((seq, access_key_id))

    def _begin_at_the_end(self) -> None:
        """The store row under its MAC says where the log ends, and the last change under its own is there. What lies
        before it is somebody else's to verify."""
        store, last = read_log_end(self._select(SELECT_LOG_END))
        self._rows.check_store_row(store)
        at = (
            START
            if last is None
            else self._rows.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
        )
        if at != (store.seq, store.head):
            raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")
        self._rows.require_log_keys(str(kek_id) for [kek_id] in self._select(KEKS_OF_THE_LOG))
        self._applied = at
        self._written_at = read_written_at(self._select(LAST_OF_BUCKETS))

    # ---- cold look-ups ----

    def refuse(self, access_key_ids: Iterable[str], buckets: Iterable[str], everything: str = "") -> None:
        """Somebody has read all of the keystore, and these do not hold: refused until they change. `everything`: why
        nothing can be believed any more."""
        self._refused_keys, self._refused_buckets = set(access_key_ids), set(buckets)
        self._lost, self._epoch = self._lost or everything, b""
        self._remembered.forget_all()

    def _look_up(self, access_key_id: str) -> Held | None:
        if access_key_id in self._refused_keys:
            raise RecordRefused(f"access key {access_key_id}: does not hold, as a reading of the whole keystore found")
        if access_key_id in self._remembered.absent or not ACCESS_KEY_ID.match(access_key_id):
            return None
        [found] = self._select(FIND_ACCESS_KEY, access_key_id)
        row, last = read_found_key(found)
        access_key = self._rows.read_access_key(row, last)
        if row is None or access_key is None:
            self._remembered.keep_absent(access_key_id)
            return None
        return self._remembered.keep(Held(access_key, row, self._means.hmac_sha1(row, access_key)))

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
        for bucket in self._refused_buckets.intersection(buckets):
            raise RecordRefused(f"bucket {bucket}: does not hold, as a reading of the whole keystore found")
        for bucket in buckets:
            if written_at.get(bucket) != self._written_at.get(bucket):
                raise RecordRefused(f"bucket {bucket}: its claim is not the one the log last told of")
        return claims

    def _look_up_account(self, name: str) -> tuple[AccountRow, Account]:
        found = self._select(LIST_ACCOUNTS, name)
        if not found:
            raise RecordRefused(f"account {name}: its record was taken out")
        row, last = read_found_account(found[0])
        account = self._rows.read_account(row, last)
        self._remembered.keep_account(row, account)
        return row, account

    def _derive(self, held: Held, date: bytes) -> None:
        date_key = b"" if date == NO_DATE else self._means.date_key(held.row, held.access_key, date)
        while len(held.date_keys) >= MAX_DATES:
            del held.date_keys[next(iter(held.date_keys))]
        held.date_keys[date] = date_key

    # ---- the connection ----

    def _read_log(self) -> tuple[StoreRow, list[Change]]:
        return read_log(self._select(SELECT_LOG, self._applied.seq))

    def _select(self, statement: str, *values: str | int) -> list[tuple[object, ...]]:
        with answering(self._path):
            return self._connection.execute(statement, values).fetchall()

    def where(self) -> tuple[tuple[int, int, int, int], int]:
        """Which files are open here (device and inode of the database and its wal-index), and the last change read."""
        return self._wal_index.identity, self._applied.seq

    @property
    def store_row(self) -> StoreRow:
        """As it was at the last refresh."""
        return self._store

    def use(self, means: Means) -> None:
        """Verify and derive with these from now on. WrongKek, and nothing is changed, when a KEK that is needed is
        missing."""
        self._rows = means.enter(self._store)
        self._means = means

    def close(self) -> None:
        """The last thing done with this database in the process; every later find raises."""
        self._lost = "the directory was closed"
        self._epoch = b""
        self._header = b"closed"
        self._remembered.forget_all()
        self._connection.close()
        self._wal_index.close()


def open_directory(
    url_or_path: str | Path,
    keys: KekRing | Means,
    *,
    on_change: OnChange | None = None,
    max_known: int = MAX_KNOWN,
    believed: bool = False,
) -> Directory:
    """The directory of an existing keystore, its whole change log verified (about 15 µs a row); or only its end, where
    that is `believed`, because somebody else verifies the rest. `max_known`: bytes of records kept in memory.

    Call it on the thread that will call find. Raises KeystoreUnavailable, WrongKek, RecordRefused.
    """
    path = keystore_path(url_or_path)
    with answering(path):
        refuse_remote(path)
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            _read_once(connection, path)
            means = RingMeans(keys) if isinstance(keys, KekRing) else keys
            directory = Directory(connection, WalIndex(path), path, means, max_known, believed=believed)
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

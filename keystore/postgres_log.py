"""How far a gateway has read the log of a PostgreSQL keystore, and what the changes behind that mean to its workers.

Every read begins at the change that was known: where another one stands there by now, or none, the database is not the
one that was read before. What is read is handed out as a value; it is known once it was taken.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from keystore.chain import OF_A_BUCKET, OF_A_KEY, OF_AN_ACCOUNT, OF_NO_REQUEST, START, Change, Position, StoreRow
from keystore.errors import KeystoreUnavailable, RecordRefused, WentBack, WrongKek
from keystore.found_rows import FOLLOW_AT_MOST, read_found_bucket, read_found_key, read_log, read_log_end
from keystore.postgres_rows import FIND_ACCESS_KEYS, FIND_BUCKETS, SELECT_LOG, SELECT_LOG_END
from keystore.sealed_rows import SealedRows, enter_store
from keystore.sealing import KekRing
from keystore.statements import Hand

KEY: Final = "key"
BUCKET: Final = "bucket"
ACCOUNT: Final = "account"
NOTHING: Final = "nothing"
EVERYTHING: Final = "everything"


class ToldChange(NamedTuple):
    """What a worker needs to know of a change. `of`: "key", "bucket", "account", "nothing" or "everything".

    `name`: access key id, bucket or account; "" otherwise. `record`: of a key or a bucket the stored record, verified,
    as it was after the change or later; None: there is none any more. What does not verify is told as "everything":
    whoever looks it up is told why.
    """

    seq: int
    of: str
    name: str = ""
    record: bytes | None = None


class News(NamedTuple):
    """`position`, `store` and `rows` are those of the log's end."""

    position: Position
    store: StoreRow
    rows: SealedRows
    told: tuple[ToldChange, ...]


class PostgresLog:
    """`position` and `store` are None before the first news were taken."""

    def __init__(self, ring: KekRing) -> None:
        self._ring = ring
        self._rows: SealedRows | None = None
        self.position: Position | None = None
        self.store: StoreRow | None = None

    def take(self, news: News) -> None:
        self.position, self.store, self._rows = news.position, news.store, news.rows

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on. WrongKek, and nothing is changed, when one that is needed is missing."""
        if self.store is not None:
            self._rows = enter_store(ring, self.store)
        self._ring = ring

    @property
    def rows(self) -> SealedRows:
        if self._rows is None:
            raise KeystoreUnavailable("the keystore has not been read yet")
        return self._rows

    # ---- reading; everything raises WentBack, RecordRefused and WrongKek ----

    async def begin(self, hand: Hand) -> News:
        """The end of the log, for who has no change in memory, or is about to forget all.

        The first time the store row is believed under its MAC, and the last change under its own: verifying a log of a
        million changes would take 15 s, and the scan in the background does. Later the log is followed from where it
        was known; unless whoever holds the KEK has raised the generation since, and so accepted it as it stands.
        """
        store, last = read_log_end(await hand.fetch(SELECT_LOG_END))
        rows = enter_store(self._ring, store)
        if self.position is None or self.store is None or self._adopted(store):
            at = START if last is None else rows.follow(Position(last.change.seq - 1, last.previous_mac), [last.change])
            _check_end(at, store)
        else:
            at, store, rows, _ = await self._follow(hand)
        return News(at, store, rows, (ToldChange(at.seq, EVERYTHING),))

    async def news(self, hand: Hand) -> News:
        """What was committed since the news that were taken last."""
        at, store, rows, changes = await self._follow(hand)
        told = await _told(hand, rows, changes)
        if self.store is not None and terms(store) != terms(self.store):
            told = (*told, ToldChange(at.seq, EVERYTHING))
        return News(at, store, rows, told)

    def check(self, store: StoreRow, known: Position, mac: object) -> None:
        """Whether a store row, found with the MAC of change `known.seq`, is of the log that was read, or later."""
        self.rows_for(store)
        assert self.store is not None, "it was entered"
        if store.seq < known.seq or store.generation < self.store.generation:
            raise WentBack(f"the keystore went back in time: change {known.seq} was known, it now ends at {store.seq}")
        if mac != known.head:
            raise WentBack(f"the keystore went back in time: change {known.seq} was known, another one stands there")

    def rows_for(self, store: StoreRow) -> SealedRows:
        """To read what was found beside this store row, whose MAC holds."""
        if self.store is None or terms(store) != terms(self.store) or store.store_id != self.store.store_id:
            rows = enter_store(self._ring, store)
            if self.store is not None and store.store_id != self.store.store_id:
                raise WentBack("another keystore lies where this one was")
            return rows
        self.rows.check_store_row(store)
        return self.rows

    async def _follow(self, hand: Hand) -> tuple[Position, StoreRow, SealedRows, list[Change]]:
        assert self.position is not None, "the log was begun"
        at = self.position
        every: list[Change] = []
        while True:
            store, found = read_log(await hand.fetch(SELECT_LOG, at.seq - 1))
            self.check(store, at, found[0].mac if found and found[0].seq == at.seq else None)
            rows = self.rows_for(store)
            at = rows.follow(at, found[1:])
            every += found[1:]
            if len(found) < FOLLOW_AT_MOST:
                _check_end(at, store)
                return at, store, rows, every

    def _adopted(self, store: StoreRow) -> bool:
        known = self.store
        return known is not None and store.store_id == known.store_id and store.generation > known.generation


def _check_end(at: Position, store: StoreRow) -> None:
    if at != (store.seq, store.head):
        raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")


def terms(store: StoreRow) -> tuple[int, str, int]:
    """What holds for the keystore as a whole: when it moves, nothing learned before stands."""
    return store.generation, store.min_kek, store.protocol


# ---- what is told ----


async def _told(hand: Hand, rows: SealedRows, changes: Sequence[Change]) -> tuple[ToldChange, ...]:
    """The records are read after the changes, so they may be newer: never older."""
    named = [(change, _of(change)) for change in changes]
    access_keys = {change.access_key_id for change, of in named if of == KEY and change.access_key_id is not None}
    buckets = {change.bucket for change, of in named if of == BUCKET and change.bucket is not None}
    records = {**await _key_records(hand, rows, access_keys), **await _bucket_records(hand, rows, buckets)}
    return tuple(_tell(change, of, records) for change, of in named)


def _of(change: Change) -> str:
    if change.kind in OF_A_KEY and change.access_key_id is not None:
        return KEY
    if change.kind in OF_A_BUCKET and change.bucket is not None:
        return BUCKET
    if change.kind in OF_AN_ACCOUNT:
        return ACCOUNT
    return NOTHING if change.kind in OF_NO_REQUEST else EVERYTHING


Records = dict[tuple[str, str], tuple[int, bytes | None]]  # (of, name) → the last change that names it, the record


def _tell(change: Change, of: str, records: Records) -> ToldChange:
    names = {KEY: change.access_key_id, BUCKET: change.bucket, ACCOUNT: change.account}
    name = names.get(of) or ""
    if of not in (KEY, BUCKET):
        return ToldChange(change.seq, of, name)
    last, record = records.get((of, name), (0, None))
    return ToldChange(change.seq, of, name, record) if last >= change.seq else ToldChange(change.seq, EVERYTHING)


async def _key_records(hand: Hand, rows: SealedRows, access_key_ids: Iterable[str]) -> Records:
    records: Records = {}
    names = sorted(access_key_ids)
    for found in await hand.fetch(FIND_ACCESS_KEYS, json.dumps(names)) if names else ():
        with contextlib.suppress(RecordRefused, WrongKek):
            row, last = read_found_key(found)
            there = rows.read_access_key(row, last)
            if last is not None and last.change.access_key_id is not None:
                record = None if there is None or row is None else row.record
                records[KEY, last.change.access_key_id] = last.change.seq, record
    return records


async def _bucket_records(hand: Hand, rows: SealedRows, buckets: Iterable[str]) -> Records:
    records: Records = {}
    names = sorted(buckets)
    for found in await hand.fetch(FIND_BUCKETS, json.dumps(names)) if names else ():
        with contextlib.suppress(RecordRefused, WrongKek):
            row, last = read_found_bucket(found)
            there = rows.read_bucket(row, last)
            if last is not None and last.change.bucket is not None:
                record = None if there is None or row is None else row.record
                records[BUCKET, last.change.bucket] = last.change.seq, record
    return records

"""A SQLite keystore read whole, in one snapshot, and handed to the audit; and its log, listed.

Tables are read by rowid, page by page, each page to its end. No index is asked: SQLite itself says whether each holds
what its table does, and the schema must be the one that the migrations make.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from keystore.audit import Audit, Means, Report
from keystore.chain import Change, Position, StoreRow
from keystore.errors import KeystoreError, KeystoreUnavailable, MarkUnreadable, RecordRefused, WrongKek
from keystore.high_water import HighWater, mac_at, read_mark
from keystore.mark import Mark, why_back
from keystore.record import AccessKeyRow, AccountRow, BucketRow
from keystore.sealed_rows import PROTOCOL, SealedRows, enter_store
from keystore.sealing import KekRing, MacKeys, check_canary
from keystore.sqlite_file import keystore_path, migrations, open_snapshot
from keystore.sqlite_rows import (
    LIST_CHANGES,
    PAGE,
    PAGE_OF_ACCESS_KEYS,
    PAGE_OF_ACCOUNTS,
    PAGE_OF_BUCKETS,
    PAGE_OF_CHANGES,
    SELECT_STORE,
    read_listed_change,
    read_paged,
    read_store,
)

Row = TypeVar("Row", Change, AccessKeyRow, AccountRow, BucketRow)
Progress = Callable[[int, int], None]  # rows read so far, and in all

FIRST_ROWID: Final = -(2**63)
LAST_ROWID: Final = 2**63 - 1
MAX_DAMAGES: Final = 100  # that SQLite's own check tells
SCHEMA: Final = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


def audit_keystore(
    url_or_path: str | Path,
    ring: KekRing,
    state_file: Path | None = None,
    progress: Progress = lambda done, whole: None,
) -> Report:
    """Read and judge everything: about 0.06 ms for each access key and the change that made it.

    KeystoreUnavailable when it cannot be read; WrongKek when its KEK is not loaded.
    """
    report = Report()
    mark = _known(HighWater(url_or_path, ring, state_file), report)
    with open_snapshot(keystore_path(url_or_path)) as connection:
        # What is no UTF-8 must be a finding at its row, and not end the reading.
        connection.text_factory = lambda octets: octets.decode(errors="surrogateescape")
        _judge_file(connection, report)
        try:
            store = read_store(connection.execute(SELECT_STORE).fetchall())
            store.store_id.encode()
        except (RecordRefused, UnicodeError) as refused:
            report.note("store", "", refused)
            return report
        _judge_time(connection, store, mark, report)
        audit = Audit(_entered(ring, store, report), report)
        [[whole]] = connection.execute(
            "SELECT (SELECT count(*) FROM change) + (SELECT count(*) FROM access_key)"
            " + (SELECT count(*) FROM account) + (SELECT count(*) FROM bucket)"
        ).fetchall()
        done = 0
        for rows in _all_tables(connection, audit):
            done += rows
            progress(done, whole)
        audit.end(store)
    return report


def _known(water: HighWater, report: Report) -> Mark | None:
    try:
        return read_mark(water.path)
    except MarkUnreadable as unreadable:
        report.note("state", "", unreadable)
        return None


def _judge_time(connection: sqlite3.Connection, store: StoreRow, mark: Mark | None, report: Report) -> None:
    why = "" if mark is None else why_back(mark, store, mac_at(connection, mark.seq))
    if why:
        report.note("store", store.store_id, f"the keystore went back in time: {why}")


def _judge_file(connection: sqlite3.Connection, report: Report) -> None:
    for (damage,) in connection.execute(f"PRAGMA integrity_check({MAX_DAMAGES})").fetchall():
        if damage != "ok":
            report.note("database", "", damage)
    found, expected = _schema(connection), _expected_schema()
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            report.note("schema", name, "is missing")
        elif name not in expected:
            report.note("schema", name, "was added")
        elif found[name] != expected[name]:
            report.note("schema", name, "was changed")


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    return {name: " ".join(str(sql).split()) for name, sql in connection.execute(SCHEMA).fetchall()}


def _expected_schema() -> dict[str, str]:
    connection = sqlite3.connect(":memory:")
    try:
        for text in migrations():
            connection.executescript(text)
        return _schema(connection)
    finally:
        connection.close()


def _entered(ring: KekRing, store: StoreRow, report: Report) -> Means:
    """As `enter_store`, except that what fails becomes a finding, and the rest is judged all the same."""
    ring.named(store.kek_id)
    try:
        check_canary(ring, store.kek_id, store.store_id, store.canary)
    except WrongKek as wrong:
        report.note("store", store.store_id, wrong)
    rows = SealedRows(ring, store.store_id)
    try:
        rows.check_store_row(store)
    except (KeystoreError, UnicodeError) as refused:
        report.note("store", store.store_id, refused)
    else:
        if store.protocol > PROTOCOL:
            raise KeystoreUnavailable(f"the keystore speaks protocol {store.protocol}, here {PROTOCOL}: upgrade it")
        ring = ring.since(store.min_kek)
        rows = SealedRows(ring, store.store_id)
    macs = MacKeys(ring, store.store_id)
    return Means(store.store_id, macs.chain, macs.record, rows.open_secret, rows.open_upstream)


def _all_tables(connection: sqlite3.Connection, audit: Audit) -> Iterator[int]:
    """How many rows each page had."""
    yield from _table(connection, PAGE_OF_CHANGES, Change, audit.change, audit.report)
    yield from _table(connection, PAGE_OF_ACCESS_KEYS, AccessKeyRow, audit.access_key, audit.report)
    yield from _table(connection, PAGE_OF_ACCOUNTS, AccountRow, audit.account, audit.report)
    yield from _table(connection, PAGE_OF_BUCKETS, BucketRow, audit.bucket, audit.report)


def _table(
    connection: sqlite3.Connection, statement: str, row_type: type[Row], judge: Callable[[Row], None], report: Report
) -> Iterator[int]:
    following = FIRST_ROWID
    while True:
        page = connection.execute(statement, (following,)).fetchall()
        for values in page:
            try:
                row = read_paged(row_type, values)
            except RecordRefused as refused:
                report.note(statement.split(" FROM ")[1].split()[0], values[1], refused)
                continue
            judge(row)
        yield len(page)
        if len(page) < PAGE or page[-1][0] == LAST_ROWID:
            return
        following = page[-1][0] + 1


class Wanted(NamedTuple):
    """Which changes to list; None = any. `limit`: the newest so many."""

    access_key_id: str | None
    bucket: str | None
    account: str | None
    limit: int


class Listed(NamedTuple):
    """`verified`: whether its link to the row before it holds."""

    change: Change
    verified: bool


def list_changes(url_or_path: str | Path, ring: KekRing, wanted: Wanted) -> list[Listed]:
    """The newest last. Raises as `enter_store`, and KeystoreUnavailable when it cannot be read."""
    with open_snapshot(keystore_path(url_or_path)) as connection:
        rows = enter_store(ring, read_store(connection.execute(SELECT_STORE).fetchall()))
        found = connection.execute(LIST_CHANGES, wanted).fetchall()
    listed = [_listed(rows, *read_listed_change(row)) for row in found]
    return listed[::-1]


def _listed(rows: SealedRows, change: Change, previous: bytes | None) -> Listed:
    if previous is None:
        return Listed(change, False)
    try:
        rows.follow(Position(change.seq - 1, previous), [change])
    except KeystoreError:
        return Listed(change, False)
    return Listed(change, True)

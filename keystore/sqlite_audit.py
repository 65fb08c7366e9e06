"""A SQLite keystore read whole, in one snapshot, and handed to the audit; and its log, listed.

Tables are read by rowid, page by page, each page to its end. No index is asked: SQLite itself says whether each holds
what its table does, and the schema must be the one that the migrations make.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keystore.audit import Audit, Report
from keystore.audited_rows import (
    Listed,
    Progress,
    Wanted,
    access_key_page,
    account_page,
    admin_token_page,
    bucket_page,
    change_page,
    entered,
    judge_time,
    judged_store,
    known_mark,
    listed_changes,
)
from keystore.high_water import HighWater, mac_at
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing
from keystore.sqlite_file import keystore_path, migrations, open_snapshot
from keystore.sqlite_rows import (
    LIST_CHANGES,
    LIST_CHANGES_OF_A_KEY,
    PAGE,
    PAGE_OF_ACCESS_KEYS,
    PAGE_OF_ACCOUNTS,
    PAGE_OF_ADMIN_TOKENS,
    PAGE_OF_BUCKETS,
    PAGE_OF_CHANGES,
    SELECT_STORE,
    read_store,
)

FIRST_ROWID: Final = -(2**63)
LAST_ROWID: Final = 2**63 - 1
MAX_DAMAGES: Final = 100  # that SQLite's own check tells
SCHEMA: Final = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
PAGES: Final = (
    (PAGE_OF_CHANGES, change_page),
    (PAGE_OF_ACCESS_KEYS, access_key_page),
    (PAGE_OF_ACCOUNTS, account_page),
    (PAGE_OF_BUCKETS, bucket_page),
    (PAGE_OF_ADMIN_TOKENS, admin_token_page),
)
COUNT: Final = (
    "SELECT (SELECT count(*) FROM change) + (SELECT count(*) FROM access_key)"
    " + (SELECT count(*) FROM account) + (SELECT count(*) FROM bucket) + (SELECT count(*) FROM admin_token)"
)


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
    mark = known_mark(HighWater(url_or_path, ring, state_file).path, report)
    with open_snapshot(keystore_path(url_or_path)) as connection:
        # What is no UTF-8 must be a finding at its row, and not end the reading.
        connection.text_factory = lambda octets: octets.decode(errors="surrogateescape")
        _judge_file(connection, report)
        store = judged_store(connection.execute(SELECT_STORE).fetchall(), report)
        if store is None:
            return report
        judge_time(store, mark, mark and mac_at(connection, mark.seq), report)
        audit = Audit(entered(ring, store, report), report)
        [[whole]] = connection.execute(COUNT).fetchall()
        done = 0
        for statement, judge in PAGES:
            for page in _pages(connection, statement):
                judge(audit, page)
                done += len(page)
                progress(done, whole)
        audit.end(store)
    return report


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


def _pages(connection: sqlite3.Connection, statement: str) -> Iterator[list[tuple[object, ...]]]:
    following = FIRST_ROWID
    while True:
        page = connection.execute(statement, (following,)).fetchall()
        yield page
        if len(page) < PAGE or page[-1][0] == LAST_ROWID:
            return
        following = page[-1][0] + 1


def list_changes(url_or_path: str | Path, ring: KekRing, wanted: Wanted) -> list[Listed]:
    """The newest last. Raises as `enter_store`, and KeystoreUnavailable when it cannot be read."""
    with open_snapshot(keystore_path(url_or_path)) as connection:
        rows = enter_store(ring, read_store(connection.execute(SELECT_STORE).fetchall()))
        statement = LIST_CHANGES if wanted.access_key_id is None else LIST_CHANGES_OF_A_KEY
        return listed_changes(rows, connection.execute(statement, wanted).fetchall())

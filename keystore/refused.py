"""Why requests were refused, for whoever asks later: in the database of the dates of use, a sample of them, for a week.

Nothing here decides anything, and it may be lost. What is told of a refusal is text of the gateway's making; here it is
not read.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from keystore.usage import open_usage, usage_path, writing_usage

KEPT: Final = 7 * 86_400  # seconds
MAX_KEPT: Final = 20_000  # rows, the newest: 80 MB at worst, however long somebody goes on guessing
MAX_TOLD: Final = 4096  # bytes of text; a longer one is not kept
MAX_LISTED: Final = 1000  # rows in one answer

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS refused ("
    " request_id TEXT PRIMARY KEY NOT NULL, at INTEGER NOT NULL, account TEXT NOT NULL, told TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS refused_at ON refused (at)",
    "CREATE INDEX IF NOT EXISTS refused_of_account ON refused (account, at)",
)
_ADD: Final = "INSERT OR IGNORE INTO refused (request_id, at, account, told) VALUES (?,?,?,?)"
_PRUNE: Final = "DELETE FROM refused WHERE at < ?1 OR at < (SELECT at FROM refused ORDER BY at DESC LIMIT 1 OFFSET ?2)"
_FIND: Final = "SELECT request_id, at, account, told FROM refused WHERE request_id = ?1"
NEWEST: Final = "SELECT request_id, at, account, told FROM refused ORDER BY at DESC, request_id DESC LIMIT ?1"
NEWEST_OF: Final = (
    "SELECT request_id, at, account, told FROM refused WHERE account = ?2 ORDER BY at DESC, request_id DESC LIMIT ?1"
)


class Refused(NamedTuple):
    """`at`: Unix seconds. `account`: whose key was named, "" = nobody's. `told`: JSON."""

    request_id: str
    at: int
    account: str
    told: str


def kept_of(refused: Sequence[Refused]) -> Iterator[Refused]:
    """Those that are short enough, and never more than there is room for."""
    return islice((one for one in refused if len(one.told.encode()) <= MAX_TOLD), MAX_KEPT)


def write_refused(database: Path, refused: Sequence[Refused], now: float) -> None:
    """One batch. `now`: Unix seconds; what is older than KEPT, and what is over MAX_KEPT, goes. Raises
    KeystoreUnavailable, as `keystore.usage.write_usage`."""
    with writing_usage(database) as connection:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.executemany(_ADD, kept_of(refused))
        connection.execute(_PRUNE, (int(now) - KEPT, MAX_KEPT))


def find_refused(database: Path, request_id: str) -> Refused | None:
    """None for one that was not kept. Raises KeystoreUnavailable."""
    return next(iter(_read(database, _FIND, request_id)), None)


def list_refused(database: Path, account: str | None, limit: int) -> list[Refused]:
    """The newest of those whose key was of the account, None = all; the newest first, at most MAX_LISTED.

    Raises KeystoreUnavailable.
    """
    if account is None:
        return _read(database, NEWEST, at_most(limit))
    return _read(database, NEWEST_OF, at_most(limit), account)


def at_most(limit: int) -> int:
    """SQLite takes a negative LIMIT for none."""
    return max(0, min(limit, MAX_LISTED))


def _read(database: Path, statement: str, *values: object) -> list[Refused]:
    path = usage_path(database)
    if not path.exists():
        return []
    with open_usage(path, "ro") as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'refused'").fetchall():
            return []
        return read_refused(connection.execute(statement, values).fetchall())


def read_refused(rows: Sequence[Sequence[Any]]) -> list[Refused]:
    """The columns in the order of the type."""
    return [Refused(*row) for row in rows]

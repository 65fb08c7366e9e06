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

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS refused ("
    " request_id TEXT PRIMARY KEY NOT NULL, at INTEGER NOT NULL, account TEXT NOT NULL, told TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS refused_at ON refused (at)",
)
_ADD: Final = "INSERT OR IGNORE INTO refused (request_id, at, account, told) VALUES (?,?,?,?)"
_PRUNE: Final = "DELETE FROM refused WHERE at < ?1 OR at < (SELECT at FROM refused ORDER BY at DESC LIMIT 1 OFFSET ?2)"
_FIND: Final = "SELECT request_id, at, account, told FROM refused WHERE request_id = ?1"


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
    path = usage_path(database)
    if not path.exists():
        return None
    with open_usage(path, "ro") as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'refused'").fetchall():
            return None
        return read_refused(connection.execute(_FIND, (request_id,)).fetchall())


def read_refused(rows: Sequence[Sequence[Any]]) -> Refused | None:
    """The first row, its columns in the order of the type."""
    return Refused(*rows[0]) if rows else None

"""When a key was last used, and last denied: a database of its own beside the keystore, written in batches.

Nothing here decides anything. It is not in the keystore, for it must neither move the keystore's epoch nor hold its
write lock, and it may be lost: deleting the file costs the dates in it.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from keystore.access_key import LATEST, rfc3339
from keystore.sqlite_file import answering

MAX_TEXT: Final = 200  # characters of a user agent or a reason
AT_MOST: Final = 60  # seconds between two writes of one key's date: more exact than this nobody needs it
BUSY_SECONDS: Final = 2.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS usage (
  access_key_id TEXT PRIMARY KEY NOT NULL,
  used_at       INTEGER, operation TEXT, bucket TEXT, source TEXT, region TEXT, user_agent TEXT,
  denied_at     INTEGER, reason TEXT, denied_bucket TEXT
) STRICT, WITHOUT ROWID
"""


class Used(NamedTuple):
    """A request that was admitted. `at`: Unix seconds. `source`: the address it came from."""

    at: int
    operation: str
    bucket: str
    source: str
    region: str
    user_agent: str


class Denied(NamedTuple):
    """A request whose signature held, and that was refused all the same. `reason`: for people."""

    at: int
    reason: str
    bucket: str


class Usage(NamedTuple):
    """Of one key; None where there is nothing to tell."""

    used: Used | None
    denied: Denied | None


NEVER: Final = Usage(None, None)

_USED: Final = (
    "INSERT INTO usage (access_key_id, used_at, operation, bucket, source, region, user_agent)"  # noqa: S608 – a number
    " VALUES (?,?,?,?,?,?,?)"
    " ON CONFLICT (access_key_id) DO UPDATE SET used_at = excluded.used_at, operation = excluded.operation,"
    " bucket = excluded.bucket, source = excluded.source, region = excluded.region, user_agent = excluded.user_agent"
    f" WHERE used_at IS NULL OR used_at <= excluded.used_at - {AT_MOST}"
)
_DENIED: Final = (
    "INSERT INTO usage (access_key_id, denied_at, reason, denied_bucket) VALUES (?,?,?,?)"  # noqa: S608 – a number
    " ON CONFLICT (access_key_id) DO UPDATE SET denied_at = excluded.denied_at, reason = excluded.reason,"
    f" denied_bucket = excluded.denied_bucket WHERE denied_at IS NULL OR denied_at <= excluded.denied_at - {AT_MOST}"
)
_READ: Final = (
    "SELECT access_key_id, used_at, operation, bucket, source, region, user_agent, denied_at, reason, denied_bucket"
    " FROM usage"
)
_OF_THESE: Final = " WHERE access_key_id IN (SELECT value FROM json_each(?1))"


def usage_path(database: Path) -> Path:
    return database.with_name(database.name + ".usage")


@contextlib.contextmanager
def open_usage(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Of an existing file: `mode` "ro" or "rw". Raises KeystoreUnavailable."""
    with answering(path):
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS
        )
        try:
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def writing_usage(database: Path) -> Iterator[sqlite3.Connection]:
    """One transaction. Raises KeystoreUnavailable; the file is made where there is none, readable by its owner only."""
    path = usage_path(database)
    with answering(path), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with open_usage(path, "rw") as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def write_usage(database: Path, used: dict[str, Used], denied: dict[str, Denied]) -> None:
    """One batch, by access key id. A date that is not a minute newer than the stored one changes nothing.

    Raises KeystoreUnavailable, as `writing_usage`.
    """
    with writing_usage(database) as connection:
        connection.execute(_SCHEMA)
        connection.executemany(_USED, [(key, *shortened(used[key])) for key in sorted(used)])
        connection.executemany(_DENIED, [(key, *shortened(denied[key])) for key in sorted(denied)])


def shortened(row: Used | Denied) -> list[object]:
    """Field by field, long texts cut."""
    return [value[:MAX_TEXT] if isinstance(value, str) else value for value in row]


def read_usage(database: Path, access_key_ids: Sequence[str] | None = None) -> dict[str, Usage]:
    """By access key id: of these keys, None = of all; only what was ever used or denied. {} where nothing was written
    yet.

    Raises KeystoreUnavailable when the file cannot be read.
    """
    path = usage_path(database)
    if not path.exists():
        return {}
    with open_usage(path, "ro") as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'usage'").fetchall():
            return {}
        if access_key_ids is None:
            found = connection.execute(_READ).fetchall()
        else:
            found = connection.execute(_READ + _OF_THESE, (json.dumps(access_key_ids),)).fetchall()
        return {row[0]: read_row(row) for row in found}


def read_row(row: Sequence[Any]) -> Usage:
    """The access key id, then the fields of both. A date that no calendar has is none."""
    used = Used(*row[1:7]) if _is_date(row[1]) else None
    return Usage(used, Denied(*row[7:]) if _is_date(row[7]) else None)


def _is_date(moment: object) -> bool:
    return isinstance(moment, int) and 0 <= moment <= LATEST


def forget_usage(database: Path, access_key_id: str) -> None:
    """Of a key that is deleted. Raises KeystoreUnavailable."""
    path = usage_path(database)
    if path.exists():
        with open_usage(path, "rw") as connection:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'usage'").fetchall():
                connection.execute("DELETE FROM usage WHERE access_key_id = ?1", (access_key_id,))


def usage_json(usage: Usage) -> dict[str, object]:
    """Beside the other fields of a key: `last_used` and `last_denied`, null when it never was. Times are RFC 3339."""
    used, denied = usage
    return {
        "last_used": used and {**used._asdict(), "at": rfc3339(used.at)},
        "last_denied": denied and {**denied._asdict(), "at": rfc3339(denied.at)},
    }

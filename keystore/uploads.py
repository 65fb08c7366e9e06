"""Which key began the multipart uploads that nobody has completed or aborted: in the database of the dates of use.

So that whoever revokes a key can end what it began, and the parts do not stay with the store. Nothing here decides what
a request may do, so it stands under no MAC, and it may be lost: what is lost has to be looked for at the store.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from keystore.usage import open_usage, usage_path, writing_usage

# Keys are replaced every 90 days: what a key began in its life is known. What is older was ended by a lifecycle rule of
# the store, or at the store itself, and nobody told us.
KEPT: Final = 90 * 86_400  # seconds
TOLD_WITHIN: Final = 60  # seconds; a process that noted when an upload began may write it after another that it is over
MAX_KEPT: Final = 100_000  # rows, the newest; 10 MB as names are, 250 MB as they could be: a key must not fill the disk

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS upload ("
    " bucket TEXT NOT NULL, object_key BLOB NOT NULL, upload_id BLOB NOT NULL,"
    " access_key_id TEXT NOT NULL, begun_at INTEGER NOT NULL, completing_at INTEGER NOT NULL,"
    " PRIMARY KEY (bucket, object_key, upload_id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS upload_of_access_key ON upload (access_key_id, begun_at)",
    "CREATE INDEX IF NOT EXISTS upload_begun ON upload (begun_at)",
)


class Upload(NamedTuple):
    """One multipart upload, as the store knows it: nothing of it is encoded."""

    bucket: str
    object_key: bytes
    upload_id: bytes


class Note(NamedTuple):
    """What is new of an upload. `access_key_id`: who began it, and `begun_at`: when; "" and 0 when that was before.

    `completing_at`: when the store got a CompleteMultipartUpload that it has not answered; 0 = none. Unix seconds.
    """

    access_key_id: str = ""
    begun_at: int = 0
    completing_at: int = 0
    ended: bool = False


class Unfinished(NamedTuple):
    """One row. `completing_at`: as in Note."""

    upload: Upload
    access_key_id: str
    begun_at: int
    completing_at: int


def merged(known: Note, later: Note) -> Note | None:
    """Two notes of one upload as one; None: it began and ended, and there is nothing to write.

    Workers tell in an order of chance, so that an upload's beginning may come last.
    """
    if known.ended:
        return known
    if later.ended:
        return None if known.access_key_id else later
    if later.access_key_id:
        return later._replace(completing_at=known.completing_at or later.completing_at)
    return known._replace(completing_at=later.completing_at)


# A row whose access_key_id is "" says what became of an upload that ended, or whose beginning is not written yet. Its
# begun_at is when that was written; completing_at is OVER for one that ended: a late beginning does not bring it back.
OVER: Final = -1
_COLUMNS: Final = "bucket, object_key, upload_id, access_key_id, begun_at, completing_at"
_PUT: Final = (
    f"INSERT INTO upload ({_COLUMNS}) VALUES (?,?,?,?,?,?)"  # noqa: S608 – names of columns
    " ON CONFLICT (bucket, object_key, upload_id) DO UPDATE SET "
)
BEGUN: Final = (
    "access_key_id = excluded.access_key_id, begun_at = excluded.begun_at"
    " WHERE upload.access_key_id = '' AND upload.completing_at >= 0"
)
ALTERED: Final = "completing_at = excluded.completing_at WHERE upload.completing_at >= 0"
ENDED: Final = "access_key_id = '', begun_at = excluded.begun_at, completing_at = excluded.completing_at"
_PRUNE: Final = (
    "DELETE FROM upload WHERE begun_at < ?1 OR access_key_id = '' AND begun_at < ?2"
    " OR begun_at < (SELECT begun_at FROM upload ORDER BY begun_at DESC LIMIT 1 OFFSET ?3)"
)
_READ: Final = (
    f"SELECT {_COLUMNS} FROM upload"  # noqa: S608
    " WHERE access_key_id = ? ORDER BY begun_at, bucket, object_key, upload_id"
)


class Batch(NamedTuple):
    """Rows, as they are when there is none of that upload, in the order of the primary key."""

    begun: list[tuple[object, ...]]
    altered: list[tuple[object, ...]]
    ended: list[tuple[object, ...]]


def batch_of(notes: Mapping[Upload, Note], now: float) -> Batch:
    batch = Batch([], [], [])
    for upload in sorted(notes):
        note = notes[upload]
        if note.ended:
            batch.ended.append((*upload, "", int(now), OVER))
        elif note.access_key_id:
            batch.begun.append((*upload, note.access_key_id, note.begun_at, note.completing_at))
        else:
            batch.altered.append((*upload, "", int(now), note.completing_at))
    return batch


def write_uploads(database: Path, notes: Mapping[Upload, Note], now: float) -> None:
    """One batch. `now`: Unix seconds; what is older than KEPT, and what is over MAX_KEPT, goes. Raises
    KeystoreUnavailable, as `keystore.usage.write_usage`."""
    batch = batch_of(notes, now)
    with writing_usage(database) as connection:
        for statement in _SCHEMA:
            connection.execute(statement)
        for update, rows in zip((BEGUN, ALTERED, ENDED), batch, strict=True):
            connection.executemany(_PUT + update, rows)
        connection.execute(_PRUNE, (int(now) - KEPT, int(now) - TOLD_WITHIN, MAX_KEPT))


def read_uploads(database: Path, access_key_ids: Iterable[str]) -> list[Unfinished]:
    """What these keys began, the oldest of each first. [] where nothing was written yet. Raises KeystoreUnavailable."""
    path = usage_path(database)
    if not path.exists():
        return []
    with open_usage(path, "ro") as connection:
        if not _has_uploads(connection):
            return []
        return [
            read_unfinished(row)
            for access_key_id in access_key_ids
            for row in connection.execute(_READ, (access_key_id,)).fetchall()
        ]


def read_unfinished(row: tuple[Any, ...]) -> Unfinished:
    """The columns in the order of the table."""
    return Unfinished(Upload(*row[:3]), *row[3:])


def forget_uploads(database: Path, access_key_id: str) -> None:
    """Of a key that is deleted. Raises KeystoreUnavailable."""
    path = usage_path(database)
    if path.exists():
        with open_usage(path, "rw") as connection:
            if _has_uploads(connection):
                connection.execute("DELETE FROM upload WHERE access_key_id = ?1", (access_key_id,))


def _has_uploads(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'upload'").fetchall())

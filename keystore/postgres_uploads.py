"""Which key began the multipart uploads that nobody has completed or aborted, of a PostgreSQL keystore: a table beside
the dates of use, under no MAC as they are.

Many gateways write it: each statement locks its rows in the order of the primary key, so that two batches wait for each
other and never both. A key that is gone gets no row.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from keystore.postgres_rows import SCHEMA
from keystore.postgres_server import BEGIN_LOOSE
from keystore.postgres_snapshot import connected
from keystore.sealing import Secret
from keystore.uploads import (
    ALTERED,
    BEGUN,
    ENDED,
    KEPT,
    MAX_KEPT,
    TOLD_WITHIN,
    Note,
    Unfinished,
    Upload,
    batch_of,
    read_unfinished,
)

BATCH: Final = 500  # uploads of one transaction, some milliseconds

_COLUMNS: Final = "bucket, object_key, upload_id, access_key_id, begun_at, completing_at"


def _put(update: str) -> str:
    """$1 to $6 = an array for each column."""
    return (
        f"INSERT INTO {SCHEMA}.upload ({_COLUMNS}) SELECT n.* FROM unnest("  # noqa: S608
        f"$1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[]) n ({_COLUMNS})"
        f" WHERE n.access_key_id = '' OR EXISTS"
        f" (SELECT 1 FROM {SCHEMA}.access_key k WHERE k.access_key_id = n.access_key_id)"
        ' ORDER BY n.bucket COLLATE "C", n.object_key, n.upload_id'
        f" ON CONFLICT (bucket, object_key, upload_id) DO UPDATE SET {update}"
    )


# What is put together here are column names, never a value.
STATEMENTS: Final = (_put(BEGUN), _put(ALTERED), _put(ENDED))
PRUNE: Final = (  # $1, $2 = Unix seconds: older ones, and of those without a key, go. $3 = how many rows stay
    f"DELETE FROM {SCHEMA}.upload WHERE ctid = ANY (ARRAY(SELECT ctid FROM {SCHEMA}.upload"  # noqa: S608
    " WHERE begun_at < $1::bigint OR access_key_id = '' AND begun_at < $2::bigint OR begun_at <"
    f" (SELECT begun_at FROM {SCHEMA}.upload ORDER BY begun_at DESC LIMIT 1 OFFSET $3::bigint)"
    " FOR UPDATE SKIP LOCKED))"
)
READ: Final = (  # $1 = access_key_id
    f"SELECT {_COLUMNS} FROM {SCHEMA}.upload"  # noqa: S608
    " WHERE access_key_id = $1 ORDER BY begun_at, bucket, object_key, upload_id"
)
FORGET: Final = f"DELETE FROM {SCHEMA}.upload WHERE access_key_id = $1"  # noqa: S608


async def write_uploads_postgres(url: Secret, notes: Mapping[Upload, Note], now: float) -> None:
    """As `keystore.uploads.write_uploads`. Nothing is connected to for nothing.

    Raises KeystoreUnavailable; batches that were written by then stay, and may be written again.
    """
    if not notes:
        return
    async with connected(url) as hand:
        for statement, rows in zip(STATEMENTS, batch_of(notes, now), strict=True):
            for start in range(0, len(rows), BATCH):
                await hand.run(BEGIN_LOOSE)
                await hand.execute(statement, list(map(list, zip(*rows[start : start + BATCH], strict=True))))
                await hand.run("COMMIT")
        await hand.execute(PRUNE, (int(now) - KEPT, int(now) - TOLD_WITHIN, MAX_KEPT))


async def read_uploads_postgres(url: Secret, access_key_ids: Iterable[str]) -> list[Unfinished]:
    """What these keys began, the oldest of each first. Raises KeystoreUnavailable."""
    found: list[tuple[object, ...]] = []
    async with connected(url) as hand:
        for access_key_id in access_key_ids:
            found += await hand.fetch(READ, access_key_id)
    return [read_unfinished(row) for row in found]


async def forget_uploads_postgres(url: Secret, access_key_id: str) -> None:
    """Of a key that is deleted. Raises KeystoreUnavailable."""
    async with connected(url) as hand:
        await hand.execute(FORGET, (access_key_id,))

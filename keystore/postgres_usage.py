"""When a key was last used, and last denied, of a PostgreSQL keystore: a table beside the others, written in batches.

Nothing here decides anything, and no row is verified. Many gateways write it: each batch is one statement in one
transaction, its rows in the order of their ids, so that two batches wait for each other and never both; none waits for
a standby. A key that is gone gets no row, whichever gateway is late.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from keystore.audit import printable
from keystore.postgres_rows import SCHEMA
from keystore.postgres_server import BEGIN_LOOSE
from keystore.postgres_snapshot import connected
from keystore.sealing import Secret
from keystore.usage import AT_MOST, Denied, Usage, Used, read_row, shortened

BATCH: Final = 500  # keys of one transaction, some milliseconds

_COLUMNS: Final = ("used_at", "operation", "bucket", "source", "region", "user_agent")
_DENIED_COLUMNS: Final = ("denied_at", "reason", "denied_bucket")


def _write(columns: tuple[str, ...]) -> str:
    """$1 = ids, then an array for each column, the date first. A date that is not a minute newer locks no row."""
    at = columns[0]
    arrays = "$1::text[], $2::bigint[], " + ", ".join(f"${number}::text[]" for number in range(3, len(columns) + 2))
    names = ", ".join(("access_key_id", *columns))
    replaced = ", ".join(f"{name} = excluded.{name}" for name in columns)
    return (
        f"INSERT INTO {SCHEMA}.usage AS known ({names}) SELECT n.* FROM unnest({arrays}) n ({names})"  # noqa: S608
        f" WHERE EXISTS (SELECT 1 FROM {SCHEMA}.access_key k WHERE k.access_key_id = n.access_key_id)"
        f" AND NOT EXISTS (SELECT 1 FROM {SCHEMA}.usage o"
        f" WHERE o.access_key_id = n.access_key_id AND o.{at} > n.{at} - {AT_MOST})"
        ' ORDER BY n.access_key_id COLLATE "C"'
        f" ON CONFLICT (access_key_id) DO UPDATE SET {replaced}"
        f" WHERE known.{at} IS NULL OR known.{at} <= excluded.{at} - {AT_MOST}"
    )


# What is put together here are column names, never a value.
WRITE_USED: Final = _write(_COLUMNS)
WRITE_DENIED: Final = _write(_DENIED_COLUMNS)
READ: Final = (  # $1 = ids or NULL
    f"SELECT access_key_id, {', '.join((*_COLUMNS, *_DENIED_COLUMNS))} FROM {SCHEMA}.usage"  # noqa: S608
    " WHERE $1::text[] IS NULL OR access_key_id = ANY ($1)"
)
FORGET: Final = f"DELETE FROM {SCHEMA}.usage WHERE access_key_id = $1"  # noqa: S608


async def write_usage_postgres(url: Secret, used: Mapping[str, Used], denied: Mapping[str, Denied]) -> None:
    """By access key id. A date that is not a minute newer than the stored one changes nothing. Nothing is connected to
    for nothing.

    Raises KeystoreUnavailable; batches that were written by then stay.
    """
    if not used and not denied:
        return
    async with connected(url) as hand:
        for statement, tallied in ((WRITE_USED, used), (WRITE_DENIED, denied)):
            for columns in _batches(tallied):
                await hand.run(BEGIN_LOOSE)
                await hand.execute(statement, columns)
                await hand.run("COMMIT")


def _batches(tallied: Mapping[str, Used] | Mapping[str, Denied]) -> Iterator[list[list[object]]]:
    """Column by column."""
    ids = sorted(tallied)
    for start in range(0, len(ids), BATCH):
        rows = [(each, *shortened(tallied[each])) for each in ids[start : start + BATCH]]
        yield [[_sendable(value) for value in column] for column in zip(*rows, strict=True)]


def _sendable(value: object) -> object:
    """What strangers sent may hold what no text of the database can: one of it must not lose the whole batch."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def read_usage_postgres(url: Secret, access_key_ids: Sequence[str] | None = None) -> dict[str, Usage]:
    """By access key id: of these keys, None = of all; only what was ever used or denied. Raises KeystoreUnavailable."""
    async with connected(url) as hand:
        found = await hand.fetch(READ, access_key_ids if access_key_ids is None else list(access_key_ids))
    return {str(row[0]): read_row([_shown(value) for value in row]) for row in found}


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


async def forget_usage_postgres(url: Secret, access_key_id: str) -> None:
    """Of a key that is deleted. Raises KeystoreUnavailable."""
    async with connected(url) as hand:
        await hand.execute(FORGET, (access_key_id,))

"""Why requests were refused, of a PostgreSQL keystore: a table beside the dates of use, as `keystore.refused`.

Each gateway adds rows of its own, so none waits for another; who prunes passes over what another one prunes.
"""

from collections.abc import Sequence
from typing import Final

from keystore.postgres_rows import SCHEMA
from keystore.postgres_snapshot import connected
from keystore.refused import KEPT, MAX_KEPT, Refused, at_most, kept_of, read_refused
from keystore.sealing import Secret

# What is put together here are column names, never a value.
ADD: Final = (  # $1 to $4 = an array for each column
    f"INSERT INTO {SCHEMA}.refused (request_id, at, account, told)"  # noqa: S608
    " SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING"
)
PRUNE: Final = (  # $1 = Unix seconds: older ones go. $2 = how many rows stay
    f"DELETE FROM {SCHEMA}.refused WHERE ctid = ANY (ARRAY(SELECT ctid FROM {SCHEMA}.refused"  # noqa: S608
    f" WHERE at < $1::bigint OR at < (SELECT at FROM {SCHEMA}.refused ORDER BY at DESC LIMIT 1 OFFSET $2::bigint)"
    " FOR UPDATE SKIP LOCKED))"
)
FIND: Final = f"SELECT request_id, at, account, told FROM {SCHEMA}.refused WHERE request_id = $1"  # noqa: S608
NEWEST: Final = (  # $1 = how many
    f"SELECT request_id, at, account, told FROM {SCHEMA}.refused ORDER BY at DESC, request_id DESC LIMIT $1"  # noqa: S608
)
NEWEST_OF: Final = (  # $1 = how many, $2 = account
    f"SELECT request_id, at, account, told FROM {SCHEMA}.refused WHERE account = $2"  # noqa: S608
    " ORDER BY at DESC, request_id DESC LIMIT $1"
)


async def write_refused_postgres(url: Secret, refused: Sequence[Refused], now: float) -> None:
    """As `keystore.refused.write_refused`. Nothing is connected to for nothing. Raises KeystoreUnavailable."""
    rows = list(kept_of(refused))
    if not rows:
        return
    async with connected(url) as hand:
        await hand.execute(ADD, list(map(list, zip(*rows, strict=True))))
        await hand.execute(PRUNE, (int(now) - KEPT, MAX_KEPT))


async def find_refused_postgres(url: Secret, request_id: str) -> Refused | None:
    """None for one that was not kept. Raises KeystoreUnavailable."""
    async with connected(url) as hand:
        return next(iter(read_refused(await hand.fetch(FIND, request_id))), None)


async def list_refused_postgres(url: Secret, account: str | None, limit: int) -> list[Refused]:
    """As `keystore.refused.list_refused`."""
    async with connected(url) as hand:
        if account is None:
            return read_refused(await hand.fetch(NEWEST, at_most(limit)))
        return read_refused(await hand.fetch(NEWEST_OF, at_most(limit), account))

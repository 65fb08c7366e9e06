"""The statements that read and write a SQLite keystore, and their result rows as types.

Each statement reads in one snapshot all that must be judged together: a record with the last change that names it,
the store row with the log behind a position. Knows no connection.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from keystore.bucket_claims import BucketClaim
from keystore.chain import GENESIS, Change, StoreRow
from keystore.errors import RecordRefused
from keystore.record import AccessKeyRow, AccountRow, BucketRow
from keystore.verified_rows import LastChange, VerifiedRows

FOLLOW_AT_MOST: Final = 1000  # rows of the log in one statement: bounds memory when a long log is read from its start
PAGE: Final = 1000  # rows of any table in one statement, when all of them are read

Row = TypeVar("Row", bound=tuple[Any, ...])


def _columns(alias: str, fields: tuple[str, ...]) -> str:
    return ", ".join(f"{alias}.{name}" for name in fields)


_STORE: Final = _columns("s", StoreRow._fields)
_CHANGE: Final = _columns("c", Change._fields)
_ACCESS_KEY: Final = _columns("k", AccessKeyRow._fields)
_ACCOUNT: Final = _columns("a", AccountRow._fields)
_BUCKET: Final = _columns("b", BucketRow._fields)
_PREVIOUS: Final = "LEFT JOIN change p ON p.seq = c.seq - 1"

# What is put together below are column names of this house's own types, never a value.
SELECT_LOG: Final = (  # ?1 = the last sequence number known
    f"SELECT {_STORE}, {_CHANGE} FROM store s"  # noqa: S608
    f" LEFT JOIN change c ON c.seq > ?1 AND c.seq <= ?1 + {FOLLOW_AT_MOST} ORDER BY c.seq"
)
SELECT_LOG_END: Final = (
    f"SELECT {_STORE}, {_CHANGE}, p.mac FROM store s"  # noqa: S608
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change) {_PREVIOUS}"
)
FIND_ACCESS_KEY: Final = (  # ?1 = access_key_id; always one row
    f"SELECT {_ACCESS_KEY}, {_CHANGE}, p.mac FROM (SELECT ?1 AS id) q"  # noqa: S608
    " LEFT JOIN access_key k ON k.access_key_id = q.id"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE access_key_id = q.id) {_PREVIOUS}"
)
LIST_ACCESS_KEYS: Final = (  # ?1 = account or NULL
    f"SELECT {_ACCESS_KEY}, {_CHANGE}, p.mac FROM access_key k"  # noqa: S608
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE access_key_id = k.access_key_id) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR k.account = ?1 ORDER BY k.created_at, k.access_key_id"
)
LIST_ACCOUNTS: Final = (  # ?1 = name or NULL
    f"SELECT {_ACCOUNT}, {_CHANGE}, p.mac FROM account a LEFT JOIN change c ON c.seq ="  # noqa: S608
    f" (SELECT max(seq) FROM change WHERE account = a.name AND access_key_id IS NULL AND bucket IS NULL) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR a.name = ?1 ORDER BY a.name"
)
FIND_BUCKETS: Final = (  # ?1 = names as a JSON array; those that have a claim, or a change that says they should
    f"SELECT {_BUCKET}, {_CHANGE}, p.mac FROM (SELECT value AS name FROM json_each(?1)) q"  # noqa: S608
    " LEFT JOIN bucket b ON b.name = q.name"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE bucket = q.name) {_PREVIOUS}"
    " WHERE b.name IS NOT NULL OR c.seq IS NOT NULL"
)
LIST_BUCKETS: Final = (  # ?1 = account or NULL: of those it holds or held, whether the row says so or the log
    f"SELECT {_BUCKET}, {_CHANGE}, p.mac"  # noqa: S608
    " FROM (SELECT name FROM bucket UNION SELECT bucket FROM change WHERE bucket IS NOT NULL) q"
    " LEFT JOIN bucket b ON b.name = q.name"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE bucket = q.name) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR b.account = ?1 OR c.account = ?1 ORDER BY q.name"
)
LIST_CHANGES: Final = (  # ?1 = access_key_id, ?2 = bucket, ?3 = account, each or NULL, ?4 = how many; the newest first
    f"SELECT {_CHANGE}, p.mac FROM change c {_PREVIOUS} WHERE (?1 IS NULL OR c.access_key_id = ?1)"  # noqa: S608
    " AND (?2 IS NULL OR c.bucket = ?2) AND (?3 IS NULL OR c.account = ?3) ORDER BY c.seq DESC LIMIT ?4"
)


def _page(table: str, columns: str, alias: str) -> str:
    """?1 = the first rowid of the page; the rowid comes before the columns. By rowid: no index is believed."""
    at = f"{alias}.rowid"
    return f"SELECT {at}, {columns} FROM {table} {alias} WHERE {at} >= ?1 ORDER BY {at} LIMIT {PAGE}"  # noqa: S608


def _to_reseal(table: str, columns: str, alias: str, named: str, change: str) -> str:
    """?1 = the id behind which the page begins, ?2 = the KEK under which rows are left alone, ?3 = how many."""
    return (
        f"SELECT {columns}, {_CHANGE}, p.mac FROM {table} {alias}"  # noqa: S608
        f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE {change}) {_PREVIOUS}"
        f" WHERE {alias}.{named} > ?1 AND {alias}.kek_id <> ?2 ORDER BY {alias}.{named} LIMIT ?3"
    )


ACCESS_KEYS_TO_RESEAL: Final = _to_reseal(
    "access_key", _ACCESS_KEY, "k", "access_key_id", "access_key_id = k.access_key_id"
)
ACCOUNTS_TO_RESEAL: Final = _to_reseal(
    "account", _ACCOUNT, "a", "name", "account = a.name AND access_key_id IS NULL AND bucket IS NULL"
)
BUCKETS_TO_RESEAL: Final = _to_reseal("bucket", _BUCKET, "b", "name", "bucket = b.name")
COUNT_BY_KEK: Final = " UNION ALL ".join(
    f"SELECT '{table}', kek_id, count(*) FROM {table} GROUP BY kek_id"  # noqa: S608
    for table in ("access_key", "account", "bucket", "change")
)

SELECT_STORE: Final = f"SELECT {_STORE} FROM store s"  # noqa: S608
PAGE_OF_CHANGES: Final = _page("change", _CHANGE, "c")
PAGE_OF_ACCESS_KEYS: Final = _page("access_key", _ACCESS_KEY, "k")
PAGE_OF_ACCOUNTS: Final = _page("account", _ACCOUNT, "a")
PAGE_OF_BUCKETS: Final = _page("bucket", _BUCKET, "b")
MAC_AT: Final = "SELECT mac FROM change WHERE seq = ?1"


def _into(table: str, fields: tuple[str, ...]) -> str:
    return f"INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


PUT_ACCESS_KEY: Final = "REPLACE " + _into("access_key", AccessKeyRow._fields)
PUT_STORE: Final = "REPLACE " + _into("store", ("only_row", *StoreRow._fields))  # values: 1, then the row
PUT_ACCOUNT: Final = "REPLACE " + _into("account", AccountRow._fields)
PUT_BUCKET: Final = "REPLACE " + _into("bucket", BucketRow._fields)
ADD_CHANGE: Final = "INSERT " + _into("change", Change._fields)
DELETE_ACCESS_KEY: Final = "DELETE FROM access_key WHERE access_key_id = ?1"
EVER_ISSUED: Final = "SELECT EXISTS (SELECT 1 FROM change WHERE access_key_id = ?1)"
NUMBER_TAKEN: Final = "SELECT EXISTS (SELECT 1 FROM account WHERE number = ?1)"


def _typed(row_type: type[Row], values: Sequence[object]) -> Row:
    """RecordRefused for a value of another type: a changed schema can hand out anything."""
    for value, expected in zip(values, row_type.__annotations__.values(), strict=True):
        if not isinstance(value, expected):
            raise RecordRefused(f"a stored {row_type.__name__} holds a value of a wrong type")
    make: Callable[..., Row] = row_type
    return make(*values)


def _change_or_none(values: Sequence[object]) -> Change | None:
    return None if values[0] is None else _typed(Change, values)


def _last_change(values: Sequence[object]) -> LastChange | None:
    """From the columns of a change and the MAC of the one before."""
    change = _change_or_none(values[:-1])
    if change is None:
        return None
    previous = values[-1]
    if isinstance(previous, bytes):
        return LastChange(change, previous)
    if change.seq == 1:
        return LastChange(change, GENESIS)
    raise RecordRefused(f"the change log has no row {change.seq - 1}: it was taken out")


def read_paged(row_type: type[Row], values: Sequence[object]) -> Row:
    """Of one row of a PAGE_OF_…."""
    return _typed(row_type, values[1:])


def read_listed_change(row: tuple[object, ...]) -> tuple[Change, bytes | None]:
    """Of LIST_CHANGES: the change, and the MAC of the row before it, None where that one is missing."""
    change = _typed(Change, row[:-1])
    if change.seq == 1:
        return change, GENESIS
    return change, row[-1] if isinstance(row[-1], bytes) else None


def read_store(result: list[tuple[object, ...]]) -> StoreRow:
    """Of SELECT_STORE."""
    return _store_row(result)


def read_log(result: list[tuple[object, ...]]) -> tuple[StoreRow, list[Change]]:
    """Of SELECT_LOG: the store row, and the changes behind the position asked for, at most FOLLOW_AT_MOST."""
    width = len(StoreRow._fields)
    store = _store_row(result)
    return store, [_typed(Change, row[width:]) for row in result if row[width] is not None]


def read_log_end(result: list[tuple[object, ...]]) -> tuple[StoreRow, LastChange | None]:
    """Of SELECT_LOG_END."""
    return _store_row(result), _last_change(result[0][len(StoreRow._fields) :])


def _store_row(result: list[tuple[object, ...]]) -> StoreRow:
    if not result:
        raise RecordRefused("the store row was taken out")
    return _typed(StoreRow, result[0][: len(StoreRow._fields)])


def read_found_key(row: tuple[object, ...]) -> tuple[AccessKeyRow | None, LastChange | None]:
    """Of FIND_ACCESS_KEY and LIST_ACCESS_KEYS."""
    width = len(AccessKeyRow._fields)
    found = None if row[0] is None else _typed(AccessKeyRow, row[:width])
    return found, _last_change(row[width:])


def read_found_bucket(row: tuple[object, ...]) -> tuple[BucketRow | None, LastChange | None]:
    """Of FIND_BUCKETS and LIST_BUCKETS."""
    width = len(BucketRow._fields)
    found = None if row[0] is None else _typed(BucketRow, row[:width])
    return found, _last_change(row[width:])


def read_claims(rows: VerifiedRows, found: list[tuple[object, ...]]) -> tuple[dict[str, BucketClaim], dict[str, int]]:
    """Of FIND_BUCKETS and LIST_BUCKETS: name → verified claim, name → sequence number of the change that wrote it."""
    claims: dict[str, BucketClaim] = {}
    written_at: dict[str, int] = {}
    for row in found:
        stored, last = read_found_bucket(row)
        claim = rows.read_bucket(stored, last)
        if claim is not None and last is not None:
            claims[claim.name] = claim
            written_at[claim.name] = last.change.seq
    return claims, written_at


def read_found_account(row: tuple[object, ...]) -> tuple[AccountRow, LastChange | None]:
    """Of LIST_ACCOUNTS."""
    width = len(AccountRow._fields)
    return _typed(AccountRow, row[:width]), _last_change(row[width:])

"""Rows found in a database, as types: what the statements of every kind of keystore return, column by column.

A statement returns the columns of the types named here in the order of their fields. Knows no database.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from keystore.access_key import AccessKey
from keystore.admin_tokens import AdminToken
from keystore.bucket_claims import BucketClaim
from keystore.chain import GENESIS, Change, StoreRow
from keystore.errors import RecordRefused
from keystore.record import AccessKeyRow, AccountRow, AdminTokenRow, BucketRow
from keystore.verified_rows import LastChange, VerifiedRows

FOLLOW_AT_MOST: Final = 1000  # rows of the log in one statement: bounds memory when a long log is read from its start

Row = TypeVar("Row", bound=tuple[Any, ...])


def columns(alias: str, fields: tuple[str, ...]) -> str:
    return ", ".join(f"{alias}.{name}" for name in fields)


# What statements put together from these are column names of this house's own types, never a value.
STORE: Final = columns("s", StoreRow._fields)
CHANGE: Final = columns("c", Change._fields)
ACCESS_KEY: Final = columns("k", AccessKeyRow._fields)
ACCOUNT: Final = columns("a", AccountRow._fields)
BUCKET: Final = columns("b", BucketRow._fields)
ADMIN_TOKEN: Final = columns("t", AdminTokenRow._fields)


def _typed(row_type: type[Row], values: Sequence[object]) -> Row:
    """RecordRefused for a value of another type: a changed schema can hand out anything."""
    for value, expected in zip(values, row_type.__annotations__.values(), strict=True):
        if not isinstance(value, expected):
            raise RecordRefused(f"a stored {row_type.__name__} holds a value of a wrong type")
    make: Callable[..., Row] = row_type
    return make(*values)


def _change_or_none(values: Sequence[object]) -> Change | None:
    return None if values[0] is None else _typed(Change, values)


def read_last_change(values: Sequence[object]) -> LastChange | None:
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
    return _store_row(result), read_last_change(result[0][len(StoreRow._fields) :])


def _store_row(result: list[tuple[object, ...]]) -> StoreRow:
    if not result:
        raise RecordRefused("the store row was taken out")
    return _typed(StoreRow, result[0][: len(StoreRow._fields)])


def read_found_key(row: tuple[object, ...]) -> tuple[AccessKeyRow | None, LastChange | None]:
    """Of FIND_ACCESS_KEY, LIST_ACCESS_KEYS and PAGE_ACCESS_KEYS…."""
    width = len(AccessKeyRow._fields)
    found = None if row[0] is None else _typed(AccessKeyRow, row[:width])
    return found, read_last_change(row[width:])


def read_access_keys(rows: VerifiedRows, found: list[tuple[object, ...]]) -> list[AccessKey]:
    """Of the same: those that there are, verified."""
    verified = [rows.read_access_key(*read_found_key(row)) for row in found]
    return [access_key for access_key in verified if access_key is not None]


def read_found_bucket(row: tuple[object, ...]) -> tuple[BucketRow | None, LastChange | None]:
    """Of FIND_BUCKETS and LIST_BUCKETS."""
    width = len(BucketRow._fields)
    found = None if row[0] is None else _typed(BucketRow, row[:width])
    return found, read_last_change(row[width:])


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
    return _typed(AccountRow, row[:width]), read_last_change(row[width:])


def read_found_admin_token(row: tuple[object, ...]) -> tuple[AdminTokenRow | None, LastChange | None]:
    """Of FIND_ADMIN_TOKEN and LIST_ADMIN_TOKENS."""
    width = len(AdminTokenRow._fields)
    found = None if row[0] is None else _typed(AdminTokenRow, row[:width])
    return found, read_last_change(row[width:])


def read_tokens(rows: VerifiedRows, found: list[tuple[object, ...]]) -> list[AdminToken]:
    """Of the same: those that there are, verified."""
    tokens = [rows.read_admin_token(*read_found_admin_token(row)) for row in found]
    return [token for token in tokens if token is not None]

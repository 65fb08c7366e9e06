"""The statements that read and write a SQLite keystore.

Each statement reads in one snapshot all that must be judged together: a record with the last change that names it,
the store row with the log behind a position. Knows no connection.
"""

from typing import Final

from keystore.chain import Change, StoreRow
from keystore.errors import RecordRefused
from keystore.found_rows import ACCESS_KEY, ACCOUNT, ADMIN_TOKEN, BUCKET, CHANGE, STORE

# What reads a SQLite keystore finds here what its statements return, as types.
from keystore.found_rows import FOLLOW_AT_MOST as FOLLOW_AT_MOST
from keystore.found_rows import read_claims as read_claims
from keystore.found_rows import read_found_account as read_found_account
from keystore.found_rows import read_found_bucket as read_found_bucket
from keystore.found_rows import read_found_key as read_found_key
from keystore.found_rows import read_listed_change as read_listed_change
from keystore.found_rows import read_log as read_log
from keystore.found_rows import read_log_end as read_log_end
from keystore.found_rows import read_paged as read_paged
from keystore.found_rows import read_store as read_store
from keystore.record import AccessKeyRow, AccountRow, AdminTokenRow, BucketRow
from keystore.statements import Statements

KEKS_OF_THE_LOG: Final = "SELECT DISTINCT kek_id FROM change"
LAST_OF_BUCKETS: Final = "SELECT bucket, max(seq) FROM change WHERE bucket IS NOT NULL GROUP BY bucket"
PAGE: Final = 1000  # rows of any table in one statement, when all of them are read

_PREVIOUS: Final = "LEFT JOIN change p ON p.seq = c.seq - 1"
_OF_ACCOUNT: Final = (
    "account = a.name AND access_key_id IS NULL AND bucket IS NULL AND token IS NULL AND kind <> 'console.sign_in'"
)

# What is put together below are column names of this house's own types, never a value.
SELECT_LOG: Final = (  # ?1 = the last sequence number known
    f"SELECT {STORE}, {CHANGE} FROM store s"  # noqa: S608
    f" LEFT JOIN change c ON c.seq > ?1 AND c.seq <= ?1 + {FOLLOW_AT_MOST} ORDER BY c.seq"
)
SELECT_LOG_END: Final = (
    f"SELECT {STORE}, {CHANGE}, p.mac FROM store s"  # noqa: S608
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change) {_PREVIOUS}"
)
FIND_ACCESS_KEY: Final = (  # ?1 = access_key_id; always one row
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM (SELECT ?1 AS id) q"  # noqa: S608
    " LEFT JOIN access_key k ON k.access_key_id = q.id"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE access_key_id = q.id) {_PREVIOUS}"
)
LIST_ACCESS_KEYS: Final = (  # ?1 = account or NULL
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM access_key k"  # noqa: S608
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE access_key_id = k.access_key_id) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR k.account = ?1 ORDER BY k.created_at, k.access_key_id"
)
_PAGE_OF_KEYS: Final = (
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM access_key k"  # noqa: S608
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE access_key_id = k.access_key_id) {_PREVIOUS}"
    " WHERE (k.created_at, k.access_key_id) < (?1, ?2)"
)
_NEWEST_KEYS_FIRST: Final = " ORDER BY k.created_at DESC, k.access_key_id DESC LIMIT ?3"
# ?1, ?2 = created_at and access_key_id behind which the page begins, ?3 = how many, ?4 = account; the newest first
PAGE_ACCESS_KEYS: Final = _PAGE_OF_KEYS + _NEWEST_KEYS_FIRST
PAGE_ACCESS_KEYS_OF: Final = f"{_PAGE_OF_KEYS} AND k.account = ?4{_NEWEST_KEYS_FIRST}"
LIST_ACCOUNTS: Final = (  # ?1 = name or NULL
    f"SELECT {ACCOUNT}, {CHANGE}, p.mac FROM account a LEFT JOIN change c ON c.seq ="  # noqa: S608
    f" (SELECT max(seq) FROM change WHERE {_OF_ACCOUNT}) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR a.name = ?1 ORDER BY a.name"
)
FIND_BUCKETS: Final = (  # ?1 = names as a JSON array; those that have a claim, or a change that says they should
    f"SELECT {BUCKET}, {CHANGE}, p.mac FROM (SELECT value AS name FROM json_each(?1)) q"  # noqa: S608
    " LEFT JOIN bucket b ON b.name = q.name"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE bucket = q.name) {_PREVIOUS}"
    " WHERE b.name IS NOT NULL OR c.seq IS NOT NULL"
)
LIST_BUCKETS: Final = (  # ?1 = account or NULL: of those it holds or held, whether the row says so or the log
    f"SELECT {BUCKET}, {CHANGE}, p.mac"  # noqa: S608
    " FROM (SELECT name FROM bucket UNION SELECT bucket FROM change WHERE bucket IS NOT NULL) q"
    " LEFT JOIN bucket b ON b.name = q.name"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE bucket = q.name) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR b.account = ?1 OR c.account = ?1 ORDER BY q.name"
)
FIND_ADMIN_TOKEN: Final = (  # ?1 = token_id; always one row
    f"SELECT {ADMIN_TOKEN}, {CHANGE}, p.mac FROM (SELECT ?1 AS id) q"  # noqa: S608
    " LEFT JOIN admin_token t ON t.token_id = q.id"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE token = q.id) {_PREVIOUS}"
)
LIST_ADMIN_TOKENS: Final = (  # ?1 = account or NULL: of its tokens, whether the row says so or the log
    f"SELECT {ADMIN_TOKEN}, {CHANGE}, p.mac"  # noqa: S608
    " FROM (SELECT token_id AS id FROM admin_token UNION SELECT token FROM change WHERE token IS NOT NULL) q"
    " LEFT JOIN admin_token t ON t.token_id = q.id"
    f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE token = q.id) {_PREVIOUS}"
    " WHERE ?1 IS NULL OR t.account = ?1 OR c.account = ?1 ORDER BY t.created_at, q.id"
)
_LISTED: Final = f"SELECT {CHANGE}, p.mac FROM change c {_PREVIOUS} WHERE"  # noqa: S608
_NARROWED: Final = "(?2 IS NULL OR c.bucket = ?2) AND (?3 IS NULL OR c.account = ?3) ORDER BY c.seq DESC LIMIT ?4"
# ?1 = access_key_id, ?2 = bucket, ?3 = account, each or NULL, ?4 = how many; the newest first
LIST_CHANGES: Final = f"{_LISTED} (?1 IS NULL OR c.access_key_id = ?1) AND {_NARROWED}"
LIST_CHANGES_OF_A_KEY: Final = f"{_LISTED} c.access_key_id = ?1 AND {_NARROWED}"  # by its index


def _page(table: str, columns: str, alias: str) -> str:
    """?1 = the first rowid of the page; the rowid comes before the columns. By rowid: no index is believed."""
    at = f"{alias}.rowid"
    return f"SELECT {at}, {columns} FROM {table} {alias} WHERE {at} >= ?1 ORDER BY {at} LIMIT {PAGE}"  # noqa: S608


def _to_reseal(table: str, columns: str, alias: str, named: str, change: str) -> str:
    """?1 = the id behind which the page begins, ?2 = the KEK under which rows are left alone, ?3 = how many."""
    return (
        f"SELECT {columns}, {CHANGE}, p.mac FROM {table} {alias}"  # noqa: S608
        f" LEFT JOIN change c ON c.seq = (SELECT max(seq) FROM change WHERE {change}) {_PREVIOUS}"
        f" WHERE {alias}.{named} > ?1 AND {alias}.kek_id <> ?2 ORDER BY {alias}.{named} LIMIT ?3"
    )


ACCESS_KEYS_TO_RESEAL: Final = _to_reseal(
    "access_key", ACCESS_KEY, "k", "access_key_id", "access_key_id = k.access_key_id"
)
ACCOUNTS_TO_RESEAL: Final = _to_reseal("account", ACCOUNT, "a", "name", _OF_ACCOUNT)
BUCKETS_TO_RESEAL: Final = _to_reseal("bucket", BUCKET, "b", "name", "bucket = b.name")
ADMIN_TOKENS_TO_RESEAL: Final = _to_reseal("admin_token", ADMIN_TOKEN, "t", "token_id", "token = t.token_id")
COUNT_BY_KEK: Final = " UNION ALL ".join(
    f"SELECT '{table}', kek_id, count(*) FROM {table} GROUP BY kek_id"  # noqa: S608
    for table in ("access_key", "account", "bucket", "admin_token", "change")
)

SELECT_STORE: Final = f"SELECT {STORE} FROM store s"  # noqa: S608
PAGE_OF_CHANGES: Final = _page("change", CHANGE, "c")
PAGE_OF_ACCESS_KEYS: Final = _page("access_key", ACCESS_KEY, "k")
PAGE_OF_ACCOUNTS: Final = _page("account", ACCOUNT, "a")
PAGE_OF_BUCKETS: Final = _page("bucket", BUCKET, "b")
PAGE_OF_ADMIN_TOKENS: Final = _page("admin_token", ADMIN_TOKEN, "t")
MAC_AT: Final = "SELECT mac FROM change WHERE seq = ?1"
FIND_REQUEST: Final = f"SELECT {CHANGE}, p.mac FROM change c {_PREVIOUS} WHERE c.request_id = ?1"  # noqa: S608


def _into(table: str, fields: tuple[str, ...]) -> str:
    return f"INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


PUT_ACCESS_KEY: Final = "REPLACE " + _into("access_key", AccessKeyRow._fields)
PUT_STORE: Final = "REPLACE " + _into("store", ("only_row", *StoreRow._fields))  # values: 1, then the row
PUT_ACCOUNT: Final = "REPLACE " + _into("account", AccountRow._fields)
PUT_BUCKET: Final = "REPLACE " + _into("bucket", BucketRow._fields)
PUT_ADMIN_TOKEN: Final = "REPLACE " + _into("admin_token", AdminTokenRow._fields)
ADD_CHANGE: Final = "INSERT " + _into("change", Change._fields)
DELETE_ACCESS_KEY: Final = "DELETE FROM access_key WHERE access_key_id = ?1"
EVER_ISSUED: Final = "SELECT EXISTS (SELECT 1 FROM change WHERE access_key_id = ?1)"
NUMBER_TAKEN: Final = "SELECT EXISTS (SELECT 1 FROM account WHERE number = ?1)"


STATEMENTS: Final = Statements(
    log_end=SELECT_LOG_END,
    mac_at=MAC_AT,
    find_request=FIND_REQUEST,
    find_access_key=FIND_ACCESS_KEY,
    list_access_keys=LIST_ACCESS_KEYS,
    page_access_keys=PAGE_ACCESS_KEYS,
    page_access_keys_of=PAGE_ACCESS_KEYS_OF,
    list_accounts=LIST_ACCOUNTS,
    find_buckets=FIND_BUCKETS,
    list_buckets=LIST_BUCKETS,
    find_admin_token=FIND_ADMIN_TOKEN,
    list_admin_tokens=LIST_ADMIN_TOKENS,
    access_keys_to_reseal=ACCESS_KEYS_TO_RESEAL,
    accounts_to_reseal=ACCOUNTS_TO_RESEAL,
    buckets_to_reseal=BUCKETS_TO_RESEAL,
    admin_tokens_to_reseal=ADMIN_TOKENS_TO_RESEAL,
    ever_issued=EVER_ISSUED,
    number_taken=NUMBER_TAKEN,
    add_change=ADD_CHANGE,
    put_store=PUT_STORE,
    put_access_key=PUT_ACCESS_KEY,
    put_account=PUT_ACCOUNT,
    put_bucket=PUT_BUCKET,
    put_admin_token=PUT_ADMIN_TOKEN,
    delete_access_key=DELETE_ACCESS_KEY,
)


def read_written_at(result: list[tuple[object, ...]]) -> dict[str, int]:
    """Of LAST_OF_BUCKETS: name → sequence number of the last change that names it."""
    found: dict[str, int] = {}
    for name, seq in result:
        if not isinstance(name, str) or not isinstance(seq, int):
            raise RecordRefused("a change names no bucket where it should")
        found[name] = seq
    return found

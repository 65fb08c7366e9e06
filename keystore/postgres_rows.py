"""The statements that read and write a PostgreSQL keystore, by the names and with the columns of those for SQLite.

Each reads in one snapshot all that must be judged together. Tables are named with their schema, so that no search_path
leads elsewhere. Knows no connection.
"""

from typing import Final

from keystore.chain import Change, StoreRow
from keystore.found_rows import ACCESS_KEY, ACCOUNT, ADMIN_TOKEN, BUCKET, CHANGE, FOLLOW_AT_MOST, STORE
from keystore.record import AccessKeyRow, AccountRow, AdminTokenRow, BucketRow
from keystore.statements import Statements

SCHEMA: Final = "nqgate"
PAGE: Final = 1000  # rows of any table in one statement, when all of them are read

_PREVIOUS: Final = f"LEFT JOIN {SCHEMA}.change p ON p.seq = c.seq - 1"


def _last(named: str) -> str:
    """The last change that names the record, and the one before it."""
    last = f"SELECT * FROM {SCHEMA}.change WHERE {named} ORDER BY seq DESC LIMIT 1"  # noqa: S608
    return f"LEFT JOIN LATERAL ({last}) c ON true {_PREVIOUS}"


_OF_KEY: Final = "access_key_id = k.access_key_id"
_OF_ACCOUNT: Final = (
    "account = a.name AND access_key_id IS NULL AND bucket IS NULL AND token IS NULL AND kind <> 'console.sign_in'"
)

# What is put together below are column names of this house's own types, never a value.
LOCK_STORE: Final = f"SELECT seq FROM {SCHEMA}.store FOR UPDATE"  # noqa: S608
SELECT_STORE: Final = f"SELECT {STORE} FROM {SCHEMA}.store s"  # noqa: S608
SELECT_LOG: Final = (  # $1 = the last sequence number known
    f"SELECT {STORE}, {CHANGE} FROM {SCHEMA}.store s"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.change c ON c.seq > $1::bigint AND c.seq <= $1::bigint + {FOLLOW_AT_MOST} ORDER BY c.seq"
)
SELECT_LOG_END: Final = f"SELECT {STORE}, {CHANGE}, p.mac FROM {SCHEMA}.store s {_last('true')}"  # noqa: S608
MAC_AT: Final = f"SELECT mac FROM {SCHEMA}.change WHERE seq = $1"  # noqa: S608
FIND_CHANGE: Final = f"SELECT {CHANGE}, p.mac FROM {SCHEMA}.change c {_PREVIOUS} WHERE c.seq = $1::bigint"  # noqa: S608
FIND_REQUEST: Final = f"SELECT {CHANGE}, p.mac FROM {SCHEMA}.change c {_PREVIOUS} WHERE c.request_id = $1"  # noqa: S608
MAC_OF_REQUEST: Final = f"SELECT mac FROM {SCHEMA}.change WHERE request_id = $1"  # noqa: S608
FIND_ACCESS_KEY: Final = (  # $1 = access_key_id; always one row
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM (SELECT $1::text AS id) q"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.access_key k ON k.access_key_id = q.id {_last('access_key_id = q.id')}"
)
FIND_ACCESS_KEYS: Final = (  # $1 = ids as a JSON array; one row for each
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM json_array_elements_text($1::text::json) q (id)"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.access_key k ON k.access_key_id = q.id {_last('access_key_id = q.id')}"
)
LIST_ACCESS_KEYS: Final = (  # $1 = account or NULL
    f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM {SCHEMA}.access_key k {_last(_OF_KEY)}"  # noqa: S608
    " WHERE $1::text IS NULL OR k.account = $1 ORDER BY k.created_at, k.access_key_id"
)


def _page_of_keys(of: str) -> str:
    """$1, $2 = created_at and access_key_id behind which the page begins, $3 = how many, $4 = account; the newest
    first."""
    newest_first = "ORDER BY k.created_at DESC, k.access_key_id DESC"
    page = f"SELECT * FROM {SCHEMA}.access_key k WHERE (k.created_at, k.access_key_id) < ($1::bigint, $2::text){of}"  # noqa: S608
    return (
        f"SELECT {ACCESS_KEY}, {CHANGE}, p.mac FROM ({page} {newest_first} LIMIT $3::bigint) k"  # noqa: S608
        f" {_last(_OF_KEY)} {newest_first}"
    )


PAGE_ACCESS_KEYS: Final = _page_of_keys("")
PAGE_ACCESS_KEYS_OF: Final = _page_of_keys(" AND k.account = $4")
LIST_ACCOUNTS: Final = (  # $1 = name or NULL
    f"SELECT {ACCOUNT}, {CHANGE}, p.mac FROM {SCHEMA}.account a {_last(_OF_ACCOUNT)}"  # noqa: S608
    " WHERE $1::text IS NULL OR a.name = $1 ORDER BY a.name"
)
FIND_BUCKETS: Final = (  # $1 = names as a JSON array; those that have a claim, or a change that says they should
    f"SELECT {BUCKET}, {CHANGE}, p.mac FROM json_array_elements_text($1::text::json) q (name)"  # noqa: S608
    f" LEFT JOIN LATERAL (SELECT * FROM {SCHEMA}.bucket WHERE name = q.name LIMIT 1) b ON true"
    f" {_last('bucket = q.name')} WHERE b.name IS NOT NULL OR c.seq IS NOT NULL"
)
LIST_BUCKETS: Final = (  # $1 = account or NULL: of those it holds or held, whether the row says so or the log
    f"SELECT {BUCKET}, {CHANGE}, p.mac FROM (SELECT name FROM {SCHEMA}.bucket"  # noqa: S608
    f" UNION SELECT bucket FROM {SCHEMA}.change WHERE bucket IS NOT NULL) q"
    f" LEFT JOIN {SCHEMA}.bucket b ON b.name = q.name {_last('bucket = q.name')}"
    " WHERE $1::text IS NULL OR b.account = $1 OR c.account = $1 ORDER BY q.name"
)
FIND_ADMIN_TOKEN: Final = (  # $1 = token_id; always one row
    f"SELECT {ADMIN_TOKEN}, {CHANGE}, p.mac FROM (SELECT $1::text AS id) q"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.admin_token t ON t.token_id = q.id {_last('token = q.id')}"
)
LIST_ADMIN_TOKENS: Final = (  # $1 = account or NULL: of its tokens, whether the row says so or the log
    f"SELECT {ADMIN_TOKEN}, {CHANGE}, p.mac FROM (SELECT token_id AS id FROM {SCHEMA}.admin_token"  # noqa: S608
    f" UNION SELECT token FROM {SCHEMA}.change WHERE token IS NOT NULL) q"
    f" LEFT JOIN {SCHEMA}.admin_token t ON t.token_id = q.id {_last('token = q.id')}"
    " WHERE $1::text IS NULL OR t.account = $1 OR c.account = $1 ORDER BY t.created_at, q.id"
)
LIST_CHANGES: Final = (  # $1 = access_key_id, $2 = bucket, $3 = account, each or NULL, $4 = how many; the newest first
    f"SELECT {CHANGE}, p.mac FROM {SCHEMA}.change c {_PREVIOUS}"  # noqa: S608
    " WHERE ($1::text IS NULL OR c.access_key_id = $1) AND ($2::text IS NULL OR c.bucket = $2)"
    " AND ($3::text IS NULL OR c.account = $3) ORDER BY c.seq DESC LIMIT $4"
)


def in_the_log(statement: str) -> str:
    """`statement`, and in the same snapshot what says of which log it is a part: the store row, the MAC of change $2,
    then the columns of `statement`, NULL where it returns nothing. On a standby no row."""
    return (
        f"SELECT {STORE}, m.mac, f.* FROM {SCHEMA}.store s"  # noqa: S608
        f" LEFT JOIN {SCHEMA}.change m ON m.seq = $2 LEFT JOIN LATERAL ({statement}) f ON true"
        " WHERE NOT pg_is_in_recovery()"
    )


KEY_IN_THE_LOG: Final = in_the_log(FIND_ACCESS_KEY)
ACCOUNT_IN_THE_LOG: Final = in_the_log(LIST_ACCOUNTS)
CHANGE_IN_THE_LOG: Final = in_the_log(FIND_CHANGE)
BUCKETS_IN_THE_LOG: Final = in_the_log(FIND_BUCKETS)


def _to_reseal(table: str, columns: str, alias: str, named: str, change: str) -> str:
    """$1 = the id behind which the page begins, $2 = the KEK under which rows are left alone, $3 = how many."""
    return (
        f"SELECT {columns}, {CHANGE}, p.mac FROM {SCHEMA}.{table} {alias} {_last(change)}"  # noqa: S608
        f" WHERE {alias}.{named} > $1 AND {alias}.kek_id <> $2 ORDER BY {alias}.{named} LIMIT $3"
    )


ACCESS_KEYS_TO_RESEAL: Final = _to_reseal("access_key", ACCESS_KEY, "k", "access_key_id", _OF_KEY)
ACCOUNTS_TO_RESEAL: Final = _to_reseal("account", ACCOUNT, "a", "name", _OF_ACCOUNT)
BUCKETS_TO_RESEAL: Final = _to_reseal("bucket", BUCKET, "b", "name", "bucket = b.name")
ADMIN_TOKENS_TO_RESEAL: Final = _to_reseal("admin_token", ADMIN_TOKEN, "t", "token_id", "token = t.token_id")
COUNT_BY_KEK: Final = " UNION ALL ".join(
    f"SELECT '{table}', kek_id, count(*) FROM {SCHEMA}.{table} GROUP BY kek_id"  # noqa: S608
    for table in ("access_key", "account", "bucket", "admin_token", "change")
)


def _page(table: str, columns: str, alias: str, named: str, of: str = "text") -> str:
    """$1 = the primary key behind which the page begins, NULL = from the first on; it comes before the columns."""
    at = f"{alias}.{named}"
    return (
        f"SELECT {at}, {columns} FROM {SCHEMA}.{table} {alias}"  # noqa: S608
        f" WHERE $1::{of} IS NULL OR {at} > $1 ORDER BY {at} LIMIT {PAGE}"
    )


PAGE_OF_CHANGES: Final = _page("change", CHANGE, "c", "seq", "bigint")
PAGE_OF_ACCESS_KEYS: Final = _page("access_key", ACCESS_KEY, "k", "access_key_id")
PAGE_OF_ACCOUNTS: Final = _page("account", ACCOUNT, "a", "name")
PAGE_OF_BUCKETS: Final = _page("bucket", BUCKET, "b", "name")
PAGE_OF_ADMIN_TOKENS: Final = _page("admin_token", ADMIN_TOKEN, "t", "token_id")
COUNT_ROWS: Final = " UNION ALL ".join(
    f"SELECT '{table}', count(*) FROM {SCHEMA}.{table}"  # noqa: S608
    for table in ("change", "access_key", "account", "bucket", "admin_token")
)


def _add(table: str, fields: tuple[str, ...]) -> str:
    values = ", ".join(f"${number}" for number in range(1, len(fields) + 1))
    return f"INSERT INTO {SCHEMA}.{table} ({', '.join(fields)}) VALUES ({values})"  # noqa: S608


def _put(table: str, fields: tuple[str, ...]) -> str:
    """The first field is the primary key."""
    replaced = ", ".join(f"{name} = excluded.{name}" for name in fields[1:])
    return f"{_add(table, fields)} ON CONFLICT ({fields[0]}) DO UPDATE SET {replaced}"


PUT_ACCESS_KEY: Final = _put("access_key", AccessKeyRow._fields)
PUT_STORE: Final = _put("store", ("only_row", *StoreRow._fields))  # values: 1, then the row
PUT_ACCOUNT: Final = _put("account", AccountRow._fields)
PUT_BUCKET: Final = _put("bucket", BucketRow._fields)
PUT_ADMIN_TOKEN: Final = _put("admin_token", AdminTokenRow._fields)
ADD_CHANGE: Final = _add("change", Change._fields)
DELETE_ACCESS_KEY: Final = f"DELETE FROM {SCHEMA}.access_key WHERE access_key_id = $1"  # noqa: S608
EVER_ISSUED: Final = f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.change WHERE access_key_id = $1)"  # noqa: S608
NUMBER_TAKEN: Final = f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.account WHERE number = $1)"  # noqa: S608

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

"""A PostgreSQL keystore read whole, in one snapshot, and handed to the audit; and its log, listed.

Tables are read by their primary keys, page by page, each page to its end; then as many rows must have come as a count
finds that asks no index. What acts on a table by itself, or hides its rows, is a finding: a trigger, a rule, a policy,
a view or an inheritor in its place. Whether the server's other indexes hold what its tables do, only the server's own
tools can say.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from keystore.audit import Audit, Report
from keystore.audited_rows import (
    Listed,
    Progress,
    Wanted,
    access_key_page,
    account_page,
    admin_token_page,
    bucket_page,
    change_page,
    entered,
    judge_time,
    judged_store,
    known_mark,
    listed_changes,
)
from keystore.found_rows import read_store
from keystore.postgres_rows import (
    COUNT_ROWS,
    LIST_CHANGES,
    MAC_AT,
    PAGE,
    PAGE_OF_ACCESS_KEYS,
    PAGE_OF_ACCOUNTS,
    PAGE_OF_ADMIN_TOKENS,
    PAGE_OF_BUCKETS,
    PAGE_OF_CHANGES,
    SELECT_STORE,
)
from keystore.postgres_server import PostgresHand, migrations
from keystore.postgres_snapshot import snapshot
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret
from keystore.statements import Hand

NO_INDEXES: Final = (
    "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;"
    "SET LOCAL enable_bitmapscan = off"
)
# So that a page costs what it has and not what the table has, whatever the server knows of their sizes.
INDEXES: Final = "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on"
# What stands in the schema of the keystore: kind and name. Row types, sequences' tables and TOAST are PostgreSQL's own.
SCHEMA: Final = """
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' ELSE 'relation of kind ' || c.relkind::text END
  || CASE c.relpersistence WHEN 'p' THEN '' ELSE ' that is not durable' END
  || CASE WHEN c.relrowsecurity OR c.relforcerowsecurity THEN ' with row security' ELSE '' END
  || CASE WHEN NOT coalesce(x.indisvalid AND x.indisready AND x.indislive, true) THEN ' that is not valid' ELSE '' END,
  c.relname::text
FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid WHERE c.relnamespace = 'nqgate'::regnamespace
UNION ALL SELECT 'trigger', t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE c.relnamespace = 'nqgate'::regnamespace
UNION ALL SELECT 'rule', r.rulename::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  WHERE c.relnamespace = 'nqgate'::regnamespace
UNION ALL SELECT 'policy', p.polname::text FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  WHERE c.relnamespace = 'nqgate'::regnamespace
UNION ALL SELECT 'inheritor', i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
  WHERE c.relnamespace = 'nqgate'::regnamespace
UNION ALL SELECT 'function', p.proname::text FROM pg_proc p WHERE p.pronamespace = 'nqgate'::regnamespace
"""
_TABLE: Final = re.compile(r"^CREATE TABLE nqgate\.(\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
_INDEX: Final = re.compile(r"^CREATE INDEX (\w+) ", re.MULTILINE)
_UNIQUE: Final = re.compile(r"^ +(\w+) .*\bUNIQUE\b", re.MULTILINE)


class _Table(NamedTuple):
    name: str
    statement: str
    judge: Callable[[Audit, Sequence[Sequence[object]]], None]


TABLES: Final = (
    _Table("change", PAGE_OF_CHANGES, change_page),
    _Table("access_key", PAGE_OF_ACCESS_KEYS, access_key_page),
    _Table("account", PAGE_OF_ACCOUNTS, account_page),
    _Table("bucket", PAGE_OF_BUCKETS, bucket_page),
    _Table("admin_token", PAGE_OF_ADMIN_TOKENS, admin_token_page),
)


async def audit_postgres(
    url: Secret, ring: KekRing, state_file: Path, progress: Progress = lambda done, whole: None
) -> Report:
    """Read and judge everything. `state_file`: of this host's mark.

    KeystoreUnavailable when it cannot be read; WrongKek when its KEK is not loaded.
    """
    report = Report()
    mark = known_mark(state_file, report)
    async with snapshot(url) as hand:
        await _judge_schema(hand, report)
        store = judged_store(await hand.fetch(SELECT_STORE), report)
        if store is None:
            return report
        there = [] if mark is None else await hand.fetch(MAC_AT, mark.seq)
        judge_time(store, mark, there[0][0] if there else None, report)
        audit = Audit(entered(ring, store, report), report)
        counted = await _counted(hand)
        done = 0
        for table in TABLES:
            before = done
            async for page in _pages(hand, table.statement):
                table.judge(audit, page)
                done += len(page)
                progress(done, sum(counted.values()))
            if done - before != counted[table.name]:
                what = f"its index shows {done - before} rows of {counted[table.name]}: rebuild it with REINDEX"
                report.note("database", table.name, what)
        audit.end(store)
    return report


async def _pages(hand: Hand, statement: str) -> AsyncIterator[list[tuple[object, ...]]]:
    last: object = None
    while True:
        page = await hand.fetch(statement, last)
        yield page
        if len(page) < PAGE:
            return
        last = page[-1][0]


async def _counted(hand: PostgresHand) -> dict[str, int]:
    """Table → its rows, of which no index is asked."""
    await hand.run(NO_INDEXES)
    found = await hand.fetch(COUNT_ROWS)
    await hand.run(INDEXES)
    return {str(table): rows for table, rows in found if isinstance(rows, int)}


async def _judge_schema(hand: Hand, report: Report) -> None:
    found = {f"{kind} {name}" for kind, name in await hand.fetch(SCHEMA)}
    expected = expected_schema()
    for name in sorted(found | expected):
        if name not in found:
            report.note("schema", name, "is missing")
        elif name not in expected:
            report.note("schema", name, "was added")


def expected_schema() -> set[str]:
    """As SCHEMA names what the migrations make."""
    expected = {"table schema_version", "index schema_version_pkey"}
    for text in migrations():
        expected |= {f"index {name}" for name in _INDEX.findall(text)}
        for table, columns in _TABLE.findall(text):
            unique = {f"index {table}_{column}_key" for column in _UNIQUE.findall(columns)}
            expected |= {f"table {table}", f"index {table}_pkey", *unique}
    return expected


async def list_postgres_changes(url: Secret, ring: KekRing, wanted: Wanted) -> list[Listed]:
    """The newest last. Raises as `enter_store`, and KeystoreUnavailable when it cannot be read."""
    async with snapshot(url) as hand:
        rows = enter_store(ring, read_store(await hand.fetch(SELECT_STORE)))
        return listed_changes(rows, await hand.fetch(LIST_CHANGES, *wanted))

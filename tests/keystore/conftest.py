"""A keystore in a folder of its own, a hand on its file, and a second real process that works on it."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keystore.directory import Directory, open_directory
from keystore.high_water import HighWater
from keystore.sealing import KekRing, create_kek_file, load_kek_ring
from keystore.sqlite import SqliteStore, migrate, open_sqlite_store
from tests.support.postgres import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]  # fixtures: one server for all the tests of a process

ELSEWHERE = """
import asyncio, json, sys
from pathlib import Path
from keystore.access_key import RevokeReason
from keystore.errors import Conflict
from keystore.key_acts import Edit
from keystore.scope import AllBuckets
from keystore.sealing import Secret, load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey

async def act(database, kek_file, deed, *arguments):
    async with open_sqlite_store(database, load_kek_ring(Path(kek_file)), create=False) as store:
        if deed == "create":
            access_key, secret = await store.create_key(NewKey("default", *arguments, AllBuckets()), "elsewhere")
            return access_key.access_key_id
        if deed == "revoke":
            await store.revoke_key(*arguments, RevokeReason.UNUSED, "elsewhere")
        elif deed == "restore":
            await store.restore_key(*arguments, "elsewhere")
        elif deed == "roll":
            return (await store.roll_key(arguments[0], int(arguments[1]), "elsewhere")).successor.access_key_id
        elif deed == "extend":
            await store.update_key(arguments[0], Edit(expires_at=int(arguments[1])), "elsewhere")
        elif deed == "rename":
            await store.update_key(arguments[0], Edit(label=arguments[1]), "elsewhere")
        elif deed == "delete":
            await store.delete_key(*arguments, "elsewhere")
        elif deed == "claim":
            try:
                return (await store.claim_bucket(*arguments, "elsewhere")).claim.account
            except Conflict:
                return None
        elif deed == "refused":
            await store.undo_claim(await store.claim_bucket(*arguments, "elsewhere"), "elsewhere")
        elif deed == "release":
            await store.release_bucket(arguments[0], int(arguments[1]), "elsewhere")
        elif deed == "assign":
            await store.assign_bucket(*arguments, "elsewhere")
        elif deed == "upstream":
            name, access_key_id, *secret = arguments
            await store.set_upstream(name, access_key_id or None, Secret(*secret) if secret else None, "elsewhere")
        elif deed == "sql":
            return [list(row) for row in await store._connection.execute_fetchall(*arguments)]

print(json.dumps(asyncio.run(act(*sys.argv[1:]))))
"""

KILL = """
import aiosqlite, os
execute = aiosqlite.Connection.execute
async def until_commit(self, sql, *rest):
    if sql == "COMMIT" and self.total_changes:
        AFTER
        os.kill(os.getpid(), 9)
    return await execute(self, sql, *rest)
aiosqlite.Connection.execute = until_commit
"""


@pytest.fixture
def kek_file(tmp_path: Path) -> Path:
    path = tmp_path / "kek"
    create_kek_file(path)
    return path


@pytest.fixture
def ring(kek_file: Path) -> KekRing:
    return load_kek_ring(kek_file)


@pytest.fixture
async def database(tmp_path: Path, ring: KekRing) -> Path:
    path = tmp_path / "keystore.db"
    await migrate(path, ring)
    return path


@pytest.fixture
def elsewhere(database: Path, kek_file: Path) -> Callable[..., Any]:
    """elsewhere("create", label) → id, ("revoke", id), ("delete", id), ("sql", text) → rows: in a second process.

    Of a key too: ("restore", id); ("roll", id, overlap) → id of the successor; ("extend", id, Unix seconds);
    ("rename", id, label).
    Of buckets: ("claim", name, account) → account, None for a conflict; ("refused", name, account): a claim undone;
    ("release", name, version); ("assign", name, account). ("upstream", account, id, secret), ("upstream", account, "").
    `before=` is Python text run first in that process; `ends_with=` the exit code expected of it.
    `killed_after=` what it still does of its first COMMIT that writes ("pass": nothing) before it is killed.
    """

    def act(*arguments: str, before: str = "", ends_with: int = 0, killed_after: str = "") -> Any:
        if killed_after:
            before, ends_with = before + KILL.replace("AFTER", killed_after), -signal.SIGKILL
        command = [sys.executable, "-c", before + ELSEWHERE, str(database), str(kek_file), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == ends_with, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return act


@pytest.fixture
async def store(database: Path, ring: KekRing) -> AsyncIterator[SqliteStore]:
    async with open_sqlite_store(database, ring, create=False) as opened:
        yield opened


@pytest.fixture
def water(database: Path, ring: KekRing) -> HighWater:
    return HighWater(database, ring)


@pytest.fixture
def directory(database: Path, ring: KekRing) -> Iterator[Directory]:
    opened = open_directory(database, ring)
    yield opened
    opened.close()


@pytest.fixture
def hand(database: Path) -> Iterator[Callable[..., list[Any]]]:
    """Runs SQL on the file, as somebody who may write the database but has no KEK."""
    connection = sqlite3.connect(database, isolation_level=None)
    yield lambda statement, *values: connection.execute(statement, values).fetchall()
    connection.close()

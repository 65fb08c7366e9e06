"""Many access keys at once: valid rows, made by the keystore's own code, of which only the pace differs.

What `nqgate keys create` writes one by one is gathered, and written with the store row as it is at the end.
Secrets follow from a salt and the number of the key, so that whoever signs with 100,000 of them need not keep them.
"""

import asyncio
import hashlib
import hmac
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.contender import Credential
from keystore.access_key import AccessKey
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.mutation import Mutation
from keystore.scope import AllBuckets
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret, create_kek_file, load_kek_ring
from keystore.sqlite import migrate
from keystore.sqlite_rows import ADD_CHANGE, PUT_ACCESS_KEY, PUT_STORE, SELECT_LOG_END, STATEMENTS, read_log_end
from keystore.store import NewKey, draft_key

BATCH: Final = 10_000  # keys in a transaction
ACTOR: Final = "bench"


class Seeded(NamedTuple):
    """A keystore with `total` keys for all buckets, numbered from 0."""

    folder: Path
    total: int
    salt: bytes

    def credential(self, number: int) -> Credential:
        return Credential(f"NQAK{number:016d}", hmac.new(self.salt, b"%d" % number, hashlib.sha256).hexdigest()[:40])


class _Gathered:
    """Implements `keystore.statements.Hand`: of the store row the last is kept, of the rest all, in order."""

    def __init__(self) -> None:
        self.written: dict[str, list[Sequence[object]]] = {PUT_ACCESS_KEY: [], ADD_CHANGE: []}
        self.store: Sequence[object] = ()

    async def fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        raise AssertionError("nothing is read while keys are made")

    async def execute(self, statement: str, values: Sequence[object]) -> None:
        if statement == PUT_STORE:
            self.store = values
        else:
            self.written[statement].append(values)


def seed(folder: Path, count: int, salt: bytes) -> Seeded:
    """Make the folder, a KEK and a keystore in it, of `count` keys. Some 100 µs each."""
    folder.mkdir()
    create_kek_file(folder / "kek")
    ring = load_kek_ring(folder / "kek")
    path = folder / "keystore.db"
    asyncio.run(migrate(path, ring))
    seeded = Seeded(folder, count, salt)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        for first in range(0, count, BATCH):
            asyncio.run(_write(connection, ring, seeded, range(first, min(first + BATCH, count))))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return seeded


async def _write(connection: sqlite3.Connection, ring: KekRing, seeded: Seeded, numbers: range) -> None:
    store, _ = read_log_end(connection.execute(SELECT_LOG_END).fetchall())
    gathered = _Gathered()
    now = int(time.time())
    mutation = Mutation(gathered, STATEMENTS, enter_store(ring, store), store, now)
    for number in numbers:
        await mutation.add_key(*_key(seeded.credential(number), now))
    connection.execute("BEGIN IMMEDIATE")
    for statement, rows in gathered.written.items():
        connection.executemany(statement, rows)
    connection.execute(PUT_STORE, gathered.store)
    connection.execute("COMMIT")


def _key(credential: Credential, now: int) -> tuple[AccessKey, Secret]:
    new = NewKey(account=DEFAULT_ACCOUNT, label="bench", scope=AllBuckets())
    return draft_key(new, credential.access_key_id, now, ACTOR), Secret(credential.secret_access_key)

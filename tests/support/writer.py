"""A process that works on a keystore, act by act: `python -m tests.support.writer KEYSTORE KEK_FILE BUG ACT…`.

After each act that has succeeded it says so, on a line of its own. BUG: one that is put in on purpose, or `none`. What
a keystore holds after any number of acts is told by `after`, which knows no keystore.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from keystore import sqlite_file
from keystore.access_key import LATEST, AccessKey, RevokeReason, Status
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.admin_tokens import Role
from keystore.key_acts import Edit
from keystore.mutation import Entry, Mutation
from keystore.scope import AllBuckets
from keystore.sealing import load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.store import NewKey, NewToken

ACTOR = "writer"

# Every kind of act, and a checkpoint between two that matter. The second `revoke one` in a row changes nothing.
ACTS = (
    "create one|revoke one|restore one|revoke one|revoke one|create two|checkpoint|restore one|revoke one|"
    "roll two|delete two|claim photos|release photos|claim photos|restore one|extend one|revoke one|issue ci|void ci"
).split("|")


class Holding(NamedTuple):
    """`access_keys`: label, status, and whether it was rolled, sorted. `claims`: names of buckets that are held.
    `tokens`: labels of admin tokens that are not revoked, sorted."""

    access_keys: tuple[tuple[str, str, bool], ...]
    claims: tuple[str, ...]
    tokens: tuple[str, ...]
    seq: int


def after(acts: Iterable[str]) -> Holding:
    """What a new keystore holds after them."""
    held: list[tuple[str, str, bool]] = []
    claims: set[str] = set()
    tokens: set[str] = set()
    seq = 1  # the account
    for act in acts:
        verb, _, name = act.partition(" ")
        seq += {"checkpoint": 0, "roll": 2}.get(verb, 1)
        mine = [one for one in held if one[0] == name and not one[2]]
        held = [one for one in held if one not in mine]
        match verb:
            case "create" | "restore" | "extend":
                held.append((name, "active", False))
            case "revoke":
                held.append((name, "revoked", False))
            case "roll":
                held += [(name, "active", True), (name, "active", False)]
            case "claim":
                claims.add(name)
            case "release":
                claims.discard(name)
            case "issue":
                tokens.add(name)
            case "void":
                tokens.discard(name)
    return Holding(tuple(sorted(held)), tuple(sorted(claims)), tuple(sorted(tokens)), seq)


def shown(access_key: AccessKey) -> tuple[str, str, bool]:
    """As in a Holding."""
    return access_key.label, access_key.status.value, access_key.replaced_by is not None


async def holding(store: SqliteStore) -> Holding:
    """What it really holds."""
    access_keys = [shown(one) for one in await store.list_keys(None)]
    claims = [name for name, claim in (await store.list_claims(None)).items() if claim.held]
    tokens = [token.label for token in await store.list_tokens() if token.revoked_at is None]
    seq = await sqlite_file.scalar(store._connection, "SELECT seq FROM store")
    assert isinstance(seq, int)
    return Holding(tuple(sorted(access_keys)), tuple(sorted(claims)), tuple(sorted(tokens)), seq)


async def perform(store: SqliteStore, act: str) -> None:
    verb, _, name = act.partition(" ")
    match verb:
        case "create":
            await store.create_key(NewKey(DEFAULT_ACCOUNT, name, AllBuckets()), ACTOR)
        case "claim":
            await store.claim_bucket(name, DEFAULT_ACCOUNT, ACTOR)
        case "release":
            await store.release_bucket(name, (await store.list_claims(None))[name].version, ACTOR)
        case "issue":
            await store.create_token(NewToken(Role.OPERATOR, name), ACTOR)
        case "void":
            [token] = [one for one in await store.list_tokens() if one.label == name]
            await store.revoke_token(token.token_id, ACTOR)
        case "checkpoint":
            await store._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        case _:
            mine = [one for one in await store.list_keys(None) if one.label == name and one.replaced_by is None]
            await _to_a_key(store, verb, mine[0].access_key_id)


async def _to_a_key(store: SqliteStore, verb: str, access_key_id: str) -> None:
    match verb:
        case "revoke":
            await store.revoke_key(access_key_id, RevokeReason.UNUSED, ACTOR)
        case "restore":
            await store.restore_key(access_key_id, ACTOR)
        case "roll":
            await store.roll_key(access_key_id, 3600, ACTOR)
        case "extend":
            await store.update_key(access_key_id, Edit(expires_at=LATEST), ACTOR)
        case "delete":
            await store.delete_key(access_key_id, ACTOR)
        case _:
            raise ValueError(verb)


# ---- bugs ----


def _synchronous_normal() -> None:
    """A commit is not waited for until it is on the disk."""
    configure = sqlite_file._configure

    async def lenient(connection: aiosqlite.Connection, path: Path) -> None:
        await configure(connection, path)
        await connection.execute("PRAGMA synchronous = NORMAL")

    sqlite_file._configure = lenient


def _nothing_for_a_revoked_key() -> None:
    """Who is revoked already is not revoked again."""
    revoke = SqliteStore.revoke_key

    async def sparing(self: Any, access_key_id: str, reason: RevokeReason, actor: str) -> AccessKey:
        access_key: AccessKey = await self.get_key(access_key_id)
        return access_key if access_key.status is Status.REVOKED else await revoke(self, access_key_id, reason, actor)

    SqliteStore.revoke_key = sparing  # type: ignore[method-assign]  # the bug


def _record_before_its_change() -> None:
    """What a change tells of is committed by itself, and the change thereafter."""
    log = Mutation.log

    async def apart(self: Any, entry: Entry) -> None:
        await self.execute("COMMIT", ())
        await self.execute("BEGIN IMMEDIATE", ())
        await log(self, entry)

    Mutation.log = apart  # type: ignore[method-assign]  # the bug


BUGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "synchronous-normal": _synchronous_normal,
    "nothing-for-a-revoked-key": _nothing_for_a_revoked_key,
    "record-before-its-change": _record_before_its_change,
}


async def main(keystore: str, kek_file: str, acts: Sequence[str]) -> None:
    async with open_sqlite_store(keystore, load_kek_ring(Path(kek_file)), create=True) as store:
        for act in acts:
            await perform(store, act)
            os.write(1, f"{act}\n".encode())


if __name__ == "__main__":
    BUGS[sys.argv[3]]()
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[4:]))

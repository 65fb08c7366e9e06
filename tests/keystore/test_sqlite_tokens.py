"""What stands in a SQLite keystore of admin tokens, and a file from before there were any."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from keystore import sealed_rows
from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.admin_tokens import Role
from keystore.directory import open_directory
from keystore.errors import KeystoreUnavailable
from keystore.scope import AllBuckets
from keystore.sealing import KekRing
from keystore.sqlite import SqliteStore, migrate, open_sqlite_store
from keystore.sqlite_audit import audit_keystore
from keystore.store import NewKey, NewToken

Hand = Callable[..., list[Any]]
OWNER = NewToken(Role.OWNER, "ci", "default")


async def test_the_log_says_who_made_and_revoked_which_token(store: SqliteStore, hand: Hand) -> None:
    owner, _ = await store.create_token(OWNER, "ann")
    operator, _ = await store.create_token(NewToken(Role.OPERATOR, "all"), "bob")
    await store.revoke_token(owner.token_id, "eve")
    assert hand("SELECT kind, account, access_key_id, bucket, token, actor, body FROM change WHERE seq > 1") == [
        ("token.create", "default", None, None, owner.token_id, "ann", b'{"label":"ci","role":"owner"}'),
        ("token.create", "", None, None, operator.token_id, "bob", b'{"label":"all","role":"operator"}'),
        ("token.revoke", "default", None, None, owner.token_id, "eve", b'{"label":"ci","role":"owner"}'),
    ]


async def test_the_secret_of_a_token_stands_nowhere(store: SqliteStore, database: Path) -> None:
    token, secret = await store.create_token(OWNER, "ann")
    cat = await asyncio.create_subprocess_exec("cat", database, f"{database}-wal", stdout=subprocess.PIPE)
    octets, _ = await cat.communicate()
    assert token.secret_sha256.hex().encode() in octets
    assert secret.expose()[-40:].encode() not in octets


# ---- a keystore from before there were tokens ----

TO_THE_SCHEMA_BEFORE = """
DROP INDEX access_key_made;
DROP TABLE admin_token;
DROP INDEX change_of_token;
DROP INDEX change_of_account;
ALTER TABLE change DROP COLUMN token;
CREATE INDEX change_of_account ON change (account) WHERE access_key_id IS NULL AND bucket IS NULL;
PRAGMA user_version = 2;
"""


class Older(NamedTuple):
    path: Path
    access_key: AccessKey
    accounts: list[Account]


@pytest.fixture
async def older(tmp_path: Path, ring: KekRing, monkeypatch: pytest.MonkeyPatch) -> Older:
    path = tmp_path / "older.db"
    with monkeypatch.context() as patched:
        patched.setattr(sealed_rows, "PROTOCOL", 2)
        async with open_sqlite_store(path, ring, create=True) as store:
            await store.create_account("team", "ann")
            access_key, _ = await store.create_key(NewKey("team", "backup", AllBuckets()), "ann")
            await store.claim_bucket("photos", "team", "ann")
            accounts = await store.list_accounts()
    connection = sqlite3.connect(path)
    connection.executescript(TO_THE_SCHEMA_BEFORE)
    assert connection.execute("SELECT protocol FROM store").fetchall() == [(2,)]
    connection.close()
    return Older(path, access_key, accounts)


async def test_a_keystore_from_before_is_brought_up_and_holds_its_first_token(older: Older, ring: KekRing) -> None:
    await migrate(older.path, ring)
    assert audit_keystore(older.path, ring).findings == []
    opened = open_directory(older.path, ring)
    async with open_sqlite_store(older.path, ring, create=False) as store:
        assert await store.list_tokens() == []
        assert await store.find_token("zzzzzzzzzzzz") is None
        token, _ = await store.create_token(NewToken(Role.OWNER, "ci", "team"), "ann")
        assert await store.list_tokens() == [token]
        assert await store.list_accounts() == older.accounts
        assert await store.list_keys("team") == [older.access_key]
        assert list(await store.list_claims("team")) == ["photos"]
    assert audit_keystore(older.path, ring).findings == []
    known = opened.find(older.access_key.access_key_id, b"20250101")
    assert known is not None
    assert known.access_key == older.access_key
    opened.close()


def test_one_that_was_not_brought_up_is_not_judged(older: Older, ring: KekRing) -> None:
    with pytest.raises(KeystoreUnavailable, match="schema 2, here 4"):
        audit_keystore(older.path, ring)

"""What only SQLite can do wrong with buckets: two processes, what stands in the file, a file from before."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from keystore import sealed_rows
from keystore.access_key import RevokeReason
from keystore.bucket_claims import UNCLAIMED
from keystore.derived import UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.errors import Conflict, KeystoreUnavailable
from keystore.scope import BucketGrant, SpecificBuckets
from keystore.sealing import KekRing, Secret
from keystore.sqlite import SqliteStore, migrate, open_sqlite_store
from keystore.store import NewKey

Elsewhere = Callable[..., Any]
Hand = Callable[..., list[Any]]
PHOTOS = NewKey("default", "backup", SpecificBuckets((BucketGrant("photos"),)))
TODAY = b"20250101"
SECRET = "s3cret/of+the=account"

# ---- several processes ----

TOGETHER = """
import pathlib, time
from keystore.sqlite import SqliteStore
claim = SqliteStore.claim_bucket
async def together(self, name, account, actor):
    met = pathlib.Path("FOLDER")
    (met / account).touch()
    while len(list(met.iterdir())) < 2:
        time.sleep(0.0005)
    return await claim(self, name, account, actor)
SqliteStore.claim_bucket = together
"""


async def test_of_two_processes_that_claim_a_name_at_once_one_gets_it(
    store: SqliteStore, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    for name in ("photos", "logs", "backups"):
        met = tmp_path / name
        met.mkdir()
        before = TOGETHER.replace("FOLDER", str(met))
        claims = [asyncio.to_thread(elsewhere, "claim", name, account, before=before) for account in ("alpha", "beta")]
        [winner] = [account for account in await asyncio.gather(*claims) if account is not None]
        claim = (await store.list_claims(None))[name]
        assert (claim.account, claim.generation, claim.version) == (winner, 1, 1)


async def test_a_claim_made_elsewhere_meanwhile_is_not_undone(store: SqliteStore, elsewhere: Elsewhere) -> None:
    made = await store.claim_bucket("photos", "default", "ann")
    elsewhere("claim", "photos", "default")
    with pytest.raises(Conflict, match="anew"):
        await store.undo_claim(made, "ann")
    assert (await store.list_claims("default"))["photos"].version == 2


# ---- what stands in the file ----


async def test_the_log_says_who_claimed_which_bucket(store: SqliteStore, hand: Hand) -> None:
    made = await store.claim_bucket("photos", "team", "ann")
    await store.undo_claim(made, "bob")
    await store.assign_bucket("photos", "default", "eve")
    await store.release_bucket("photos", 3, "eve")
    await store.set_upstream("default", "AKIAOWN", Secret(SECRET), "eve")
    assert hand("SELECT kind, account, bucket, actor FROM change WHERE seq > 1 ORDER BY seq") == [
        ("bucket.claim", "team", "photos", "ann"),
        ("bucket.undo", "default", "photos", "bob"),
        ("bucket.assign", "default", "photos", "eve"),
        ("bucket.release", "default", "photos", "eve"),
        ("account.upstream", "default", None, "eve"),
    ]


async def test_the_secret_of_an_accounts_credential_stands_nowhere_in_clear(
    store: SqliteStore, database: Path, directory: Directory, hand: Hand
) -> None:
    account = await store.set_upstream("default", "AKIAOWN", Secret(SECRET), "ann")
    credential = directory.store_credential("default")
    assert credential is not None
    assert credential.access_key_id == "AKIAOWN"
    own = UpstreamCredential("AKIAOWN", SECRET)
    assert credential.signing_key(b"20250101", b"eu") == own.signing_key(b"20250101", b"eu")
    assert SECRET not in repr([account, credential, store, vars(directory)])
    assert hand("SELECT body FROM change WHERE kind = 'account.upstream'") == [
        (b'{"upstream_access_key_id":"AKIAOWN"}',)
    ]
    cat = await asyncio.create_subprocess_exec("cat", database, f"{database}-wal", stdout=subprocess.PIPE)
    octets, _ = await cat.communicate()
    assert b"AKIAOWN" in octets
    assert SECRET.encode() not in octets


async def test_a_credential_taken_away_leaves_no_seal(store: SqliteStore, hand: Hand) -> None:
    await store.set_upstream("default", "AKIAOWN", Secret(SECRET), "ann")
    await store.set_upstream("default", None, None, "ann")
    assert hand("SELECT upstream_sealed FROM account") == [(None,)]


# ---- a keystore from before there were buckets ----

TO_THE_SCHEMA_BEFORE = """
DROP INDEX access_key_made;
DROP TABLE admin_token;
DROP INDEX change_of_token;
DROP TABLE bucket;
DROP INDEX change_of_account;
DROP INDEX change_of_bucket;
ALTER TABLE change DROP COLUMN bucket;
ALTER TABLE change DROP COLUMN token;
ALTER TABLE account DROP COLUMN upstream_sealed;
CREATE INDEX change_of_account ON change (account) WHERE access_key_id IS NULL;
PRAGMA user_version = 1;
"""


class Older(NamedTuple):
    path: Path
    active: str
    revoked: str
    deleted: str


@pytest.fixture
async def older(tmp_path: Path, ring: KekRing, monkeypatch: pytest.MonkeyPatch) -> Older:
    path = tmp_path / "older.db"
    with monkeypatch.context() as patched:
        patched.setattr(sealed_rows, "PROTOCOL", 1)
        async with open_sqlite_store(path, ring, create=True) as store:
            await store.create_account("team", "ann")
            keys = [(await store.create_key(PHOTOS, "ann"))[0].access_key_id for _ in range(3)]
            await store.revoke_key(keys[1], RevokeReason.UNUSED, "ann")
            await store.delete_key(keys[2], "ann")
    connection = sqlite3.connect(path)
    connection.executescript(TO_THE_SCHEMA_BEFORE)
    assert connection.execute("SELECT protocol FROM store").fetchall() == [(1,)]
    connection.close()
    return Older(path, *keys)


async def test_a_keystore_from_before_is_brought_up_and_all_of_it_verifies(older: Older, ring: KekRing) -> None:
    await migrate(older.path, ring)
    opened = open_directory(older.path, ring)
    assert opened.tenure("photos") == UNCLAIMED
    assert opened.store_credential("team") is None
    known = [opened.find(access_key_id, TODAY) for access_key_id in older[1:]]
    assert [key and key.access_key.status.value for key in known] == ["active", "revoked", None]
    assert known[0] is not None
    assert known[0].access_key.permissions("photos", opened.tenure)
    opened.close()
    async with open_sqlite_store(older.path, ring, create=False) as store:
        assert {key.access_key_id for key in await store.list_keys(None)} == {older.active, older.revoked}
        assert [account.name for account in await store.list_accounts()] == ["default", "team"]
        assert await store.list_claims(None) == {}


async def test_after_it_was_brought_up_a_running_gateway_learns_of_the_first_claim(older: Older, ring: KekRing) -> None:
    await migrate(older.path, ring)
    opened = open_directory(older.path, ring)
    assert opened.tenure("photos") == UNCLAIMED
    async with open_sqlite_store(older.path, ring, create=False) as store:
        await store.claim_bucket("photos", "team", "ann")
    known = opened.find(older.active, TODAY)
    assert known is not None
    assert not known.access_key.permissions("photos", opened.tenure)
    opened.close()


def test_a_gateway_does_not_serve_from_a_schema_of_before(older: Older, ring: KekRing) -> None:
    with pytest.raises(KeystoreUnavailable):
        open_directory(older.path, ring)

"""Somebody who may write the database, but has no KEK, takes a bucket or a credential: refused, never the default's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore.bucket_claims import UNCLAIMED
from keystore.directory import Directory, open_directory
from keystore.errors import NotFound, RecordRefused, WrongKek
from keystore.scope import BucketGrant, SpecificBuckets
from keystore.sealing import KekRing, Secret
from keystore.sqlite import SqliteStore
from keystore.store import NewKey

Hand = Callable[..., list[Any]]


@pytest.fixture
async def claims(store: SqliteStore) -> None:
    """`photos` is alpha's, twice claimed; `logs` was beta's and is released."""
    for account in ("alpha", "beta"):
        await store.create_account(account, "ann")
    await store.claim_bucket("photos", "alpha", "ann")
    logs = await store.claim_bucket("logs", "beta", "ann")
    await store.claim_bucket("photos", "alpha", "bob")
    await store.release_bucket("logs", logs.claim.version, "ann")


ASKS: list[Callable[[Directory, str], object]] = [
    lambda directory, name: directory.tenure(name),
    lambda directory, name: directory.claim(name),
    lambda directory, name: directory.learn_tenures([name]),
    lambda directory, name: directory.learn_tenures(["never-claimed", name]),
]


async def refused_everywhere(directory: Directory, store: SqliteStore, name: str) -> None:
    for ask in ASKS:
        with pytest.raises(RecordRefused):
            ask(directory, name)
    await refused_by_the_store(store, name)


async def refused_by_the_store(store: SqliteStore, name: str) -> None:
    for account in ("alpha", "default"):
        with pytest.raises(RecordRefused):
            await store.claim_bucket(name, account, "eve")
    with pytest.raises(RecordRefused):
        await store.assign_bucket(name, "alpha", "eve")
    with pytest.raises(RecordRefused):
        await store.release_bucket(name, 0, "eve")
    with pytest.raises(RecordRefused):
        await store.create_key(NewKey("default", "k", SpecificBuckets((BucketGrant(name),))), "eve")
    with pytest.raises(RecordRefused):
        await store.list_claims(None)


EDIT = "UPDATE bucket SET record = CAST(replace(CAST(record AS TEXT), '{}', '{}') AS BLOB) WHERE name = 'photos'"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bucket SET account = 'default' WHERE name = 'photos'",
        "UPDATE bucket SET account = 'beta' WHERE name = 'photos'",
        "UPDATE bucket SET version = version + 1 WHERE name = 'photos'",
        "UPDATE bucket SET mac = zeroblob(32) WHERE name = 'photos'",
        EDIT.format('"alpha"', '"default"'),
        EDIT.format('"held"', '"released"'),
        EDIT.format('"generation":1', '"generation":0'),
        "UPDATE bucket SET record = (SELECT record FROM bucket WHERE name = 'logs') WHERE name = 'photos'",
        "UPDATE bucket SET (account, version, record, kek_id, mac) ="
        " (SELECT account, version, record, kek_id, mac FROM bucket WHERE name = 'logs') WHERE name = 'photos'",
        "DELETE FROM bucket WHERE name = 'photos'",
        "DELETE FROM bucket",
        "UPDATE bucket SET name = 'photos-2' WHERE name = 'photos'",
        "UPDATE change SET bucket = NULL WHERE bucket = 'photos'",
        "UPDATE change SET bucket = NULL WHERE seq = (SELECT max(seq) FROM change WHERE bucket = 'photos')",
        "UPDATE change SET bucket = 'photos-2' WHERE seq = (SELECT max(seq) FROM change WHERE bucket = 'photos')",
        "UPDATE change SET bucket = 'photos' WHERE bucket = 'logs'",
        "UPDATE change SET access_key_id = 'NQAKone' WHERE bucket = 'photos'",
        "UPDATE change SET record_sha256 = zeroblob(32) WHERE bucket = 'photos'",
        "UPDATE change SET account = 'default' WHERE bucket = 'photos'",
    ],
)
async def test_a_tampered_claim_is_refused_and_never_the_defaults(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand, sql: str
) -> None:
    hand(sql)
    assert hand("SELECT changes()") != [(0,)]
    await refused_everywhere(directory, store, "photos")


async def test_a_copied_row_makes_no_claim_to_another_name(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand
) -> None:
    hand("INSERT INTO bucket SELECT 'videos', account, version, record, kek_id, mac FROM bucket WHERE name = 'photos'")
    await refused_everywhere(directory, store, "videos")


async def test_rows_swapped_between_names_are_refused(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand
) -> None:
    for old, new in (("photos", "swap"), ("logs", "photos"), ("swap", "logs")):
        hand("UPDATE bucket SET name = ? WHERE name = ?", new, old)
    await refused_everywhere(directory, store, "photos")
    await refused_everywhere(directory, store, "logs")


def test_a_claim_under_another_kek_is_unavailable(directory: Directory, claims: None, hand: Hand) -> None:
    hand("UPDATE bucket SET kek_id = 'older' WHERE name = 'photos'")
    for ask in ASKS:
        with pytest.raises(WrongKek):
            ask(directory, "photos")


@pytest.mark.parametrize("act", ["claimed again", "released", "assigned"])
async def test_an_older_claim_put_back_with_its_mac_is_refused(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand, act: str
) -> None:
    [old] = hand("SELECT * FROM bucket WHERE name = 'photos'")
    match act:
        case "claimed again":
            await store.claim_bucket("photos", "alpha", "ann")
        case "released":
            await store.release_bucket("photos", 2, "ann")
        case _:
            await store.assign_bucket("photos", "beta", "ann")
    directory.tenure("photos")
    hand("REPLACE INTO bucket VALUES (?, ?, ?, ?, ?, ?)", *old)
    directory._tenures.clear()
    await refused_everywhere(directory, store, "photos")


async def test_a_claim_reverted_before_the_gateway_read_it_is_refused(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand
) -> None:
    directory.tenure("photos")
    [old] = hand("SELECT * FROM bucket WHERE name = 'photos'")
    await store.assign_bucket("photos", "beta", "ann")
    hand("REPLACE INTO bucket VALUES (?, ?, ?, ?, ?, ?)", *old)
    hand("DELETE FROM change WHERE kind = 'bucket.assign'")
    for ask in ASKS:
        with pytest.raises(RecordRefused, match="ends at row"):
            ask(directory, "photos")
    with pytest.raises(RecordRefused):
        await store.claim_bucket("photos", "alpha", "ann")


@pytest.mark.parametrize("newest", [True, False])
async def test_a_claim_taken_out_or_rolled_back_with_the_changes_that_tell_of_it_is_refused(
    directory: Directory, store: SqliteStore, claims: None, hand: Hand, *, newest: bool
) -> None:
    """Without them nothing in the database says that there was more."""
    [old] = hand("SELECT * FROM bucket WHERE name = 'photos'")
    await store.assign_bucket("photos", "beta", "ann")
    directory.tenure("logs")  # the log is followed, the name itself was not asked for
    if newest:
        hand("REPLACE INTO bucket VALUES (?, ?, ?, ?, ?, ?)", *old)
        hand("UPDATE change SET bucket = NULL WHERE kind = 'bucket.assign'")
    else:
        hand("DELETE FROM bucket WHERE name = 'photos'")
        hand("UPDATE change SET bucket = NULL WHERE bucket = 'photos'")
    for ask in ASKS:
        with pytest.raises(RecordRefused, match="the log last told of"):
            ask(directory, "photos")
    assert directory.tenure("never-claimed") == UNCLAIMED


@pytest.mark.parametrize("bucket", [None, "logs", "photos-2"])
async def test_a_change_that_names_another_bucket_is_refused_at_the_start(
    database: Path, ring: KekRing, store: SqliteStore, claims: None, hand: Hand, bucket: str | None
) -> None:
    hand("UPDATE change SET bucket = ? WHERE bucket = 'photos'", bucket)
    hand("DELETE FROM bucket WHERE name = 'photos'")
    with pytest.raises(RecordRefused, match="broken at row 4"):
        open_directory(database, ring)


@pytest.mark.parametrize("account", ["alpha", "default"])
async def test_a_claim_edited_or_taken_out_misses_in_no_list(
    store: SqliteStore, claims: None, hand: Hand, account: str
) -> None:
    hand("UPDATE bucket SET account = 'default' WHERE name = 'photos'")
    with pytest.raises(RecordRefused):
        await store.list_claims(account)
    hand("DELETE FROM bucket WHERE name = 'photos'")
    with pytest.raises(RecordRefused):
        await store.list_claims("alpha")


# ---- the credential of an account ----


@pytest.fixture
async def credentials(store: SqliteStore) -> None:
    """alpha and beta have one, gamma had one, the default account never had."""
    for name in ("alpha", "beta", "gamma"):
        await store.create_account(name, "ann")
        await store.set_upstream(name, "AKIAOWN", Secret(name * 8), "ann")
    await store.set_upstream("gamma", None, None, "ann")


SEALED = "UPDATE account SET upstream_sealed = {} WHERE name = '{}'"
OF_BETA = "(SELECT upstream_sealed FROM account WHERE name = 'beta')"


@pytest.mark.parametrize(
    ("account", "sql"),
    [
        ("alpha", SEALED.format(OF_BETA, "alpha")),
        ("alpha", SEALED.format("NULL", "alpha")),
        ("alpha", SEALED.format("zeroblob(0)", "alpha")),
        ("default", SEALED.format(OF_BETA, "default")),
        ("gamma", SEALED.format(OF_BETA, "gamma")),
        (
            "alpha",
            "UPDATE account SET record = CAST(replace(record, 'AKIAOWN', 'AKIAEVE') AS BLOB) WHERE name = 'alpha'",
        ),
        ("alpha", "UPDATE account SET record = (SELECT record FROM account WHERE name = 'beta') WHERE name = 'alpha'"),
        ("alpha", "UPDATE change SET bucket = 'photos' WHERE kind = 'account.upstream' AND account = 'alpha'"),
        ("alpha", "UPDATE change SET account = 'beta' WHERE account = 'alpha'"),
    ],
)
async def test_a_tampered_credential_is_refused_and_never_the_gateways(
    directory: Directory, store: SqliteStore, credentials: None, hand: Hand, account: str, sql: str
) -> None:
    hand(sql)
    assert hand("SELECT changes()") != [(0,)]
    with pytest.raises(RecordRefused):
        directory.store_credential(account)
    with pytest.raises(RecordRefused):
        await store.create_key(NewKey(account, "k", SpecificBuckets((BucketGrant("photos"),))), "eve")


async def test_an_account_taken_out_does_not_use_the_gateways_credential(
    directory: Directory, store: SqliteStore, credentials: None, hand: Hand
) -> None:
    directory.store_credential("alpha")
    hand("DELETE FROM account WHERE name = 'alpha'")
    directory._remembered.accounts.clear()
    with pytest.raises(RecordRefused):
        directory.store_credential("alpha")
    with pytest.raises(NotFound):
        await store.assign_bucket("photos", "alpha", "ann")


@pytest.mark.parametrize("whole_row", [True, False])
@pytest.mark.parametrize("after", [("AKIAOWN", Secret("n" * 40)), (None, None)])
async def test_an_older_credential_put_back_is_refused(
    directory: Directory,
    store: SqliteStore,
    credentials: None,
    hand: Hand,
    after: tuple[str | None, Secret | None],
    *,
    whole_row: bool,
) -> None:
    [old] = hand("SELECT * FROM account WHERE name = 'alpha'")
    await store.set_upstream("alpha", *after, "ann")
    if whole_row:
        hand("REPLACE INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *old)
    else:
        hand("UPDATE account SET upstream_sealed = ? WHERE name = 'alpha'", old[-1])
    with pytest.raises(RecordRefused):
        directory.store_credential("alpha")
    with pytest.raises(RecordRefused):
        await store.list_accounts()

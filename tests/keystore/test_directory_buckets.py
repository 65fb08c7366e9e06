"""Whose a bucket is and which credential an account has: the very next question after a commit anywhere."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore import directory as directory_module
from keystore import remembered
from keystore.bucket_claims import UNCLAIMED, Tenure
from keystore.derived import StoreCredential, UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreUnavailable, RecordRefused
from keystore.scope import BucketGrant, SpecificBuckets
from keystore.sealing import KekRing, Secret
from keystore.sqlite import SqliteStore
from keystore.store import NewKey

TODAY = b"20250101"
SECRET = "s3cret/of+the=account"
ODD_NAMES = [
    "",
    "photos'",
    'pho"tos',
    "photos\0",
    "\0photos",
    "photos\\u0000",
    "büro",
    "🪣",
    "PHOTOS",
    "photos ",
    "]",
    "%",
]
Elsewhere = Callable[..., Any]


# ---- tenure ----


@pytest.mark.parametrize("name", ["photos", *ODD_NAMES])
def test_a_name_that_nobody_claimed_is_the_defaults(directory: Directory, elsewhere: Elsewhere, name: str) -> None:
    elsewhere("claim", "photos-2", "team")
    assert directory.tenure(name) == UNCLAIMED
    assert directory.claim(name) is None
    assert directory.tenure(name) == UNCLAIMED


def test_every_act_in_another_process_is_seen_by_the_very_next_question(
    directory: Directory, elsewhere: Elsewhere
) -> None:
    assert directory.tenure("photos") == UNCLAIMED
    for act, whose in (
        (("claim", "photos", "team"), ("team", 1)),
        (("claim", "photos", "other"), ("team", 1)),
        (("release", "photos", "1"), ("default", 2)),
        (("refused", "photos", "other"), ("default", 2)),
        (("claim", "photos", "team"), ("team", 1)),
        (("assign", "photos", "default"), ("default", 2)),
    ):
        elsewhere(*act)
        assert directory.tenure("photos") == Tenure(*whose)
        directory.learn_tenures(["photos"])
        assert directory.tenure("photos") == Tenure(*whose)


def test_a_claim_comes_with_its_version_right_after_it_was_made(directory: Directory, elsewhere: Elsewhere) -> None:
    for version in (1, 2, 3):
        elsewhere("claim", "photos", "team")
        found = directory.claim("photos")
        assert found is not None
        assert (found.account, found.version) == ("team", version)


async def test_a_key_reaches_its_bucket_until_the_commit_that_gives_it_away(
    directory: Directory, store: SqliteStore, elsewhere: Elsewhere
) -> None:
    new = NewKey("default", "backup", SpecificBuckets((BucketGrant("photos"),)))
    access_key_id = (await store.create_key(new, "ann"))[0].access_key_id

    def reaches() -> bool:
        known = directory.find(access_key_id, TODAY)
        assert known is not None
        return bool(known.access_key.permissions("photos", directory.tenure))

    seen = [reaches()]
    for act in (("claim", "photos", "team"), ("release", "photos", "1"), ("assign", "photos", "default")):
        elsewhere(*act)
        seen.append(reaches())
    assert seen == [True, False, False, False]


async def test_a_change_of_one_bucket_leaves_the_others_and_the_keys_known(
    directory: Directory, store: SqliteStore
) -> None:
    access_key, _ = await store.create_key(NewKey("default", "b", SpecificBuckets((BucketGrant("logs"),))), "ann")
    known, logs = directory.find(access_key.access_key_id, TODAY), directory.tenure("logs")
    await store.claim_bucket("photos", "team", "ann")
    assert directory.find(access_key.access_key_id, TODAY) is known
    assert directory._tenures == {"logs": logs}


async def test_a_bucket_that_changed_hands_may_concern_every_key(directory: Directory, store: SqliteStore) -> None:
    told: list[tuple[str | None, Tenure]] = []
    directory.on_change = lambda _, key: told.append((key, directory.tenure("photos")))
    made = await store.claim_bucket("photos", "team", "ann")
    directory.tick()
    await store.undo_claim(made, "ann")
    directory.tick()
    await store.assign_bucket("photos", "default", "ann")
    directory.tick()
    await store.release_bucket("photos", 3, "ann")
    directory.tick()
    assert told == [(None, ("team", 1)), *[(None, ("default", 0))] * 3]


async def test_after_a_change_of_an_unknown_kind_no_owner_and_no_credential_is_remembered(
    directory: Directory, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kinds in ("OF_A_KEY", "OF_A_BUCKET", "OF_AN_ACCOUNT"):
        monkeypatch.setattr(directory_module, kinds, frozenset())
    assert (directory.tenure("photos"), directory.store_credential("default")) == (UNCLAIMED, None)
    await store.claim_bucket("photos", "team", "ann")
    assert directory.tenure("photos") == ("team", 1)
    await store.set_upstream("default", "AKIAOWN", Secret(SECRET), "ann")
    assert shown(directory.store_credential("default")) == ("AKIAOWN", SECRET)


# ---- many at once ----


async def test_learning_many_at_once_is_as_asking_one_by_one(
    directory: Directory, store: SqliteStore, database: Path, ring: KekRing
) -> None:
    for number in range(12):
        made = await store.claim_bucket(f"bucket-{number}", f"team-{number % 3}", "ann")
        if number % 2:
            await store.release_bucket(f"bucket-{number}", made.claim.version, "ann")
    names = [f"bucket-{number}" for number in range(1500)] + ODD_NAMES + ["bucket-1", "bucket-1"]
    directory.learn_tenures(names)
    one_by_one = open_directory(database, ring)
    for name in names:
        assert directory._tenures[name] == one_by_one.tenure(name)
    one_by_one.close()
    assert directory.tenure("bucket-1") == ("default", 2)
    directory.learn_tenures([])


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_odd_name_is_never_taken_for_another(directory: Directory, store: SqliteStore, name: str) -> None:
    await store.claim_bucket("photos", "team", "ann")
    directory.learn_tenures([name, "photos"])
    assert (directory.tenure(name), directory.tenure("photos")) == (UNCLAIMED, ("team", 1))


def test_what_was_learned_is_not_asked_for_again_until_it_changes(
    directory: Directory, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.learn_tenures(["photos", "logs"])
    with monkeypatch.context() as patched:
        patched.setattr(directory, "_connection", None)
        directory.learn_tenures(["logs", "photos"])
        assert directory.tenure("photos") == UNCLAIMED
    elsewhere("claim", "photos", "team")
    directory.learn_tenures(["logs", "photos"])
    assert directory.tenure("photos") == ("team", 1)


@pytest.mark.interpreted  # it reaches inside
async def test_remembered_names_are_bounded(
    directory: Directory, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_TENURES", 10)
    await store.claim_bucket("photos", "team", "ann")
    for number in range(25):
        directory.tenure(f"guess-{number}")
        assert len(directory._tenures) <= 10
    directory.learn_tenures([f"bucket-{number}" for number in range(25)] + ["photos"])
    assert len(directory._tenures) == 10
    assert directory.tenure("photos") == ("team", 1)
    directory.tenure("guess-0")
    assert len(directory._tenures) == 10


# ---- the credential of an account ----


def shown(credential: StoreCredential | None) -> tuple[str, str] | None:
    """Its id, and the secret that it signs with, of those that are tried."""
    if credential is None:
        return None
    signed = credential.signing_key(b"20250101", b"us-east-1")
    [secret] = [
        one
        for one in (SECRET, "another", "t" * 40)
        if UpstreamCredential("", one).signing_key(b"20250101", b"us-east-1") == signed
    ]
    return credential.access_key_id, secret


def test_an_account_has_the_credential_that_was_given_last(directory: Directory, elsewhere: Elsewhere) -> None:
    assert directory.store_credential("default") is None
    elsewhere("upstream", "default", "AKIAOWN", SECRET)
    first = directory.store_credential("default")
    assert shown(first) == ("AKIAOWN", SECRET)
    assert directory.store_credential("default") is first
    elsewhere("upstream", "default", "AKIAOWN", "another")
    assert shown(directory.store_credential("default")) == ("AKIAOWN", "another")
    elsewhere("upstream", "default", "")
    assert directory.store_credential("default") is None


async def test_a_credential_is_the_same_object_while_others_change(directory: Directory, store: SqliteStore) -> None:
    await store.create_account("team", "ann")
    await store.set_upstream("default", "AKIAOWN", Secret(SECRET), "ann")
    known = directory.store_credential("default")
    await store.set_upstream("team", "AKIATEAM", Secret("t" * 40), "ann")
    await store.claim_bucket("photos", "team", "ann")
    assert directory.store_credential("default") is known
    assert shown(directory.store_credential("team")) == ("AKIATEAM", "t" * 40)


@pytest.mark.parametrize("account", ["nobody", "", "default'", "DEFAULT", "default\0"])
def test_an_account_that_does_not_exist_has_none_and_does_not_use_the_gateways(
    directory: Directory, account: str
) -> None:
    for _ in range(2):
        with pytest.raises(RecordRefused):
            directory.store_credential(account)


async def test_an_account_made_meanwhile_is_known(directory: Directory, store: SqliteStore) -> None:
    with pytest.raises(RecordRefused):
        directory.store_credential("team")
    await store.create_account("team", "ann")
    assert directory.store_credential("team") is None


@pytest.mark.interpreted  # it reaches inside
async def test_remembered_credentials_are_bounded(
    directory: Directory, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_ACCOUNTS", 2)
    for name in ("alpha", "beta", "gamma"):
        await store.create_account(name, "ann")
        assert directory.store_credential(name) is None
    assert list(directory._remembered.accounts) == ["beta", "gamma"]


# ---- the keystore is lost ----


def lost(database: Path) -> None:
    os.unlink(f"{database}-shm")


def replaced(database: Path) -> None:
    shutil.copy(database, f"{database}.copy")
    os.rename(f"{database}.copy", database)


Ask = Callable[[Directory], object]
QUESTIONS: dict[str, Ask] = {
    "tenure": lambda directory: directory.tenure("photos"),
    "tenure of an unknown name": lambda directory: directory.tenure("never-asked"),
    "claim": lambda directory: directory.claim("photos"),
    "claim of an unknown name": lambda directory: directory.claim("never-asked"),
    "tenures": lambda directory: directory.learn_tenures(["photos", "never-asked"]),
    "credential": lambda directory: directory.store_credential("default"),
}
every_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)


@every_question
@pytest.mark.parametrize("act", [lost, replaced])
def test_after_the_file_was_taken_away_nothing_is_answered(
    directory: Directory,
    database: Path,
    elsewhere: Elsewhere,
    act: Callable[[Path], None],
    ask: Ask,
) -> None:
    elsewhere("claim", "photos", "team")
    ask(directory)
    act(database)
    directory.tick()
    for _ in range(2):
        with pytest.raises(KeystoreUnavailable, match="restart"):
            ask(directory)


@every_question
def test_a_closed_directory_answers_nothing(database: Path, ring: KekRing, ask: Ask) -> None:
    opened = open_directory(database, ring)
    ask(opened)
    opened.close()
    with pytest.raises(KeystoreUnavailable):
        ask(opened)


@every_question
async def test_a_failing_database_is_unavailable_and_never_the_defaults(
    directory: Directory, store: SqliteStore, ask: Ask
) -> None:
    await store.claim_bucket("photos", "team", "ann")
    directory._connection.close()
    with pytest.raises(KeystoreUnavailable):
        ask(directory)

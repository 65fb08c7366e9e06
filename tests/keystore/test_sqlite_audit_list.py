"""The change log listed: which rows, in which order, and which of them are the keystore's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keystore.access_key import RevokeReason
from keystore.audited_rows import Wanted
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.scope import AllBuckets
from keystore.sealing import Kek, KekRing
from keystore.sqlite import SqliteStore
from keystore.sqlite_audit import list_changes
from keystore.store import NewKey

Hand = Callable[..., list[Any]]
EVERYTHING = Wanted(None, None, None, 100)


@pytest.fixture
async def made(store: SqliteStore) -> list[str]:
    """Two keys, the second revoked at last; before that the account `team` took `photos`."""
    ids = [(await store.create_key(NewKey("default", "x", AllBuckets()), "ann"))[0].access_key_id for _ in range(2)]
    await store.create_account("team", "ann")
    await store.claim_bucket("photos", "team", "ann")
    await store.revoke_key(ids[1], RevokeReason.OTHER, "bob")
    return ids


def test_the_log_is_listed_newest_last_and_by_what_it_names(database: Path, ring: KekRing, made: list[str]) -> None:
    def seqs(*wanted: Any) -> list[int]:
        listed = list_changes(database, ring, Wanted(*wanted))
        assert all(one.verified for one in listed)
        return [one.change.seq for one in listed]

    assert seqs(None, None, None, 100) == list(range(1, 7))
    assert seqs(None, None, None, 3) == [4, 5, 6]
    assert seqs(made[1], None, None, 100) == [3, 6]
    assert seqs(None, "photos", None, 100) == [5]
    assert seqs(None, None, "team", 100) == [4, 5]
    assert seqs(made[0], "photos", None, 100) == []


def test_rows_that_are_not_the_keystores_own_are_listed_as_such(
    database: Path, ring: KekRing, made: list[str], hand: Hand
) -> None:
    hand("UPDATE change SET actor = 'eve' WHERE seq = 2")
    hand("DELETE FROM change WHERE seq = 4")
    listed = list_changes(database, ring, Wanted(None, None, None, 100))
    assert [one.change.seq for one in listed if not one.verified] == [2, 5]


def test_listing_writes_nothing(database: Path, ring: KekRing, made: list[str], hand: Hand) -> None:
    before = hand("PRAGMA data_version")
    list_changes(database, ring, EVERYTHING)
    assert hand("PRAGMA data_version") == before


def test_what_cannot_be_read_or_is_under_another_kek_is_not_listed(
    tmp_path: Path, database: Path, ring: KekRing
) -> None:
    with pytest.raises(KeystoreUnavailable, match="no keystore at"):
        list_changes(tmp_path / "none.db", ring, EVERYTHING)
    with pytest.raises(WrongKek):
        list_changes(database, KekRing((Kek(b"o" * 32),)), EVERYTHING)

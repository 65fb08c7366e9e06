"""Restored, rolled and updated in another process: the very next find sees it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from keystore.access_key import KnownKey, Status
from keystore.directory import Directory
from keystore.key_acts import Edit
from keystore.scope import AllBuckets, BucketGrant, Rights, SpecificBuckets
from keystore.sqlite import SqliteStore
from keystore.store import NewKey

TODAY = b"20250101"
FAR = 4_000_000_000  # Unix seconds
Elsewhere = Callable[..., Any]


def found(directory: Directory, access_key_id: str) -> KnownKey:
    known = directory.find(access_key_id, TODAY)
    assert known is not None
    return known


def test_a_restore_is_seen_by_the_very_next_find(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    derived = found(directory, access_key_id).date_keys
    elsewhere("revoke", access_key_id)
    assert found(directory, access_key_id).access_key.status is Status.REVOKED
    elsewhere("restore", access_key_id)
    assert not directory.fresh()
    back = found(directory, access_key_id)
    assert back.access_key.status is Status.ACTIVE
    assert back.date_keys == derived


@pytest.mark.parametrize("overlap", [0, 3600])
def test_both_halves_of_a_roll_are_seen_by_the_very_next_find(
    directory: Directory, elsewhere: Elsewhere, overlap: int
) -> None:
    access_key_id = elsewhere("create", "backup")
    before = found(directory, access_key_id)
    successor_id = elsewhere("roll", access_key_id, str(overlap))
    old, new = found(directory, access_key_id).access_key, found(directory, successor_id)
    assert old.replaced_by == successor_id
    assert (old.status is Status.REVOKED) is (overlap == 0)
    assert old.expired(time.time() + overlap + 1) is (overlap > 0)
    assert (new.access_key.replaces, new.access_key.status) == (access_key_id, Status.ACTIVE)
    assert new.date_keys != before.date_keys


def test_a_successor_is_found_though_its_id_was_just_absent(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    assert directory.find("NQAKexpected", TODAY) is None
    mint = "from keystore import minting; minting.mint_access_key_id = lambda: 'NQAKexpected'\n"
    elsewhere("roll", access_key_id, "0", before=mint)
    assert found(directory, "NQAKexpected").access_key.replaces == access_key_id


def test_an_update_is_seen_by_the_very_next_find(directory: Directory, elsewhere: Elsewhere) -> None:
    access_key_id = elsewhere("create", "backup")
    assert found(directory, access_key_id).access_key.expires_at is None
    elsewhere("extend", access_key_id, str(FAR))
    assert found(directory, access_key_id).access_key.expires_at == FAR
    elsewhere("rename", access_key_id, "other")
    assert found(directory, access_key_id).access_key.label == "other"


async def test_a_narrowed_scope_is_seen_by_the_very_next_find(directory: Directory, store: SqliteStore) -> None:
    access_key, _ = await store.create_key(NewKey("default", "backup", AllBuckets()), "ann")
    assert found(directory, access_key.access_key_id).access_key.permissions("films", directory.tenure)
    narrow = SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY),))
    await store.update_key(access_key.access_key_id, Edit(scope=narrow), "ann")
    after = found(directory, access_key.access_key_id).access_key
    assert not after.permissions("films", directory.tenure)
    assert after.permissions("photos", directory.tenure)


@pytest.mark.parametrize(("after", "committed"), [("pass", False), ("await execute(self, sql)", True)])
def test_a_killed_roll_ended_the_old_key_if_and_only_if_it_made_the_new_one(
    directory: Directory, elsewhere: Elsewhere, after: str, committed: bool
) -> None:
    access_key_id = elsewhere("create", "backup")
    found(directory, access_key_id)
    mint = "from keystore import minting; minting.mint_access_key_id = lambda: 'NQAKexpected'\n"
    elsewhere("roll", access_key_id, "0", before=mint, killed_after=after)
    assert (directory.find("NQAKexpected", TODAY) is not None) is committed
    assert (found(directory, access_key_id).access_key.status is Status.REVOKED) is committed


async def test_an_act_on_one_key_leaves_the_others_known(directory: Directory, store: SqliteStore) -> None:
    wish = NewKey("default", "backup", AllBuckets())
    ids = [(await store.create_key(wish, "ann"))[0].access_key_id for _ in range(2)]
    known = found(directory, ids[0])
    await store.update_key(ids[1], Edit(label="other"), "ann")
    successor, _, _ = await store.roll_key(ids[1], 0, "ann")
    await store.restore_key(ids[1], "ann")
    assert found(directory, successor.access_key_id)
    assert found(directory, ids[0]) is known

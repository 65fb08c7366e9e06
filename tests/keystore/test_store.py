"""The contract, asked of every implementation: accounts and keys."""

import asyncio
from dataclasses import replace

import pytest

from keystore import minting
from keystore.access_key import RevokeReason, Status
from keystore.errors import Conflict, InvalidInput, NotFound
from keystore.key_acts import MAX_OVERLAP, Edit
from keystore.scope import NoBuckets
from keystore.sealing import Secret
from keystore.store import NewKey, Store, draft_key
from tests.support.contract import NOW, PHOTOS, Opener, made, opener, store, wish

__all__ = ["opener", "store"]  # fixtures, in place of those of this folder


async def test_the_default_account_exists_from_the_start(store: Store) -> None:
    assert [account.name for account in await store.list_accounts()] == ["default"]


async def test_accounts_are_listed_by_name_with_numbers_of_their_own(store: Store) -> None:
    made_account = await store.create_account("beta", "ann")
    await store.create_account("alpha", "ann")
    listed = await store.list_accounts()
    assert [account.name for account in listed] == ["alpha", "beta", "default"]
    assert made_account in listed
    assert len({account.number for account in listed}) == 3


async def test_an_account_name_is_taken_once(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.create_account("default", "ann")


async def test_a_bad_account_name_changes_nothing(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.create_account("No Name", "ann")
    assert len(await store.list_accounts()) == 1


async def test_a_new_key_is_active_and_keeps_what_was_wished(store: Store) -> None:
    access_key, secret = await store.create_key(wish("  Büro ", not_before=NOW, expires_at=NOW + 9), "ann")
    assert (access_key.label, access_key.scope, access_key.status) == ("Büro", PHOTOS, Status.ACTIVE)
    assert (access_key.created_at, access_key.created_by) == (NOW, "ann")
    assert (access_key.not_before, access_key.expires_at) == (NOW, NOW + 9)
    assert len(secret.expose()) == 40
    assert await store.get_key(access_key.access_key_id) == access_key


async def test_a_key_for_no_bucket_is_kept_and_is_given_some_later(store: Store) -> None:
    access_key, _ = await store.create_key(replace(wish(scope=NoBuckets()), manage_keys=True), "ann")
    assert await store.get_key(access_key.access_key_id) == access_key
    assert (access_key.scope, access_key.grants, access_key.manage_keys) == (NoBuckets(), {}, True)
    after = await store.update_key(access_key.access_key_id, Edit(scope=PHOTOS), "ann")
    assert (after.scope, after.manage_keys) == (PHOTOS, True)
    back = await store.update_key(access_key.access_key_id, Edit(scope=NoBuckets()), "ann")
    assert back.scope == NoBuckets()


@pytest.mark.parametrize("new", [wish(""), wish("a\u202eb"), wish(expires_at=NOW), wish(expires_at=-1)])
async def test_a_bad_wish_makes_no_key(store: Store, new: NewKey) -> None:
    with pytest.raises(InvalidInput):
        await store.create_key(new, "ann")
    assert await store.list_keys(None) == []


async def test_an_imported_key_keeps_its_id_and_its_secret(store: Store) -> None:
    access_key = await store.import_key(wish("theirs"), "AKIA_of-another", Secret("their/secret+of=20"), "ann")
    assert (access_key.access_key_id, access_key.status, access_key.created_at) == (
        "AKIA_of-another", Status.ACTIVE, NOW,
    )  # fmt: skip
    assert await store.get_key("AKIA_of-another") == access_key


async def test_an_id_that_a_key_has_or_had_is_not_imported(store: Store) -> None:
    there, gone = await made(store), await made(store)
    await store.delete_key(gone.access_key_id, "bob")
    for one in (there, gone):
        with pytest.raises(Conflict):
            await store.import_key(wish("theirs"), one.access_key_id, Secret("s" * 40), "ann")
    assert await store.list_keys(None) == [there]


@pytest.mark.parametrize(
    ("access_key_id", "secret"), [("ab", "s" * 40), ("a b", "s" * 40), ("AKIA", "short"), ("AKIA", "s" * 39 + "é")]
)
async def test_what_cannot_be_a_key_is_not_imported(store: Store, access_key_id: str, secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await store.import_key(wish("theirs"), access_key_id, Secret(secret), "ann")
    assert secret not in str(refused.value)
    assert await store.list_keys(None) == []


async def test_a_key_of_no_account_is_not_made(store: Store) -> None:
    with pytest.raises(NotFound):
        await made(store, account="nobody")


async def test_two_keys_may_have_one_label(store: Store) -> None:
    assert (await made(store)).access_key_id != (await made(store)).access_key_id


async def test_keys_are_listed_by_account_or_all(store: Store) -> None:
    await store.create_account("team", "ann")
    one, two = await made(store), await made(store, account="team")
    assert await store.list_keys("team") == [two]
    assert await store.list_keys("default") == [one]
    assert {key.access_key_id for key in await store.list_keys(None)} == {one.access_key_id, two.access_key_id}
    assert await store.list_keys("nobody") == []


async def test_a_revoked_key_stays_in_the_list(store: Store) -> None:
    access_key = await made(store)
    ended = await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")
    assert (ended.status, ended.revoked_at, ended.revoked_by) == (Status.REVOKED, NOW, "bob")
    assert await store.list_keys(None) == [ended]
    assert await store.get_key(access_key.access_key_id) == ended


async def test_revoking_again_writes_again(store: Store) -> None:
    access_key = await made(store)
    versions = [
        (await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")).version for _ in range(3)
    ]
    assert versions == [2, 3, 4]


async def test_a_key_that_drains_says_so_until_it_is_restored(store: Store) -> None:
    access_key_id = (await made(store)).access_key_id
    assert (await store.revoke_key(access_key_id, RevokeReason.UNUSED, "bob", drain=True)).drains
    assert (await store.get_key(access_key_id)).drains
    assert not (await store.restore_key(access_key_id, "bob")).drains
    with pytest.raises(InvalidInput):
        await store.revoke_key(access_key_id, RevokeReason.COMPROMISED, "bob", drain=True)
    assert (await store.get_key(access_key_id)).status is Status.ACTIVE


async def test_a_deleted_key_is_gone_from_any_state(store: Store) -> None:
    active, ended = await made(store), await made(store)
    await store.revoke_key(ended.access_key_id, RevokeReason.COMPROMISED, "bob")
    for access_key in (active, ended):
        await store.delete_key(access_key.access_key_id, "bob")
        with pytest.raises(NotFound):
            await store.get_key(access_key.access_key_id)
    assert await store.list_keys(None) == []


@pytest.mark.parametrize("deleted_before", [False, True])
async def test_what_is_not_there_is_not_found(store: Store, *, deleted_before: bool) -> None:
    access_key_id = "NQAKnobody"
    if deleted_before:
        access_key_id = (await made(store)).access_key_id
        await store.delete_key(access_key_id, "bob")
    for act in (
        store.get_key(access_key_id),
        store.revoke_key(access_key_id, RevokeReason.OTHER, "bob"),
        store.delete_key(access_key_id, "bob"),
        store.restore_key(access_key_id, "bob"),
        store.roll_key(access_key_id, 60, "bob"),
        store.update_key(access_key_id, Edit(label="x"), "bob"),
    ):
        with pytest.raises(NotFound):
            await act


async def test_a_restored_key_is_active_and_keeps_its_secret(store: Store) -> None:
    access_key = await made(store)
    await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")
    back = await store.restore_key(access_key.access_key_id, "bob")
    assert back == replace(access_key, version=3)
    assert await store.get_key(access_key.access_key_id) == back


@pytest.mark.parametrize("reason", [None, RevokeReason.COMPROMISED])
async def test_an_active_key_and_a_compromised_one_are_not_restored(store: Store, reason: RevokeReason | None) -> None:
    access_key = await made(store)
    if reason is not None:
        access_key = await store.revoke_key(access_key.access_key_id, reason, "bob")
    with pytest.raises(Conflict):
        await store.restore_key(access_key.access_key_id, "bob")
    assert await store.get_key(access_key.access_key_id) == access_key


async def test_a_rolled_key_and_its_successor_know_each_other(store: Store) -> None:
    old, old_secret = await store.create_key(wish(expires_at=NOW + 9999, not_before=NOW), "ann")
    successor, secret, ended = await store.roll_key(old.access_key_id, 60, "bob")
    assert ended == replace(old, replaced_by=successor.access_key_id, expires_at=NOW + 60, version=2)
    assert successor == replace(
        old, access_key_id=successor.access_key_id, created_by="bob", replaces=old.access_key_id
    )
    assert len(secret.expose()) == 40
    assert secret.expose() != old_secret.expose()
    listed = {key.access_key_id: key for key in await store.list_keys(None)}
    assert listed == {old.access_key_id: ended, successor.access_key_id: successor}


async def test_a_roll_without_an_overlap_revokes_at_once(store: Store) -> None:
    old = await made(store)
    successor, _, ended = await store.roll_key(old.access_key_id, 0, "bob")
    assert (ended.status, ended.revoked_at, ended.revoked_by) == (Status.REVOKED, NOW, "bob")
    assert (ended.revoked_reason, ended.replaced_by) == (RevokeReason.ROTATION, successor.access_key_id)
    assert await store.get_key(old.access_key_id) == ended


@pytest.mark.parametrize("overlap", [-1, MAX_OVERLAP + 1])
async def test_a_refused_roll_makes_no_successor(store: Store, overlap: int) -> None:
    old = await made(store)
    with pytest.raises(InvalidInput):
        await store.roll_key(old.access_key_id, overlap, "bob")
    assert await store.list_keys(None) == [old]
    ended = await store.revoke_key(old.access_key_id, RevokeReason.OTHER, "bob")
    with pytest.raises(Conflict):
        await store.roll_key(old.access_key_id, 60, "bob")
    assert await store.list_keys(None) == [ended]


async def test_a_key_is_rolled_once_even_when_its_successor_is_gone(store: Store) -> None:
    old = await made(store)
    successor, _, ended = await store.roll_key(old.access_key_id, 60, "bob")
    await store.delete_key(successor.access_key_id, "bob")
    with pytest.raises(Conflict, match=successor.access_key_id):
        await store.roll_key(old.access_key_id, 60, "bob")
    assert await store.list_keys(None) == [ended]


async def test_of_many_rolls_at_once_one_is_done(store: Store) -> None:
    old = await made(store)
    rolls = [store.roll_key(old.access_key_id, 60, "bob") for _ in range(6)]
    results = await asyncio.gather(*rolls, return_exceptions=True)
    assert [type(result) for result in results].count(Conflict) == 5
    assert len(await store.list_keys(None)) == 2


async def test_a_label_and_an_expiry_are_updated_alone(store: Store) -> None:
    access_key = await made(store)
    renamed = await store.update_key(access_key.access_key_id, Edit(label=" other "), "bob")
    assert renamed == replace(access_key, label="other", version=2)
    limited = await store.update_key(access_key.access_key_id, Edit(expires_at=NOW + 5), "bob")
    assert limited == replace(renamed, expires_at=NOW + 5, version=3)
    assert await store.get_key(access_key.access_key_id) == limited


@pytest.mark.parametrize("edit", [Edit(), Edit(label=""), Edit(expires_at=NOW), Edit("fine", NOW - 1)])
async def test_a_bad_edit_changes_nothing(store: Store, edit: Edit) -> None:
    access_key = await made(store)
    with pytest.raises(InvalidInput):
        await store.update_key(access_key.access_key_id, edit, "bob")
    assert await store.get_key(access_key.access_key_id) == access_key


async def test_a_revoked_key_is_relabelled_but_not_extended(store: Store) -> None:
    access_key_id = (await made(store)).access_key_id
    await store.revoke_key(access_key_id, RevokeReason.COMPROMISED, "bob")
    renamed = await store.update_key(access_key_id, Edit(label="stolen"), "bob")
    assert (renamed.label, renamed.status) == ("stolen", Status.REVOKED)
    with pytest.raises(Conflict):
        await store.update_key(access_key_id, Edit(expires_at=None), "bob")
    assert await store.get_key(access_key_id) == renamed


async def test_a_deleted_id_is_never_issued_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["NQAKonce", "NQAKonce", "NQAKonce", "NQAKnext"])
    monkeypatch.setattr(minting, "mint_access_key_id", lambda: next(drawn))
    first = await made(store)
    await store.delete_key(first.access_key_id, "bob")
    second = await made(store)
    assert (first.access_key_id, second.access_key_id) == ("NQAKonce", "NQAKnext")


async def test_a_generator_that_repeats_itself_makes_no_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "mint_access_key_id", lambda: "NQAKonce")
    await made(store)
    with pytest.raises(Conflict):
        await made(store)


async def test_many_mutations_at_once_all_hold(store: Store) -> None:
    keys = await asyncio.gather(*(made(store, f"label {number}") for number in range(12)))
    await asyncio.gather(*(store.revoke_key(key.access_key_id, RevokeReason.OTHER, "bob") for key in keys[:6]))
    listed = await store.list_keys(None)
    assert [key.status for key in listed].count(Status.REVOKED) == 6
    assert len(listed) == 12


async def test_all_of_it_is_there_after_opening_again(opener: Opener) -> None:
    async with opener() as first:
        access_key = await made(first)
        ended = await first.revoke_key(access_key.access_key_id, RevokeReason.ROTATION, "bob")
        accounts = await first.list_accounts()
    async with opener() as second:
        assert await second.list_keys(None) == [ended]
        assert await second.list_accounts() == accounts


def test_a_draft_is_active_and_in_its_first_version() -> None:
    drafted = draft_key(wish(" backup "), "NQAKone", NOW, "ann")
    assert (drafted.label, drafted.status, drafted.version) == ("backup", Status.ACTIVE, 1)

"""The contract, asked of every implementation: to add one, add how it is opened to STORES."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from keystore import minting
from keystore.access_key import DEFAULT_ACCOUNT, AccessKey, RevokeReason, Status
from keystore.errors import Conflict, InvalidInput, NotFound
from keystore.scope import BucketGrant, Rights, Scope, SpecificBuckets
from keystore.sealing import KekRing
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey, Store, draft_key

NOW = 1_700_000_000
PHOTOS = SpecificBuckets((BucketGrant("photos"), BucketGrant("logs", Rights.READ_ONLY)))

Opener = Callable[[], AbstractAsyncContextManager[Store]]


def sqlite(folder: Path, ring: KekRing) -> Opener:
    return lambda: open_sqlite_store(folder / "contract.db", ring, create=True, clock=lambda: NOW + 0.5)


STORES: dict[str, Callable[[Path, KekRing], Opener]] = {"sqlite": sqlite}


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path, ring: KekRing) -> Opener:
    return STORES[request.param](tmp_path, ring)


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


def wish(label: str = "backup", scope: Scope = PHOTOS, account: str = DEFAULT_ACCOUNT, **times: int) -> NewKey:
    return NewKey(account, label, scope, **times)


async def made(store: Store, label: str = "backup", account: str = DEFAULT_ACCOUNT) -> AccessKey:
    access_key, _ = await store.create_key(wish(label, account=account), "ann")
    return access_key


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


@pytest.mark.parametrize("new", [wish(""), wish("a\u202eb"), wish(expires_at=NOW), wish(expires_at=-1)])
async def test_a_bad_wish_makes_no_key(store: Store, new: NewKey) -> None:
    with pytest.raises(InvalidInput):
        await store.create_key(new, "ann")
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
    ):
        with pytest.raises(NotFound):
            await act


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

"""The contract, asked of every implementation: what is done once, however often and from wherever it is asked for."""

import asyncio
import secrets

import pytest

from keystore.errors import Conflict, InvalidInput, NotFound, Outdated, Repeated
from keystore.key_acts import Edit
from keystore.store import Once, Store
from tests.support.contract import Opener, made, opener, store, wish

__all__ = ["opener", "store"]  # fixtures, in place of those of this folder

ONCE = Once("0123456789abcdef" * 2, "d" * 64)
NONCE = "fedcba9876543210" * 2


async def test_a_creation_that_comes_again_makes_no_second_key(store: Store) -> None:
    access_key, _ = await store.create_key(wish(), "ann", ONCE)
    for digest, same in ((ONCE.digest, True), ("e" * 64, False), (ONCE.digest[:-1], False)):
        with pytest.raises(Repeated) as repeated:
            await store.create_key(wish("other"), "ann", Once(ONCE.request_id, digest))
        assert (repeated.value.access_key_id, repeated.value.same) == (access_key.access_key_id, same)
    assert await store.list_keys(None) == [access_key]


async def test_another_request_makes_another_key(store: Store) -> None:
    first, _ = await store.create_key(wish(), "ann", ONCE)
    second, _ = await store.create_key(wish(), "ann", Once("f" * 32, ONCE.digest))
    third, _ = await store.create_key(wish(), "ann")
    assert len({first.access_key_id, second.access_key_id, third.access_key_id}) == 3


async def test_a_request_whose_key_is_gone_is_still_known(store: Store) -> None:
    access_key, _ = await store.create_key(wish(), "ann", ONCE)
    await store.delete_key(access_key.access_key_id, "ann")
    with pytest.raises(Repeated) as repeated:
        await store.create_key(wish(), "ann", ONCE)
    assert repeated.value.access_key_id == access_key.access_key_id
    assert await store.list_keys(None) == []


async def test_a_creation_that_was_refused_may_come_again(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.create_key(wish(account="team"), "ann", ONCE)
    await store.create_account("team", "ann")
    access_key, _ = await store.create_key(wish(account="team"), "ann", ONCE)
    assert await store.list_keys("team") == [access_key]


@pytest.mark.parametrize(
    ("request_id", "digest"),
    [("", "d"), ("F" * 32, "d"), ("f" * 33, "d"), ("f" * 32, ""), ("f" * 32, "d" * 129), ("f" * 32, "é")],
)
async def test_what_no_caller_derives_makes_no_key(store: Store, request_id: str, digest: str) -> None:
    with pytest.raises(InvalidInput):
        await store.create_key(wish(), "ann", Once(request_id, digest))
    assert await store.list_keys(None) == []


async def test_the_id_of_a_request_that_did_something_else_makes_no_key(store: Store) -> None:
    assert await store.note_sign_in(ONCE.request_id, "ann", None, {})
    with pytest.raises(Conflict) as refused:
        await store.create_key(wish(), "ann", ONCE)
    assert not isinstance(refused.value, Repeated)
    assert await store.list_keys(None) == []


async def test_of_many_at_once_from_two_processes_one_makes_the_key(opener: Opener) -> None:
    async with opener() as one, opener() as other:
        asked = [each.create_key(wish(), "ann", ONCE) for each in (one, other) * 4]
        done = await asyncio.gather(*asked, return_exceptions=True)
        [access_key] = await one.list_keys(None)
        repeated = [each for each in done if isinstance(each, Repeated)]
        assert len(repeated) == 7
        assert {(each.access_key_id, each.same) for each in repeated} == {(access_key.access_key_id, True)}


# ---- a record that somebody else changed ----


async def test_an_edit_of_a_version_that_is_over_changes_nothing(store: Store) -> None:
    access_key = await made(store)
    after = await store.update_key(access_key.access_key_id, Edit(label="one"), "ann", 1)
    assert (after.label, after.version) == ("one", 2)
    for version in (1, 3, 0):
        with pytest.raises(Outdated):
            await store.update_key(access_key.access_key_id, Edit(label="two"), "ann", version)
    assert await store.get_key(access_key.access_key_id) == after
    assert (await store.update_key(access_key.access_key_id, Edit(label="two"), "ann")).version == 3
    with pytest.raises(NotFound):
        await store.update_key("NQAKnobody", Edit(label="two"), "ann", 1)


async def test_of_two_edits_of_one_version_one_is_done(opener: Opener) -> None:
    async with opener() as one, opener() as other:
        access_key_id = (await made(one)).access_key_id
        edits = [each.update_key(access_key_id, Edit(label="x"), "ann", 1) for each in (one, other, one, other)]
        done = await asyncio.gather(*edits, return_exceptions=True)
        assert [isinstance(each, Outdated) for each in done].count(True) == 3
        assert (await one.get_key(access_key_id)).version == 2


# ---- a link to sign in by ----


async def test_a_link_is_good_once(store: Store) -> None:
    assert await store.note_sign_in(NONCE, "link:ann", None, {"from": "10.0.0.1"})
    assert not await store.note_sign_in(NONCE, "link:ann", None, {"from": "10.0.0.1"})
    assert not await store.note_sign_in(NONCE, "link:bob", "default", {})
    assert await store.note_sign_in("0" * 32, "link:ann", None, {})


async def test_the_request_of_a_creation_is_no_link(store: Store) -> None:
    await store.create_key(wish(), "ann", ONCE)
    assert not await store.note_sign_in(ONCE.request_id, "link:ann", None, {})


async def test_of_many_who_use_a_link_at_once_one_signs_in(opener: Opener) -> None:
    async with opener() as one, opener() as other:
        for _ in range(3):
            nonce = secrets.token_hex(16)
            asked = [each.note_sign_in(nonce, "link:ann", "default", {}) for each in (one, other) * 4]
            assert sorted(await asyncio.gather(*asked)) == [False] * 7 + [True]


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n"])
async def test_what_is_no_nonce_signs_nobody_in(store: Store, nonce: str) -> None:
    with pytest.raises(InvalidInput):
        await store.note_sign_in(nonce, "link:ann", None, {})


async def test_nobody_signs_in_to_an_account_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.note_sign_in(NONCE, "link:ann", "team", {})
    await store.create_account("team", "ann")
    assert await store.note_sign_in(NONCE, "link:ann", "team", {})


async def test_a_sign_in_leaves_the_account_as_it_is(store: Store) -> None:
    account = await store.create_account("team", "ann")
    for _ in range(3):
        assert await store.note_sign_in(secrets.token_hex(16), "link:ann", "team", {})
    assert account in await store.list_accounts()
    assert await store.store_credential("team") is None
    await made(store, account="team")

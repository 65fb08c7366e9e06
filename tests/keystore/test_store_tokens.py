"""The contract, asked of every implementation: admin tokens."""

import asyncio
from dataclasses import replace

import pytest

from keystore import minting
from keystore.access_key import rfc3339
from keystore.admin_tokens import AdminToken, Role, holds, read_token, refusal, usable
from keystore.errors import Conflict, InvalidInput, NotFound
from keystore.sealing import KekRing
from keystore.store import NewToken, Store
from tests.support.contract import NOW, Opener, made, opener, store

__all__ = ["opener", "store"]  # fixtures, in place of those of this folder

OPERATOR = NewToken(Role.OPERATOR, "ci")


async def issued(store: Store, new: NewToken = OPERATOR) -> AdminToken:
    return (await store.create_token(new, "ann"))[0]


async def test_a_new_token_keeps_what_was_wished_and_is_found(store: Store) -> None:
    await store.create_account("team", "ann")
    token, secret = await store.create_token(NewToken(Role.OWNER, "  Büro ", "team", NOW + 60), "ann")
    assert (token.label, token.role, token.account) == ("Büro", Role.OWNER, "team")
    assert (token.created_at, token.created_by, token.expires_at, token.version) == (NOW, "ann", NOW + 60, 1)
    assert await store.find_token(token.token_id) == token
    presented = read_token(secret.expose())
    assert presented is not None
    assert holds(token, presented)
    assert usable(token, NOW)
    assert secret.expose() not in f"{secret} {token}"


async def test_an_operators_token_is_of_no_account(store: Store) -> None:
    token, secret = await store.create_token(OPERATOR, "ann")
    assert (token.role, token.account, token.expires_at) == (Role.OPERATOR, None, None)
    assert secret.expose().startswith(f"nqat_{token.token_id}_")
    assert [account.name for account in await store.list_accounts()] == ["default"]


@pytest.mark.parametrize(
    "new",
    [
        NewToken(Role.OPERATOR, ""),
        NewToken(Role.OPERATOR, "a\u202eb"),
        NewToken(Role.OPERATOR, "ci", "default"),
        NewToken(Role.OPERATOR, "ci", expires_at=NOW),
        NewToken(Role.OPERATOR, "ci", expires_at=-1),
        NewToken(Role.OWNER, "ci"),
        NewToken(Role.OWNER, "ci", "No Name"),
    ],
)
async def test_a_bad_wish_makes_no_token(store: Store, new: NewToken) -> None:
    with pytest.raises(InvalidInput):
        await store.create_token(new, "ann")
    assert await store.list_tokens() == []


async def test_a_token_of_no_account_is_not_made(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.create_token(NewToken(Role.OWNER, "ci", "nobody"), "ann")
    assert await store.list_tokens() == []


async def test_tokens_are_listed_revoked_ones_too_and_by_account(store: Store) -> None:
    await store.create_account("team", "ann")
    operator, theirs, ours = [
        await issued(store, new)
        for new in (OPERATOR, NewToken(Role.OWNER, "a", "team"), NewToken(Role.OWNER, "b", "default"))
    ]
    ended = await store.revoke_token(theirs.token_id, "bob")
    assert sorted(await store.list_tokens(), key=str) == sorted([operator, ended, ours], key=str)
    assert await store.list_tokens("team") == [ended]
    assert await store.list_tokens("default") == [ours]
    assert await store.list_tokens("nobody") == []


async def test_a_revoked_token_is_not_usable_any_more(store: Store) -> None:
    token = await issued(store)
    ended = await store.revoke_token(token.token_id, "bob")
    assert ended == replace(token, revoked_at=NOW, revoked_by="bob", version=2)
    found = await store.find_token(token.token_id)
    assert found == ended
    assert refusal(found, NOW) == f"the admin token {token.token_id} was revoked at {rfc3339(NOW)}"


async def test_revoking_again_writes_again(store: Store) -> None:
    token_id = (await issued(store)).token_id
    seen = set()
    for version in (2, 3, 4):
        assert (await store.revoke_token(token_id, "bob")).version == version
        seen.add(store.committed_seq)
    assert len(seen) == 3


@pytest.mark.parametrize("token_id", ["", "zzzzzzzzzzzz", "ZZZZZZZZZZZZ", "a\0b", "'; --", "nqat_" + "a" * 53])
async def test_what_is_not_there_is_not_found_and_what_is_no_id_is_not_repeated(store: Store, token_id: str) -> None:
    assert await store.find_token(token_id) is None
    with pytest.raises(NotFound) as refused:
        await store.revoke_token(token_id, "bob")
    assert "nqat_" not in str(refused.value)
    assert await store.list_tokens() == []


async def test_a_token_leaves_its_account_and_the_keys_of_it_as_they_were(store: Store) -> None:
    """The last change of an account is not one of a token that names it."""
    await store.create_account("team", "ann")
    access_key = await made(store, account="team")
    before = await store.list_accounts()
    token = await issued(store, NewToken(Role.OWNER, "ci", "team"))
    await store.revoke_token(token.token_id, "bob")
    assert await store.list_accounts() == before
    assert await store.list_keys("team") == [access_key]
    await made(store, account="team")


async def test_an_id_is_never_issued_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaaaaaaaaaa", "aaaaaaaaaaaa", "aaaaaaaaaaaa", "bbbbbbbbbbbb"])
    monkeypatch.setattr(minting, "mint_token_id", lambda: next(drawn))
    first = await issued(store)
    await store.revoke_token(first.token_id, "bob")
    assert (await issued(store)).token_id == "bbbbbbbbbbbb"
    monkeypatch.setattr(minting, "mint_token_id", lambda: "aaaaaaaaaaaa")
    with pytest.raises(Conflict):
        await issued(store)


async def test_many_tokens_made_at_once_are_all_there(store: Store) -> None:
    made_tokens = await asyncio.gather(*(issued(store) for _ in range(6)))
    assert sorted(await store.list_tokens(), key=str) == sorted(made_tokens, key=str)


async def test_tokens_outlive_the_process(opener: Opener, ring: KekRing) -> None:
    async with opener() as one:
        token = await one.revoke_token((await issued(one)).token_id, "bob")
    async with opener() as another:
        assert await another.find_token(token.token_id) == token

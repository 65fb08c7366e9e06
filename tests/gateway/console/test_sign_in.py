import asyncio

import pytest

from gateway.console.acts import Caller
from gateway.console.links import LASTS, make_link
from gateway.console.sign_in import Entrance
from gateway.console.site import Refused
from keystore.admin_tokens import Role
from keystore.audited_rows import Wanted
from keystore.store import NewToken
from tests.support.plane import Plane

HERE = "192.0.2.9"


@pytest.fixture
def sign_in(plane: Plane) -> Entrance:
    return Entrance(plane.keystore.store, lambda: plane.ring, lambda: plane.now)


async def refused(attempt: object) -> str:
    with pytest.raises(Refused) as why:
        await attempt  # type: ignore[misc]
    return str(why.value)


@pytest.mark.parametrize(("account", "role"), [(None, "operator"), ("acme", "owner")])
async def test_a_token_signs_in_whom_it_was_made_for(
    plane: Plane, sign_in: Entrance, account: str | None, role: str
) -> None:
    text = await plane.token(account)
    signed = await sign_in.token(f"  {text}\n", HERE)
    assert (signed.role, signed.account, signed.token_id) == (role, account, text[5:17])
    assert signed.caller == Caller(f"token:{text[5:17]}@{HERE}", account)


async def test_a_wrong_token_and_one_that_never_was_are_told_apart_by_nobody(plane: Plane, sign_in: Entrance) -> None:
    text = await plane.token()
    wrong = text[:-1] + ("a" if text[-1] != "a" else "b")
    never = f"nqat_{'0' * 12}_{text[-40:]}"
    words = {await refused(sign_in.token(sent, HERE)) for sent in (wrong, never, "", "x" * 100_000)}
    assert len(words) == 1
    assert text[-40:] not in words.pop()


async def test_a_revoked_or_expired_token_signs_nobody_in_and_ends_what_it_began(
    plane: Plane, sign_in: Entrance
) -> None:
    store = plane.keystore.store
    token, text = await store.create_token(NewToken(Role.OPERATOR, "t", expires_at=int(plane.now) + 60), "test")
    assert await sign_in.still(token.token_id)
    plane.now += 60
    assert not await sign_in.still(token.token_id)
    assert "expired" in await refused(sign_in.token(text.expose(), HERE))
    plane.now -= 60
    await store.revoke_token(token.token_id, "test")
    assert not await sign_in.still(token.token_id)
    assert "revoked" in await refused(sign_in.token(text.expose(), HERE))
    assert not await sign_in.still("000000000000")


@pytest.mark.parametrize(("role", "account"), [(Role.OPERATOR, None), (Role.OWNER, "acme")])
async def test_a_link_opens_once_and_the_log_says_for_whom(
    plane: Plane, sign_in: Entrance, role: Role, account: str | None
) -> None:
    text = make_link(plane.ring, account, plane.now)
    signed = await sign_in.link(text, HERE)
    assert (signed.role, signed.account, signed.token_id) == (role.value, account, "")
    assert await sign_in.still(signed.token_id)
    assert "used already" in await refused(sign_in.link(text, HERE))
    [entry] = [one.change for one in await plane.keystore.changes(Wanted(None, None, None, 1))]
    assert (entry.kind, entry.actor) == ("console.sign_in", signed.caller.actor)
    assert entry.actor.endswith(f"@{HERE}")


async def test_of_many_who_use_a_link_at_once_one_is_signed_in(plane: Plane, sign_in: Entrance) -> None:
    text = make_link(plane.ring, None, plane.now)
    tried = await asyncio.gather(*(sign_in.link(text, HERE) for _ in range(8)), return_exceptions=True)
    assert len([one for one in tried if not isinstance(one, BaseException)]) == 1
    assert len([one for one in tried if isinstance(one, Refused)]) == 7


async def test_a_link_is_over_after_five_minutes(plane: Plane, sign_in: Entrance) -> None:
    text = make_link(plane.ring, None, plane.now)
    plane.now += LASTS
    assert "over" in await refused(sign_in.link(text, HERE))
    plane.now -= 1
    await sign_in.link(text, HERE)


async def test_what_is_no_link_is_refused_in_words_that_help(sign_in: Entrance) -> None:
    assert "nqgate console link" in await refused(sign_in.link("nql_guess.0", HERE))

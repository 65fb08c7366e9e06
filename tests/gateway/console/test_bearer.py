import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.console.acts import Caller
from gateway.console.bearer import Bearer, address_of
from gateway.console.problems import Problem
from gateway.source import NOBODY, read_trusted
from tests.support.plane import Plane


def sent(*values: str) -> web.Request:
    return make_mocked_request("GET", "/", headers=[("Authorization", value) for value in values])  # type: ignore[arg-type]


async def refused(plane: Plane, request: web.Request) -> Problem:
    with pytest.raises(Problem) as problem:
        await Bearer(plane.keystore.store, NOBODY, lambda: plane.now).caller(request)
    assert problem.value.status == 401
    assert problem.value.headers["WWW-Authenticate"].startswith("Bearer")
    return problem.value


@pytest.mark.parametrize("account", [None, "acme"])
async def test_a_token_names_who_asks_and_what_they_see(plane: Plane, account: str | None) -> None:
    text = await plane.token(account)
    for header in (f"Bearer {text}", f"bearer {text}", f"BEARER  {text} "):
        caller = await Bearer(plane.keystore.store, NOBODY).caller(sent(header))
        assert caller == Caller(f"token:{text[5:17]}@unknown", account)


async def test_without_exactly_one_token_nobody_asks(plane: Plane) -> None:
    text = await plane.token()
    for values in (
        (),
        ("",),
        (f"Basic {text}",),
        (text,),
        (f"Bearer {text}", f"Bearer {text}"),
        ("Bearer " + "x" * 300,),
    ):
        await refused(plane, sent(*values))


async def test_no_refusal_repeats_what_was_sent(plane: Plane) -> None:
    text = await plane.token()
    wrong = text[:-1] + ("a" if text[-1] != "a" else "b")
    for tried in (wrong, f"nqat_{'0' * 12}_{'x' * 40}"):
        problem = await refused(plane, sent(f"Bearer {tried}"))
        assert str(problem) == "there is no such admin token"
        assert problem.__cause__ is None


async def test_a_token_opens_nothing_from_the_request_after_its_revoke_on(plane: Plane) -> None:
    text = await plane.token()
    bearer = Bearer(plane.keystore.store, NOBODY)
    await bearer.caller(sent(f"Bearer {text}"))
    await plane.keystore.store.revoke_token(text[5:17], "test")
    assert "revoked" in str(await refused(plane, sent(f"Bearer {text}")))


def test_only_a_trusted_proxy_says_where_a_request_came_from() -> None:
    class At:
        remote = "10.0.0.1"
        headers = sent().headers.copy()

    At.headers["X-Forwarded-For"] = "203.0.113.5"
    assert address_of(At, NOBODY) == "10.0.0.1"  # type: ignore[arg-type]
    assert address_of(At, read_trusted(("10.0.0.0/8",))) == "203.0.113.5"  # type: ignore[arg-type]
    At.headers["X-Forwarded-For"] = "nonsense"
    assert address_of(At, read_trusted(("10.0.0.0/8",))) == "unknown"  # type: ignore[arg-type]

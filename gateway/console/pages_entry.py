"""In and out: signing in with a token or a one-time link, choosing an account, signing out. Reads no key."""

from aiohttp import web

from gateway.console.site import Refused
from gateway.console.visit import Visit, own_path
from keystore.accounts import ACCOUNT_NAME


async def home(visit: Visit) -> web.Response:
    return visit.go("/keys" if visit.maybe_session else "/sign-in")


async def sign_in_form(visit: Visit) -> web.Response:
    if visit.maybe_session:
        return visit.go(own_path(visit.query("then")))
    error = "Your session has ended, and nothing was done. Sign in and repeat it." if visit.query("ended") else ""
    return await _form(visit, visit.query("then"), error, 200)


async def sign_in(visit: Visit) -> web.Response:
    then = visit.field("then")
    try:
        signed = await visit.prove(visit.field("token"))
    except Refused as refused:
        return await _form(visit, then, str(refused), 403)
    return visit.welcome(signed, own_path(then))


async def _form(visit: Visit, then: str, error: str, status: int) -> web.Response:
    known = own_path(then) if then else ""
    return await visit.show("sign_in.html", status=status, then=known, error=error, private=visit.private)


async def link_form(visit: Visit) -> web.Response:
    """What opens is behind the # of the address: the browser keeps that to itself until a script posts it."""
    return await visit.show("link.html", error="", private=visit.private)


async def link(visit: Visit) -> web.Response:
    text = visit.field("link").strip()
    try:
        signed = await visit.prove(text if "#" in text else f"#{text}")
    except Refused as refused:
        return await visit.show("link.html", status=403, error=str(refused), private=visit.private)
    return visit.welcome(signed, "/keys")


async def sign_out(visit: Visit) -> web.Response:
    return visit.farewell("/sign-in")


async def choose_account(visit: Visit) -> web.Response:
    """For an operator; an owner has the one."""
    name = visit.field("account")
    if visit.session.signed.account is None:
        chosen = name if ACCOUNT_NAME.match(name) else None
        visit.shop.sessions.change(visit.session_text, account=chosen)
    return visit.go(own_path(visit.field("then")))

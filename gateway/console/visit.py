"""One request to the console, on its way to a page: what every page asks first, and how every page answers.

The order: name of the host → whose page sent it → size and kind of the form → session, and whether its token still
opens anything → the token in the form → the page. What an act raises becomes an error page here, in one place. Knows no
page, and puts nothing of a request into a log.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, quote

from aiohttp import web

from gateway.console.attempts import Attempts
from gateway.console.bearer import address_of
from gateway.console.browser_safety import (
    EVERY_ANSWER,
    PAGE,
    TLS,
    cookie_name,
    foreign,
    is_loopback,
    keeps_secrets,
    origin_of,
    same_token,
)
from gateway.console.forms import Fields, one
from gateway.console.rendering import StaticFile, Templates
from gateway.console.sessions import LONGEST, Notice, Session, Sessions
from gateway.console.site import Refused, SignedIn, Site
from gateway.console.words import sentence
from keystore.errors import Conflict, InvalidInput, KeystoreError, KeystoreUnavailable, NotFound

LOG: Final = logging.getLogger(__name__)
MAX_FORM: Final = 131_072  # bytes: a scope of 1,000 buckets with their longest names
MAX_FIELDS: Final = 1100
MAX_QUERY: Final = 256  # characters of one value in a query that is looked at
_FORM: Final = "application/x-www-form-urlencoded"
_OWN_PATH: Final = re.compile(r"/(?:keys|buckets|activity)(?:/[A-Za-z0-9_-]{1,128}){0,2}\Z")
_PROOF_IS_LINK: Final = "#"


class Shop(NamedTuple):
    """What all visits share."""

    site: Site
    sessions: Sessions
    attempts: Attempts
    templates: Templates
    static: Mapping[str, StaticFile]


class NotSignedIn(Exception):
    """There is no session, or it is over."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`session_text`: what the cookie holds. `fields`: of the form that was posted, by name."""

    request: web.Request
    shop: Shop
    origin: str
    session_text: str
    maybe_session: Session | None
    fields: Fields

    @property
    def session(self) -> Session:
        if self.maybe_session is None:
            raise NotSignedIn
        return self.maybe_session

    @property
    def site(self) -> Site:
        return self.shop.site

    @property
    def now(self) -> float:
        return self.site.clock()

    @property
    def access_key_id(self) -> str:
        return self.request.match_info["access_key_id"]

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read a token: TLS, here or before a proxy on this machine, or no way at all."""
        return self.request.secure or (is_loopback(self.peer) and keeps_secrets(self.origin))

    @property
    def peer(self) -> str:
        """The other end of the connection: a proxy, where one stands in front."""
        return self.request.remote or ""

    @property
    def address(self) -> str:
        """Whoever asks, as proxies say that are trusted to."""
        return address_of(self.request, self.site.settings.trusted)

    def query(self, name: str) -> str:
        return self.request.query.get(name, "")[:MAX_QUERY].strip()

    def field(self, name: str) -> str:
        return one(self.fields, name)

    # ---- answers ----

    async def show(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """A page. The notice of an earlier act is told once."""
        session = self.maybe_session
        notice = session and session.notice
        if session is not None and notice is not None:
            self.shop.sessions.change(self.session_text, notice=None)
        page = {
            "session": session,
            "notice": notice,
            "accounts": await self._accounts(),
            "now": self.now,
            "settings": self.site.settings,
            "path": self.request.path,
            **context,
        }
        return self.answer(self.shop.templates.render(template, page), status)

    def answer(self, html: str, status: int = 200) -> web.Response:
        return web.Response(text=html, status=status, content_type="text/html", headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {**PAGE, **(TLS if self.origin.startswith("https://") else {})}

    def go(self, path: str, notice: Notice | None = None) -> web.Response:
        """See other. `path`: of this console, made here."""
        if notice is not None:
            self.shop.sessions.change(self.session_text, notice=notice)
        return web.Response(status=303, headers={**self.headers, "Location": path})

    async def _accounts(self) -> list[str]:
        """An operator's, to choose from; [] where there is no choice."""
        session = self.maybe_session
        if session is None or session.signed.account is not None:
            return []
        try:
            return [str(account["name"]) for account in await self.site.acts.accounts(session.signed.caller)]
        except KeystoreError:
            return []

    # ---- cookies ----

    def welcome(self, signed: SignedIn, path: str) -> web.Response:
        """A new session, under a new id, in place of the one there may have been."""
        if self.session_text:
            self.shop.sessions.end(self.session_text)
        response = self.go(path)
        self._set_cookie(response, self.shop.sessions.begin(signed), LONGEST)
        return response

    def farewell(self, path: str) -> web.Response:
        self.shop.sessions.end(self.session_text)
        response = self.go(path)
        self._set_cookie(response, "", 0)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def _set_cookie(self, response: web.Response, text: str, seconds: int) -> None:
        secure = self.origin.startswith("https://")
        name = cookie_name(self.origin)
        response.set_cookie(name, text, max_age=seconds, secure=secure, httponly=True, samesite="Strict")

    # ---- proof ----

    async def prove(self, text: str) -> SignedIn:
        """Whose token or link the text is. Raises Refused, as the door does, and for whoever asks too often."""
        if not self.private:
            raise Refused("Tokens are taken over TLS or on the gateway's own machine only.")
        if not self.shop.attempts.allow(self.address):
            raise Refused("Too many attempts. Wait a minute, then try again.")
        text = text.strip()
        _, is_link, after = text.partition(_PROOF_IS_LINK)
        sign_in = self.site.sign_in
        signed = await (sign_in.link(after, self.address) if is_link else sign_in.token(text, self.address))
        self.shop.attempts.forget(self.address)
        return signed

    async def step_up(self) -> str:
        """Empty when the token was shown within the last minutes, or is now; else what to tell."""
        if self.session.proved(self.now):
            return ""
        text = self.field("proof")
        if not text.strip():
            return "Show your token again, or a new link: your last proof is older than 5 minutes."
        try:
            signed = await self.prove(text)
        except Refused as refused:
            return str(refused)
        if (signed.role, signed.account) != (self.session.signed.role, self.session.signed.account):
            return "That token is for somebody else. Sign out to use it."
        self.shop.sessions.change(self.session_text, signed=signed, proved_at=self.now)
        return ""


Page = Callable[[Visit], Awaitable[web.Response]]
Handler = Callable[[web.Request], Awaitable[web.Response]]


def guarded(shop: Shop, page: Page, *, open_to_all: bool = False) -> Handler:
    """`open_to_all`: pages that need no session, and that a link on another site may lead to."""

    async def handler(request: web.Request) -> web.Response:
        origin = _origin(request, shop)
        if origin is None:
            return _plain(421, "The console does not answer under this name. Open it as console.public_url says.")
        follows_link = open_to_all and request.method in {"GET", "HEAD"}
        if foreign(request.method, request.headers, origin) and not follows_link:
            return _plain(403, "Another site's page asked for this; nothing was done. Open the console itself.")
        text = request.cookies.get(cookie_name(origin), "")[:MAX_QUERY]
        session = shop.sessions.find(text) if text else None
        visit = Visit(request, shop, origin, text, session, {})
        try:
            if session is not None and not await shop.site.sign_in.still(session.signed.token_id):
                shop.sessions.end(text)
                visit = replace(visit, maybe_session=None)
            return await _judged(visit, page, open_to_all=open_to_all)
        except NotSignedIn:
            return _sign_in_first(visit)
        except KeystoreError as error:
            return await _told(visit, error)
        except web.HTTPException:
            raise
        except Exception:
            LOG.exception("the console failed on %s", request.match_info.route.resource)
            return _plain(500, "Something went wrong. The gateway's log says more.")

    return handler


async def _judged(visit: Visit, page: Page, *, open_to_all: bool) -> web.Response:
    if visit.maybe_session is None and not open_to_all:
        raise NotSignedIn
    if visit.request.method == "POST":
        fields = await _read_fields(visit.request)
        if fields is None:
            return await error_page(visit, 413, "Not a form", "This form is too large, or none at all.")
        visit = replace(visit, fields=fields)
        if visit.maybe_session is not None and not same_token(visit.field("csrf"), visit.session.csrf):
            if open_to_all:  # a form from before the session began
                visit = replace(visit, maybe_session=None)
            else:
                return await error_page(
                    visit, 403, "This form is out of date", "Nothing was done. Open the page again and repeat it."
                )
    return await page(visit)


async def _read_fields(request: web.Request) -> Fields | None:
    """None for what is no form, or too much of one. The length is known before anything is read."""
    length = request.content_length
    if length is None or length > MAX_FORM or request.content_type != _FORM:
        return None
    try:
        return parse_qs((await request.read()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return None


def _origin(request: web.Request, shop: Shop) -> str | None:
    local = request.transport and request.transport.get_extra_info("sockname")
    if not isinstance(local, tuple):
        return None
    return origin_of(request.host, local[:2], shop.site.settings.public_url, secure=request.secure)


def _plain(status: int, text: str) -> web.Response:
    return web.Response(text=text + "\n", status=status, headers={**EVERY_ANSWER, "Cache-Control": "no-store"})


def _sign_in_first(visit: Visit) -> web.Response:
    """Back to the page that was wanted, afterwards; an act is not done, and said so."""
    path = visit.request.path
    if visit.request.method == "POST":
        return visit.go("/sign-in?ended=1")
    return visit.go(f"/sign-in?then={quote(path)}" if _OWN_PATH.match(path) else "/sign-in")


def own_path(path: str) -> str:
    """Where to go after signing in: a page of the console that reads, or the list of keys."""
    return path if _OWN_PATH.match(path) else "/keys"


async def _told(visit: Visit, error: KeystoreError) -> web.Response:
    match error:
        case NotFound():
            text = "It is not there, or it is not yours to see. It may have been deleted."
            return await error_page(visit, 404, "Not found", text)
        case Conflict():
            return await error_page(visit, 409, "That does not go together", sentence(str(error)))
        case InvalidInput():
            return await error_page(visit, 422, "That cannot be", sentence(str(error)))
        case KeystoreUnavailable():
            LOG.warning("the console cannot answer: %s", error)
            text = "The keystore cannot answer now. Look again before you repeat what you did."
            return await error_page(visit, 503, "Try again in a moment", text)
    LOG.warning("the console cannot answer: %s", error)
    return await error_page(visit, 500, "Something went wrong", "The gateway's log says more.")


async def error_page(visit: Visit, status: int, title: str, text: str) -> web.Response:
    response = await visit.show("error.html", status=status, title=title, text=text)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response

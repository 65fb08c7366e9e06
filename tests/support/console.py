"""A console with acts in memory, and somebody in front of it: cookies kept, forms filled in as they were shown."""

import contextlib
import html
import re
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.console.acts import Caller
from gateway.console.pages import console_routes
from gateway.console.site import SignedIn, Site, SiteSettings
from tests.support.fake_acts import FakeActs, FakeSignIn

OPERATOR = SignedIn(Caller("operator o1 from 127.0.0.1", None), "operator", None, "operatortokn", None)
OWNER = SignedIn(Caller("owner w1 from 127.0.0.1", "default"), "owner", "default", "ownertokenid", None)
NOW = 1_790_000_000.0
SAME = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}  # as Chromium posts a form of a no-referrer page
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
FORM = "application/x-www-form-urlencoded"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Shown:
    """An answer, read. `fields`: the hidden ones of its last form."""

    def __init__(self, answer: ClientResponse, text: str) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.cookies = answer.cookies
        self.text = text
        self.location = answer.headers.get("Location", "")

    @property
    def fields(self) -> dict[str, str]:
        return {name: html.unescape(value) for name, value in _HIDDEN.findall(self.text)}

    @property
    def words(self) -> str:
        """What a person reads."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())


class Browser:
    def __init__(self, client: TestClient[Any, Any], acts: FakeActs, sign_in: FakeSignIn, clock: Clock) -> None:
        self.client, self.acts, self.door, self.clock = client, acts, sign_in, clock

    async def get(self, path: str, **headers: str) -> Shown:
        sent = {"Sec-Fetch-Site": "none", **headers}
        async with self.client.get(path, headers=sent, allow_redirects=False) as answer:
            return Shown(answer, await answer.text())

    async def post(self, path: str, fields: Any, headers: dict[str, str] | None = None) -> Shown:
        sent = SAME if headers is None else headers
        async with self.client.post(path, data=fields, headers=sent, allow_redirects=False) as answer:
            return Shown(answer, await answer.text())

    async def fill(self, path: str, fields: dict[str, Any] | None = None, form: str = "") -> Shown:
        """The form at `form` (or `path`) sent to `path`, with its hidden fields."""
        page = await self.get(form or path)
        assert page.status == 200, page.words
        pairs = [*page.fields.items()]
        for name, value in (fields or {}).items():
            pairs += [(name, one) for one in (value if isinstance(value, list) else [value])]
        return await self.post(path, pairs)

    async def enter(self, token: str = "operator") -> None:
        answer = await self.fill("/sign-in", {"token": token})
        assert (answer.status, answer.location) == (303, "/keys"), answer.words


@contextlib.asynccontextmanager
async def console(settings: SiteSettings | None = None, *, token: str = "operator") -> AsyncIterator[Browser]:
    """`token`: of whoever is signed in already, "" = nobody."""
    clock = Clock()
    acts, sign_in = FakeActs(clock), FakeSignIn()
    sign_in.tokens = {"operator": OPERATOR, "owner": OWNER}
    app = web.Application()
    app.add_routes(console_routes(Site(acts, sign_in, settings or SiteSettings(), clock)))
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client:
        browser = Browser(client, acts, sign_in, clock)
        if token:
            await browser.enter(token)
        yield browser

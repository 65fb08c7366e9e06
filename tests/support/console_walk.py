"""The console of a running gateway as a person walks it: signs in, makes a key, saves its secret."""

import http.client
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Tab
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.rest import Rest, admin_token
from tests.support.server_process import LOOPBACK

CLIPBOARD = ("clipboard-read", "clipboard-write")  # permissions of a context


@dataclass(frozen=True, slots=True)
class Console:
    """`operator`, `owner`: tokens, the second of the account `default`."""

    gateway: Gateway
    operator: str = field(repr=False)
    owner: str = field(repr=False)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.gateway.console_port}"

    @property
    def rest(self) -> Rest:
        return Rest(self.gateway.console_port, self.operator)

    def account(self, name: str = "") -> tuple[str, str]:
        """A new one, and the token of its owner."""
        account = name or f"account-{secrets.token_hex(4)}"
        self.gateway.command("accounts", "create", account)
        return account, admin_token(self.gateway, "owner", account)

    def bucket(self, account: str = "default", name: str = "") -> str:
        """A name that is the account's; the store has no such bucket."""
        name = name or f"bucket-{secrets.token_hex(4)}"
        self.gateway.command("buckets", "assign", name, "--account", account)
        return name

    def key(self, label: str = "", buckets: Sequence[str] = (), account: str = "default") -> IssuedKey:
        """A key that the browser had no part in: for these buckets, else for all."""
        named = {"type": "buckets", "buckets": [{"name": name} for name in buckets]}
        body = {"label": label or f"key {secrets.token_hex(4)}", "scope": named if buckets else {"type": "all"}}
        made = self.rest.done("POST", "/keys", {**body, "account": account})
        return IssuedKey(made["access_key_id"], made["secret_access_key"])

    def status(self, access_key_id: str) -> str:
        """active, revoked, expired, or "none"."""
        answer = self.rest.ask("GET", f"/keys/{access_key_id}")
        return str(answer.body["status"]) if answer.status == 200 else "none"

    def sign_in(self, tab: Tab, token: str = "") -> Page:
        """As the owner, or with that token: → its page, which shows the list of keys. By hand: `sign_in_by_hand`."""
        context, page = tab.page.context, tab.page
        context.clear_cookies()
        name, value = self._session(token or self.owner)
        context.add_cookies(
            [{"name": name, "value": value, "url": self.address, "sameSite": "Strict", "httpOnly": True}]
        )
        page.goto(f"{self.address}/keys")
        expect(page.locator("#sign-out")).to_be_visible()
        return page

    def sign_in_by_hand(self, tab: Tab, token: str = "") -> Page:
        page = tab.page
        page.goto(f"{self.address}/sign-in")
        page.get_by_label("Admin token").fill(token or self.owner)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.address}/keys")
        return page

    def _session(self, token: str) -> tuple[str, str]:
        """The cookie of a new one: name and value."""
        connection = http.client.HTTPConnection(LOOPBACK, self.gateway.console_port, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        connection.request("POST", "/sign-in", urlencode({"token": token}), headers)
        answer = connection.getresponse()
        connection.close()
        assert answer.status == 303, answer.status
        [(name, morsel)] = SimpleCookie(answer.headers["Set-Cookie"]).items()
        return name, morsel.value


def row(page: Page, access_key_id: str) -> Locator:
    return page.locator(f'#keys [data-access-key-id="{access_key_id}"]')


def fill_in(page: Page, label: str, bucket: str = "") -> None:
    """The form for a new key, from the list: for the bucket, else for all."""
    page.locator("#create").click()
    page.get_by_label("Label").fill(label)
    if bucket:
        page.locator(f'#bucket-list input[value="{bucket}"]').check()
    else:
        page.locator("#reach-all").check()


def revealed(page: Page) -> IssuedKey:
    """What the reveal shows once it is asked to."""
    page.locator("#show-secret").click()
    expect(page.locator("#show-secret")).to_have_text("Hide")
    secret = page.locator("#secret").inner_text()
    assert len(secret) == 40
    return IssuedKey(page.locator("#access-key-id").inner_text(), secret)


def done(page: Page) -> None:
    """The secret is saved: back to the list."""
    page.locator("#saved").check()
    page.locator("#done").click()
    page.wait_for_url("**/keys?made=*")


def make_key(page: Page, label: str, bucket: str = "") -> IssuedKey:
    fill_in(page, label, bucket)
    page.locator("#confirm-create").click()
    issued = revealed(page)
    done(page)
    return issued


def confirm(page: Page, act: str) -> str:
    """Press the button of the open dialog or page and wait for the page that follows: what it tells."""
    with page.expect_navigation():
        page.locator(f"#confirm-{act}").click()
    return page.locator("#notice").inner_text()


def session_cookie(tab: Tab) -> str:
    """Its name and value as a Cookie header has them."""
    return "; ".join(f"{one['name']}={one['value']}" for one in tab.page.context.cookies())


def stored(page: Page) -> str:
    """All that the page keeps or shows anywhere but in its text: address, title, history, storage, names of caches."""
    return json.dumps(
        page.evaluate(
            """async () => [location.href, document.title, document.referrer, history.state, window.name,
              {...localStorage}, {...sessionStorage}, document.cookie, await caches.keys(),
              (await indexedDB.databases()).map(one => one.name),
              performance.getEntries().map(one => one.name)]"""
        )
    )

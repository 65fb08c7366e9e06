"""Every page and dialog of the console, furnished: for what must hold of all of them, and for pictures."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from playwright.sync_api import Page, expect

from tests.support.browser import Tab
from tests.support.console_walk import Console, fill_in, row
from tests.support.gateway_process import IssuedKey


class Furnished(NamedTuple):
    """An account with keys in every state, buckets and a refused request. `empty`: the owner of one with nothing."""

    console: Console
    token: str
    empty: str
    active: str
    revoked: str
    label: str
    request_id: str


def furnish(console: Console, name: str = "", names: Sequence[str] = ("",) * 7) -> Furnished:
    """`name`, `names`: of its account and buckets; else chosen by chance."""
    account, token = console.account(name)
    _, empty = console.account()
    buckets = [console.bucket(account, bucket) for bucket in names]
    console.key("terraform (CI)", account=account)
    console.key("render farm", buckets[:5], account)
    compromised = console.key("laptop of Ana, stolen", account=account)
    console.gateway.revoke(compromised, "compromised")
    revoked = console.key("old importer", buckets[1:2], account)
    console.gateway.revoke(revoked, "rotation")
    expired = {"label": "contractor", "scope": {"type": "all"}, "account": account, "expires_at": _soon(2)}
    console.rest.done("POST", "/keys", expired)
    active = console.key("backup of web-3", buckets[:2], account)
    return Furnished(
        *(console, token, empty, active.access_key_id, revoked.access_key_id, "backup of web-3"),
        _refused(console, active),
    )


def _soon(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def _refused(console: Console, access_key: IssuedKey) -> str:
    with console.gateway.connect() as raw:
        raw.send(console.gateway.signer(access_key).head("GET", "/another-bucket/2026/report.pdf"))
        request_id = raw.reply().header(b"x-amz-request-id").decode()
    limit = time.monotonic() + 20
    while console.rest.ask("GET", f"/refusals/{request_id}").status != 200:
        assert time.monotonic() < limit, "the refusal was not written down"
        time.sleep(0.1)
    return request_id


def every_page(tab: Tab, furnished: Furnished) -> Iterator[str]:
    """The name of each, when the page shows it; what is asked for next leaves it."""
    page, at = tab.page, furnished.console.address
    page.goto(f"{at}/sign-in")
    yield "sign-in"
    page.goto(f"{at}/link")
    yield "link"
    furnished.console.sign_in(tab, furnished.empty)
    yield "no-keys"
    page.goto(f"{at}/activity")
    yield "no-activity"
    furnished.console.sign_in(tab, furnished.token)
    yield "keys"
    of_it = f"/keys/{furnished.active}"
    pages = {
        "nothing-found": "/keys?q=nothing+of+that+name",
        "key": f"{of_it}?operation=PutObject&place=another-bucket/k",
        "revoked-key": f"/keys/{furnished.revoked}",
        "edit": f"{of_it}/edit",
        "buckets": "/buckets",
        "activity": "/activity",
        "refusal": f"/activity/{furnished.request_id}",
    }
    for name, path in pages.items():
        page.goto(at + path)
        yield name
    page.goto(f"{at}/keys/NQAK{'0' * 16}")
    tab.excuse("status of 404")
    yield "not-found"
    furnished.console.sign_in(tab, furnished.token)  # a proof is good for five minutes
    yield from _every_dialog(page, furnished)


def _every_dialog(page: Page, furnished: Furnished) -> Iterator[str]:
    at = furnished.console.address
    page.goto(f"{at}/keys")
    for name in ("revoke", "delete"):
        row(page, furnished.active).locator(f"a.{name}").click()
        expect(page.locator(f"#dialog #{name}-form")).to_be_visible()
        yield f"{name}-dialog"
        page.keyboard.press("Escape")
        expect(page.locator("#dialog")).not_to_be_visible()
    row(page, furnished.active).locator("details.menu summary").click()
    yield "menu"
    row(page, furnished.active).get_by_role("link", name="Roll").click()
    expect(page.locator("#dialog #roll-form")).to_be_visible()
    yield "roll-dialog"
    page.goto(f"{at}/keys/new")
    yield "create"
    page.goto(f"{at}/keys")
    fill_in(page, "thumbnails of web-3")
    page.locator("details.advanced").evaluate("details => { details.open = true }")
    expect(page.locator("#sentence")).to_be_visible()
    yield "create-all"
    page.locator("#confirm-create").click()
    expect(page.locator("#reveal")).to_be_visible()
    yield "reveal"
    page.locator("#saved").check()

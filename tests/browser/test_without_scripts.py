"""Without JavaScript: everything is a page and a form."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ONE_BROWSER, Tab
from tests.support.console_walk import Console, confirm, row
from tests.support.gateway_process import IssuedKey

pytestmark = ON_ONE_BROWSER


@pytest.fixture
def plain(open_tab: OpenTab) -> Tab:
    return open_tab(java_script_enabled=False)


def test_a_key_is_found_revoked_restored_and_deleted(plain: Tab, console: Console) -> None:
    label = "without scripts"
    issued = console.key(label)
    page = console.sign_in_by_hand(plain)
    page.locator("#q").fill(issued.access_key_id)
    page.locator("#search").get_by_role("button").click()
    expect(page.locator("#keys tbody tr")).to_have_count(1)
    row(page, issued.access_key_id).locator("a.revoke").click()
    expect(page).to_have_url(f"{console.address}/keys/{issued.access_key_id}/revoke")
    assert "1 of 1 gateway" in confirm(page, "revoke")
    assert console.status(issued.access_key_id) == "revoked"
    page.goto(f"{console.address}/keys?view=revoked")
    row(page, issued.access_key_id).get_by_role("link", name=f"Restore {label}").click()
    confirm(page, "restore")
    assert console.status(issued.access_key_id) == "active"
    page.goto(f"{console.address}/keys/{issued.access_key_id}/delete")
    page.locator("#typed-label").fill("another label")
    page.locator("#confirm-delete").click()
    expect(page.locator("#error")).to_be_visible()
    plain.excuse("status of 4")
    assert console.status(issued.access_key_id) == "active"
    page.locator("#typed-label").fill(label)
    confirm(page, "delete")
    assert console.status(issued.access_key_id) == "none"


def test_a_key_is_made_and_its_secret_is_shown_once(plain: Tab, console: Console) -> None:
    page = console.sign_in_by_hand(plain)
    page.locator("#create").click()
    page.get_by_label("Label").fill("made without scripts")
    page.locator("#reach-all").check()
    page.locator("#confirm-create").click()
    secret = page.locator("#secret").inner_text()
    assert re.fullmatch("[0-9A-Za-z]{40}", secret)
    issued = IssuedKey(page.locator("#access-key-id").inner_text(), secret)
    with console.gateway.boto3(issued) as client:
        client.list_buckets()
    page.locator("#saved").check()
    page.locator("#done").click()
    expect(row(page, issued.access_key_id)).to_be_visible()
    assert secret not in page.content()


def test_a_link_is_pasted(plain: Tab, console: Console) -> None:
    [link] = [word for word in console.gateway.command("console", "link").split() if "/link#" in word]
    page = plain.page
    page.goto(f"{console.address}/link")
    page.get_by_label("Link", exact=True).fill(link)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{console.address}/keys")


def test_a_mistake_is_shown_beside_its_field(plain: Tab, console: Console) -> None:
    page = console.sign_in_by_hand(plain)
    page.goto(f"{console.address}/keys/new")
    page.get_by_label("Label").fill("nothing chosen")
    page.locator("#confirm-create").click()
    expect(page.locator("#error")).to_be_visible()
    expect(page.locator(".fault").first).to_be_visible()
    expect(page.get_by_label("Label")).to_have_value("nothing chosen")
    plain.excuse("status of 4")
    assert not console.rest.done("GET", f"/keys?q={quote('nothing chosen')}")["keys"]

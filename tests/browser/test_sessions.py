"""Coming in and going out: tokens, one-time links, sessions that end, and the proof that is asked for again."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ONE_BROWSER, Tab
from tests.support.console_walk import Console, confirm, fill_in, revealed, row, session_cookie, stored
from tests.support.gateway_process import Gateway
from tests.support.house import recorded_store
from tests.support.recording_upstream import RecordingUpstream
from tests.support.rest import admin_token

pytestmark = ON_ONE_BROWSER
MINUTE = 60


def _revoke_token(console: Console, token: str) -> None:
    listed = json.loads(console.gateway.command("admin", "token", "list", "--json"))
    [token_id] = [one["token_id"] for one in listed if one["token_id"] in token]
    console.gateway.command("admin", "token", "revoke", token_id, "--yes")


def test_a_token_opens_and_is_kept_nowhere_in_the_browser(tab: Tab, console: Console) -> None:
    page = console.sign_in_by_hand(tab)
    assert console.owner not in stored(page) + page.content()
    page.go_back()
    assert console.owner not in stored(page) + page.content()
    expect(page.locator("#token, #create").first).to_be_visible()


def test_a_wrong_token_is_told_and_not_repeated(tab: Tab, console: Console) -> None:
    page = tab.page
    wrong = console.owner[:-4] + "0000"
    page.goto(f"{console.address}/sign-in")
    page.get_by_label("Admin token").fill(wrong)
    page.keyboard.press("Enter")
    expect(page.locator("#error")).to_be_visible()
    assert wrong not in page.content() + stored(page)
    tab.excuse("status of 4")
    assert not page.context.cookies()


def test_a_link_opens_once_and_leaves_no_trace(open_tab: OpenTab, console: Console) -> None:
    told = console.gateway.command("console", "link", "--account", "default")
    [link] = [word for word in told.split() if "/link#" in word]
    text = link.partition("#")[2]
    tab = open_tab()
    page = tab.page
    page.goto(f"{console.address}/sign-in")
    page.goto(link)
    page.wait_for_url(f"{console.address}/keys")
    assert text not in stored(page) + page.content()
    page.go_back()
    assert text not in stored(page) + page.content()
    again = open_tab()
    again.page.goto(link)
    expect(again.page.locator("#error")).to_contain_text("used already")
    assert text not in again.page.url
    again.excuse("status of 4")
    assert text not in console.gateway.log_text()


def test_a_session_ends_with_its_token_at_the_next_click(tab: Tab, console: Console) -> None:
    token = admin_token(console.gateway, "owner", "default")
    issued = console.key()
    page = console.sign_in(tab, token)
    page.goto(f"{console.address}/keys/{issued.access_key_id}/revoke")
    _revoke_token(console, token)
    with page.expect_navigation():
        page.locator("#confirm-revoke").click()
    assert "/sign-in" in page.url
    assert console.status(issued.access_key_id) == "active"
    page.goto(f"{console.address}/keys/{issued.access_key_id}")
    assert "/sign-in" in page.url
    assert issued.access_key_id not in page.locator("main").inner_text()


def test_after_signing_out_neither_the_way_back_nor_the_cookie_opens_anything(tab: Tab, console: Console) -> None:
    issued = console.key()
    page = console.sign_in_by_hand(tab)
    page.goto(f"{console.address}/keys/{issued.access_key_id}")
    name, _, value = session_cookie(tab).partition("=")
    page.locator("#sign-out").click()
    page.wait_for_url("**/sign-in*")
    page.go_back()
    assert issued.access_key_id not in page.locator("main").inner_text()
    page.context.add_cookies([{"name": name, "value": value, "url": console.address}])
    page.goto(f"{console.address}/keys")
    assert "/sign-in" in page.url


def test_the_list_opens_to_nobody_who_is_not_signed_in(tab: Tab, console: Console) -> None:
    issued = console.key()
    for path in ("/keys", f"/keys/{issued.access_key_id}", "/keys/new", "/buckets", "/activity", "/"):
        tab.page.goto(console.address + path)
        assert "/sign-in" in tab.page.url
        assert issued.access_key_id not in tab.page.locator("main").inner_text()


# ---- as time goes by ----


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clock") / "ahead"
    path.write_text("0")
    return path


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory, ahead: Path) -> Iterator[Console]:
    """A console whose clock goes as the tests say."""
    with RecordingUpstream() as upstream:
        gateway = Gateway(tmp_path_factory.mktemp("later"), recorded_store(upstream), {"workers": {"count": 1}})
        gateway.server = (sys.executable, "-m", "tests.support.moved_clock", str(ahead))
        with gateway:
            yield Console(gateway, admin_token(gateway, "operator"), admin_token(gateway, "owner", "default"))


def test_a_session_ends_after_half_an_hour_without_use(tab: Tab, later: Console, ahead: Path) -> None:
    page = later.sign_in(tab)
    begin = float(ahead.read_text())
    for minutes, stays in ((29, True), (58, True), (89, False)):  # each request is a use
        ahead.write_text(str(begin + minutes * MINUTE))
        page.goto(f"{later.address}/keys")
        assert ("/sign-in" not in page.url) == stays, minutes


def test_a_session_ends_after_twelve_hours_of_use(tab: Tab, later: Console, ahead: Path) -> None:
    page = later.sign_in(tab)
    begin = float(ahead.read_text())
    for half_hours in range(1, 26):
        ahead.write_text(str(begin + half_hours * 29 * MINUTE))
        page.goto(f"{later.address}/activity")
        assert ("/sign-in" not in page.url) == (half_hours * 29 <= 12 * 60), half_hours


def test_a_proof_is_asked_for_again_after_five_minutes(tab: Tab, later: Console, ahead: Path) -> None:
    kept = later.key("to be deleted later")
    page = later.sign_in(tab)
    ahead.write_text(str(float(ahead.read_text()) + 6 * MINUTE))

    fill_in(page, "made later")
    page.locator("#proof").fill(later.owner[:-4] + "0000")
    page.locator("#confirm-create").click()
    expect(page.locator("#proof-fault")).to_be_visible()
    tab.excuse("status of 403")
    assert not later.rest.done("GET", "/keys?q=made%20later")["keys"]
    page.locator("#proof").fill(later.operator)
    page.locator("#confirm-create").click()
    expect(page.locator("#proof-fault")).to_contain_text("somebody else")
    tab.excuse("status of 403")

    page.goto(f"{later.address}/keys")
    row(page, kept.access_key_id).locator("a.revoke").click()
    assert page.locator("#dialog #proof").count() == 0, "what stops a leak waits for nothing"
    confirm(page, "revoke")
    row(page, kept.access_key_id).locator("a.delete").click()
    page.locator("#typed-label").fill("to be deleted later")
    page.locator("#dialog #proof").fill(later.owner)
    confirm(page, "delete")
    assert later.status(kept.access_key_id) == "none"

    fill_in(page, "made later")
    expect(page.locator("#proof")).to_have_count(0)
    page.locator("#confirm-create").click()
    issued = revealed(page)
    assert later.status(issued.access_key_id) == "active"
    assert later.owner not in stored(page)
    page.locator("#saved").check()

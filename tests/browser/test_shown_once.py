"""The secret is on the screen once: no way back, no copy in the browser, no log, no second answer has it."""

import re
import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Request, expect

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ONE_BROWSER, Tab
from tests.support.console_walk import Console, done, fill_in, make_key, revealed, row, session_cookie, stored
from tests.support.gateway_process import IssuedKey

pytestmark = ON_ONE_BROWSER


def _reveal(console: Console, tab: Tab) -> IssuedKey:
    page = console.sign_in(tab)
    fill_in(page, f"shown once {secrets.token_hex(4)}")
    page.locator("#confirm-create").click()
    return revealed(page)


def _nowhere(page: Page, secret: str) -> None:
    assert secret not in page.content()
    assert secret not in stored(page)


def test_it_is_masked_until_it_is_asked_for(tab: Tab, console: Console) -> None:
    page = console.sign_in(tab)
    fill_in(page, "masked")
    page.locator("#confirm-create").click()
    place = page.locator("#secret")
    expect(place).to_have_text("•" * 40)
    issued = revealed(page)
    assert issued.secret_access_key not in stored(page)
    page.locator("#show-secret").click()
    expect(place).to_have_text("•" * 40)
    assert issued.secret_access_key not in page.locator("main").inner_text()


def test_the_way_back_leads_to_no_secret(tab: Tab, console: Console) -> None:
    issued = _reveal(console, tab)
    page = tab.page
    done(page)
    _nowhere(page, issued.secret_access_key)
    for step in ("back", "back", "forward", "forward", "reload"):
        getattr(page, step if step == "reload" else f"go_{step}")()
        _nowhere(page, issued.secret_access_key)


def test_a_page_left_while_it_was_shown_is_kept_nowhere(tab: Tab, console: Console) -> None:
    issued = _reveal(console, tab)
    page = tab.page
    page.locator("#saved").check()
    page.goto(f"{console.address}/buckets")
    _nowhere(page, issued.secret_access_key)
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # where a person is asked whether to send the form again
        page.go_back()
    tab.excuse("ERR_CACHE_MISS")
    page.wait_for_url("chrome-error://**")
    assert issued.secret_access_key not in page.content()


def test_a_reload_of_the_reveal_makes_no_second_key_and_shows_no_secret(tab: Tab, console: Console) -> None:
    issued = _reveal(console, tab)
    page = tab.page
    page.locator("#saved").check()
    page.reload()
    expect(page.locator("#made-already")).to_contain_text(issued.access_key_id)
    _nowhere(page, issued.secret_access_key)


def test_two_clicks_on_create_make_one_key(tab: Tab, console: Console) -> None:
    page = console.sign_in(tab)
    label = f"double {secrets.token_hex(6)}"
    fill_in(page, label)
    page.locator("#confirm-create").dblclick()
    revealed(page)
    assert len(console.rest.done("GET", f"/keys?q={label.replace(' ', '%20')}")["keys"]) == 1


def test_a_form_that_is_posted_twice_at_once_makes_one_key_with_one_secret(tab: Tab, console: Console) -> None:
    """As a browser without scripts sends it, or a proxy that tries again."""
    page = console.sign_in(tab)
    label = f"twice {secrets.token_hex(6)}"
    fill_in(page, label)
    texts = page.evaluate(
        """async () => {
          const form = document.getElementById('create-form')
          const post = () => fetch(form.action, {method: 'POST', body: new URLSearchParams(new FormData(form))})
          return Promise.all([...Array(4)].map(() => post().then(answer => answer.text())))
        }"""
    )
    [made] = console.rest.done("GET", f"/keys?q={label.replace(' ', '%20')}")["keys"]
    assert all(made["access_key_id"] in text for text in texts)
    secrets_shown = [found for text in texts for found in re.findall(r'id="secret"[^>]*>([0-9A-Za-z]{40})<', text)]
    assert len(secrets_shown) == 1


def test_only_the_answer_to_the_post_has_it_and_may_not_be_kept(tab: Tab, console: Console) -> None:
    answers: list[tuple[Request, str, dict[str, str]]] = []

    def kept(request: Request) -> None:
        response = request.response()
        if response is not None and "text" in response.headers.get("content-type", ""):
            answers.append((request, response.text(), response.all_headers()))

    page = console.sign_in(tab)
    page.on("requestfinished", kept)
    issued = make_key(page, f"answers {secrets.token_hex(4)}")
    page.goto(f"{console.address}/keys/{issued.access_key_id}")
    page.wait_for_load_state("networkidle")
    holding = [(request, headers) for request, text, headers in answers if issued.secret_access_key in text]
    assert [request.method for request, _ in holding] == ["POST"]
    assert holding[0][1]["cache-control"] == "no-store"
    assert len(answers) > 4


def test_what_is_downloaded_is_made_in_the_page(open_tab: OpenTab, console: Console) -> None:
    tab = open_tab(accept_downloads=True)
    page = console.sign_in(tab)
    fill_in(page, "=cmd|' /C calc'!A0")
    page.locator("#confirm-create").click()
    issued = revealed(page)
    before = len(tab.requests)
    files = {}
    for kind in ("csv", "env"):
        with page.expect_download() as download:
            page.locator(f"#save-{kind}").click()
        files[kind] = Path(download.value.path()).read_text()
        assert download.value.suggested_filename == f"{issued.access_key_id}.{kind}"
    assert [one.url for one in tab.requests[before:] if not one.url.startswith("blob:")] == []
    for text in files.values():
        assert issued.access_key_id in text
        assert issued.secret_access_key in text
    assert "\"'=cmd|" in files["csv"], "a spreadsheet would run it"
    assert f"AWS_SECRET_ACCESS_KEY={issued.secret_access_key}\n" in files["env"]
    page.locator("#saved").check()


def test_no_file_of_the_gateway_and_no_log_holds_it(tab: Tab, console: Console) -> None:
    page = console.sign_in_by_hand(tab)
    issued = make_key(page, f"kept sealed {secrets.token_hex(4)}")
    row(page, issued.access_key_id).get_by_role("link", name="kept sealed", exact=False).first.click()
    page.wait_for_load_state("networkidle")
    kept = [file for file in console.gateway.folder.rglob("*") if file.is_file()]
    assert console.gateway.process.log in kept
    assert len(kept) > 3
    cookie = session_cookie(tab).partition("=")[2]
    for file in kept:
        content = file.read_bytes()
        for secret in (issued.secret_access_key, console.owner.rpartition("_")[2], cookie):
            assert secret.encode() not in content, file.name


def test_a_roll_shows_another_secret_once(tab: Tab, console: Console) -> None:
    page = console.sign_in(tab)
    issued = make_key(page, f"rolled {secrets.token_hex(4)}")
    page.goto(f"{console.address}/keys/{issued.access_key_id}")
    page.locator("#roll").click()
    page.locator("#dialog #overlap").select_option("1h")
    page.locator("#confirm-roll").click()
    successor = revealed(page)
    assert successor.secret_access_key != issued.secret_access_key
    done(page)
    _nowhere(page, successor.secret_access_key)
    expect(row(page, issued.access_key_id)).to_contain_text("Expires in 59 min")
    [old] = [one for one in console.rest.done("GET", "/keys")["keys"] if one["access_key_id"] == issued.access_key_id]
    assert old["replaced_by"] == successor.access_key_id
    assert old["status"] == "active"


def test_no_page_that_is_asked_for_by_get_has_it(tab: Tab, console: Console) -> None:
    page = console.sign_in(tab)
    issued = console.key()
    for path in ("", "/edit", "/revoke", "/roll", "/delete"):
        answer = page.goto(f"{console.address}/keys/{issued.access_key_id}{path}")
        assert answer is not None
        assert answer.status == 200
        assert issued.access_key_id in answer.text()
        assert issued.secret_access_key not in answer.text()
        assert answer.headers["cache-control"] == "no-store"

"""Other people's pages while somebody is signed in: they act in nobody's name, show nothing, nothing of them runs."""

import http.client
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import ON_ONE_BROWSER, Tab
from tests.support.console_walk import Console, session_cookie
from tests.support.foreign_site import served
from tests.support.server_process import LOOPBACK

pytestmark = ON_ONE_BROWSER
KITTENS = "<!doctype html><html lang=en><title>Kittens</title><link rel=icon href=data:,><h1>Kittens</h1>{}"
# What an attacker would like to run in a page of the console, and what forbids it.
SMUGGLED = """async elsewhere => {
  const seen = [];
  document.addEventListener('securitypolicyviolation', event => seen.push(event.effectiveDirective));
  const add = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
  const ran = text => `window.ran = (window.ran || '') + '${text} '`;
  add('script', {textContent: ran('inline')});
  add('div', {innerHTML: `<img src="${elsewhere}/dot.svg" onerror="${ran('handler')}">`});
  add('script', {src: `${elsewhere}/evil.js`});
  add('style', {textContent: 'body { display: none }'});
  add('iframe', {src: elsewhere});
  document.head.append(Object.assign(document.createElement('base'), {href: elsewhere}));
  const link = Object.assign(document.createElement('a'), {href: `javascript:${ran('link')}`});
  document.body.append(link);
  link.click();
  fetch(elsewhere).catch(() => 0);
  const form = Object.assign(document.createElement('form'), {action: elsewhere, method: 'post'});
  document.body.append(form);
  form.submit();
  for (let waited = 0; new Set(seen).size < 8 && waited < 100; waited++) await new Promise(end => setTimeout(end, 30));
  return [[...new Set(seen)].sort(), window.ran || '', getComputedStyle(document.body).display];
}"""


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    with served(tmp_path) as port:
        yield tmp_path, port


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])  # of the same site, whose cookies are sent; of another
@pytest.mark.parametrize("stolen", ["", "of another session"])
def test_a_form_of_another_page_does_nothing(
    tab: Tab, console: Console, foreign: tuple[Path, int], host: str, stolen: str
) -> None:
    folder, port = foreign
    issued = console.key("not for others")
    page = console.sign_in(tab)
    token = page.locator('#sign-out >> xpath=ancestor::form >> css=[name="csrf"]').get_attribute("value") or ""
    assert len(token) > 30
    csrf = "" if not stolen else token[::-1]
    acts = {
        f"/keys/{issued.access_key_id}/revoke": {"reason": "compromised"},
        f"/keys/{issued.access_key_id}/delete": {"label": "not for others"},
        "/keys/new": {"label": "planted", "reach": "all", "rights_all": "full", "account": "default"},
        "/sign-out": {},
    }
    for number, (path, fields) in enumerate(acts.items()):
        typed = "".join(
            f'<input name={name} value="{escape(value)}">' for name, value in {**fields, "csrf": csrf}.items()
        )
        form = f"<form method=post action={console.address}{path}>{typed}<button>Win</button></form>"
        (folder / f"{number}.html").write_text(KITTENS.format(form))
        page.goto(f"http://{host}:{port}/{number}.html")
        with page.expect_response(f"**{path}") as answer:
            page.get_by_role("button", name="Win").click()
        assert answer.value.status == 403
        page.wait_for_load_state()
        assert "nothing was done" in page.content()
        tab.excuse("403")
    assert console.status(issued.access_key_id) == "active"
    assert not console.rest.done("GET", "/keys?q=planted")["keys"]
    page.goto(f"{console.address}/keys")
    expect(page.locator("#sign-out")).to_be_visible()


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_a_form_of_our_own_page_needs_the_token_of_its_session(tab: Tab, console: Console, csrf: str) -> None:
    issued = console.key()
    page = console.sign_in(tab)
    page.goto(f"{console.address}/keys/{issued.access_key_id}/revoke")
    page.locator('#revoke-form [name="csrf"]').evaluate("(field, value) => { field.value = value }", csrf)
    page.locator("#confirm-revoke").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This form is out of date")
    tab.excuse("403")
    assert console.status(issued.access_key_id) == "active"


def test_a_script_of_another_page_reads_and_does_nothing(tab: Tab, console: Console, foreign: tuple[Path, int]) -> None:
    folder, port = foreign
    issued = console.key()
    page = console.sign_in(tab)
    (folder / "page.html").write_text(KITTENS.format(""))
    page.goto(f"http://{LOOPBACK}:{port}/page.html")
    tried = page.evaluate(
        """async ([keys, revoke]) => {
          const said = async answer => (await answer).text().catch(error => error.name)
          const ask = (url, more) => said(fetch(url, {credentials: 'include', ...more})).catch(error => error.name)
          const body = new URLSearchParams({reason: 'compromised'})
          return [await ask(keys), await ask(keys, {mode: 'no-cors'}),
                  await ask(revoke, {method: 'POST', body, mode: 'no-cors'}), await ask(revoke, {method: 'POST', body})]
        }""",
        [f"{console.address}/keys", f"{console.address}/keys/{issued.access_key_id}/revoke"],
    )
    assert set(tried) <= {"TypeError", ""}
    assert console.status(issued.access_key_id) == "active"
    tab.problems.clear()  # one for each refusal


def test_the_console_is_shown_in_no_frame(tab: Tab, console: Console, foreign: tuple[Path, int]) -> None:
    folder, port = foreign
    page = console.sign_in(tab)
    (folder / "frame.html").write_text(KITTENS.format(f"<iframe title=x src={console.address}/keys></iframe>"))
    page.goto(f"http://{LOOPBACK}:{port}/frame.html")
    page.wait_for_load_state("networkidle")
    [framed] = [frame for frame in page.frames if frame != page.main_frame]
    assert "Access Keys" not in framed.content()
    assert framed.url.startswith("chrome-error:")
    tab.problems.clear()


def test_nothing_that_is_smuggled_into_a_page_runs(tab: Tab, console: Console, foreign: tuple[Path, int]) -> None:
    folder, port = foreign
    (folder / "evil.js").write_text("window.ran = 'from elsewhere'")
    page = console.sign_in(tab)
    forbidden, ran, display = page.evaluate(SMUGGLED, f"http://localhost:{port}")
    assert ran == ""
    assert display != "none"
    assert set(forbidden) >= {
        *("script-src-elem", "script-src-attr", "style-src-elem", "img-src", "frame-src"),
        *("base-uri", "connect-src", "form-action"),
    }
    assert page.url == f"{console.address}/keys"
    assert not [request.url for request in tab.requests if f":{port}" in request.url and request.response()]
    tab.excuse("Content Security Policy")
    tab.problems = [problem for problem in tab.problems if f":{port}" not in problem]


def test_a_name_that_is_not_the_consoles_opens_nothing(tab: Tab, console: Console) -> None:
    """A page whose name was made to resolve to this machine would be of one origin with the console."""
    console.sign_in(tab)
    connection = http.client.HTTPConnection(LOOPBACK, console.gateway.console_port, timeout=10)
    for host, status in ((f"kittens.example:{console.gateway.console_port}", 421), (None, 200)):
        headers = {"Cookie": session_cookie(tab), **({"Host": host} if host else {})}
        connection.request("GET", "/keys", headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == status
        assert ("Create access key" in text) == (status == 200)
    connection.close()


def test_a_session_opens_nothing_of_rest(tab: Tab, console: Console) -> None:
    """Else every page of the same site could use it."""
    page = console.sign_in(tab)
    assert page.evaluate("fetch('/api/v1/keys').then(answer => answer.status)") == 401
    tab.excuse("401")


def test_the_cookie_is_for_this_console_and_for_no_script(tab: Tab, console: Console) -> None:
    page = console.sign_in_by_hand(tab)
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["domain"] == LOOPBACK
    assert page.evaluate("document.cookie") == ""
    assert len(cookie["value"]) >= 43

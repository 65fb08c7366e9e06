"""What other people wrote (labels, user agents, paths) is shown as it is, on every page, and is never anything else."""

import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import ON_ANOTHER_BROWSER, Tab
from tests.support.console_walk import Console, confirm, done, fill_in, revealed, row

pytestmark = ON_ANOTHER_BROWSER
RUN = "window.ran=1"
LABELS = [
    f"<script>{RUN}</script>",
    f'"><img src=x onerror={RUN}>',
    f"' autofocus onfocus='{RUN}",
    f"</title><svg onload={RUN}>",
    f"--><script>{RUN}</script>",
    f"</textarea></option></select><b>{RUN}",
    f"javascript:{RUN}",
    f"${{{RUN}}}{{{{1234*5678}}}}{{%x%}}",
    "&lt;b&gt; &amp; &quot; &#39; &copy;",
    '\\"};' + RUN + ";//",
    "%0d%0aSet-Cookie: a=b%00",
    "مفتاح النسخ الاحتياطي",
    "🔑 写真 Ünïcödé e\u0301",
    "W" * 64,
]


def _untouched(page: Page, labels: list[str]) -> None:
    assert page.evaluate("window.ran") is None
    text = page.locator("body").inner_text()
    missing = [label for label in labels if label not in text]
    assert not missing, f"{page.url}: {missing}"


@pytest.fixture(scope="module")
def labelled(console: Console) -> tuple[dict[str, str], str]:
    """label → id, and the token of their owner. One bucket is reached by all of them."""
    account, token = console.account()
    bucket = console.bucket(account)
    return {label: console.key(label, [bucket], account).access_key_id for label in LABELS}, token


def test_the_list_has_them_word_for_word(tab: Tab, console: Console, labelled: tuple[dict[str, str], str]) -> None:
    ids, token = labelled
    page = console.sign_in(tab, token)
    _untouched(page, LABELS)
    for label, access_key_id in ids.items():
        expect(row(page, access_key_id).locator("td.label a")).to_have_text(label)
        expect(row(page, access_key_id).locator("a.revoke")).to_have_attribute("aria-label", f"Revoke {label}")
    page.goto(f"{console.address}/buckets")
    _untouched(page, [])
    assert len([label for label in LABELS if label in page.locator("#buckets").inner_text()]) >= 4


def test_the_pages_of_a_key_have_it_word_for_word(
    tab: Tab, console: Console, labelled: tuple[dict[str, str], str]
) -> None:
    ids, token = labelled
    page = console.sign_in(tab, token)
    for label, access_key_id in ids.items():
        of_it = f"{console.address}/keys/{access_key_id}"
        page.goto(of_it)
        _untouched(page, [label])
        assert page.title() == f"{label} · NQ Gateway"
        page.goto(f"{of_it}/edit")
        _untouched(page, [label])
        expect(page.get_by_label("Label", exact=True)).to_have_value(label)
        page.goto(f"{of_it}/delete")
        _untouched(page, [label])
        expect(page.locator("#typed-label")).to_have_attribute("data-must-be", label)


@pytest.mark.parametrize("label", [LABELS[1], LABELS[2], LABELS[8]])
def test_an_act_tells_of_it_word_for_word(tab: Tab, console: Console, label: str) -> None:
    page = console.sign_in(tab)
    fill_in(page, label)
    page.locator("#confirm-create").click()
    issued = revealed(page)
    _untouched(page, [label])
    done(page)
    for act in ("revoke", "restore", "delete"):
        page.goto(f"{console.address}/keys")
        row(page, issued.access_key_id).get_by_role("link", name=f"{act.capitalize()} {label}", exact=True).click()
        _untouched(page.locator("#panel").page, [label])
        if act == "delete":
            page.locator("#typed-label").fill(label)
        assert label in confirm(page, act)
        _untouched(page, [])


@pytest.mark.parametrize("text", [LABELS[0], LABELS[1], LABELS[2], LABELS[7]])
def test_what_is_searched_for_is_text(tab: Tab, console: Console, text: str) -> None:
    page = console.sign_in(tab)
    for path in (
        "/keys?q=",
        "/buckets?q=",
        "/activity?id=",
        "/keys?view=",
        "/keys?sort=",
        "/keys?bucket=",
        "/keys?at=",
    ):
        page.goto(console.address + path + quote(text, safe=""))
        assert page.evaluate("window.ran") is None
        assert "7006652" not in page.content()
        tab.problems = [problem for problem in tab.problems if "status of 4" not in problem]


def test_what_a_client_says_of_itself_and_asks_for_is_text(tab: Tab, console: Console) -> None:
    issued = console.key("asks for odd things")
    signer = console.gateway.signer(issued)
    script, agent = "/photos/%3Cscript%3Ewindow.ran%3D1%3C/script%3E", ("User-Agent", f"<img src=x onerror={RUN}>")
    head = signer.head("GET", script, unsigned=[agent])
    with console.gateway.connect() as raw:
        raw.send(head)
        assert raw.reply().status == 404
        raw.send(head.replace(issued.access_key_id.encode(), b"NQAKnobodyatall00000"))
        request_id = raw.reply().header(b"x-amz-request-id").decode()
    limit = time.monotonic() + 20
    while console.rest.ask("GET", f"/refusals/{request_id}").status != 200:
        assert time.monotonic() < limit, "the refusal was not written down"
        time.sleep(0.1)
    page = console.sign_in(tab, console.operator)
    for path in (f"/activity/{request_id}", "/activity", f"/keys/{issued.access_key_id}"):
        page.goto(console.address + path)
        assert page.evaluate("window.ran") is None
    page.goto(f"{console.address}/activity")
    expect(page.locator(f'#activity [data-request-id="{request_id}"]')).to_contain_text("script")

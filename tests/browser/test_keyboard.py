"""The whole walk without a mouse: all is reached, what has the focus is seen, a dialog keeps it and gives it back."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import ON_ANOTHER_BROWSER, Tab
from tests.support.console_walk import Console, row
from tests.support.gateway_process import IssuedKey

pytestmark = ON_ANOTHER_BROWSER
STEPS = 80
HAS_FOCUS = "element => element === document.activeElement"
# Whether the element that has the focus looks different for it: an outline, or a ring.
SEEN = """() => {
  const element = document.activeElement, style = getComputedStyle(element)
  const shown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
  const around = element.closest('label') && getComputedStyle(element.closest('label'))
  const ringed = around && (around.outlineStyle !== 'none' || around.boxShadow !== 'none')
  return shown || style.boxShadow !== 'none' || ringed ? '' : element.outerHTML.slice(0, 200)
}"""


def _tab_to(page: Page, wanted: Locator) -> None:
    """Tab until it has the focus. AssertionError when it is not reached, or what has it on the way does not show it."""
    for _ in range(STEPS):
        if wanted.count() == 1 and wanted.evaluate(HAS_FOCUS):
            return
        page.keyboard.press("Tab")
        unseen = page.evaluate(SEEN) if page.evaluate("document.activeElement !== document.body") else ""
        assert not unseen, f"nobody sees that this has the focus: {unseen}"
    pytest.fail(f"{wanted} is not reached by Tab; the focus is at {page.evaluate('document.activeElement.outerHTML')}")


def _stays_within(page: Page, dialog: str) -> None:
    for keys in ("Tab", "Shift+Tab"):
        for _ in range(25):
            page.keyboard.press(keys)
            where = page.evaluate(
                f"document.activeElement === document.body || !!document.activeElement.closest('{dialog}')"
            )
            assert where, page.evaluate("document.activeElement.outerHTML")


def test_the_whole_walk_without_a_mouse(tab: Tab, console: Console) -> None:
    page = tab.page
    page.goto(f"{console.address}/sign-in")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.insert_text(console.owner)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.address}/keys")

    _tab_to(page, page.locator("#create"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys/new*")
    _tab_to(page, page.locator("#label"))
    page.keyboard.type("without a mouse")
    _tab_to(page, page.locator("#reach-some"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#reach-all")).to_be_checked()
    _tab_to(page, page.locator("#confirm-create"))
    page.keyboard.press("Enter")

    expect(page.locator("#reveal")).to_be_visible()
    _stays_within(page, "#reveal")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#reveal")).to_be_visible()
    _tab_to(page, page.locator("#show-secret"))
    page.keyboard.press("Enter")
    issued = IssuedKey(page.locator("#access-key-id").inner_text(), page.locator("#secret").inner_text())
    _tab_to(page, page.locator("#saved"))
    page.keyboard.press("Space")
    _tab_to(page, page.locator("#done"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys?made=*")

    opener = row(page, issued.access_key_id).locator("a.revoke")
    _tab_to(page, opener)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog #reason")).to_be_visible()
    _stays_within(page, "#dialog")
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).not_to_be_visible()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, page.locator("#confirm-revoke"))
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert console.status(issued.access_key_id) == "revoked"

    _tab_to(page, row(page, issued.access_key_id).locator("a.delete"))
    page.keyboard.press("Enter")
    _tab_to(page, page.locator("#typed-label"))
    page.keyboard.type("without a mouse")
    _tab_to(page, page.locator("#confirm-delete"))
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert console.status(issued.access_key_id) == "none"


def test_enter_in_a_field_destroys_nothing(tab: Tab, console: Console) -> None:
    issued = console.key("enter")
    page = console.sign_in(tab)
    for act, field in (("revoke", "#drain"), ("delete", "#typed-label")):
        for opened in (False, True):
            page.goto(f"{console.address}/keys" if opened else f"{console.address}/keys/{issued.access_key_id}/{act}")
            if opened:
                row(page, issued.access_key_id).locator(f"a.{act}").click()
            page.locator(field).focus()
            if act == "delete":
                page.keyboard.type("enter")
            page.keyboard.press("Enter")
            expect(page.locator(f"#confirm-{act}")).to_be_visible()
            assert page.evaluate("performance.getEntriesByType('navigation')[0].type") in {"navigate", "reload"}
            assert console.status(issued.access_key_id) == "active"


def test_the_first_tab_skips_to_the_content(tab: Tab, console: Console) -> None:
    page = console.sign_in(tab)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_menu_opens_and_closes_by_key_and_gives_the_focus_back(tab: Tab, console: Console) -> None:
    issued = console.key("menu")
    page = console.sign_in(tab)
    opener = row(page, issued.access_key_id).locator("details.menu summary")
    _tab_to(page, opener)
    page.keyboard.press("Enter")
    roll = row(page, issued.access_key_id).get_by_role("link", name="Roll")
    expect(roll).to_be_visible()
    page.keyboard.press("Escape")
    expect(roll).not_to_be_visible()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, roll)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog #overlap")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).not_to_be_visible()
    expect(opener).to_be_focused()


def covered(button: Locator, menu: Locator) -> bool:
    """Whether they share a line. Keys of one second are in no order, so any row may be below any other."""
    own, above = button.bounding_box(), menu.locator("ul").bounding_box()
    assert own is not None
    assert above is not None
    return own["y"] < above["y"] + above["height"] and above["y"] < own["y"] + own["height"]


def test_a_press_beside_an_open_menu_closes_it_and_does_nothing_else(tab: Tab, console: Console) -> None:
    """It covers buttons of the rows below, some by half: none of them is to be hit by who means the menu."""
    account, token = console.account()
    others = [console.key(f"other {number}", account=account).access_key_id for number in range(4)]
    issued = console.key("menu", account=account)
    page = console.sign_in(tab, token)
    menu = row(page, issued.access_key_id).locator("details.menu")
    menu.locator("summary").click()
    expect(menu).to_have_attribute("open", "")
    beside = [button for button in (row(page, one).locator("a.revoke") for one in others) if not covered(button, menu)]
    revoke = beside[0]
    expect(page.locator("tr[inert]")).to_have_count(len(others))
    revoke.click(force=True)
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("tr[inert]")).to_have_count(0)
    expect(page.locator("#dialog")).not_to_be_visible()
    revoke.click()
    expect(page.locator("#dialog #revoke-form")).to_be_visible()


def test_a_menu_closes_when_the_focus_leaves_it(tab: Tab, console: Console) -> None:
    issued = console.key("menu")
    page = console.sign_in(tab)
    menu = row(page, issued.access_key_id).locator("details.menu")
    _tab_to(page, menu.locator("summary"))
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Shift+Tab")
    expect(menu).not_to_have_attribute("open", "")

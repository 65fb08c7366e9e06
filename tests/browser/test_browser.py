"""The browser itself, and that what it is to find is found: on pages that have nothing of ours."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ANOTHER_BROWSER, Tab, chromium
from tests.support.foreign_site import served
from tests.support.page_checks import accessibility, bytes_in_all, first_paint, scrolls_sideways
from tests.support.server_process import LOOPBACK

pytestmark = ON_ANOTHER_BROWSER
SOUND = "<!doctype html><html lang=en><title>Sound</title><link rel=icon href=data:,><main><h1>Sound</h1>{}</main>"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "sound.html").write_text(SOUND.format("<img src=dot.svg alt='a dot'>"))
    (tmp_path / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>' + " " * 5000)
    (tmp_path / "poor.html").write_text(SOUND.format("<img src=dot.svg><p style=color:#ccc>pale</p>"))
    (tmp_path / "wide.html").write_text(SOUND.format("<div style=width:2000px>wide</div>"))
    with served(tmp_path) as port:
        yield f"http://{LOOPBACK}:{port}"


def test_a_missing_browser_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"^Chromium is missing: run .* or install it .*chromium\)\.$"):
        chromium()


def test_a_sound_page_is_shown_measured_and_not_complained_of(
    tab: Tab, site: str, record_property: Callable[[str, object], None]
) -> None:
    size = bytes_in_all(tab, f"{site}/sound.html")
    assert tab.page.title() == "Sound"
    assert accessibility(tab.page) == ""
    assert 5000 < size < 10_000  # the picture counts
    assert not scrolls_sideways(tab.page)
    record_property("first paint of a page of nothing, ms", round(first_paint(tab.page)))


def test_what_is_pale_or_has_no_words_is_named_with_its_place(tab: Tab, site: str) -> None:
    tab.page.goto(f"{site}/poor.html")
    found = accessibility(tab.page)
    assert "image-alt (critical)" in found
    assert '<img src="dot.svg">' in found
    assert "color-contrast (serious)" in found


def test_a_page_that_is_too_wide_scrolls_sideways(tab: Tab, site: str) -> None:
    tab.page.goto(f"{site}/wide.html")
    assert scrolls_sideways(tab.page)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('this went wrong')", "console: this went wrong"),
        ("setTimeout(() => { throw Error('nobody caught it') })", "script: nobody caught it"),
        ("fetch('https://elsewhere.example/').catch(() => 0)", "left this machine: https://elsewhere.example/"),
        ("fetch('gone.json')", "404"),
        ("setTimeout(() => alert('xss'))", "alert: xss"),
    ],
)
def test_what_goes_wrong_in_a_page_fails_its_test(open_tab: OpenTab, site: str, script: str, complaint: str) -> None:
    tab = open_tab()
    tab.page.goto(f"{site}/sound.html")
    told = next((kind for words, kind in (("throw", "pageerror"), ("alert", "dialog")) if words in script), "console")
    with tab.page.expect_event(told):
        tab.page.evaluate(script)
    assert any(complaint in problem for problem in tab.problems)
    with pytest.raises(AssertionError, match="did not complain of 'another'"):
        tab.excuse("another")
    with pytest.raises(AssertionError, match=r"sound\.html"):
        tab.close()
    tab.problems.clear()

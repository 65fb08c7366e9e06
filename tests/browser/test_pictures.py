"""The pictures of the documentation, when they are asked for: SCREENSHOTS=docs/images. What they show is made up."""

import os
from pathlib import Path

import pytest

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ANOTHER_BROWSER
from tests.support.console_pages import Furnished, every_page, furnish
from tests.support.console_walk import Console

FOLDER = os.environ.get("SCREENSHOTS", "")
MAX_BYTES = 130_000
WIDE = {"keys", "create-all", "revoke-dialog", "refusal", "buckets", "activity"}
DARK = {"keys", "revoke-dialog", "refusal"}
NARROW = {"keys", "key"}

pytestmark = [*ON_ANOTHER_BROWSER, pytest.mark.skipif(not FOLDER, reason="nobody asked for pictures (SCREENSHOTS)")]


BUCKETS = ("backups", "photos", "thumbnails", "logs", "invoices", "static-site", "renders")


@pytest.fixture(scope="module")
def furnished(console: Console) -> Furnished:
    return furnish(console, "media", BUCKETS)


@pytest.mark.parametrize(
    ("scheme", "width", "names"),
    [("light", 1280, WIDE), ("dark", 1280, DARK), ("light", 390, NARROW)],
)
def test_pictures(open_tab: OpenTab, furnished: Furnished, scheme: str, width: int, names: set[str]) -> None:
    tab = open_tab(
        color_scheme=scheme, viewport={"width": width, "height": 570}, device_scale_factor=1, reduced_motion="reduce"
    )
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for name in every_page(tab, furnished):
        if name in names:
            picture = folder / f"console-{name}-{scheme}-{width}.png"
            tab.page.screenshot(path=picture)
            assert picture.stat().st_size <= MAX_BYTES, picture

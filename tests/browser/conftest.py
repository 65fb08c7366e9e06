"""One browser for the tests of this folder, tabs that must close without a complaint, and a console to walk in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Tab, open_browser
from tests.support.console_walk import Console
from tests.support.house import House
from tests.support.rest import admin_token

OpenTab = Callable[..., Tab]
Reading = Callable[[str, object], None]  # the type of `record_property`


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed with the last test of the folder: while it is open no other loop runs in this thread."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """open_tab(viewport=…, java_script_enabled=…, …): a tab that shares nothing with another."""
    with ExitStack() as tabs:

        def opened(**settings: Any) -> Tab:
            tab = Tab(browser.new_context(locale="en-GB", timezone_id="UTC", **settings).new_page())
            tabs.callback(tab.close)
            return tab

        yield opened


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="package")
def console(house: House) -> Console:
    """In front of SeaweedFS."""
    gateway = house.fronted("seaweedfs").gateway
    return Console(gateway, admin_token(gateway, "operator"), admin_token(gateway, "owner", "default"))

"""Debian's Chromium without a screen, and tabs in it that tell of everything that went wrong in them.

Playwright brings the driver only; its own browsers are never downloaded. Nothing but loopback resolves.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, sync_playwright

from tests.support.server_process import LOOPBACK

# A browser for each of two workers, with a console of its own.
ON_ONE_BROWSER = [pytest.mark.server, pytest.mark.xdist_group("browser")]
ON_ANOTHER_BROWSER = [pytest.mark.server, pytest.mark.xdist_group("another browser")]
TIMEOUT = 10_000  # ms: two cores, shared with the rest of the tests
FLAGS = (
    "--no-sandbox",  # a container's root may not have one, and the pages are our own
    "--disable-dev-shm-usage",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {LOOPBACK}, EXCLUDE localhost",
)


def chromium() -> str:
    """The path of the program; one sentence if it is missing."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError(
            "Chromium is missing: run `tools/system-packages test`, or install it (Debian: apt-get install chromium)."
        )
    return path


@contextmanager
def open_browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=30_000)
        except Error as error:
            raise RuntimeError(f"Chromium ({path}) does not start: {error.message}") from error
        with browser:
            yield browser


class Tab:
    """A page in a context of its own (cookies, storage). `problems`: what the browser complained of so far.

    Those are errors on the console, exceptions of scripts, alerts, requests that failed, and any that left loopback.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[Request] = []
        page.set_default_timeout(TIMEOUT)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error.message}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("requestfailed", self._failed)

    def excuse(self, words: str) -> None:
        """One complaint or more that hold these words are meant. AssertionError when there was none."""
        kept = [problem for problem in self.problems if words not in problem]
        assert len(kept) < len(self.problems), f"the browser did not complain of {words!r}, but of {self.problems}"
        self.problems = kept

    def close(self) -> None:
        """AssertionError when there were complaints that nobody excused."""
        url = self.page.url
        self.page.context.close()
        assert not self.problems, f"{url}:\n" + "\n".join(self.problems)

    def _console(self, message: ConsoleMessage) -> None:
        by_itself = message.location["url"].endswith("/favicon.ico")  # of an answer that is no page, and names no icon
        if message.type in {"error", "warning"} and not by_itself:
            self.problems.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before it came
            self.problems.append(f"failed: {request.url} {request.failure}")

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        address = urlsplit(request.url)
        if address.scheme in {"http", "https"} and address.hostname not in {LOOPBACK, "localhost"}:
            self.problems.append(f"left this machine: {request.url}")

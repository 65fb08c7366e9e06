"""The papers as a site: one command, every link and anchor good, nothing asked of another machine, words found."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Tab, open_browser
from tests.support.pages import ROOT
from tests.support.server_process import LOOPBACK, ServerProcess, free_port

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("site")]
ASSET = re.compile(r"""<(?:script|img|source|iframe|link)\b[^>]*\b(?:src|srcset|href)=["']((?:https?:)?//[^"']+)""")
IMPORTED = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')]+)""")


def _built(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "tools/site"), str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = _built(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    papers = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    pages = [paper.relative_to(ROOT).with_suffix(".html") for paper in papers]
    assert not [page for page in pages if not (site / page).exists()]
    assert 'url=docs/index.html"' in (site / "index.html").read_text()


def test_nothing_is_asked_of_another_machine(site: Path) -> None:
    foreign = {
        f"{file.relative_to(site)}: {found}"
        for pattern, kinds in ((ASSET, ("*.html",)), (IMPORTED, ("*.css", "*.html")))
        for kind in kinds
        for file in site.rglob(kind)
        for found in pattern.findall(file.read_text())
    }
    assert not foreign


@pytest.mark.parametrize("link", ["gone.md", "index.md#no-such-heading", "../docs/images/gone.svg"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, link: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Papers\n\n[there]({link})\n")
    command = [".venv/docs/bin/sphinx-build", "-q", "-W", "-n", "-c", "docs/site", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "index.md:3" in done.stderr


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """From a web server, as the search shows no excerpts of pages that are files."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", str(site)]
    with ServerProcess("http.server", command, site.parent / "http.log") as server:
        server.wait_until(lambda: _accepts(port))
        yield f"http://{LOOPBACK}:{port}"


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=5):
        return True
    return False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint_and_finds_a_word(served: str, scheme: str) -> None:
    with open_browser() as browser:
        tab = Tab(browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800}).new_page())
        tab.page.goto(f"{served}/index.html")
        tab.page.wait_for_url("**/docs/index.html")
        shown = [image for image in tab.page.locator("img.picture").all() if image.is_visible()]
        assert [one.get_attribute("src") for one in shown] == [f"../_images/console-keys-{scheme}-1280.png"]
        tab.page.get_by_placeholder("Search").fill("wal-index")
        tab.page.get_by_placeholder("Search").press("Enter")
        tab.page.locator("#search-results a", has_text="Revocation").first.wait_for()
        tab.page.wait_for_load_state("networkidle")
        tab.close()

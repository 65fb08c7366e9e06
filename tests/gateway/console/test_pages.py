import re

import pytest

from gateway.console.rendering import read_static
from tests.support.console import console


@pytest.mark.parametrize("file", read_static().values(), ids=lambda file: file.name)
async def test_what_never_changes_is_kept_for_ever_and_is_anybody_s(file: object) -> None:
    async with console(token="") as browser:
        answer = await browser.get(file.path)  # type: ignore[attr-defined]
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"].split(";")[0] in {"text/css", "text/javascript", "image/svg+xml"}


@pytest.mark.parametrize("path", ["/static/000000000000/console.css", "/static/x/..%2f..%2fpages.py", "/static/x/y"])
async def test_nothing_else_is_served(path: str) -> None:
    async with console() as browser:
        answer = await browser.get(path)
        assert answer.status == 404
        assert "immutable" not in answer.headers.get("Cache-Control", "")


async def test_every_file_that_a_page_names_is_there() -> None:
    async with console() as browser:
        browser.acts.add("web")
        for page in ("/keys", "/keys/new", "/sign-in", "/link"):
            for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', (await browser.get(page)).text):
                assert (await browser.get(path)).status == 200


async def test_a_page_and_all_it_needs_is_under_100_kb() -> None:
    async with console() as browser:
        for number in range(50):
            browser.acts.add(f"application {number} of the whole house")
        page = (await browser.get("/keys")).text
        needed = [file for file in read_static().values() if file.path in page]
        assert {file.name for file in needed} == {"console.css", "console.js", "icon.svg", "signs.svg"}
        assert len(page) + sum(len(file.content) for file in needed) < 90_000


async def test_what_reads_is_get_and_what_acts_is_post() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        for act in ("revoke", "restore", "roll", "edit", "delete"):
            await browser.get(f"/keys/{made.access_key_id}/{act}?csrf=x&reason=other&label=web&overlap=0")
        assert browser.acts.keys == {made.access_key_id: made}
        assert (await browser.get("/sign-out")).status == 405

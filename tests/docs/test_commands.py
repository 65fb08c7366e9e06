"""Every command of the README, the tutorial and the how-tos, run as it is written against a real gateway and store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.page_run import PageRun, missing
from tests.support.pages import PAGES, Block, blocks
from tests.support.stores import Store, seaweedfs

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("docs")]

# These begin with nothing but a store of somebody's; the others where the first ten minutes ended.
FROM_NOTHING = {
    "README.md",
    "docs/tutorial/first-ten-minutes.md",
    "docs/how-to/existing-store.md",
    "docs/how-to/stores.md",
}
BEFORE = """\
for bucket in photos letters backups; do aws --endpoint-url http://127.0.0.1:9000 s3 mb s3://$bucket; done
.venv/bin/nqgate keys create --label "photo app" --bucket photos
"""
RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with seaweedfs(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def typed(tmp_path: Path, store: Store) -> Iterator[PageRun]:
    replaced = {
        "https://store.example:443": store.endpoint,
        "THE-STORES-KEY": store.access_key_id,
        'profile = "rgw"  ': 'profile = "seaweedfs"  ',
    }
    page = PageRun(tmp_path, replaced, {"STORE_SECRET": store.secret_access_key, "FILMS_SECRET": "x" * 40})
    try:
        yield page
    finally:
        page.close()


@pytest.mark.parametrize("page", RUN)
def test_a_page_does_what_it_says(page: str, typed: PageRun) -> None:
    if page not in FROM_NOTHING:
        typed.run(Block("before", 0, "sh", "up", "make up\n"))
        typed.run(Block("before", 0, "sh", "run", BEFORE))
    absent = set()
    for block in blocks(page):
        if block.file:
            typed.write(block)
        elif block.needs and missing(block.needs):
            absent.add(block.needs)
        elif block.runs:
            typed.run(block)
    if absent:
        pytest.skip(f"not here: {', '.join(sorted(absent))}")

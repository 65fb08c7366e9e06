"""Every command of the README, the tutorial and the how-tos, run as it is written against a real gateway and store."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.page_run import PageRun, missing
from tests.support.pages import PAGES, Block, blocks
from tests.support.postgres import ADMIN, running
from tests.support.server_process import LOOPBACK
from tests.support.stores import Store, seaweedfs

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("docs")]

# These begin with nothing but a store of somebody's.
FROM_NOTHING = {
    "README.md",
    "docs/how-to/existing-store.md",
    "docs/how-to/logs.md",
    "docs/how-to/stores.md",
    "docs/tutorial/first-ten-minutes.md",
}
# These do to a gateway what the pages after them would feel. All others share one.
ALONE = {"docs/how-to/back-up-and-restore.md", "docs/how-to/rotate-the-kek.md"}
MANY_MACHINES = "docs/how-to/many-machines.md"  # has a PostgreSQL
UP = Block("before", 0, "sh", "up", "make up\n")
BUCKETS = "for bucket in photos letters backups; do aws --endpoint-url http://127.0.0.1:9000 s3 mb s3://$bucket; done\n"
FIRST_TEN_MINUTES = Block("before", 0, "sh", "run", BUCKETS)
A_KEY = Block("before", 0, "sh", "run", '.venv/bin/nqgate keys create --label "photo app" --bucket photos\n')
RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]
VARIABLES = {"FILMS_SECRET": "x" * 40}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with seaweedfs(tmp_path_factory.mktemp("store")) as running:
        yield running


def _up(folder: Path) -> PageRun:
    """Where the first ten minutes end."""
    page = PageRun(folder, {}, VARIABLES)
    try:
        page.run(UP)
        page.run(FIRST_TEN_MINUTES)
    except BaseException:
        page.close()
        raise
    return page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageRun]:
    with closing(_up(tmp_path_factory.mktemp("shared"))) as page:
        yield page


@pytest.mark.parametrize("page", [page for page in RUN if page in FROM_NOTHING])
def test_a_page_that_begins_with_nothing_does_what_it_says(page: str, tmp_path: Path, store: Store) -> None:
    replaced = {
        "https://store.example:443": store.endpoint,
        "THE-STORES-KEY": store.access_key_id,
        'profile = "rgw"  ': 'profile = "seaweedfs"  ',
    }
    with closing(PageRun(tmp_path, replaced, {"STORE_SECRET": store.secret_access_key})) as typed:
        _follow(typed, page)


def test_the_page_of_many_machines_does_what_it_says_on_one(tmp_path: Path, store: Store) -> None:
    """On three: tests/end_to_end/test_fleet.py."""
    replaced = {
        "https://store.example:443": store.endpoint,
        "THE-STORES-KEY": store.access_key_id,
        "/etc/nqgate": str(tmp_path),
    }
    with running() as postgres:
        at = f"{LOOPBACK}:{postgres.port}"
        replaced["nqgate:PASSWORD@db.example:5432"] = f"{ADMIN}:{postgres.password}@{at}"
        server = {"PGHOST": LOOPBACK, "PGPORT": str(postgres.port), "PGUSER": ADMIN, "PGPASSWORD": postgres.password}
        variables = {"STORE_SECRET": store.secret_access_key, **server}
        with closing(PageRun(tmp_path, replaced, variables)) as typed:
            _follow(typed, MANY_MACHINES)


@pytest.mark.parametrize("page", sorted(ALONE))
def test_a_page_with_a_gateway_of_its_own_does_what_it_says(page: str, tmp_path: Path) -> None:
    with closing(_up(tmp_path)) as typed:
        typed.run(A_KEY)
        _follow(typed, page)


@pytest.mark.parametrize("page", [page for page in RUN if page not in FROM_NOTHING | ALONE | {MANY_MACHINES}])
def test_a_page_does_what_it_says(page: str, tmp_path: Path, shared: PageRun) -> None:
    with closing(PageRun(tmp_path, {}, VARIABLES, shared)) as typed:
        typed.run(A_KEY)
        _follow(typed, page)


def _follow(typed: PageRun, page: str) -> None:
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("false\n", "ended with 1"),
        ("echo yes | grep no\n", "ended with 1"),
        ("true   # 403 AccessDenied\n", "not refused: true"),
        ("cat missing   # 403 AccessDenied\n", "not said: AccessDenied"),
        ("echo $UNKNOWN_HERE\n", "unbound variable"),
    ],
)
def test_a_page_that_does_not_do_what_it_says_is_found(tmp_path: Path, text: str, told: str) -> None:
    with closing(PageRun(tmp_path, {}, {})) as typed, pytest.raises(AssertionError, match=re.escape(told)):
        typed.run(Block("page.md", 1, "sh", "run", text))


def test_what_a_block_sets_is_there_in_the_next(tmp_path: Path) -> None:
    with closing(PageRun(tmp_path, {}, {"GIVEN": "1"})) as typed:
        typed.run(Block("page.md", 1, "sh", "run", "a=1; alias say=echo; twice() { echo $1 $1; }; unset GIVEN\n"))
        typed.run(Block("page.md", 2, "sh", "run", '[ "$(twice $a)" = "1 1" ]; say so; [ -z "${GIVEN-}" ]\n'))

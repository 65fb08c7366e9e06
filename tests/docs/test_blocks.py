"""Every block that people may paste says whether a test runs it, and if none does, why."""

import pytest

from tests.support.pages import PAGES, Block, blocks, fault


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    assert not {block.where: told for block in blocks(page) if (told := fault(block))}


@pytest.mark.parametrize(
    ("language", "mark"),
    [("", ""), ("sh", ""), ("sh", "runs"), ("sh", "not-run: "), ("sh", "run if "), ("toml", ""), ("bash", "run")],
)
def test_a_block_without_a_mark_is_found(language: str, mark: str) -> None:
    assert fault(Block("page.md", 1, language, mark, "ls\n"))

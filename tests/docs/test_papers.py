"""What the papers say of this repository is so: named files are there, decisions listed, steps the code's."""

import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_PATH = re.compile(r"`((?:tests|gateway|keystore|config|tools|bench|docs)/[\w./-]+)`")
_STEP = re.compile(r"^(\d)\. \*\*", re.MULTILINE)


def _named(paper: Path) -> set[str]:
    return set(_PATH.findall(paper.read_text()))


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_a_file_that_is_named_is_there(paper: Path) -> None:
    missing = {name for name in _named(paper) if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()}
    assert not missing


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_a_picture_in_light_and_dark_is_there(paper: Path) -> None:
    """Sphinx looks at none of these: they are HTML."""
    named = re.findall(r"""<(?:img|source)\b[^>]*\b(?:src|srcset)="([^"]+)\"""", paper.read_text())
    assert not [one for one in named if not (paper.parent / one).exists()]


def test_every_decision_is_listed() -> None:
    pages = {one.name for one in (ROOT / "docs/decisions").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text()))


def test_the_steps_of_verification_are_those_of_the_code() -> None:
    code = (ROOT / "gateway/sigv4/verify.py").read_text()
    told = (ROOT / "docs/explanation/sigv4.md").read_text()
    steps = _STEP.findall(told)
    assert steps == sorted(set(re.findall(r"\((\d)\)", code.split('"""')[1])))


def test_every_line_of_the_threat_model_names_the_test_that_carries_it_out() -> None:
    text = (ROOT / "THREAT_MODEL.md").read_text()
    table = text.partition("## Attack by attack")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert not [row for row in rows if "`tests/" not in row]

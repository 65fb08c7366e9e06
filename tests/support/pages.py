"""What the papers tell people to type: the fenced blocks of a page, and what each says of itself. Runs nothing.

The words after the language of a block:

- `sh run`: a test runs it, in the order of the page; `python run` too
- `sh run if PROGRAM` (or /PATH): where that is there, else the test says so
- `sh run stopped`: the same, and what was left running is stopped before
- `sh up`, `sh serve`: it stays in the foreground, so the test leaves it running
- `sh not-run: REASON`
- `toml gateway.toml`, `hcl main.tf`, …: a file of that name; `toml part`: an excerpt of one
- `text`: what a program prints, or a picture
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    *sorted(
        str(one.relative_to(ROOT)) for part in ("tutorial", "how-to") for one in (ROOT / "docs" / part).glob("*.md")
    ),
)
FILES = {"toml", "ini", "hcl", "json", "nginx", "yaml"}
SCRIPTS = {"sh", "python"}
_FENCE = re.compile(r"^ *(```+)(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.language in SCRIPTS and self.mark.split(" ")[0] in {"run", "up", "serve"}

    @property
    def needs(self) -> str:
        """A program or a path, without which it is not run."""
        return self.mark.removeprefix("run if ") if self.mark.startswith("run if ") else ""

    @property
    def file(self) -> str:
        return self.mark if self.language in FILES and self.mark != "part" else ""


def blocks(page: str) -> list[Block]:
    return list(_blocks(page, (ROOT / page).read_text()))


def _blocks(page: str, text: str) -> Iterator[Block]:
    fence, words, began, inside = "", "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.match(line)
        if not fence and found:
            fence, words, began, inside = found[1], found[2].strip(), number, []
        elif fence and line.strip() == fence:
            language, _, mark = words.partition(" ")
            yield Block(page, began, language, mark, dedent("\n".join(inside)) + "\n")
            fence = ""
        elif fence:
            inside.append(line)
    assert not fence, f"{page}:{began}: the block never ends"


def fault(block: Block) -> str:
    """What is wrong with what it says of itself; empty when nothing is."""
    if block.language == "text":
        return "" if not block.mark else "a text needs no mark"
    if block.language in FILES:
        return "" if block.mark else "say which file this is, or `part`"
    if block.language not in SCRIPTS:
        return f"no language is called {block.language!r} here"
    if block.mark.startswith("not-run: "):
        return "" if len(block.mark) > len("not-run: ") + 8 else "why is it not run?"
    return (
        ""
        if block.mark in {"run", "run stopped", "up", "serve"} or block.needs
        else "say `run`, or `not-run: ` and why"
    )

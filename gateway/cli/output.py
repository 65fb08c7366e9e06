"""How commands speak: data on stdout (a table for people, TSV for pipes, JSON for scripts), prose on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from gateway.config import SettingsError
from keystore.errors import Conflict, InvalidInput, KeystoreError, KeystoreUnavailable, NotFound


class Exit(IntEnum):
    """What a script can tell from the exit code."""

    DONE = 0
    FAILURE = 1
    USAGE = 2  # also: ambiguous, unconfirmed
    NOT_PERMITTED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    NOT_AUTHENTICATED = 6
    UNAVAILABLE = 7  # try again; 130: interrupted


def say(message: str) -> None:
    """Prose, for people."""
    print(message, file=sys.stderr)


def fail(message: str, code: Exit) -> typer.Exit:
    say(message)
    return typer.Exit(code)


@contextmanager
def told_errors() -> Iterator[None]:
    """Every foreseen failure becomes one sentence on stderr and its exit code; anything else is a bug and a trace."""
    try:
        yield
    except InvalidInput as error:
        raise fail(f"Not valid: {error}.", Exit.USAGE) from None
    except NotFound as error:
        raise fail(f"Not found: {error}.", Exit.NOT_FOUND) from None
    except Conflict as error:
        raise fail(f"Not possible: {error}.", Exit.CONFLICT) from None
    except KeystoreUnavailable as error:
        raise fail(f"The keystore cannot answer: {error}.", Exit.UNAVAILABLE) from None
    except KeystoreError as error:
        raise fail(f"The keystore refused: {error}.", Exit.FAILURE) from None
    except SettingsError as error:
        raise fail(f"The configuration cannot be used: {error}", Exit.FAILURE) from None
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        raise fail(f"{name}{error.strerror or error}.", Exit.FAILURE) from None


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """One line on stderr that is told anew; nothing without a terminal, and gone afterwards."""
    shown = False

    def tell(line: str) -> None:
        nonlocal shown
        if sys.stderr.isatty():
            shown = True
            print(f"\r{line}", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def show_json(value: Any) -> None:
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, tab-separated lines without a heading elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_one_line(cell) for cell in row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    Console().print(table)


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def _plain(cell: str) -> str:
    """Labels are other people's text: no markup of theirs is obeyed."""
    return cell.replace("[", r"\[")


def confirm(word: str, question: str, *, yes: bool, ask: Callable[[str], str] = input) -> None:
    """Go on only if `yes`, or a person types `word`. Without a terminal and without `yes`: exit 2, nothing done."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise fail(f"{question} Nothing was done: confirm with --yes.", Exit.USAGE)
    say(question)
    if ask(f"Type {word!r} to go on: ").strip() != word:
        raise fail("Nothing was done.", Exit.USAGE)

import json

import pytest
import typer

from gateway.cli import output
from gateway.cli.output import Exit, confirm, show_json, show_rows, told_errors
from gateway.config import SettingsError
from keystore.errors import Conflict, InvalidInput, KeystoreError, KeystoreUnavailable, NotFound, WrongKek


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), Exit.USAGE),
        (NotFound("x"), Exit.NOT_FOUND),
        (Conflict("x"), Exit.CONFLICT),
        (KeystoreUnavailable("x"), Exit.UNAVAILABLE),
        (WrongKek("x"), Exit.UNAVAILABLE),
        (KeystoreError("x"), Exit.FAILURE),
        (SettingsError("x"), Exit.FAILURE),
        (PermissionError(13, "Permission denied", "file"), Exit.FAILURE),
    ],
)
def test_every_foreseen_failure_is_one_sentence_and_its_exit_code(
    error: Exception, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, told_errors():
        raise error
    assert ended.value.exit_code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_bug_keeps_its_trace() -> None:
    with pytest.raises(ZeroDivisionError), told_errors():
        _ = 1 // 0


def test_piped_rows_are_tab_separated_on_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(("A", "B"), [("one\ttwo\nthree", "x")])
    assert capsys.readouterr().out == "one two three\tx\n"


def test_a_table_on_a_terminal_does_not_obey_the_markup_of_labels(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show_rows(("LABEL",), [("[red]loud[/red]",)])
    assert "[red]loud[/red]" in capsys.readouterr().out


def test_json_keeps_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"label": "für Ärzte"})
    assert json.loads(capsys.readouterr().out) == {"label": "für Ärzte"}


def test_typing_the_word_confirms_and_anything_else_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.sys.stdin, "isatty", lambda: True, raising=False)
    confirm("app", "Really?", yes=False, ask=lambda _: "app")
    with pytest.raises(typer.Exit) as ended:
        confirm("app", "Really?", yes=False, ask=lambda _: "")
    assert ended.value.exit_code == Exit.USAGE


def test_yes_asks_nothing() -> None:
    def never(_: str) -> str:
        raise AssertionError("asked")

    confirm("app", "Really?", yes=True, ask=never)

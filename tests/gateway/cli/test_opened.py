import getpass
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.cli.opened import actor
from keystore.errors import KeystoreUnavailable
from keystore.mark_file import MarkFile, read_mark


def test_the_change_log_names_the_user() -> None:
    assert actor() == f"cli:{getpass.getuser()}"


def test_a_user_without_a_name_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert actor() == "cli"


def test_what_was_done_stands_when_the_mark_cannot_be_raised(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret of a new key is shown once: it must not be lost to a full disk."""
    assert run("accounts", "list").exit_code == 0

    def full(*_: object) -> None:
        raise KeystoreUnavailable("the state file cannot be used: No space left on device")

    monkeypatch.setattr(MarkFile, "write", full)
    result = run("keys", "create", "--label", "x", "--all-buckets", "--json")
    assert result.exit_code == 0
    assert "secret_access_key" in result.stdout
    assert "not in the high-water mark yet: the state file cannot be used: No space left" in result.stderr


def test_the_mark_is_raised_after_a_command_that_failed_too(run: Callable[..., Result], folder: Path) -> None:
    assert run("accounts", "create", "films").exit_code == 0
    assert run("accounts", "create", "films").exit_code == 5
    mark = read_mark(folder / "keys.db.state")
    assert mark is not None
    assert mark.seq == 2

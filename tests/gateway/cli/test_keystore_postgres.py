"""A keystore on PostgreSQL that went back in time: refused by every command until it is adopted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from keystore.mark_file import read_mark
from tests.support.restored_postgres import backed_up, put_back

Run = Callable[..., Result]
Sql = Callable[[str], list[list[str]]]
pytestmark = pytest.mark.server


@pytest.fixture
def ended(remote: Sql, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a key that was deleted after a backup, and the backup put back."""
    made: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--all-buckets", "--json").stdout)
    backed_up(remote)
    assert run("accounts", "create", "films").exit_code == 0
    put_back(remote)
    return str(made["access_key_id"])


def test_the_mark_lies_beside_the_kek_file_unless_said_otherwise(run: Run, remote: Sql, folder: Path) -> None:
    assert run("accounts", "list").exit_code == 0
    mark = read_mark(folder / "kek.state")
    assert mark is not None
    assert mark.seq == 1
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + 'state_file = "mark"\n')
    assert run("accounts", "create", "films").exit_code == 0
    assert (read_mark(folder / "mark") or mark).seq == 2
    assert read_mark(folder / "kek.state") == mark


@pytest.mark.parametrize(
    "words", [("keys", "list"), ("accounts", "create", "y"), ("buckets", "assign", "photos", "--account", "default")]
)
def test_every_command_refuses_it_and_does_nothing(run: Run, remote: Sql, ended: str, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 7
    assert "went back in time: change 3 was known, it ends at 2: `nqgate keystore adopt` accepts it" in result.stderr
    assert remote("SELECT seq FROM nqgate.store") == [["2"]]


def test_audit_verify_finds_it_and_adopting_ends_it(run: Run, remote: Sql, ended: str) -> None:
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "the keystore went back in time: change 3 was known, it ends at 2" in result.stdout
    assert run("keystore", "adopt").exit_code == 2
    shown = json.loads(run("keystore", "adopt", "--yes", "--json").stdout)
    assert (shown["adopted"], shown["generation"]) == (True, 2)
    assert run("audit", "verify").exit_code == 0
    assert run("keys", "list").exit_code == 0
    assert "nothing to adopt" in run("keystore", "adopt").stderr


def test_the_name_of_the_database_must_be_typed_and_other_hosts_are_spoken_of(
    run: Run, remote: Sql, ended: str, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("gateway.cli.keystore.confirm", lambda word, question, yes: asked.append(word))
    result = run("keystore", "adopt")
    assert result.exit_code == 0
    assert asked == [postgres_database]
    assert "adopted there, too" in result.stderr


def test_without_a_keystore_it_makes_none(run: Run, remote: Sql) -> None:
    assert run("keystore", "adopt", "--yes").exit_code == 7
    assert remote("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]


def test_what_was_done_stands_when_the_mark_cannot_be_raised(
    run: Run, remote: Sql, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("accounts", "list").exit_code == 0
    monkeypatch.setattr("keystore.mark_file.PATIENCE", 0.01)
    (folder / "kek.state.lock").unlink()
    (folder / "kek.state.lock").mkdir()
    result = run("keys", "create", "--label", "x", "--all-buckets", "--json")
    assert result.exit_code == 0
    assert "secret_access_key" in result.stdout
    assert "not in the high-water mark yet" in result.stderr

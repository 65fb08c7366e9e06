"""`nqgate keystore adopt`, and what every other command says of a keystore that went back in time."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def ended(run: Run, folder: Path) -> str:
    """The id of a key that was revoked after a backup, and the backup put back."""
    made: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--all-buckets", "--json").stdout)
    with closing(sqlite3.connect(folder / "keys.db")) as source, closing(sqlite3.connect(folder / "copy")) as copy:
        source.backup(copy)
    assert run("keys", "revoke", made["access_key_id"], "--reason", "unused", "--yes").exit_code == 0
    restore(folder)
    return str(made["access_key_id"])


def restore(folder: Path) -> None:
    for name in ("keys.db-wal", "keys.db-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copy(folder / "copy", folder / "keys.db")


def status(run: Run, access_key_id: str) -> str:
    return str(json.loads(run("keys", "get", access_key_id, "--json").stdout)["status"])


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "list"),
        ("keys", "create", "--label", "y", "--all-buckets"),
        ("accounts", "list"),
        ("accounts", "create", "films"),
        ("buckets", "assign", "photos", "--account", "default"),
    ],
)
def test_every_command_refuses_it_and_does_nothing(run: Run, folder: Path, ended: str, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 7
    assert "went back in time: change 3 was known, it ends at 2: `nqgate keystore adopt` accepts it" in result.stderr
    assert result.stdout == ""
    with closing(sqlite3.connect(folder / "keys.db")) as connection:
        assert connection.execute("SELECT seq FROM store").fetchall() == [(2,)]


def test_serve_refuses_to_start_on_it(run: Run, ended: str) -> None:
    result = run("serve")
    assert result.exit_code == 7
    assert "went back in time" in result.stderr


def test_audit_verify_finds_it_and_the_log_can_still_be_read(run: Run, ended: str) -> None:
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "the keystore went back in time: change 3 was known, it ends at 2" in result.stdout
    assert run("audit", "list").exit_code == 0


def test_adopting_it_revokes_again_what_was_revoked_and_says_so(run: Run, ended: str) -> None:
    result = run("keystore", "adopt", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{ended}\tunused\t20")
    assert "as generation 2. Keys revoked again: 1." in result.stderr
    assert status(run, ended) == "revoked"
    assert run("audit", "verify").exit_code == 0


def test_adopting_in_json_has_stable_fields(run: Run, ended: str) -> None:
    shown = json.loads(run("keystore", "adopt", "--yes", "--json").stdout)
    assert (shown["adopted"], shown["generation"], shown["refused"]) == (True, 2, [])
    assert [(one["access_key_id"], one["reason"]) for one in shown["revoked_again"]] == [(ended, "unused")]
    assert json.loads(run("keystore", "adopt", "--yes", "--json").stdout) == {
        "adopted": False, "why": None, "generation": None, "revoked_again": [], "refused": [],
        "tokens_revoked_again": [],
    }  # fmt: skip


def test_a_token_revoked_since_is_revoked_again_and_named(run: Run, folder: Path) -> None:
    made = json.loads(run("admin", "token", "create", "--role", "operator", "--json").stdout)
    with closing(sqlite3.connect(folder / "keys.db")) as source, closing(sqlite3.connect(folder / "copy")) as copy:
        source.backup(copy)
    assert run("admin", "token", "revoke", made["token_id"], "--yes").exit_code == 0
    restore(folder)
    assert "remembered: 0, admin tokens: 1." in run("keystore", "adopt").stderr
    shutil.copy(folder / "keys.db.state", folder / "state")
    result = run("keystore", "adopt", "--yes")
    assert f"Admin tokens revoked again: {made['token_id']}." in result.stderr
    assert json.loads(run("admin", "token", "list", "--json").stdout)[0]["revoked_by"] == "adopt"
    restore(folder)
    shutil.copy(folder / "state", folder / "keys.db.state")
    shown = json.loads(run("keystore", "adopt", "--yes", "--json").stdout)
    assert shown["tokens_revoked_again"] == [made["token_id"]]


def test_without_a_terminal_and_without_yes_nothing_is_done(run: Run, ended: str) -> None:
    result = run("keystore", "adopt")
    assert result.exit_code == 2
    assert "Change 3 was known, it ends at 2. Ended keys that are remembered: 1, admin tokens: 0." in result.stderr
    assert run("keys", "list").exit_code == 7


def test_the_name_of_the_file_must_be_typed(run: Run, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr("gateway.cli.keystore.confirm", lambda word, question, yes: asked.append((word, yes)))
    assert run("keystore", "adopt").exit_code == 0
    assert asked == [("keys.db", False)]


def test_there_is_nothing_to_adopt_where_nothing_is_behind(run: Run) -> None:
    assert run("accounts", "list").exit_code == 0
    result = run("keystore", "adopt")
    assert result.exit_code == 0
    assert "nothing to adopt" in result.stderr
    assert len(run("audit", "list").stdout.splitlines()) == 1


def test_without_a_keystore_it_makes_none(run: Run, folder: Path) -> None:
    assert run("keystore", "adopt", "--yes").exit_code == 7
    assert not (folder / "keys.db").exists()


def test_a_record_that_does_not_hold_is_told(run: Run, folder: Path, ended: str) -> None:
    with closing(sqlite3.connect(folder / "keys.db")) as connection, connection:
        connection.execute("UPDATE access_key SET version = 9")
    result = run("keystore", "adopt", "--yes")
    assert result.exit_code == 0
    assert f"the record of {ended} does not hold" in result.stderr


def test_a_damaged_state_file_is_refused_found_and_adopted(run: Run, folder: Path) -> None:
    assert run("accounts", "list").exit_code == 0
    (folder / "keys.db.state").write_text("{")
    result = run("keys", "list")
    assert result.exit_code == 7
    assert "keys.db.state is damaged" in result.stderr
    assert "is damaged" in run("audit", "verify").stdout
    assert run("keystore", "adopt", "--yes").exit_code == 0
    assert run("keys", "list").exit_code == 0


def test_the_state_file_lies_where_the_configuration_says(run: Run, folder: Path, ended: str) -> None:
    (folder / "keys.db.state").rename(folder / "mark")
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + 'state_file = "mark"\n')
    assert run("keys", "list").exit_code == 7
    assert not (folder / "keys.db.state").exists()


def test_without_its_state_file_nothing_is_noticed(run: Run, folder: Path, ended: str) -> None:
    (folder / "keys.db.state").unlink()
    assert status(run, ended) == "active"
    assert (folder / "keys.db.state").exists()

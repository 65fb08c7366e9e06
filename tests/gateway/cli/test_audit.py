"""`nqgate audit`: what it says, how it ends, and that it never writes."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.cli import audit as audit_commands

Run = Callable[..., Result]


@pytest.fixture
def made(run: Run) -> dict[str, Any]:
    """A key, as `keys create` shows it; it was revoked, and `photos` was given to the account tenant."""
    shown: dict[str, Any] = json.loads(
        run("keys", "create", "--label", "für Ärzte", "--bucket", "photos", "--json").stdout
    )
    assert run("accounts", "create", "tenant").exit_code == 0
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    assert run("keys", "revoke", shown["access_key_id"], "--reason", "compromised", "--yes").exit_code == 0
    return shown


def spoil(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "keys.db")) as connection, connection:
        connection.execute(statement)


def test_a_keystore_that_holds_is_exit_0(run: Run, made: dict[str, Any]) -> None:
    result = run("audit", "verify")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "5 changes, 1 access keys, 2 accounts, 1 buckets, 0 admin tokens: all of it holds." in result.stderr
    assert json.loads(run("audit", "verify", "--json").stdout) == {
        "ok": True, "changes": 5, "access_keys": 1, "accounts": 2, "buckets": 1, "admin_tokens": 0,
        "found": 0, "findings": [],
    }  # fmt: skip


def test_findings_are_listed_and_are_exit_1(run: Run, folder: Path, made: dict[str, Any]) -> None:
    spoil(folder, "UPDATE access_key SET version = 9")
    spoil(folder, "UPDATE change SET actor = 'eve' WHERE seq = 2")
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert [line.split("\t")[:2] for line in result.stdout.splitlines()] == [
        ["change", "2"],
        ["access_key", made["access_key_id"]],
    ]
    assert "Findings: 2." in result.stderr
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["ok"], report["found"]) == (False, 2)
    assert set(report["findings"][0]) == {"table", "id", "what"}
    assert made["secret_access_key"] not in result.stdout


@pytest.mark.parametrize("command", ["verify", "list"])
def test_what_cannot_be_read_is_exit_7_and_nothing_is_made(run: Run, folder: Path, command: str) -> None:
    assert run("audit", command).exit_code == 7
    assert not (folder / "keys.db").exists()
    (folder / "keys.db").write_text("this is no database" * 100)
    assert run("audit", command).exit_code == 7


@pytest.mark.parametrize("command", ["verify", "list"])
def test_a_kek_that_is_another_is_exit_7(run: Run, folder: Path, made: dict[str, Any], command: str) -> None:
    (folder / "kek").unlink()
    assert run("kek", "create", "kek").exit_code == 0
    result = run("audit", command)
    assert result.exit_code == 7
    assert "wrong key" in result.stderr


def test_progress_is_told_on_a_terminal_only_and_leaves_nothing_behind(
    run: Run, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit_commands, "WORTH_PROGRESS", 1)
    with audit_commands._progress() as tell:
        tell(1, 10)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with audit_commands._progress() as tell:
        tell(1, 10)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "\r 10 % of 10 rows\r\033[K"


def test_the_log_says_who_did_what_newest_last(run: Run, made: dict[str, Any]) -> None:
    rows = [line.split("\t") for line in run("audit", "list").stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row[2] for row in rows] == ["account.create", "key.create", "account.create", "bucket.assign", "key.revoke"]
    assert rows[-1][3].startswith("cli")
    assert rows[-1][4:6] == ["default", made["access_key_id"]]
    assert "reason=compromised" in rows[-1][6]
    assert "label=für Ärzte" in rows[-1][6]
    assert rows[3][4:6] == ["tenant", "photos"]


def test_the_log_in_json_has_stable_fields_and_no_secret(run: Run, made: dict[str, Any]) -> None:
    result = run("audit", "list", "--key", made["access_key_id"], "--json")
    shown = json.loads(result.stdout)
    assert [one["kind"] for one in shown] == ["key.create", "key.revoke"]
    assert list(shown[0]) == [
        "seq", "at", "kind", "actor", "account", "access_key_id", "bucket", "token_id", "body", "verified",
    ]  # fmt: skip
    assert shown[0]["body"]["scope"]["type"] == "buckets"
    assert shown[0]["at"].endswith("Z")
    assert made["secret_access_key"] not in result.stdout


def test_the_log_is_chosen_by_bucket_account_and_number(run: Run, made: dict[str, Any]) -> None:
    def seqs(*words: str) -> list[int]:
        return [one["seq"] for one in json.loads(run("audit", "list", "--json", *words).stdout)]

    assert seqs("--bucket", "photos") == [4]
    assert seqs("--account", "tenant") == [3, 4]
    assert seqs("--limit", "2") == [4, 5]
    assert seqs("--key", "NQAKnobody") == []
    assert run("audit", "list", "--limit", "0").exit_code == 2


def test_a_forged_row_is_shown_as_such_without_what_terminals_obey(
    run: Run, folder: Path, made: dict[str, Any]
) -> None:
    spoil(folder, "UPDATE change SET actor = 'eve' || char(27) || '[2J', at = -5, body = x'ff7b' WHERE seq = 2")
    result = run("audit", "list")
    assert result.exit_code == 1
    assert "key.create (not verified)\teve\\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout
    assert "Not written by this keystore: 2." in result.stderr
    [_, forged, *_] = json.loads(run("audit", "list", "--json").stdout)
    assert (forged["verified"], forged["at"]) == (False, "-5")
    assert list(forged["body"]) == ["unverified"]

"""`nqgate audit` on a keystore in PostgreSQL: as on SQLite, and nothing is made by looking."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Sql = Callable[[str], list[list[str]]]
pytestmark = pytest.mark.server


@pytest.fixture
def made(remote: Sql, run: Run) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--bucket", "photos", "--json").stdout)
    assert run("accounts", "create", "tenant").exit_code == 0
    return shown


def test_a_keystore_that_holds_is_exit_0(run: Run, made: dict[str, Any]) -> None:
    result = run("audit", "verify")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "3 changes, 1 access keys, 2 accounts, 0 buckets, 0 admin tokens: all of it holds." in result.stderr
    rows = [line.split("\t") for line in run("audit", "list").stdout.splitlines()]
    assert [row[2] for row in rows] == ["account.create", "key.create", "account.create"]


def test_findings_are_listed_and_are_exit_1(run: Run, made: dict[str, Any], remote: Sql) -> None:
    remote("UPDATE nqgate.access_key SET version = 9; UPDATE nqgate.change SET actor = 'eve' WHERE seq = 2")
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    found = [(one["table"], one["id"]) for one in json.loads(result.stdout)["findings"]]
    assert found == [("change", "2"), ("access_key", made["access_key_id"])]
    assert "Not written by this keystore: 2." in run("audit", "list").stderr


@pytest.mark.parametrize("command", ["verify", "list"])
def test_where_no_keystore_is_none_is_made(run: Run, remote: Sql, command: str) -> None:
    result = run("audit", command)
    assert result.exit_code == 7
    assert "there is no keystore on" in result.stderr
    assert "w0rd" not in result.output
    assert remote("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]

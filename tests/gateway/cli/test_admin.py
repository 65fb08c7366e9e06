import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
TEXT = re.compile(r"nqat_[0-9a-z]{12}_[0-9A-Za-z]{40}")


def created(run: Run, *words: str) -> dict[str, Any]:
    result = run("admin", "token", "create", "--json", *words)
    assert result.exit_code == 0
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


def listed(run: Run) -> list[dict[str, Any]]:
    result = run("admin", "token", "list", "--json")
    assert result.exit_code == 0
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_a_token_is_shown_once_and_listed_without_its_secret(run: Run) -> None:
    shown = created(run, "--role", "operator")
    assert TEXT.fullmatch(shown["token"])
    assert shown["token"][5:17] == shown["token_id"]
    assert (shown["label"], shown["role"], shown["account"]) == ("operator", "operator", None)
    token = shown.pop("token")
    assert listed(run) == [shown]
    for words in ("admin token list", "audit list", "audit list --json", "audit verify"):
        result = run(*words.split())
        assert result.exit_code == 0
        assert token[-40:] not in result.output


def test_without_json_the_token_is_on_stdout_and_the_prose_on_stderr(run: Run) -> None:
    result = run("admin", "token", "create", "--role", "operator", "--label", "ci")
    assert result.exit_code == 0
    [[_, token_id], [name, token]] = [line.split("\t") for line in result.stdout.splitlines()]
    assert name == "Token"
    assert TEXT.fullmatch(token)
    assert token_id in token
    assert result.stderr == "The token is shown this once. Keep it now; it cannot be shown again.\n"


def test_an_owners_token_is_of_an_account_that_there_is(run: Run) -> None:
    assert run("accounts", "create", "team").exit_code == 0
    shown = created(run, "--role", "owner", "--account", "team", "--label", "deploy", "--expires", "30d")
    assert (shown["role"], shown["account"], shown["status"]) == ("owner", "team", "active")
    [row] = [line.split("\t") for line in run("admin", "token", "list").stdout.splitlines()]
    assert row == [
        "deploy", shown["token_id"], "owner", "team", "Active", shown["created_at"], shown["expires_at"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--role owner", 2),
        ("--role operator --account default", 2),
        ("--role owner --account nobody", 4),
        ("--role root", 2),
        ("", 2),
        ("--role operator --expires yesterday", 2),
        ("--role operator --expires 2001-01-01", 2),
        ("--role operator --label \u202e", 2),
    ],
)
def test_what_is_no_wish_for_a_token_makes_none(run: Run, words: str, code: int) -> None:
    assert run("admin", "token", "create", *words.split()).exit_code == code
    assert listed(run) == []


def test_a_token_goes_into_a_file_for_its_owner_only(run: Run, folder: Path) -> None:
    shown = created(run, "--role", "operator", "--secret-file", "token")
    assert "token" not in shown
    assert shown["secret_file"] == "token"
    assert TEXT.fullmatch((folder / "token").read_text().strip())
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert run("admin", "token", "create", "--role", "operator", "--secret-file", "token").exit_code == 5
    assert len(listed(run)) == 1


def test_a_revoked_token_stays_in_the_list(run: Run) -> None:
    token_id = created(run, "--role", "operator", "--label", "ci")["token_id"]
    refused = run("admin", "token", "revoke", token_id)
    assert (refused.exit_code, listed(run)[0]["status"]) == (2, "active")
    assert "--yes" in refused.stderr
    done = run("admin", "token", "revoke", token_id, "--yes")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"The admin token {token_id} (ci) is revoked.\n")
    [shown] = listed(run)
    assert shown["status"] == "revoked"
    assert shown["revoked_by"].startswith("cli")
    again = json.loads(run("admin", "token", "revoke", token_id, "--yes", "--json").stdout)
    assert again == {**shown, "version": 3}


def test_a_token_in_the_place_of_its_id_is_not_repeated(run: Run) -> None:
    token = created(run, "--role", "operator")["token"]
    result = run("admin", "token", "revoke", token, "--yes")
    assert result.exit_code == 4
    assert token[-40:] not in result.output
    assert listed(run)[0]["status"] == "active"


def test_who_made_and_revoked_it_is_in_the_log(run: Run) -> None:
    token_id = created(run, "--role", "owner", "--account", "default", "--label", "ci")["token_id"]
    run("admin", "token", "revoke", token_id, "--yes")
    rows = [line.split("\t") for line in run("audit", "list", "--account", "default").stdout.splitlines()]
    assert [(row[2], row[5]) for row in rows[1:]] == [("token.create", token_id), ("token.revoke", token_id)]
    assert "label=ci role=owner" in rows[-1][6]
    [*_, change] = json.loads(run("audit", "list", "--json").stdout)
    assert (change["token_id"], change["access_key_id"], change["bucket"]) == (token_id, None, None)


@pytest.mark.server
def test_on_postgresql_too(run: Run, remote: Callable[[str], list[list[str]]]) -> None:
    shown = created(run, "--role", "operator")
    assert run("admin", "token", "revoke", shown["token_id"], "--yes").exit_code == 0
    [one] = listed(run)
    assert (one["token_id"], one["status"]) == (shown["token_id"], "revoked")
    assert remote("SELECT token_id FROM nqgate.admin_token") == [[shown["token_id"]]]
    assert run("audit", "verify").exit_code == 0

"""One JSON object for a key, whatever command shows it; and dates of use that never stand in a command's way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from keystore.usage import Denied, Used, read_usage, usage_path, write_usage

Run = Callable[..., Result]
USED = Used(1_700_000_000, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2")


def created(run: Run) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("keys", "create", "--label", "app", "--all-buckets", "--json").stdout)
    return shown


def shown(run: Run, *words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    one: dict[str, Any] = found[0] if isinstance(found, list) else found
    return one


CONFIRMED = {
    "gateways", "confirmed", "lapsed", "out_of_lease", "transfers_cut", "in_store_settled", "in_store_unsettled",
    "took_ms",
}  # fmt: skip


def test_every_command_shows_the_same_fields(run: Run) -> None:
    first = created(run)
    access_key_id = first["access_key_id"]
    fields = set(first) - {"secret_access_key"}
    assert set(shown(run, "keys", "list")) == fields
    assert set(shown(run, "keys", "get", access_key_id)) == fields
    assert set(shown(run, "keys", "update", access_key_id, "--label", "other")) - CONFIRMED == fields
    assert set(shown(run, "keys", "revoke", access_key_id, "--yes")) - CONFIRMED == fields
    assert set(shown(run, "keys", "restore", access_key_id)) - CONFIRMED == fields
    assert set(shown(run, "keys", "roll", access_key_id)) - {"secret_access_key"} == fields


def test_when_a_key_was_last_used_and_denied_is_shown(run: Run, folder: Path) -> None:
    access_key_id = created(run)["access_key_id"]
    assert shown(run, "keys", "get", access_key_id)["last_used"] is None
    write_usage(folder / "keys.db", {access_key_id: USED}, {access_key_id: Denied(1_700_000_100, "why", "secret")})
    one = shown(run, "keys", "list")
    assert one["last_used"]["operation"] == "GetObject"
    assert one["last_denied"] == {"at": "2023-11-14T22:15:00Z", "reason": "why", "bucket": "secret"}
    assert run("keys", "list").stdout.rstrip("\n").endswith("\t2023-11-14T22:13:20Z")
    assert "10.0.4.7" in run("keys", "get", access_key_id).stdout


def test_what_speaks_against_a_revoke_is_said_before_it_is_confirmed(run: Run, folder: Path) -> None:
    access_key_id = created(run)["access_key_id"]
    assert "It was never used." in run("keys", "revoke", access_key_id).stderr
    write_usage(folder / "keys.db", {access_key_id: USED}, {})
    assert "from 10.0.4.7 by aws-cli/2" in run("keys", "revoke", access_key_id).stderr


def test_a_deleted_key_leaves_no_date(run: Run, folder: Path) -> None:
    access_key_id = created(run)["access_key_id"]
    write_usage(folder / "keys.db", {access_key_id: USED}, {})
    assert run("keys", "delete", access_key_id, "--yes").exit_code == 0
    assert read_usage(folder / "keys.db") == {}


@pytest.mark.parametrize("act", ["create", "roll", "list", "delete"])
def test_dates_that_cannot_be_read_are_said_and_lose_nothing(run: Run, folder: Path, act: str) -> None:
    access_key_id = created(run)["access_key_id"]
    usage_path(folder / "keys.db").write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    words = {
        "create": ("keys", "create", "--label", "second", "--all-buckets"),
        "roll": ("keys", "roll", access_key_id),
        "list": ("keys", "list"),
        "delete": ("keys", "delete", access_key_id, "--yes"),
    }[act]
    result = run(*words, "--json")
    assert result.exit_code == 0
    assert ("is still stored" if act == "delete" else "is not known") in result.stderr
    assert act in ("list", "delete") or len(json.loads(result.stdout)["secret_access_key"]) == 40

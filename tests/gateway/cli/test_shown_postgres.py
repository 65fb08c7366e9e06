"""Dates of use on a keystore in PostgreSQL, as commands show them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from keystore.confirmation import Confirmation
from keystore.postgres_usage import read_usage_postgres, write_usage_postgres
from keystore.sealing import Secret
from keystore.usage import Denied, Used
from tests.support.postgres import Postgres

Run = Callable[..., Result]
Sql = Callable[[str], list[list[str]]]
pytestmark = pytest.mark.server
USED = Used(1_700_000_000, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2")


@pytest.fixture
def url(postgres: Postgres, postgres_database: str) -> Secret:
    return Secret(postgres.url(postgres_database))


@pytest.fixture
def access_key_id(remote: Sql, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    async def confirm(*_: object, **__: object) -> Confirmation:
        return Confirmation(1, 1, 0, (), 0, 0, (), 3)

    monkeypatch.setattr("keystore.remote_keystore.confirm_postgres", confirm)
    made: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--all-buckets", "--json").stdout)
    return str(made["access_key_id"])


def test_when_a_key_was_last_used_and_denied_is_shown(run: Run, access_key_id: str, url: Secret) -> None:
    assert json.loads(run("keys", "get", access_key_id, "--json").stdout)["last_used"] is None
    asyncio.run(write_usage_postgres(url, {access_key_id: USED}, {access_key_id: Denied(1_700_000_100, "why", "s")}))
    [one] = json.loads(run("keys", "list", "--json").stdout)
    assert one["last_used"]["operation"] == "GetObject"
    assert one["last_denied"] == {"at": "2023-11-14T22:15:00Z", "reason": "why", "bucket": "s"}
    assert "from 10.0.4.7 by aws-cli/2" in run("keys", "revoke", access_key_id).stderr


def test_a_deleted_key_leaves_no_date(run: Run, access_key_id: str, url: Secret) -> None:
    asyncio.run(write_usage_postgres(url, {access_key_id: USED}, {}))
    assert run("keys", "delete", access_key_id, "--yes").exit_code == 0
    assert asyncio.run(read_usage_postgres(url)) == {}


@pytest.mark.parametrize("act", ["create", "list", "delete"])
def test_dates_that_cannot_be_read_are_said_and_lose_nothing(
    run: Run, access_key_id: str, remote: Sql, act: str
) -> None:
    remote("DROP TABLE nqgate.usage")
    words = {
        "create": ("keys", "create", "--label", "second", "--all-buckets"),
        "list": ("keys", "list"),
        "delete": ("keys", "delete", access_key_id, "--yes"),
    }[act]
    result = run(*words, "--json")
    assert result.exit_code == 0
    assert ("is still stored" if act == "delete" else "is not known") in result.stderr
    assert act != "create" or len(json.loads(result.stdout)["secret_access_key"]) == 40

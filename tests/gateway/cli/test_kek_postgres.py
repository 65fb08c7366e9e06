"""`nqgate kek status` and `rotate` on a keystore in PostgreSQL, whose gateways run on other machines."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import Result

from keystore.confirmation import Confirmation
from keystore.postgres_rotation import require_loaded_postgres
from keystore.sealing import Secret, load_kek_ring

Run = Callable[..., Result]
Sql = Callable[[str], list[list[str]]]
pytestmark = pytest.mark.server


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of which changes it was asked whether gateways have taken them: one has, each time."""
    seqs: list[int] = []

    async def confirm(url: Secret, ring: object, seq: int, *, since: float, **_: object) -> Confirmation:
        seqs.append(seq)
        return Confirmation(1, 1, 0, (), 0, 0, (), 3)

    monkeypatch.setattr("keystore.remote_keystore.confirm_postgres", confirm)
    return seqs


@pytest.fixture
def issued(remote: Sql, run: Run, asked: list[int]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--all-buckets", "--json").stdout)
    return made


def status(run: Run) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("kek", "status", "--json").stdout)
    return shown


def test_a_rotation_from_its_first_half_to_its_end(
    run: Run, folder: Path, issued: dict[str, Any], asked: list[int], remote: Sql
) -> None:
    [old] = [each["kek_id"] for each in status(run)["keks"]]
    added = run("kek", "add")
    new = added.stdout.strip()
    assert "Copy it to every other host" in added.stderr
    assert run("kek", "status").stdout.splitlines() == [f"{old}\tseals\t1\t1\t0\t0\t2", f"{new}\tnewest\t0\t0\t0\t0\t0"]
    assert "No gateway is running." in run("kek", "status").stderr
    assert run("kek", "rotate").exit_code == 2
    done = run("kek", "rotate", "--yes", "--json")
    assert done.exit_code == 0
    shown = json.loads(done.stdout)
    assert (shown["rotated"], shown["kek_id"], shown["resealed"], shown["retired"]) == (True, new, 2, [old])
    assert shown["confirmed"] == 1
    assert [[str(seq)] for seq in asked[-1:]] == remote("SELECT seq FROM nqgate.store")
    assert "On every other host" in done.stderr
    assert len(load_kek_ring(folder / "kek").retired) == 1
    assert run("keys", "get", issued["access_key_id"]).exit_code == 0
    assert run("audit", "verify").exit_code == 0
    again = run("kek", "rotate", "--yes", "--json")
    assert (again.exit_code, json.loads(again.stdout)["rotated"]) == (0, False)


def test_it_is_refused_while_a_gateway_lacks_the_newest(
    run: Run, issued: dict[str, Any], remote: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = status(run)["keks"][0]["kek_id"]
    new = run("kek", "add").stdout.strip()
    remote(
        "INSERT INTO nqgate.gateway (id, name, applied, cut_seq, keks, protocol)"
        f" VALUES ('{uuid4()}', 'host-b', 1, 1, '{old}', 2)"
    )

    async def renewed(_: float) -> None:
        remote("UPDATE nqgate.gateway SET renewals = renewals + 1")

    monkeypatch.setattr(
        "gateway.cli.kek.require_loaded_postgres", partial(require_loaded_postgres, patience=0, sleep=renewed)
    )
    refused = run("kek", "rotate", "--yes")
    assert refused.exit_code == 5
    assert f"gateway host-b has not loaded key-encryption key {new}" in refused.stderr
    assert status(run)["gateways"] == [{"pid": None, "name": "host-b", "keks": [old]}]
    assert f"Gateway host-b has {old}." in run("kek", "status").stderr
    assert status(run)["min_kek"] == old

"""What `nqgate reload` says of each answer; a real gateway that answers: tests/gateway/test_reloading.py."""

import json
from typing import Any

import pytest

from gateway.cli import reloading
from gateway.orders import orders_name
from tests.gateway.cli.conftest import Run

DONE = {"applied": ["limits.connections"], "need_restart": ["s3.listen"], "workers_replaced": 2, "took_ms": 900}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The answer that comes, and behind it what was asked for."""
    said: list[Any] = [DONE]

    def ask(name: str, *, restart_workers: bool) -> Any:
        said.append((name, restart_workers))
        return said[0]

    monkeypatch.setattr(reloading, "ask_reload", ask)
    return said


def test_every_setting_is_shown_with_what_became_of_it(run: Run, asked: list[Any], folder: Any) -> None:
    result = run("reload")
    assert result.exit_code == 0
    assert result.stdout == "limits.connections\tapplied\ns3.listen\tneeds a restart\n"
    assert "Workers replaced: 2, in 900 ms." in result.stderr
    assert "serve --take-over" in result.stderr
    assert asked[1:] == [(orders_name(folder / "gateway.toml"), False)]


def test_workers_are_replaced_on_demand_and_nothing_changed_is_said(run: Run, asked: list[Any]) -> None:
    asked[0] = DONE | {"applied": [], "need_restart": []}
    result = run("reload", "--restart-workers")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("Nothing has changed. Workers replaced: 2")
    assert asked[1][1] is True


def test_json_has_the_same_fields_whatever_came_of_it(run: Run, asked: list[Any]) -> None:
    well = json.loads(run("reload", "--json").stdout)
    assert well == {"reloaded": True, "error": None, **DONE}
    asked[0] = {"error": "limits.connections: too many", "kind": "settings"}
    result = run("reload", "--json")
    badly = json.loads(result.stdout)
    assert (result.exit_code, badly["reloaded"], badly["error"]) == (1, False, "limits.connections: too many")
    assert well.keys() == badly.keys()


@pytest.mark.parametrize(("kind", "code"), [("settings", 1), ("conflict", 5), ("unavailable", 7)])
def test_what_was_refused_ends_with_its_code(run: Run, asked: list[Any], kind: str, code: int) -> None:
    asked[0] = {"error": "why it is", "kind": kind}
    result = run("reload")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == "Nothing was reloaded, and what was in force stays so: why it is\n"


def test_where_no_gateway_runs_it_is_not_found(run: Run) -> None:
    result = run("reload")
    assert result.exit_code == 4
    assert "no gateway runs with this configuration file (gateway.toml)" in result.stderr

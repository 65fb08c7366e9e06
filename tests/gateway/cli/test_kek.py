import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from keystore.board import Identity, Seat
from keystore.rotation import require_loaded
from keystore.sealing import RETIRED_LINE, load_kek_ring

Run = Callable[..., Result]


def test_a_kek_is_made_before_any_configuration_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["kek", "create", "new-kek"])
    assert result.exit_code == 0
    assert stat.S_IMODE((tmp_path / "new-kek").stat().st_mode) == 0o600


def test_a_kek_is_never_overwritten(run: Run, folder: Path) -> None:
    before = (folder / "kek").read_bytes()
    assert run("kek", "create", "kek").exit_code not in (0, 2)
    assert (folder / "kek").read_bytes() == before


# ---- rotation ----


@pytest.fixture
def issued(run: Run) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run("keys", "create", "--label", "x", "--all-buckets", "--json").stdout)
    return made


@pytest.fixture
def seat(run: Run, folder: Path, issued: dict[str, Any]) -> Iterator[Seat]:
    """A live gateway, as far as the board is concerned."""
    taken = Seat(folder / "keys.db", Identity(0, 0, 0, 0), 10**6)
    yield taken
    taken.leave()


def status(run: Run) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("kek", "status", "--json").stdout)
    return shown


def material(folder: Path) -> list[str]:
    return [line.partition(":")[2] for line in (folder / "kek").read_text().splitlines() if line[:1] != "#"]


def test_a_rotation_from_its_first_half_to_its_end(run: Run, folder: Path, issued: dict[str, Any]) -> None:
    [old] = [each["kek_id"] for each in status(run)["keks"]]
    added = run("kek", "add")
    assert added.exit_code == 0
    new = added.stdout.strip()
    assert "`nqgate kek rotate`" in added.stderr
    assert stat.S_IMODE((folder / "kek").stat().st_mode) == 0o600
    assert run("kek", "status").stdout.splitlines() == [f"{old}\tseals\t1\t1\t0\t0\t2", f"{new}\tnewest\t0\t0\t0\t0\t0"]
    assert run("kek", "rotate").exit_code == 2
    assert status(run)["min_kek"] == old
    done = run("kek", "rotate", "--yes", "--json")
    assert done.exit_code == 0
    shown = json.loads(done.stdout)
    assert (shown["rotated"], shown["kek_id"], shown["resealed"], shown["retired"]) == (True, new, 2, [old])
    assert shown["gateways"] == 0
    after = {each["kek_id"]: each for each in status(run)["keks"]}
    assert (after[old]["retired"], after[new]["seals"], after[new]["access_keys"]) == (True, True, 1)
    assert status(run)["min_kek"] == new
    assert run("keys", "get", issued["access_key_id"]).exit_code == 0
    assert run("audit", "verify").exit_code == 0
    again = run("kek", "rotate", "--yes", "--json")
    assert (again.exit_code, json.loads(again.stdout)["rotated"]) == (0, False)


def test_no_key_and_no_secret_is_ever_printed(run: Run, folder: Path, issued: dict[str, Any]) -> None:
    said = [run("kek", *words.split()) for words in ("status", "add", "status --json", "rotate --yes", "status")]
    printed = "".join(result.stdout + result.stderr for result in said)
    assert len(material(folder)) == 2
    for secret in (*material(folder), issued["secret_access_key"]):
        assert secret not in printed


def test_it_is_refused_while_a_gateway_lacks_the_newest(
    run: Run, folder: Path, seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.kek.require_loaded", partial(require_loaded, patience=0))
    seat.loaded([kek.kek_id for kek in load_kek_ring(folder / "kek").keks])
    new = run("kek", "add").stdout.strip()
    before = status(run)
    refused = run("kek", "rotate", "--yes")
    assert refused.exit_code == 5
    assert f"process {os.getpid()} has not loaded key-encryption key {new}" in refused.stderr
    assert status(run) == before
    assert f"Gateway {os.getpid()} has {before['gateways'][0]['keks'][0]}." in run("kek", "status").stderr


def test_a_rotation_that_was_stopped_behind_its_last_change_finishes_the_file(
    run: Run, folder: Path, issued: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = status(run)["keks"][0]["kek_id"]
    run("kek", "add")
    with monkeypatch.context() as broken:
        broken.setattr("keystore.kek_file.os.replace", lambda *_: (_ for _ in ()).throw(OSError(16, "busy")))
        done = run("kek", "rotate", "--yes")
    assert done.exit_code == 0
    assert f"Let the lines before the last begin with {RETIRED_LINE} there." in done.stderr
    assert load_kek_ring(folder / "kek").retired == ()
    assert run("keys", "list").exit_code == 0
    assert json.loads(run("kek", "rotate", "--json").stdout)["retired"] == [old]
    assert len(load_kek_ring(folder / "kek").retired) == 1
    assert run("keys", "list").exit_code == 0


def test_without_the_retired_line_it_is_said_what_is_missing(run: Run, folder: Path, issued: dict[str, Any]) -> None:
    old = status(run)["keks"][0]["kek_id"]
    run("kek", "add")
    run("kek", "rotate", "--yes")
    lines = (folder / "kek").read_text().splitlines(keepends=True)
    (folder / "kek").write_text("".join(line for line in lines if not line.startswith(RETIRED_LINE)))
    refused = run("serve")
    assert refused.exit_code == 7
    assert f"change log was written under key-encryption key {old}" in refused.stderr

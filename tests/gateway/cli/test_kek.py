import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app

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

"""The whole of it, small: real gateways, a real upstream, every answer checked. What it costs is not judged here."""

import json
from pathlib import Path

import pytest

from bench.scale.__main__ import main
from bench.scale.options import PARTS

pytestmark = pytest.mark.server


def test_every_part_is_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "scale.json"
    assert main(["--quick", "--json", str(written), "--images", str(tmp_path / "drawn")]) == 0, capsys.readouterr().err
    drawings = json.loads(written.read_text())["drawings"]
    assert [drawing["name"] for drawing in drawings] == list(PARTS)
    assert all(drawing["rows"] and drawing["series"] for drawing in drawings)
    assert {file.name for file in (tmp_path / "drawn").glob("*.svg")} == {f"scale-{part}.svg" for part in PARTS}
    assert "| an idle connection, http, asked once |" in capsys.readouterr().out

"""The whole of it, short, so that it cannot rot."""

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.soak.__main__ import ROOM, check_room, main

pytestmark = pytest.mark.server


def test_half_a_minute_of_everything_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "soak.json"
    code = main(["--minutes", "0.34", "--json", str(written)])
    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    soak = json.loads(written.read_text())
    assert soak["faults"] == []
    assert len(soak["samples"]) > 5
    assert {"PUT", "GET", "LIST", "DELETE"} <= soak["answers"].keys()
    assert "| bad signatures among them |" in told.out


def test_a_disk_that_would_be_full_before_the_end_is_said_before_the_beginning() -> None:
    check_room(ROOM + 50_000_000_000, 3600)
    with pytest.raises(BenchError, match=r"46 GB of disk are needed in .*, and 20 are free: make room"):
        check_room(20_000_000_000, 3600)
    check_room(20_000_000_000, 60)

from importlib import import_module
from pathlib import Path

import pytest

from bench.measure import Sample
from bench.run import Run

NGINX = Sample("get-1k", "nginx", 0, requests=60_000, seconds=2.0, cpu_seconds=2.0, p50_us=800, p99_us=1500)
PLACEMENT = {"contender": [1], "upstream": [0], "generator": []}
RUN = Run(
    {"wrk": "wrk 4"},
    {"rounds": 1, "seconds": 2, "placement": PLACEMENT},
    [NGINX, NGINX._replace(contender="gateway", cpu_seconds=2.5)],
)
program = import_module("bench.__main__")


def test_a_run_of_another_day_is_shown_again_and_written_to_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    for folder in ("docs/images", "docs/reference"):
        (tmp_path / folder).mkdir(parents=True)
    file = tmp_path / "run.json"
    file.write_text(RUN.json())
    assert program.main(["--from", str(file), "--docs"]) == 0
    printed = capsys.readouterr().out
    assert "GET 1 KiB, 32 connections" in printed
    assert "1.25 (1.25–1.25)    met" in printed
    assert "contender on 1; upstream on 0; generator on any" in printed
    assert "wrk 4" in printed
    assert "1.25 (1.25–1.25)" in (tmp_path / "docs/reference/benchmarks.md").read_text()
    assert (tmp_path / "docs/images/benchmarks.svg").read_text().startswith("<svg")


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--from", str(tmp_path / "none.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err

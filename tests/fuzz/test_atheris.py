"""Every target led by coverage, a few seconds each, from a fixed seed. `make check` has the same targets without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = ("-atheris_runs=20000", "-max_total_time=10", "-seed=1")


@pytest.mark.server
@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_inputs_led_by_coverage_break_nothing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", name, *BOUNDS, f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    # libFuzzer leaves the input that broke the target there, and one that took too long or too much memory.
    left = [f"{found.name}: {found.read_bytes().hex()}" for found in sorted(tmp_path.iterdir())]
    assert not left, f"{left}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, done.stderr[-4000:]
    assert {end for end in TARGETS[name].ends if f"{name} reached: {end}\n" in done.stdout} == TARGETS[name].ends

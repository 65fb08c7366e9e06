import sys
from pathlib import Path

import pytest

from bench.child import accepts, child, free_port
from bench.errors import BenchError


def test_a_free_port_is_nobodys() -> None:
    assert not accepts(free_port())


def test_a_child_runs_within_the_block_and_not_after_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with child("a sleeper", command, tmp_path / "log", lambda: True) as pid:
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_child_that_ends_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('port is taken')"]
    with (
        pytest.raises(BenchError, match=r"a server ended with 1.*\n.*port is taken"),
        child("a server", command, tmp_path / "log", lambda: False),
    ):
        pass


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match=r"no-such-program is not there"),
        child("a server", ["no-such-program"], tmp_path / "log", lambda: True),
    ):
        pass

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import Result

from gateway.cli.main import COMMANDS

Run = Callable[..., Result]


def test_the_version_is_the_installed_one(run: Run) -> None:
    assert run("--version").stdout.strip() == importlib.metadata.version("nqgate")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_there_and_says_what_it_does(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"nqgate {command}" in result.stdout
    assert command in run("--help").stdout


def test_a_command_that_is_none_is_exit_2(run: Run) -> None:
    assert run("nonsense").exit_code == 2
    assert run("keys", "nonsense").exit_code == 2


def test_a_command_of_keys_does_not_wait_for_what_serves() -> None:
    """They would take longer than the command itself."""
    heavy = ("aiohttp", "uvloop", "awscrt", "gateway.serve", "gateway.wire.engine")
    look = f"import sys, gateway.cli.main, gateway.cli.key_commands; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

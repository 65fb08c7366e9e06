from collections.abc import Callable

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize(
    "command", ["create", "list", "get", "test", "delete", "restore", "revoke", "roll", "update", "import"]
)
def test_every_command_of_keys_is_there(run: Run, command: str) -> None:
    assert run("keys", command, "--help").exit_code == 0

import getpass

import pytest

from gateway.cli.opened import actor


def test_the_change_log_names_the_user() -> None:
    assert actor() == f"cli:{getpass.getuser()}"


def test_a_user_without_a_name_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert actor() == "cli"

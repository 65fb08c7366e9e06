import json
import re
from collections.abc import Callable

from typer.testing import Result

Run = Callable[..., Result]


def test_default_is_there_from_the_start(run: Run) -> None:
    [account] = json.loads(run("accounts", "list", "--json").stdout)
    assert account["name"] == "default"
    assert re.fullmatch(r"[0-9]{12}", account["number"])


def test_a_new_account_is_listed_and_can_hold_keys(run: Run) -> None:
    assert run("accounts", "create", "films").exit_code == 0
    assert run("keys", "create", "--label", "x", "--all-buckets", "--account", "films").exit_code == 0
    assert [one["name"] for one in json.loads(run("accounts", "list", "--json").stdout)] == ["default", "films"]


def test_a_name_that_is_taken_is_exit_5(run: Run) -> None:
    assert run("accounts", "create", "default").exit_code == 5


def test_a_key_of_an_unknown_account_is_exit_4(run: Run) -> None:
    assert run("keys", "create", "--label", "x", "--all-buckets", "--account", "nobody").exit_code == 4

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.console.links import read_link
from keystore.admin_tokens import Role
from keystore.sealing import load_kek_ring

Run = Callable[..., Result]


def link_of(folder: Path, url: str) -> object:
    link = read_link(load_kek_ring(folder / "kek"), url.partition("/link#")[2])
    assert link is not None
    return link.role, link.account


@pytest.mark.parametrize(("words", "who"), [((), (Role.OPERATOR, None)), (("--account", "acme"), (Role.OWNER, "acme"))])
def test_a_link_signs_in_whom_it_was_made_for(run: Run, folder: Path, words: tuple[str, ...], who: object) -> None:
    result = run("console", "link", *words)
    assert result.exit_code == 0
    [line] = result.stdout.splitlines()
    name, url = line.split("\t")
    assert (name, url.startswith("http://127.0.0.1:9001/link#nql_")) == ("Sign in", True)
    assert link_of(folder, url) == who


def test_json_says_until_when(run: Run, folder: Path) -> None:
    told = json.loads(run("console", "link", "--account", "acme", "--json").stdout)
    assert (told["role"], told["account"]) == ("owner", "acme")
    assert told["expires_at"].endswith("Z")
    assert link_of(folder, told["url"]) == (Role.OWNER, "acme")


def test_the_address_is_the_one_that_people_use(run: Run, folder: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + '[console]\npublic_url = "https://console.example.org/"\n')
    assert "\thttps://console.example.org/link#nql_" in run("console", "link").stdout


def test_an_account_that_is_no_name_is_refused(run: Run) -> None:
    result = run("console", "link", "--account", "Not A Name")
    assert result.exit_code == 2
    assert "nql_" not in result.output


def test_without_the_kek_there_is_no_link(run: Run, folder: Path) -> None:
    (folder / "kek").unlink()
    result = run("console", "link")
    assert result.exit_code != 0
    assert "nql_" not in result.output

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from keystore.confirmation import Confirmation

Run = Callable[..., Result]

FIRST, SECOND = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "another-secret-of-20"
PAIRS = f"AKIAONE {FIRST} backup job\nAKIATWO {SECOND}\n"


@pytest.fixture
def pairs(folder: Path) -> Path:
    path = folder / "old-keys"
    path.write_text(PAIRS)
    return path


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("keys", "list", "--json").stdout)
    return found


def test_all_keys_of_a_file_are_taken_with_the_scope_that_was_said(run: Run, pairs: Path) -> None:
    result = run("keys", "import", "old-keys", "--bucket", "photos", "--rights", "read_only", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["imported"] == listed(run)
    assert [(one["access_key_id"], one["label"]) for one in told["imported"]] == [
        ("AKIAONE", "backup job"),
        ("AKIATWO", "AKIATWO"),
    ]
    for one in told["imported"]:
        assert one["scope"] == {"type": "buckets", "buckets": [{"name": "photos", "rights": "read_only"}]}
    assert (told["refused"], told["disabled"], told["gateways"]) == ([], [], 0)
    assert FIRST not in result.stdout + result.stderr
    assert "delete it" in result.stderr


def test_a_secret_comes_in_by_stdin_too_and_never_by_an_argument(run: Run) -> None:
    assert run("keys", "import", "-", "--all-buckets", "--label", "moved", stdin=PAIRS).exit_code == 0
    assert [one["label"] for one in listed(run)] == ["moved", "moved"]


@pytest.mark.parametrize(
    "words",
    [[], ["--all-buckets", "--bucket", "a"], ["--all-buckets", "--label", ""], ["--all-buckets", "--account", "x"]],
)
def test_without_a_scope_or_with_what_cannot_be_nothing_is_imported(run: Run, pairs: Path, words: list[str]) -> None:
    assert run("keys", "import", "old-keys", *words).exit_code in (2, 4)
    assert listed(run) == []


def test_a_file_of_which_a_line_is_wrong_is_refused_whole(run: Run, pairs: Path) -> None:
    pairs.write_text(PAIRS + "AKIATHREE\n")
    result = run("keys", "import", "old-keys", "--all-buckets")
    assert result.exit_code == 2
    assert "line 3" in result.stderr
    assert listed(run) == []


def test_an_id_that_is_or_was_a_keys_is_refused_and_the_others_are_taken(run: Run, pairs: Path) -> None:
    pairs.write_text(f"AKIAONE {FIRST}\n")
    run("keys", "import", "old-keys", "--all-buckets")
    run("keys", "delete", "AKIAONE", "--yes")
    pairs.write_text(PAIRS)
    result = run("keys", "import", "old-keys", "--all-buckets", "--json")
    assert result.exit_code == 5
    told = json.loads(result.stdout)
    assert [one["access_key_id"] for one in told["refused"]] == ["AKIAONE"]
    assert [one["access_key_id"] for one in listed(run)] == ["AKIATWO"]


def test_what_is_disabled_there_is_left_out(run: Run, folder: Path) -> None:
    users = {"ann": {"secretKey": FIRST, "status": "enabled"}, "bob": {"secretKey": SECOND, "status": "disabled"}}
    (folder / "users.json").write_text(json.dumps(users))
    result = run("keys", "import", "users.json", "--all-buckets")
    assert [line.split("\t")[::2] for line in result.stdout.splitlines()] == [
        ["ann", "imported"],
        ["bob", "left out: disabled there"],
    ]
    assert [one["access_key_id"] for one in listed(run)] == ["ann"]
    (folder / "users.json").write_text(json.dumps({"bob": users["bob"]}))
    assert "nothing was imported" in run("keys", "import", "users.json", "--all-buckets").stderr


def test_a_label_of_the_file_that_cannot_be_one_gives_way_to_the_id(run: Run, pairs: Path) -> None:
    pairs.write_text(f"AKIAONE,{FIRST},{'x' * 100}\nAKIATWO,{SECOND},a\u202eb\n")
    assert run("keys", "import", "old-keys", "--all-buckets").exit_code == 0
    assert [one["label"] for one in listed(run)] == ["x" * 64, "AKIATWO"]


def test_a_gateway_that_has_not_heard_of_it_is_told_of(run: Run, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keystore.local_keystore.confirm", lambda *_, **__: Confirmation(1, 0, 1, (), 0, 0, (), 5000))
    result = run("keys", "import", "old-keys", "--all-buckets")
    assert result.exit_code == 0
    assert "confirmed by 0 of 1 gateway" in result.stderr


def test_a_file_that_cannot_be_read_is_one_sentence(run: Run, pairs: Path) -> None:
    result = run("keys", "import", "nowhere", "--all-buckets")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nowhere" in result.stderr


def test_others_who_may_read_the_file_are_told_of(run: Run, pairs: Path) -> None:
    pairs.chmod(0o644)
    assert "others can read" in run("keys", "import", "old-keys", "--all-buckets").stderr
    pairs.chmod(0o600)
    assert stat.S_IMODE(pairs.stat().st_mode) == 0o600
    assert "others can read" not in run("keys", "import", "old-keys", "--all-buckets").stderr


def test_no_key_is_imported_that_lives_longer_than_the_setting(run: Run, folder: Path, pairs: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + '[keys]\nmax_lifetime = "30d"\n')
    for words in ([], ["--expires", "31d"]):
        result = run("keys", "import", "old-keys", "--all-buckets", *words)
        assert result.exit_code == 2
        assert "keys.max_lifetime" in result.stderr
    assert listed(run) == []
    assert run("keys", "import", "old-keys", "--all-buckets", "--expires", "30d").exit_code == 0

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def created(run: Run, *words: str) -> dict[str, str]:
    result = run("keys", "create", "--label", "app", *(words or ("--all-buckets",)), "--json")
    assert result.exit_code == 0, result.stderr
    shown: dict[str, str] = json.loads(result.stdout)
    return shown


def test_a_new_key_has_an_id_a_secret_and_a_scope(run: Run) -> None:
    shown = created(run, "--bucket", "photos", "--bucket", "films")
    assert re.fullmatch(r"NQAK[0-9a-z]{16}", shown["access_key_id"])
    assert re.fullmatch(r"[0-9A-Za-z]{40}", shown["secret_access_key"])
    assert shown["buckets"] == ["photos", "films"]
    assert shown["status"] == "active"


def test_the_secret_is_shown_by_create_only(run: Run) -> None:
    shown = created(run)
    for words in (("keys", "list", "--json"), ("keys", "get", shown["access_key_id"], "--json")):
        result = run(*words)
        assert shown["access_key_id"] in result.stdout
        assert shown["secret_access_key"] not in result.stdout + result.stderr


def test_a_list_is_an_array_even_when_it_is_empty(run: Run) -> None:
    result = run("keys", "list", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == []


def test_a_piped_list_is_tab_separated_without_a_heading(run: Run) -> None:
    shown = created(run)
    line = run("keys", "list").stdout.rstrip("\n").split("\t")
    assert line[:4] == ["app", shown["access_key_id"], "All Buckets", "Active"]


@pytest.mark.parametrize(
    "scope",
    [
        [],
        ["--all-buckets", "--bucket", "photos"],
        ["--all-buckets", "--no-buckets"],
        ["--bucket", "Not_A_Bucket"],
    ],
)
def test_the_scope_is_mandatory_and_one_of_three(run: Run, scope: list[str]) -> None:
    result = run("keys", "create", "--label", "app", *scope)
    assert result.exit_code == 2
    assert json.loads(run("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize("label", ["", "x" * 65, "a\x07b", "a\u202eb"])
def test_a_label_that_is_no_label_is_refused(run: Run, label: str) -> None:
    assert run("keys", "create", "--label", label, "--all-buckets").exit_code == 2


def test_a_duplicate_label_is_made_with_a_warning(run: Run) -> None:
    created(run)
    result = run("keys", "create", "--label", "app", "--all-buckets", "--json")
    assert result.exit_code == 0
    assert "labelled 'app' too" in result.stderr
    assert json.loads(result.stdout)["label"] == "app"


def test_a_secret_file_keeps_the_secret_off_the_screen(run: Run, folder: Path) -> None:
    target = folder / "secret"
    result = run("keys", "create", "--label", "app", "--all-buckets", "--secret-file", str(target), "--json")
    assert result.exit_code == 0
    assert "secret_access_key" not in json.loads(result.stdout)
    assert json.loads(result.stdout)["secret_file"] == str(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9A-Za-z]{40}\n", target.read_text())
    assert target.read_text().strip() not in result.stdout + result.stderr


def test_a_secret_file_is_never_overwritten(run: Run, folder: Path) -> None:
    (folder / "secret").write_text("mine")
    result = run("keys", "create", "--label", "app", "--all-buckets", "--secret-file", "secret")
    assert result.exit_code == 5
    assert (folder / "secret").read_text() == "mine"
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_revoke_keeps_the_key_in_the_history(run: Run) -> None:
    shown = created(run)
    result = run("keys", "revoke", shown["access_key_id"], "--reason", "compromised", "--yes", "--json")
    assert result.exit_code == 0
    revoked = json.loads(result.stdout)
    assert (revoked["status"], revoked["revoked_reason"]) == ("revoked", "compromised")
    assert [one["status"] for one in json.loads(run("keys", "list", "--json").stdout)] == ["revoked"]


def test_delete_is_for_good(run: Run) -> None:
    shown = created(run)
    assert run("keys", "delete", shown["access_key_id"], "--yes").exit_code == 0
    assert run("keys", "get", shown["access_key_id"]).exit_code == 4
    assert json.loads(run("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize("act", ["revoke", "delete"])
def test_without_a_terminal_and_without_yes_nothing_is_done(run: Run, act: str) -> None:
    shown = created(run)
    result = run("keys", act, shown["access_key_id"], stdin="app\n")
    assert result.exit_code == 2
    assert json.loads(run("keys", "get", shown["access_key_id"], "--json").stdout)["status"] == "active"


@pytest.mark.parametrize("act", ["get", "revoke", "delete"])
def test_an_unknown_key_is_exit_4(run: Run, act: str) -> None:
    words = ["keys", act, "NQAK0000000000000000"] + (["--yes"] if act != "get" else [])
    assert run(*words).exit_code == 4


def test_a_wrong_kek_is_said_and_is_exit_7(run: Run, folder: Path) -> None:
    from keystore.sealing import create_kek_file

    created(run)
    (folder / "kek").unlink()
    create_kek_file(folder / "kek")
    result = run("keys", "list")
    assert result.exit_code == 7
    assert "key" in result.stderr


def test_a_kek_file_others_can_read_is_refused_with_the_remedy(run: Run, folder: Path) -> None:
    (folder / "kek").chmod(0o644)
    result = run("keys", "list")
    assert result.exit_code != 0
    assert "chmod" in result.stderr


def test_a_test_names_the_rule_and_ends_with_3_when_it_refuses(run: Run) -> None:
    access_key_id = created(run, "--bucket", "photos", "--prefix", "team")["access_key_id"]
    allowed = run("keys", "test", access_key_id, "PutObject", "photos/team/a", "--json")
    assert (allowed.exit_code, json.loads(allowed.stdout)["allowed"]) == (0, True)
    refused = run("keys", "test", access_key_id, "PutObject", "photos/other")
    assert refused.exit_code == 3
    assert (
        refused.stdout
        == "refused\tPutObject would reach beyond what the key has: bucket photos, read_write, prefix team/.\n"
    )
    assert run("keys", "test", access_key_id, "FetchObject", "photos/a").exit_code == 2
    assert run("keys", "test", "NQAKnobody", "GetObject", "photos/a").exit_code == 4


def test_a_name_that_the_store_keeps_for_itself_is_no_bucket_of_a_key(run: Run) -> None:
    result = run("keys", "create", "--label", "app", "--bucket", "admin")
    assert result.exit_code == 2
    assert "admin" in result.stderr
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_a_key_for_no_bucket_that_manages_keys_says_so(run: Run) -> None:
    shown = created(run, "--no-buckets", "--manage-keys")
    assert (shown["scope"], shown["buckets"], shown["manage_keys"]) == ({"type": "none"}, [], True)
    assert run("keys", "list").stdout.split("\t")[2] == "none"
    lines = dict(line.split("\t") for line in run("keys", "get", shown["access_key_id"]).stdout.splitlines())
    assert (lines["manage_keys"], lines["scope"]) == ("yes", "none")
    assert run("keys", "update", shown["access_key_id"], "--bucket", "photos").exit_code == 0
    after = json.loads(run("keys", "get", shown["access_key_id"], "--json").stdout)
    assert (after["buckets"], after["manage_keys"]) == (["photos"], True)


def test_only_who_is_made_to_manage_keys_does(run: Run) -> None:
    assert created(run)["manage_keys"] is False
    assert run("keys", "update", created(run)["access_key_id"], "--manage-keys").exit_code == 2


@pytest.fixture
def limited(folder: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + '[keys]\nmax_lifetime = "30d"\n')


def test_no_key_is_made_that_lives_longer_than_the_setting(run: Run, limited: None) -> None:
    for words in ([], ["--expires", "31d"], ["--expires", "2999-01-01"]):
        result = run("keys", "create", "--label", "app", "--all-buckets", *words)
        assert result.exit_code == 2
        assert "keys.max_lifetime" in result.stderr
    assert json.loads(run("keys", "list", "--json").stdout) == []
    assert created(run, "--all-buckets", "--expires", "30d")["expires_at"] is not None

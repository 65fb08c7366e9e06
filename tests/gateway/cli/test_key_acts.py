import json
import re
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.cli import opened
from keystore.confirmation import Confirmation
from keystore.errors import KeystoreUnavailable
from keystore.sqlite import open_sqlite_store

Run = Callable[..., Result]
CONFIRMATION = {
    "gateways",
    "confirmed",
    "lapsed",
    "out_of_lease",
    "transfers_cut",
    "in_store_settled",
    "in_store_unsettled",
    "took_ms",
}


def done(run: Run, *words: str) -> dict[str, Any]:
    result = run("keys", *words, "--json")
    assert result.exit_code == 0, result.stderr
    shown: dict[str, Any] = json.loads(result.stdout)
    return {name: value for name, value in shown.items() if name not in CONFIRMATION}


def created(run: Run, *words: str) -> str:
    return str(done(run, "create", "--label", "app", *(words or ("--all-buckets",)))["access_key_id"])


PassTime = Callable[[int], None]


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> PassTime:
    """pass_time(seconds): for commands from here on it is that much later."""
    real = time.time

    def later(seconds: int) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        opening = partial(open_sqlite_store, clock=lambda: real() + seconds)
        monkeypatch.setattr(opened, "open_sqlite_store", opening)

    return later


def got(run: Run, access_key_id: str) -> dict[str, Any]:
    return done(run, "get", access_key_id)


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("keys", "list", "--json").stdout)
    return found


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# ---- restore ----


def test_a_revoked_key_is_restored_and_says_nothing_of_its_revoke(run: Run) -> None:
    access_key_id = created(run)
    run("keys", "revoke", access_key_id, "--reason", "unused", "--yes")
    shown = done(run, "restore", access_key_id)
    assert (shown["status"], shown["version"]) == ("active", 3)
    assert [shown[name] for name in ("revoked_at", "revoked_by", "revoked_reason")] == [None] * 3
    assert got(run, access_key_id) == shown


def test_a_gateway_that_has_not_heard_of_a_restore_is_told_of_and_the_key_is_restored(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_key_id = created(run)
    run("keys", "revoke", access_key_id, "--yes")
    monkeypatch.setattr("keystore.local_keystore.confirm", lambda *_, **__: Confirmation(1, 0, 1, (), 0, 0, (), 5000))
    result = run("keys", "restore", access_key_id, "--json")
    assert result.exit_code == 0
    assert "may refuse" in result.stderr
    assert json.loads(result.stdout)["lapsed"] == 1
    assert got(run, access_key_id)["status"] == "active"


@pytest.mark.parametrize("reason", [None, "compromised"])
def test_what_cannot_be_restored_is_exit_5(run: Run, reason: str | None) -> None:
    access_key_id = created(run)
    if reason is not None:
        run("keys", "revoke", access_key_id, "--reason", reason, "--yes")
    before = got(run, access_key_id)
    result = run("keys", "restore", access_key_id)
    assert result.exit_code == 5
    assert (reason or "active") in result.stderr
    assert got(run, access_key_id) == before


def test_a_restored_key_that_expired_says_so(run: Run, pass_time: PassTime) -> None:
    access_key_id = created(run, "--all-buckets", "--expires", "1h")
    run("keys", "revoke", access_key_id, "--yes")
    pass_time(3600)
    result = run("keys", "restore", access_key_id, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "expired"
    assert "expired" in result.stderr
    assert done(run, "update", access_key_id, "--expires", "1h")["status"] == "active"


# ---- roll ----


def test_a_successor_is_the_same_key_with_another_secret(run: Run) -> None:
    old = done(
        run, "create", "--label", "app", "--bucket", "photos", "--rights", "read_only", "--prefix", "team",
        "--expires", "30d", "--not-before", "2020-01-01", "--source-cidr", "10.0.0.0/8",
    )  # fmt: skip
    new = done(run, "roll", old["access_key_id"])
    assert re.fullmatch(r"[0-9A-Za-z]{40}", new["secret_access_key"])
    assert new["secret_access_key"] != old["secret_access_key"]
    for name in ("account", "label", "scope", "buckets", "expires_at", "not_before", "source_cidrs", "status"):
        assert new[name] == old[name]
    assert (new["replaces"], new["replaced_by"], new["version"]) == (old["access_key_id"], None, 1)
    ended = got(run, old["access_key_id"])
    assert (ended["status"], ended["replaces"], ended["replaced_by"]) == ("active", None, new["access_key_id"])
    assert abs(moment(ended["expires_at"]) - time.time() - 86400) < 5


@pytest.mark.parametrize(("overlap", "seconds"), [("2s", 2), ("1h", 3600), ("7d", 604800)])
def test_the_old_key_ends_after_the_overlap(run: Run, overlap: str, seconds: int) -> None:
    access_key_id = created(run)
    before = int(time.time())
    result = run("keys", "roll", access_key_id, "--overlap", overlap)
    ends = got(run, access_key_id)["expires_at"]
    assert before + seconds <= moment(ends) <= time.time() + seconds
    assert ends in result.stderr


def test_without_an_overlap_the_old_key_is_revoked(run: Run) -> None:
    access_key_id = created(run)
    result = run("keys", "roll", access_key_id, "--overlap", "0")
    assert result.exit_code == 0
    assert "is revoked" in result.stderr
    shown = got(run, access_key_id)
    assert (shown["status"], shown["revoked_reason"]) == ("revoked", "rotation")


def test_a_piped_roll_prints_the_id_and_the_secret_on_stdout(run: Run) -> None:
    access_key_id = created(run)
    lines = [line.split("\t") for line in run("keys", "roll", access_key_id).stdout.splitlines()]
    assert [line[0] for line in lines] == ["Access key id", "Secret"]
    assert lines[0][1] == got(run, access_key_id)["replaced_by"]


def test_the_expiry_that_the_successor_takes_over_is_said(run: Run) -> None:
    limited, unlimited = created(run, "--all-buckets", "--expires", "2h"), created(run)
    assert got(run, limited)["expires_at"] in run("keys", "roll", limited, "--overlap", "1h").stderr
    assert "new key expires" not in run("keys", "roll", unlimited).stderr


@pytest.mark.parametrize("overlap", ["8d", "1", "-1h", "tomorrow", ""])
def test_an_overlap_that_is_none_makes_no_key(run: Run, overlap: str) -> None:
    access_key_id = created(run)
    assert run("keys", "roll", access_key_id, f"--overlap={overlap}").exit_code == 2
    assert [one["access_key_id"] for one in listed(run)] == [access_key_id]


def test_a_key_that_ended_or_was_rolled_before_is_not_rolled(run: Run, pass_time: PassTime) -> None:
    revoked, expired, rolled = created(run), created(run, "--all-buckets", "--expires", "1h"), created(run)
    run("keys", "revoke", revoked, "--yes")
    successor = done(run, "roll", rolled)["access_key_id"]
    pass_time(3600)
    known = len(listed(run))
    for access_key_id, why in ((revoked, "revoked"), (expired, "expired"), (rolled, successor)):
        result = run("keys", "roll", access_key_id)
        assert result.exit_code == 5
        assert why in result.stderr
    assert len(listed(run)) == known
    assert done(run, "roll", successor)["replaces"] == successor


def test_a_rolled_secret_goes_to_a_file_if_one_is_named(run: Run, folder: Path) -> None:
    access_key_id = created(run)
    result = run("keys", "roll", access_key_id, "--secret-file", "new", "--json")
    shown = json.loads(result.stdout)
    assert shown["secret_file"] == "new"
    assert "secret_access_key" not in shown
    secret = (folder / "new").read_text()
    assert re.fullmatch(r"[0-9A-Za-z]{40}\n", secret)
    assert secret.strip() not in result.stdout + result.stderr
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize(("place", "code"), [("taken", 5), ("none/secret", 1)])
def test_no_key_is_ended_for_a_secret_that_cannot_be_kept(run: Run, folder: Path, place: str, code: int) -> None:
    (folder / "taken").write_text("mine")
    access_key_id = created(run)
    before = listed(run)
    result = run("keys", "roll", access_key_id, "--overlap", "0", "--secret-file", place)
    assert result.exit_code == code, result.stderr
    assert listed(run) == before
    assert (folder / "taken").read_text() == "mine"


def test_a_refused_roll_leaves_no_secret_file(run: Run, folder: Path) -> None:
    assert run("keys", "roll", "NQAKnobody", "--secret-file", "new").exit_code == 4
    assert not (folder / "new").exists()


# ---- update ----


def test_only_what_is_named_is_changed(run: Run) -> None:
    access_key_id = created(run, "--bucket", "photos", "--expires", "1h")
    before = got(run, access_key_id)
    after = done(run, "update", access_key_id, "--label", "other")
    assert after == {**before, "label": "other", "version": 2}
    after = done(run, "update", access_key_id, "--expires", "2030-01-31")
    assert after == {**before, "label": "other", "expires_at": "2030-01-31T00:00:00Z", "version": 3}
    after = done(run, "update", access_key_id, "--expires", "never")
    assert after == {**before, "label": "other", "expires_at": None, "version": 4}
    assert got(run, access_key_id) == after


def test_an_expiry_is_exact_to_the_second(run: Run) -> None:
    access_key_id = created(run)
    ends = datetime.fromtimestamp(int(time.time()) + 90, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert done(run, "update", access_key_id, "--expires", ends)["expires_at"] == ends


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--label", ""],
        ["--expires", "2020-01-01"],
        ["--expires", "0s"],
        ["--expires", "soon"],
        ["--rights", "read_only"],
        ["--prefix", "team"],
        ["--all-buckets", "--bucket", "photos"],
        ["--all-buckets", "--prefix", "team"],
        ["--bucket", "Not_A_Bucket"],
        ["--bucket", "admin"],
    ],
)
def test_an_edit_that_is_not_valid_changes_nothing(run: Run, words: list[str]) -> None:
    access_key_id = created(run, "--bucket", "photos")
    before = got(run, access_key_id)
    assert run("keys", "update", access_key_id, *words).exit_code == 2
    assert got(run, access_key_id) == before


def test_a_scope_is_given_whole_with_the_options_of_create(run: Run) -> None:
    access_key_id = created(run, "--all-buckets", "--expires", "1h")
    before = got(run, access_key_id)
    words = ["--bucket", "photos", "--bucket", "films", "--rights", "read_only", "--prefix", "team"]
    after = done(run, "update", access_key_id, *words)
    grants = [{"name": name, "rights": "read_only", "prefix": "team/"} for name in ("photos", "films")]
    assert after["scope"] == {"type": "buckets", "buckets": grants}
    assert after["buckets"] == ["photos", "films"]
    assert (after["label"], after["expires_at"]) == (before["label"], before["expires_at"])
    assert done(run, "update", access_key_id, "--all-buckets")["scope"] == {"type": "all", "rights": "full"}


def test_a_revoked_key_is_relabelled_but_not_extended(run: Run) -> None:
    access_key_id = created(run)
    run("keys", "revoke", access_key_id, "--yes")
    assert done(run, "update", access_key_id, "--label", "gone")["label"] == "gone"
    for words in (["--expires", "never"], ["--all-buckets"], ["--label", "x", "--expires", "1h"]):
        result = run("keys", "update", access_key_id, *words)
        assert result.exit_code == 5
        assert "revoked" in result.stderr
    assert got(run, access_key_id)["label"] == "gone"


def test_a_label_that_another_key_has_is_set_with_a_warning(run: Run) -> None:
    created(run)
    access_key_id = done(run, "create", "--label", "other", "--all-buckets")["access_key_id"]
    assert "Note" not in run("keys", "update", access_key_id, "--label", "other").stderr
    result = run("keys", "update", access_key_id, "--label", "app")
    assert result.exit_code == 0
    assert "labelled 'app' too" in result.stderr


def test_a_lost_bucket_stays_lost_until_it_is_named_again(run: Run) -> None:
    run("accounts", "create", "team")
    access_key_id = created(run, "--bucket", "photos", "--bucket", "films")
    run("buckets", "assign", "photos", "--account", "team")
    run("buckets", "assign", "photos", "--account", "default", "--yes")
    assert got(run, access_key_id)["unreachable_buckets"] == {"photos": "other"}
    assert done(run, "update", access_key_id, "--label", "x")["unreachable_buckets"] == {"photos": "other"}
    rolled = run("keys", "roll", access_key_id, "--json")
    assert json.loads(rolled.stdout)["unreachable_buckets"] == {"photos": "other"}
    assert "photos" in rolled.stderr
    named = run("keys", "update", access_key_id, "--bucket", "photos", "--json")
    assert json.loads(named.stdout)["unreachable_buckets"] == {}
    assert "photos any more; it is granted anew" in named.stderr


# ---- all of them ----


@pytest.mark.parametrize("words", [["restore"], ["roll"], ["update", "--label", "x"]])
def test_an_unknown_key_is_exit_4(run: Run, words: list[str]) -> None:
    assert run("keys", words[0], "NQAK0000000000000000", *words[1:]).exit_code == 4


@pytest.mark.parametrize("words", [["restore"], ["update", "--label", "other"]])
def test_for_people_it_is_one_sentence_on_stderr(run: Run, words: list[str]) -> None:
    access_key_id = created(run)
    if words == ["restore"]:
        run("keys", "revoke", access_key_id, "--yes")
    result = run("keys", words[0], access_key_id, *words[1:])
    assert (result.exit_code, result.stdout) == (0, "")
    assert access_key_id in result.stderr


def test_the_secret_of_a_successor_is_shown_by_the_roll_only(run: Run) -> None:
    rolled = done(run, "roll", created(run))
    for words in (["list"], ["get", rolled["access_key_id"]], ["update", rolled["access_key_id"], "--label", "x"]):
        result = run("keys", *words, "--json")
        assert rolled["access_key_id"] in result.stdout
        assert rolled["secret_access_key"] not in result.stdout + result.stderr


def test_an_update_says_who_confirmed_it(run: Run) -> None:
    result = run("keys", "update", created(run), "--label", "x", "--json")
    assert json.loads(result.stdout).keys() >= CONFIRMATION


@pytest.mark.parametrize("words", [["roll", "--overlap", "0"], ["update", "--all-buckets"]])
def test_what_no_gateway_confirmed_is_exit_7_and_the_secret_is_shown_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    unproven = Confirmation(1, 0, 1, (), 0, 0, (), 5000)
    access_key_id = created(run)
    monkeypatch.setattr("keystore.local_keystore.confirm", lambda *_, **__: unproven)
    result = run("keys", words[0], access_key_id, *words[1:], "--json")
    assert result.exit_code == 7
    assert "not proven" in result.stderr
    shown = json.loads(result.stdout)
    assert ("secret_access_key" in shown) is (words[0] == "roll")


def test_a_board_that_cannot_be_used_loses_no_secret(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable(*_: object, **__: object) -> None:
        raise KeystoreUnavailable("the board cannot be used")

    access_key_id = created(run)
    monkeypatch.setattr("keystore.local_keystore.confirm", unusable)
    result = run("keys", "roll", access_key_id, "--overlap", "0", "--secret-file", "new")
    assert result.exit_code == 7
    assert re.fullmatch(r"[0-9A-Za-z]{40}\n", (folder / "new").read_text())


# ---- revoking what replaced it too ----


def rolled_twice(run: Run) -> list[str]:
    first = created(run)
    second = str(done(run, "roll", first)["access_key_id"])
    return [first, second, str(done(run, "roll", second)["access_key_id"])]


def test_a_revoke_leaves_what_replaced_the_key_and_says_so(run: Run) -> None:
    first, second, third = rolled_twice(run)
    said = run("keys", "revoke", first, "--yes").stderr
    assert f"{second} replaced it and stays active" in said
    assert [got(run, one)["status"] for one in (first, second, third)] == ["revoked", "active", "active"]


def test_a_cascade_revokes_all_that_replaced_it_and_each_is_confirmed(run: Run) -> None:
    first, second, third = rolled_twice(run)
    result = run("keys", "revoke", first, "--cascade", "--reason", "compromised", "--yes", "--json")
    told = json.loads(result.stdout)
    assert [one["access_key_id"] for one in told["cascaded"]] == [second, third]
    assert all(set(one) == {"access_key_id", *CONFIRMATION} for one in told["cascaded"])
    for one in (first, second, third):
        assert (got(run, one)["status"], got(run, one)["revoked_reason"]) == ("revoked", "compromised")


def test_a_cascade_leaves_what_was_revoked_before_as_it_is_and_ends_where_a_key_is_gone(run: Run) -> None:
    first, second, third = rolled_twice(run)
    done(run, "revoke", second, "--yes", "--reason", "unused")
    run("keys", "delete", third, "--yes")
    told = json.loads(run("keys", "revoke", first, "--cascade", "--yes", "--json").stdout)
    assert told["cascaded"] == []
    assert got(run, second)["revoked_reason"] == "unused"


def test_a_key_is_drained_unless_it_is_compromised(run: Run) -> None:
    access_key_id = created(run)
    refused = run("keys", "revoke", access_key_id, "--drain", "--reason", "compromised", "--yes")
    assert (refused.exit_code, got(run, access_key_id)["status"]) == (2, "active")
    assert "without --drain" in refused.stderr
    said = run("keys", "revoke", access_key_id, "--drain", "--yes").stderr
    assert "what was running may finish" in said
    assert got(run, access_key_id)["status"] == "revoked"


def test_what_drains_is_not_aborted(run: Run) -> None:
    access_key_id = created(run)
    assert run("keys", "revoke", access_key_id, "--drain", "--abort-uploads", "--yes").exit_code == 2
    assert got(run, access_key_id)["status"] == "active"


def test_a_cascade_asks_with_every_id(run: Run) -> None:
    first, second, third = rolled_twice(run)
    refused = run("keys", "revoke", first, "--cascade")
    assert refused.exit_code == 2
    assert [got(run, one)["status"] for one in (first, second, third)] == ["active", "active", "active"]


def test_no_key_is_extended_or_rolled_beyond_the_setting(run: Run, folder: Path, pass_time: PassTime) -> None:
    forever, ends = created(run), created(run, "--all-buckets", "--expires", "30d")
    config = folder / "gateway.toml"
    config.write_text(config.read_text() + '[keys]\nmax_lifetime = "30d"\n')
    pass_time(86_400)
    for words in (
        ("update", ends, "--expires", "never"),
        ("update", ends, "--expires", "30d"),
        ("update", forever, "--expires", "30d"),
        ("roll", forever),
    ):
        result = run("keys", *words)
        assert result.exit_code == 2
        assert "keys.max_lifetime" in result.stderr
    assert len(json.loads(run("keys", "list", "--json").stdout)) == 2
    assert done(run, "update", forever, "--label", "old")["expires_at"] is None
    assert done(run, "update", forever, "--expires", "28d")["expires_at"] is not None
    until = got(run, ends)["expires_at"]
    assert done(run, "roll", ends)["expires_at"] == until

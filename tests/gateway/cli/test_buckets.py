"""`nqgate buckets`, and what the other commands say of whose a bucket is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.support.recording_upstream import RecordingUpstream, canned, ok

Run = Callable[..., Result]
LISTED = (
    b"<ListAllMyBucketsResult><Buckets>"
    b"<Bucket><Name>films</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket>"
    b"<Bucket><Name>photos</Name><CreationDate>2026-01-02T03:04:06.000Z</CreationDate></Bucket>"
    b"</Buckets></ListAllMyBucketsResult>"
)


@pytest.fixture(autouse=True)
def tenant(run: Run) -> None:
    assert run("accounts", "create", "tenant").exit_code == 0


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    result = run("buckets", "list", "--json", *words)
    assert result.exit_code == 0
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_a_bucket_is_given_to_an_account(run: Run) -> None:
    result = run("buckets", "assign", "photos", "--account", "tenant", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["account"] == "tenant"
    assert [(one["name"], one["account"], one["status"]) for one in listed(run)] == [("photos", "tenant", "active")]
    assert listed(run, "--account", "default") == []


def test_the_stores_own_buckets_are_listed_with_their_owner(run: Run, folder: Path) -> None:
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    with RecordingUpstream(canned(ok(LISTED))) as upstream:
        config = folder / "gateway.toml"
        config.write_text(config.read_text().replace("http://127.0.0.1:1", upstream.endpoint))
        assert [(one["name"], one["account"], one["created"]) for one in listed(run)] == [
            ("films", "default", "2026-01-02T03:04:05.000Z"),
            ("photos", "tenant", "2026-01-02T03:04:06.000Z"),
        ]
        assert run("buckets", "list").stdout.splitlines()[0].split("\t")[:3] == ["films", "default", "Active"]


def test_a_store_that_does_not_answer_is_said_and_the_claims_are_shown(run: Run) -> None:
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    result = run("buckets", "list")
    assert result.exit_code == 0
    assert "did not list its buckets" in result.stderr
    assert result.stdout.startswith("photos\ttenant")


def test_a_bucket_is_not_taken_from_an_account_unasked(run: Run) -> None:
    assert run("accounts", "create", "other").exit_code == 0
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    result = run("buckets", "assign", "photos", "--account", "other")
    assert result.exit_code == 2
    assert "from the account tenant" in result.stderr
    assert listed(run)[0]["account"] == "tenant"
    assert run("buckets", "assign", "photos", "--account", "other", "--yes").exit_code == 0
    assert listed(run)[0]["account"] == "other"


@pytest.mark.parametrize(("bucket", "account", "code"), [("photos", "nobody", 4), ("Not_A_Bucket", "tenant", 2)])
def test_what_cannot_be_assigned_is_said(run: Run, bucket: str, account: str, code: int) -> None:
    assert run("buckets", "assign", bucket, "--account", account).exit_code == code


def created(run: Run, account: str, *words: str) -> tuple[str, Result]:
    result = run("keys", "create", "--label", "app", "--account", account, "--json", *(words or ("--bucket", "photos")))
    assert result.exit_code == 0
    return json.loads(result.stdout)["access_key_id"], result


def unreachable(run: Run, access_key_id: str) -> Any:
    return json.loads(run("keys", "get", access_key_id, "--json").stdout)["unreachable_buckets"]


def test_a_key_for_a_bucket_of_another_account_is_made_and_said_to_reach_nothing_yet(run: Run) -> None:
    access_key_id, result = created(run, "tenant")
    assert "does not belong to the account tenant" in result.stderr
    assert unreachable(run, access_key_id) == {"photos": "other"}
    assert "photos (of another account)" in run("keys", "list").stdout
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    assert unreachable(run, access_key_id) == {}


def test_a_bucket_that_went_to_another_account_and_came_back_opens_nothing_to_old_keys(run: Run) -> None:
    access_key_id, _ = created(run, "default")
    everything, _ = created(run, "default", "--all-buckets")
    ask = ("keys", "test", access_key_id, "GetObject", "photos/a")
    assert run(*ask).exit_code == 0
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    assert "does not belong to the account default" in run(*ask).stdout
    assert run("buckets", "assign", "photos", "--account", "default", "--yes").exit_code == 0
    assert "granted for another bucket" in run(*ask).stdout
    assert run("keys", "test", everything, "GetObject", "photos/a").exit_code == 0
    assert run("keys", "test", created(run, "default")[0], "GetObject", "photos/a").exit_code == 0


def test_who_may_make_a_bucket_is_told_by_whose_its_name_is(run: Run) -> None:
    everything, _ = created(run, "default", "--all-buckets")
    ask = ("keys", "test", everything, "CreateBucket", "photos")
    assert run(*ask).exit_code == 0
    assert run("buckets", "assign", "photos", "--account", "tenant").exit_code == 0
    assert "belongs to the account tenant" in run(*ask).stdout


def test_an_account_may_bring_a_credential_of_its_own(run: Run, folder: Path) -> None:
    (folder / "secret").write_text("its-secret\n")
    words = ("accounts", "upstream", "tenant", "--access-key-id", "ITSKEY", "--secret-file", "secret")
    assert run(*words).exit_code == 0
    found = {one["name"]: one["upstream_access_key_id"] for one in json.loads(run("accounts", "list", "--json").stdout)}
    assert found == {"default": None, "tenant": "ITSKEY"}
    assert b"its-secret" not in (folder / "keys.db").read_bytes()
    assert (
        run("accounts", "upstream", "tenant", "--access-key-id", "K", "--secret-file", "-", stdin="s\n").exit_code == 0
    )
    assert run("accounts", "upstream", "tenant", "--clear").exit_code == 0
    assert "ITSKEY" not in run("accounts", "list").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--access-key-id", "K"), 2),
        (("--secret-file", "secret"), 2),
        (("--clear", "--access-key-id", "K", "--secret-file", "secret"), 2),
        (("--access-key-id", "K/", "--secret-file", "secret"), 2),
        (("--access-key-id", "K", "--secret-file", "empty"), 2),
        (("--access-key-id", "K", "--secret-file", "missing"), 1),
    ],
)
def test_half_a_credential_is_refused(run: Run, folder: Path, words: tuple[str, ...], code: int) -> None:
    (folder / "secret").write_text("s")
    (folder / "empty").write_text("\n")
    assert run("accounts", "upstream", "tenant", *words).exit_code == code
    assert json.loads(run("accounts", "list", "--json").stdout)[1]["upstream_access_key_id"] is None


def test_an_unknown_account_brings_nothing(run: Run, folder: Path) -> None:
    (folder / "secret").write_text("s")
    words = ("accounts", "upstream", "nobody", "--access-key-id", "K", "--secret-file", "secret")
    assert run(*words).exit_code == 4

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.refusals import Refusal
from keystore.refused import Refused, write_refused

Run = Callable[..., Result]

NOW = 1_700_000_000
CANONICAL = "GET\n/photos/a%2520b\n\nhost:gw.example\n\nhost\nUNSIGNED-PAYLOAD"
MISMATCH = Refusal(
    "0123456789ABCDEF", NOW + 0.25, "SignatureDoesNotMatch", "signature", "bad signature for NQAKone", "NQAKone",
    "default", "", "GET", "/photos/a%2520b", "10.0.0.1", CANONICAL,
)  # fmt: skip


@pytest.fixture(autouse=True)
def kept(folder: Path, run: Run) -> None:
    run("accounts", "list")
    told = Refused(MISMATCH.request_id, NOW, "default", json.dumps(MISMATCH._asdict()))
    write_refused(folder / "keys.db", [told], NOW)


def test_people_are_told_the_step_the_request_and_the_usual_causes(run: Run) -> None:
    result = run("explain", " 0123456789abcdef ")
    assert result.exit_code == 0
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert rows == {
        "Refused": "SignatureDoesNotMatch, by the signature: bad signature for NQAKone",
        "Request": "GET /photos/a%2520b",
        "At": "2023-11-14T22:13:20.250+00:00",
        "From": "10.0.0.1",
        "Access key": "NQAKone",
        "Account": "default",
    }
    assert "encoded twice" in result.stderr
    assert "asked for gw.example" in result.stderr
    assert "    /photos/a%2520b" in result.stderr


def test_scripts_get_all_of_it(run: Run) -> None:
    assert json.loads(run("explain", "0123456789ABCDEF", "--json").stdout) == MISMATCH.json()


def test_an_id_of_which_nothing_is_known_is_exit_4(run: Run) -> None:
    result = run("explain", "F" * 16)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "7 days" in result.stderr


def test_what_a_client_wrote_cannot_move_the_cursor(run: Run, folder: Path) -> None:
    sly = MISMATCH._replace(request_id="1" * 16, target="/\x1b[2J", canonical="GET\n/\x1b[2J\u202e", bucket="\x07")
    write_refused(folder / "keys.db", [Refused("1" * 16, NOW, "", json.dumps(sly._asdict()))], NOW)
    result = run("explain", "1" * 16)
    assert not {"\x1b", "\u202e", "\x07"} & set(result.stdout + result.stderr)


def test_without_an_id_the_last_refusals_are_listed_the_newest_last(run: Run, folder: Path) -> None:
    later = MISMATCH._replace(request_id="2" * 16, at=NOW + 60, account="acme", code="AccessDenied", target="/\x1b[2J")
    write_refused(folder / "keys.db", [Refused("2" * 16, NOW + 60, "acme", json.dumps(later._asdict()))], NOW)
    result = run("explain")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [MISMATCH.request_id, "2" * 16]
    assert lines[0][1:5] == ["2023-11-14T22:13:20Z", "NQAKone", "SignatureDoesNotMatch", "GET /photos/a%2520b"]
    assert "\x1b" not in result.stdout
    assert [one["request_id"] for one in json.loads(run("explain", "--account", "acme", "--json").stdout)] == ["2" * 16]
    assert len(run("explain", "--limit", "1").stdout.splitlines()) == 1

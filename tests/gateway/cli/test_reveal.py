import json
import os
import stat
from pathlib import Path

import pytest
import typer

from gateway.cli.output import Exit
from gateway.cli.reveal import Reveal
from keystore.sealing import Secret

SECRET = "s" * 40
SHOWN = {"access_key_id": "NQAKone", "label": "app"}


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_file_the_secret_is_on_stdout_only(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    with Reveal(None) as reveal:
        reveal.show(dict(SHOWN), Secret(SECRET), json=as_json)
    told = capsys.readouterr()
    assert told.out.count(SECRET) == 1
    assert SECRET not in told.err
    if as_json:
        assert json.loads(told.out) == {**SHOWN, "secret_access_key": SECRET}


@pytest.mark.parametrize("as_json", [True, False])
def test_with_a_file_it_is_there_only_and_for_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    path = tmp_path / "secret"
    with Reveal(path) as reveal:
        reveal.show(dict(SHOWN), Secret(SECRET), json=as_json)
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    assert str(path) in told.out
    assert path.read_text() == SECRET + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_there_before_any_secret_is_and_goes_if_none_came(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with Reveal(path):
        assert path.exists()
    assert not path.exists()


def test_what_fails_after_the_secret_was_written_does_not_take_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(value: object) -> None:
        raise BrokenPipeError

    path = tmp_path / "secret"
    monkeypatch.setattr("gateway.cli.reveal.show_json", broken)
    with pytest.raises(BrokenPipeError), Reveal(path) as reveal:
        reveal.show(dict(SHOWN), Secret(SECRET), json=True)
    assert path.read_text() == SECRET + "\n"


def test_a_file_that_is_there_is_a_conflict_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(typer.Exit) as ended, Reveal(taken):
            raise AssertionError("nothing may be done")
        assert ended.value.exit_code == Exit.CONFLICT
    assert path.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_none_is_said_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Reveal(tmp_path / "none" / "secret"):
        raise AssertionError("nothing may be done")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        with Reveal(tmp_path / f"secret-{number}") as reveal:
            reveal.show(dict(SHOWN), Secret(SECRET), json=True)
    assert len(os.listdir("/proc/self/fd")) == before

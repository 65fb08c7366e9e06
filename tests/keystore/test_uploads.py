"""Unfinished uploads: who began them, in whatever order it is told, bounded, lost without harm."""

import itertools
from pathlib import Path

import pytest

from keystore import uploads as uploads_module
from keystore.errors import KeystoreUnavailable
from keystore.uploads import (
    KEPT,
    TOLD_WITHIN,
    Note,
    Unfinished,
    Upload,
    forget_uploads,
    merged,
    read_uploads,
    write_uploads,
)
from keystore.usage import Used, read_usage, usage_path, write_usage

NOW = 1_700_000_000
ONE, TWO = Upload("photos", b"a\xff\x00/'b", b"id-1"), Upload("photos", b"a", b"id-2")
BEGUN = Note("NQAKone", NOW)
COMPLETING, FAILED, ENDED = Note(completing_at=NOW + 5), Note(), Note(ended=True)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


def test_before_anything_was_begun_there_is_nothing(database: Path) -> None:
    assert read_uploads(database, ["NQAKone"]) == []
    forget_uploads(database, "NQAKone")
    assert not usage_path(database).exists()
    write_usage(database, {"NQAKone": Used(NOW, "GetObject", "b", "s", "r", "u")}, {})
    assert read_uploads(database, ["NQAKone"]) == []
    forget_uploads(database, "NQAKone")


def test_what_was_begun_is_read_by_its_key_whatever_bytes_name_it(database: Path) -> None:
    write_uploads(database, {ONE: BEGUN, TWO: Note("NQAKtwo", NOW + 1)}, NOW)
    assert read_uploads(database, ["NQAKone"]) == [Unfinished(ONE, "NQAKone", NOW, 0)]
    both = read_uploads(database, ["NQAKone", "NQAKtwo", "NQAKthree"])
    assert [one.upload for one in both] == [ONE, TWO]
    assert usage_path(database).stat().st_mode & 0o777 == 0o600


def test_it_is_completed_in_vain_and_then_ends(database: Path) -> None:
    for note, left in ((BEGUN, [0]), (COMPLETING, [NOW + 5]), (FAILED, [0]), (ENDED, [])):
        write_uploads(database, {ONE: note}, NOW)
        assert [one.completing_at for one in read_uploads(database, ["NQAKone"])] == left


@pytest.mark.parametrize("told", [*itertools.permutations([BEGUN, COMPLETING, ENDED])])
def test_in_whatever_order_several_processes_write_it_what_ended_is_no_ones(
    database: Path, told: tuple[Note, ...]
) -> None:
    for note in told:
        write_uploads(database, {ONE: note}, NOW)
    assert read_uploads(database, ["NQAKone", ""]) == [Unfinished(ONE, "", NOW, -1)]
    write_uploads(database, {TWO: BEGUN}, NOW + TOLD_WITHIN + 1)
    assert read_uploads(database, [""]) == []


def test_that_it_is_being_completed_stands_also_when_its_beginning_is_written_last(database: Path) -> None:
    write_uploads(database, {ONE: COMPLETING}, NOW)
    write_uploads(database, {ONE: BEGUN}, NOW)
    assert read_uploads(database, ["NQAKone"]) == [Unfinished(ONE, "NQAKone", NOW, NOW + 5)]


@pytest.mark.parametrize(
    ("known", "later", "expected"),
    [
        (BEGUN, COMPLETING, Note("NQAKone", NOW, NOW + 5)),
        (COMPLETING, BEGUN, Note("NQAKone", NOW, NOW + 5)),
        (Note("NQAKone", NOW, NOW + 5), FAILED, BEGUN),
        (BEGUN, ENDED, None),
        (COMPLETING, ENDED, ENDED),
        (ENDED, BEGUN, ENDED),
        (ENDED, COMPLETING, ENDED),
    ],
)
def test_two_notes_are_one(known: Note, later: Note, expected: Note | None) -> None:
    assert merged(known, later) == expected


def test_what_is_old_goes_and_so_does_what_is_too_many(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_uploads(database, {ONE: BEGUN}, NOW)
    write_uploads(database, {TWO: Note("NQAKtwo", NOW + KEPT)}, NOW + KEPT)
    assert read_uploads(database, ["NQAKone"]) != []
    write_uploads(database, {TWO: Note("NQAKtwo", NOW + KEPT)}, NOW + KEPT + 1)
    assert read_uploads(database, ["NQAKone"]) == []
    monkeypatch.setattr(uploads_module, "MAX_KEPT", 3)
    for number in range(9):
        write_uploads(database, {Upload("b", b"k", b"%d" % number): Note("NQAKone", NOW + KEPT + number)}, NOW + KEPT)
    assert [one.upload.upload_id for one in read_uploads(database, ["NQAKone"])][-3:] == [b"6", b"7", b"8"]
    assert len(read_uploads(database, ["NQAKone", "NQAKtwo"])) <= 4


def test_a_deleted_key_leaves_no_upload(database: Path) -> None:
    write_uploads(database, {ONE: BEGUN, TWO: Note("NQAKtwo", NOW)}, NOW)
    forget_uploads(database, "NQAKone")
    assert [one.access_key_id for one in read_uploads(database, ["NQAKone", "NQAKtwo"])] == ["NQAKtwo"]


def test_dates_of_use_lie_beside_them(database: Path) -> None:
    used = Used(NOW, "GetObject", "b", "s", "r", "u")
    write_uploads(database, {ONE: BEGUN}, NOW)
    assert read_usage(database) == {}
    write_usage(database, {"NQAKone": used}, {})
    assert read_usage(database)["NQAKone"].used == used
    assert len(read_uploads(database, ["NQAKone"])) == 1


def test_a_file_that_is_something_else_is_said(database: Path) -> None:
    usage_path(database).write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(KeystoreUnavailable):
        read_uploads(database, ["NQAKone"])
    with pytest.raises(KeystoreUnavailable):
        write_uploads(database, {ONE: BEGUN}, NOW)

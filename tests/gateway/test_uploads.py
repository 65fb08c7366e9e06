"""What is noted of multipart uploads between two writings."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway import uploads
from gateway.uploads import MAX_UPLOAD_ID, UploadNotes, keep_uploads_written, write_uploads_out
from keystore.uploads import Note, Upload, read_uploads
from keystore.usage import usage_path
from tests.support.admitted import admit

NOW = 1_700_000_000
KEY = "NQAK0123456789abcdef"
BEGIN = admit("POST", "/photos/a%20b?uploads")
COMPLETE = admit("POST", "/photos/a%20b?uploadId=i%2F1")
ABORT = admit("DELETE", "/photos/a%20b?uploadId=i%2F1")
UPLOAD = Upload("photos", b"a b", b"i/1")


def begun() -> UploadNotes:
    notes = UploadNotes()
    notes.begun(BEGIN, b"i/1", NOW + 0.9)
    return notes


def test_who_began_what_and_when_is_taken_once() -> None:
    notes = begun()
    assert notes.take() == {UPLOAD: Note(KEY, NOW)}
    assert notes.take() == {}


def test_what_began_and_ended_between_two_writings_is_not_written_at_all() -> None:
    notes = begun()
    notes.completing(COMPLETE, NOW)
    notes.answered(COMPLETE, ended=True)
    assert notes.take() == {}


def test_an_end_of_what_began_before_and_an_attempt_in_vain_are() -> None:
    notes = UploadNotes()
    notes.answered(ABORT, ended=True)
    assert notes.take() == {UPLOAD: Note(ended=True)}
    notes.completing(COMPLETE, NOW)
    assert notes.take() == {UPLOAD: Note(completing_at=NOW)}
    notes.answered(COMPLETE, ended=False)
    assert notes.take() == {UPLOAD: Note()}


def test_what_could_not_be_written_is_older_than_what_came_since() -> None:
    notes = begun()
    taken = notes.take()
    notes.completing(COMPLETE, NOW)
    notes.give_back(taken)
    assert notes.take() == {UPLOAD: Note(KEY, NOW, NOW)}


def test_what_is_noted_is_bounded_in_number_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_NOTED", 3)
    notes = UploadNotes()
    for number in range(9):
        notes.begun(BEGIN, b"%d" % number, NOW)
    assert [upload.upload_id for upload in notes.take()] == [b"6", b"7", b"8"]
    for strange in (b"", b"x" * (MAX_UPLOAD_ID + 1)):
        notes.begun(BEGIN, strange, NOW)
    notes.completing(admit("POST", "/photos/k?uploadId=" + "x" * (MAX_UPLOAD_ID + 1)), NOW)
    assert notes.take() == {}


async def test_it_is_written_soon_and_nothing_without_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PERIOD", 0.01)
    database, notes = tmp_path / "keystore.db", UploadNotes()
    writing = asyncio.create_task(keep_uploads_written(notes, database))
    await asyncio.sleep(0.05)
    assert not usage_path(database).exists()
    monkeypatch.setattr(uploads.time, "time", lambda: NOW)
    notes.begun(BEGIN, b"i/1", NOW)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if read_uploads(database, [KEY]):
            break
    writing.cancel()
    assert [one.upload for one in read_uploads(database, [KEY])] == [UPLOAD]


async def test_what_cannot_be_written_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uploads, "PERIOD", 0.01)
    monkeypatch.setattr(uploads.time, "time", lambda: NOW)
    folder, notes = tmp_path / "missing", begun()
    with caplog.at_level(logging.WARNING):
        writing = asyncio.create_task(keep_uploads_written(notes, folder / "keystore.db"))
        while "was not written" not in caplog.text and "were not written" not in caplog.text:
            await asyncio.sleep(0.01)
    folder.mkdir()
    for _ in range(500):
        await asyncio.sleep(0.01)
        if read_uploads(folder / "keystore.db", [KEY]):
            break
    writing.cancel()
    assert [one.upload for one in read_uploads(folder / "keystore.db", [KEY])] == [UPLOAD]


def test_at_the_end_what_is_left_is_written_and_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads.time, "time", lambda: NOW)
    write_uploads_out(begun(), tmp_path / "missing" / "keystore.db")
    write_uploads_out(begun(), tmp_path / "keystore.db")
    assert len(read_uploads(tmp_path / "keystore.db", [KEY])) == 1

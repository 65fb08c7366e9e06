"""Slots that are believed only while their owner lives, stopped or not."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystore import board as board_module
from keystore.board import (
    IDENTITY_PERIOD,
    MAX_KEKS,
    MAX_NAMED,
    NOTHING_CUT,
    RING,
    SLOTS,
    Cut,
    Identity,
    Seat,
    Watcher,
    board_path,
)
from keystore.errors import KeystoreUnavailable

FILES = Identity(1, 2, 3, 4)
SITTING = """
import sys, time
from pathlib import Path
from keystore.board import Identity, Seat
seat = Seat(Path(sys.argv[1]), Identity(1, 2, 3, 4), int(sys.argv[2]))
print("sitting", flush=True)
time.sleep(60)
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


@contextlib.contextmanager
def elsewhere(database: Path, applied: int = 5) -> Iterator[subprocess.Popen[str]]:
    """A gateway's process, as far as the board is concerned."""
    with subprocess.Popen(
        [sys.executable, "-c", SITTING, str(database), str(applied)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "sitting\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def watcher(database: Path) -> Iterator[Watcher]:
    opened = Watcher(database)
    yield opened
    opened.close()


def test_a_gateway_is_seen_with_its_files_and_how_far_it_has_read(database: Path, watcher: Watcher) -> None:
    assert watcher.made
    assert watcher.taken() == []
    with elsewhere(database) as process:
        [slot] = watcher.taken()
        seen = watcher.read(slot)
        assert seen is not None
        assert (seen.pid, seen.identity, seen.applied, seen.cuts, seen.in_store) == (process.pid, FILES, 5, {}, [])


def test_the_board_is_for_its_owner_only(database: Path, watcher: Watcher) -> None:
    assert board_path(database).stat().st_mode & 0o777 == 0o600
    assert not Watcher(database).made


def test_a_stopped_gateway_is_alive_and_a_dead_one_is_not(database: Path, watcher: Watcher) -> None:
    with elsewhere(database) as process:
        [slot] = watcher.taken()
        os.kill(process.pid, signal.SIGSTOP)
        assert watcher.alive(slot)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not watcher.alive(slot)
        assert watcher.taken() == []


def test_two_gateways_have_two_slots_and_a_free_one_is_taken_again(database: Path, watcher: Watcher) -> None:
    with elsewhere(database) as first:
        with elsewhere(database, 9):
            assert watcher.taken() == [0, 1]
        first.kill()
        first.wait()
        with elsewhere(database, 11):
            assert watcher.taken() == [0]
            seen = watcher.read(0)
            assert seen is not None
            assert seen.applied == 11


def test_closing_another_descriptor_does_not_give_the_slot_away(database: Path, watcher: Watcher) -> None:
    seat = Seat(database, FILES, 1)
    Watcher(database).close()
    with board_path(database).open("rb") as board:
        board.read(1)
    assert watcher.taken() == [0]
    seat.leave()
    assert watcher.taken() == []


def test_what_is_applied_and_cut_is_read_back(database: Path, watcher: Watcher) -> None:
    seat = Seat(database, FILES, 1)
    seat.tell(7, 3, ["PutObject b/k", "DeleteObject b/ü"])
    seat.tell(8, 0, ["CopyObject b/c"])
    seat.applied(8)
    seat.settled(7, "PutObject b/k")
    seen = watcher.read(0)
    assert seen is not None
    assert seen.applied == 8
    assert seen.cuts == {7: Cut(3, 2, 1), 8: Cut(0, 1, 0)}
    assert seen.in_store == [(7, "DeleteObject b/ü"), (8, "CopyObject b/c")]
    seat.settled(7, "never told of")
    seat.settled(99, "nor this change")
    seat.leave()


def test_the_keks_that_are_loaded_are_shown_and_touch_nothing_beside_them(database: Path, watcher: Watcher) -> None:
    seat = Seat(database, FILES, 1)
    seat.tell(7, 3, ["PutObject b/k"])
    seat.tell(RING - 1, 1, ["GetObject b/k"])
    before = watcher.read(0)
    assert before is not None
    assert before.keks == ()
    keks = tuple(f"{number:016x}" for number in range(MAX_KEKS))
    seat.loaded(("0" * 16, *keks))
    assert watcher.read(0) == before._replace(keks=keks)
    seat.loaded(keks[:1])
    assert watcher.read(0) == before._replace(keks=keks[:1])
    seat.leave()


def test_keks_that_are_being_written_are_none_and_a_new_board_has_them_again(database: Path, watcher: Watcher) -> None:
    seat = Seat(database, FILES, 1)
    seat.loaded(["a" * 16])
    seat._write(board_module._KEKS_AT + board_module._TEXT.size, b"b")
    shown = watcher.read(0)
    assert shown is not None
    assert shown.keks == ()
    board_path(database).unlink()
    time.sleep(IDENTITY_PERIOD)
    seat.tick()
    anew = Watcher(database)
    slot = anew.read(0)
    assert slot is not None
    assert slot.keks == ("a" * 16,)
    anew.close()
    seat.leave()


def test_many_changes_and_long_names_stay_within_the_slot(database: Path, watcher: Watcher) -> None:
    other = Seat(database, FILES, 1)
    seat = Seat(database, FILES, 1)
    for seq in range(1, 3 * RING):
        seat.tell(seq, 1, ["\U0001f511" * 2000])
    seen, beside = watcher.read(1), watcher.read(0)
    assert seen is not None
    assert sorted(seen.cuts) == list(range(2 * RING, 3 * RING))
    assert 1 <= len(seen.in_store) <= MAX_NAMED
    assert seen.in_store[-1][0] == 3 * RING - 1
    assert beside is not None
    assert beside.cuts == {}
    seat.leave()
    other.leave()


def test_a_board_that_was_deleted_is_made_again_by_who_sits_there(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(board_module.time, "monotonic", lambda: now)
    seat = Seat(database, FILES, 1)
    seat.applied(6)
    board_path(database).unlink()
    watcher = Watcher(database)
    seat.tick()
    assert watcher.made
    assert watcher.taken() == []
    now += IDENTITY_PERIOD
    seat.tick()
    seen = watcher.read(0)
    assert watcher.taken() == [0]
    assert seen is not None
    assert seen.applied == 6
    seat.leave()
    watcher.close()


def test_a_board_that_cannot_be_made_again_stops_no_gateway(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(board_module.time, "monotonic", lambda: now)
    seat = Seat(database, FILES, 1)
    board_path(database).unlink()
    board_path(database).symlink_to("nowhere")
    now += IDENTITY_PERIOD
    with pytest.raises(KeystoreUnavailable):
        seat.tick()
    seat.tell(7, 1, [])
    seat.applied(7)
    board_path(database).unlink()
    now += IDENTITY_PERIOD
    seat.tick()
    watcher = Watcher(database)
    seen = watcher.read(0)
    assert seen is not None
    assert seen.applied == 7
    watcher.close()
    seat.leave()


def test_no_more_gateways_than_slots(database: Path) -> None:
    seats = [Seat(database, FILES, 1) for _ in range(SLOTS)]
    with pytest.raises(KeystoreUnavailable, match="have this keystore open already"):
        Seat(database, FILES, 1)
    for seat in seats:
        seat.leave()


def test_a_board_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeystoreUnavailable):
        Seat(tmp_path / "missing" / "keystore.db", FILES, 1)
    board_path(tmp_path / "link.db").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch()
    with pytest.raises(KeystoreUnavailable):
        Watcher(tmp_path / "link.db")


def test_a_text_that_is_being_written_is_not_read(database: Path, watcher: Watcher) -> None:
    seat = Seat(database, FILES, 1)
    seat.tell(7, 0, ["PutObject b/k"])
    seat._file.map[1024 + 12] ^= 1
    seen = watcher.read(0)
    assert seen is not None
    assert seen.in_store == []
    assert seen.cuts == {7: Cut(0, 1, 0)}
    assert Cut(0, 0, 0) == NOTHING_CUT
    seat.leave()

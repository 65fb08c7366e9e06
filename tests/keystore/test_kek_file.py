"""A line more, a line retired, and who notices."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keystore import kek_file as kek_file_module
from keystore.errors import Conflict, KeystoreUnavailable, WrongKek
from keystore.kek_file import KekWatch, add_kek, kek_watched, retire_lines
from keystore.sealing import MAX_KEK_FILE, KekRing, load_kek_ring

ADDING = "import sys; from pathlib import Path; from keystore.kek_file import add_kek; add_kek(Path(sys.argv[1]))"


def ids(ring: KekRing) -> tuple[list[str], list[str]]:
    return [kek.kek_id for kek in ring.keks], [kek.kek_id for kek in ring.retired]


# ---- changing it ----


def test_an_added_kek_is_the_last_line_and_all_that_was_there_stays(kek_file: Path) -> None:
    before = kek_file.read_bytes()
    kek_id = add_kek(kek_file)
    assert kek_file.read_bytes().startswith(before)
    assert load_kek_ring(kek_file).newest.kek_id == kek_id
    assert len(load_kek_ring(kek_file).keks) == 2


def test_a_last_line_without_an_end_is_not_grown(kek_file: Path) -> None:
    kek_file.write_bytes(kek_file.read_bytes().rstrip(b"\n"))
    add_kek(kek_file)
    assert len(load_kek_ring(kek_file).keks) == 2


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_the_file_is_replaced_whole_with_the_mode_it_had(kek_file: Path, mode: int) -> None:
    kek_file.chmod(mode)
    with open(kek_file, "rb") as old:
        add_kek(kek_file)
        assert len(old.read().splitlines()) + 1 == len(kek_file.read_bytes().splitlines())
    assert stat.S_IMODE(kek_file.stat().st_mode) == mode
    assert sorted(path.name for path in kek_file.parent.iterdir()) == ["kek"]


def test_the_file_behind_a_link_is_replaced_and_not_the_link(kek_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(kek_file)
    add_kek(link)
    assert link.is_symlink()
    assert len(load_kek_ring(kek_file).keks) == 2


def test_what_one_that_died_left_behind_is_no_obstacle(kek_file: Path) -> None:
    (kek_file.parent / "kek.new").write_text("half a li")
    add_kek(kek_file)
    assert len(load_kek_ring(kek_file).keks) == 2


def test_no_line_is_lost_when_many_are_added_at_once(kek_file: Path) -> None:
    adding = [subprocess.Popen([sys.executable, "-c", ADDING, str(kek_file)]) for _ in range(6)]
    assert [process.wait(60) for process in adding] == [0] * 6
    assert len(load_kek_ring(kek_file).keks) == 7


def test_a_full_file_and_one_that_is_no_kek_file_stay_as_they_are(kek_file: Path) -> None:
    full = kek_file.read_bytes() + b"#" * (MAX_KEK_FILE - kek_file.stat().st_size - 20) + b"\n"
    kek_file.write_bytes(full)
    with pytest.raises(Conflict, match="longer"):
        add_kek(kek_file)
    assert kek_file.read_bytes() == full
    kek_file.write_bytes(b"something else\n")
    with pytest.raises(KeystoreUnavailable, match="no KEK file"):
        add_kek(kek_file)
    assert kek_file.read_bytes() == b"something else\n"


def test_a_file_that_cannot_be_replaced_says_so_and_stays(kek_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kek_file.read_bytes()

    def busy(*_: object) -> None:
        raise OSError(16, os.strerror(16))

    monkeypatch.setattr(kek_file_module.os, "replace", busy)
    with pytest.raises(KeystoreUnavailable, match="cannot be replaced"):
        add_kek(kek_file)
    assert kek_file.read_bytes() == before
    assert sorted(path.name for path in kek_file.parent.iterdir()) == ["kek"]


def test_older_keks_are_retired_in_their_places_and_only_once(kek_file: Path) -> None:
    first = load_kek_ring(kek_file).newest.kek_id
    second, third = add_kek(kek_file), add_kek(kek_file)
    assert retire_lines(kek_file, second) == (first,)
    assert ids(load_kek_ring(kek_file)) == ([second, third], [first])
    before = kek_file.stat().st_ino, kek_file.read_bytes()
    assert retire_lines(kek_file, second) == ()
    assert (kek_file.stat().st_ino, kek_file.read_bytes()) == before
    assert retire_lines(kek_file, third) == (second,)
    with pytest.raises(WrongKek):
        retire_lines(kek_file, first)


# ---- watching it ----


class Watched:
    """A watch, and what it has said and handed out. `refuse`: what its user raises."""

    def __init__(self, path: Path) -> None:
        self.taken: list[KekRing] = []
        self.warned: list[str] = []
        self.refuse: Exception | None = None
        self.watch = KekWatch(path, load_kek_ring(path), (self._first, self.taken.append), self._warn)

    def _first(self, ring: KekRing) -> None:
        if self.refuse is not None:
            raise self.refuse

    def _warn(self, text: str, *arguments: object) -> None:
        self.warned.append(text % arguments)


@pytest.fixture
def watched(kek_file: Path) -> Watched:
    opened = Watched(kek_file)
    opened.watch.look()
    opened.taken.clear()
    return opened


def test_a_line_more_is_noticed_once(watched: Watched, kek_file: Path) -> None:
    watched.watch.look()
    assert watched.taken == []
    kek_id = add_kek(kek_file)
    watched.watch.look()
    watched.watch.look()
    assert [ring.newest.kek_id for ring in watched.taken] == [kek_id]
    assert watched.warned == []


def test_a_file_that_is_as_it_was_is_not_read(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kek_file_module, "load_kek_ring", lambda _: pytest.fail("read"))
    watched.watch.look()


def test_the_first_look_finds_what_was_added_since_the_ring_was_loaded(kek_file: Path) -> None:
    opened = Watched(kek_file)
    kek_id = add_kek(kek_file)
    opened.watch.look()
    assert opened.taken[0].newest.kek_id == kek_id


def test_a_file_that_cannot_be_used_is_told_once_and_used_when_it_is_mended(watched: Watched, kek_file: Path) -> None:
    kek_id = add_kek(kek_file)
    kek_file.chmod(0o640)
    for _ in range(3):
        watched.watch.look()
    assert watched.taken == []
    [warning] = watched.warned
    assert "chmod 600" in warning
    kek_file.chmod(0o600)  # neither inode, size nor time of modification move
    watched.watch.look()
    assert [ring.newest.kek_id for ring in watched.taken] == [kek_id]


def test_a_missing_and_a_damaged_file_leave_the_ring_and_no_key_in_the_log(watched: Watched, kek_file: Path) -> None:
    text = kek_file.read_bytes()
    kek_file.rename(kek_file.with_name("away"))
    watched.watch.look()
    kek_file.write_bytes(text.replace(b"nqgate-kek-1:", b"nqgate-kek-9:"))
    kek_file.chmod(0o600)
    watched.watch.look()
    assert watched.taken == []
    assert len(watched.warned) == 2
    assert text.splitlines()[-1].partition(b":")[2].decode() not in "".join(watched.warned)


def test_a_kek_that_is_loaded_is_never_given_up_while_running(watched: Watched, kek_file: Path) -> None:
    before = load_kek_ring(kek_file).newest.kek_id
    add_kek(kek_file)
    kek_file.write_bytes(b"".join(kek_file.read_bytes().splitlines(keepends=True)[-1:]))
    watched.watch.look()
    assert watched.taken == []
    assert f"no longer holds key-encryption key {before}" in watched.warned[0]


def test_a_retired_line_is_still_one_that_is_loaded(watched: Watched, kek_file: Path) -> None:
    retire_lines(kek_file, add_kek(kek_file))
    watched.watch.look()
    assert len(watched.taken[0].retired) == 1


def test_a_ring_that_its_user_refuses_reaches_nobody_and_is_offered_again(watched: Watched, kek_file: Path) -> None:
    watched.refuse = WrongKek("not yet")
    add_kek(kek_file)
    watched.watch.look()
    assert watched.taken == []
    assert "not yet" in watched.warned[0]
    watched.refuse = None
    watched.watch.look()
    assert len(watched.taken) == 1


async def test_it_looks_at_once_and_then_all_the_time(kek_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kek_file_module, "LOOK_EVERY", 0.01)
    opened = Watched(kek_file)
    async with kek_watched(opened.watch):
        assert len(opened.taken) == 1
        kek_id = add_kek(kek_file)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if len(opened.taken) > 1:
                break
        assert opened.taken[-1].newest.kek_id == kek_id
    before = len(opened.taken)
    add_kek(kek_file)
    await asyncio.sleep(0.05)
    assert len(opened.taken) == before

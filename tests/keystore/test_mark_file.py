"""The file of a mark by itself. What a crash leaves of it, and what it notices, is asked in test_high_water."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from keystore import mark_file
from keystore.errors import KeystoreUnavailable, MarkUnreadable, WentBack
from keystore.mark import Mark
from keystore.mark_file import MarkFile, raised_while_running, read_mark

MARK = Mark("s" * 32, 1, 7, b"h" * 32, ())


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A mark, whatever it says."""
    (tmp_path / "state").touch()
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path: Path) -> MarkFile:
    (tmp_path / "kek").touch()
    return MarkFile(tmp_path / "kek.state", tmp_path / "kek")


def test_what_was_written_is_read_and_is_its_owners_only(file: MarkFile) -> None:
    assert read_mark(file.path) is None
    with file.locked():
        file.write(MARK)
    assert read_mark(file.path) == MARK
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["kek", "kek.state", "kek.state.lock"]


def test_a_symbolic_link_to_it_stays_one(file: MarkFile, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other" / "mark")
    linked = MarkFile(tmp_path / "link", tmp_path / "kek")
    linked.write(MARK)
    assert (tmp_path / "link").is_symlink()
    assert read_mark(tmp_path / "other" / "mark") == MARK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_stays_the_owners_of_the_file_beside_it(file: MarkFile, tmp_path: Path) -> None:
    os.chown(tmp_path / "kek", 12345, 12346)
    with file.locked():
        file.write(MARK)
    for path in (file.path, Path(f"{file.path}.lock")):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_who_has_the_lock_has_it_alone_and_gives_it_back(file: MarkFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark_file, "PATIENCE", 0.05)
    with file.locked(), pytest.raises(KeystoreUnavailable, match="locked by another process"):  # noqa: SIM117
        with MarkFile(file.path, file.path.with_name("kek")).locked():
            raise AssertionError("both had it")
    with file.locked():
        pass


def test_a_damaged_file_is_said(file: MarkFile) -> None:
    file.path.write_text("{")
    with pytest.raises(MarkUnreadable, match="nqgate keystore adopt"):
        read_mark(file.path)


async def test_a_gateway_does_not_start_when_the_first_meeting_fails_and_meets_once_more_at_its_end(
    there: Path,
) -> None:
    met: list[int] = []

    async def meet() -> None:
        met.append(1)

    async def went_back() -> None:
        raise WentBack("older")

    with pytest.raises(WentBack):
        async with raised_while_running(went_back, there, lambda: 1, print):
            raise AssertionError("started")
    async with raised_while_running(meet, there, lambda: 1, print):
        assert len(met) == 1
    assert len(met) == 2


async def test_where_there_is_none_nobody_waits_until_it_is_made(tmp_path: Path) -> None:
    """Of a million changes that takes half a minute, and there is nothing to hold the keystore against."""
    allowed, made = asyncio.Event(), asyncio.Event()

    async def meet() -> None:
        await allowed.wait()
        made.set()

    async with raised_while_running(meet, tmp_path / "none", lambda: 1, print):
        await asyncio.sleep(0.01)
        assert not made.is_set()
        allowed.set()
        await asyncio.wait_for(made.wait(), 5)


async def test_a_failure_at_the_end_is_told_and_ends_nothing(there: Path) -> None:
    told: list[object] = []
    faults = [None, KeystoreUnavailable("gone")]

    async def meet() -> None:
        fault = faults.pop(0)
        if fault is not None:
            raise fault

    async with raised_while_running(meet, there, lambda: 1, lambda *words: told.append(str(words[1]))):
        pass
    assert told == ["gone"]

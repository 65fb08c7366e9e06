"""The mark outside the database: what it notices, what it remembers, and that it is never half written."""

import fcntl
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from keystore import high_water, mark_file
from keystore.access_key import RevokeReason
from keystore.errors import KeystoreUnavailable, MarkUnreadable, RecordRefused, WentBack, WrongKek
from keystore.high_water import HighWater
from keystore.mark import MAX_REMEMBERED, MAX_STATE_FILE, Ended, Mark
from keystore.mark_file import read_mark
from keystore.scope import AllBuckets
from keystore.sealing import Kek, KekRing
from keystore.sqlite import SqliteStore, migrate
from keystore.store import FIRST_PLACE, NewKey

WISH = NewKey("default", "backup", AllBuckets())


def known(water: HighWater) -> Mark:
    mark = read_mark(water.path)
    assert mark is not None
    return mark


def backup(database: Path, to: Path) -> Path:
    """By SQLite's own API, as the how-to says."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
    return to


def put_back(database: Path, copy: Path) -> None:
    """As an operator does it while nothing runs."""
    for name in ("-wal", "-shm"):
        database.with_name(database.name + name).unlink(missing_ok=True)
    shutil.copy(copy, database)


async def made(store: SqliteStore) -> str:
    return (await store.create_key(WISH, "ann"))[0].access_key_id


# ---- the mark ----


async def test_a_missing_mark_is_made_from_what_the_keystore_says(
    database: Path, water: HighWater, store: SqliteStore, hand: Callable[..., list[Any]]
) -> None:
    ended = await made(store)
    await store.revoke_key(ended, RevokeReason.UNUSED, "bob")
    water.meet()
    [[store_id, generation, seq, head]] = hand("SELECT store_id, generation, seq, head FROM store")
    mark = known(water)
    assert mark[:4] == (store_id, generation, seq, head)
    [[at, request_id]] = hand("SELECT at, request_id FROM change WHERE seq = 3")
    assert mark.ended == (Ended(ended, at, RevokeReason.UNUSED, 3, request_id),)
    assert water.path == database.with_name("keystore.db.state")
    assert stat.S_IMODE(water.path.stat().st_mode) == 0o600


async def test_it_follows_the_keystore_and_is_not_written_when_nothing_came(
    water: HighWater, store: SqliteStore
) -> None:
    water.meet()
    before = water.path.stat().st_ino
    water.meet()
    assert water.path.stat().st_ino == before
    await made(store)
    water.meet()
    assert known(water).seq == 2


async def test_it_lies_where_it_was_told_to(database: Path, ring: KekRing, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    HighWater(database, ring, tmp_path / "elsewhere" / "mark").meet()
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {"mark", "mark.lock"}
    assert not database.with_name("keystore.db.state").exists()


async def test_an_older_copy_put_back_is_refused_and_the_mark_stays(
    database: Path, ring: KekRing, tmp_path: Path, water: HighWater
) -> None:
    from keystore.sqlite import open_sqlite_store

    copy = backup(database, tmp_path / "copy.db")
    async with open_sqlite_store(database, ring, create=False) as store:
        await made(store)
        water.meet()
    before = water.path.read_bytes()
    put_back(database, copy)
    with pytest.raises(WentBack, match=r"went back in time: change 2 was known, it ends at 1: `nqgate keystore adopt`"):
        water.meet()
    assert water.path.read_bytes() == before


@pytest.mark.parametrize("changes", [1, 2])
async def test_a_fork_is_refused_as_long_as_the_older_one_or_longer(
    database: Path, ring: KekRing, tmp_path: Path, water: HighWater, changes: int
) -> None:
    from keystore.sqlite import open_sqlite_store

    copy = backup(database, tmp_path / "copy.db")
    async with open_sqlite_store(database, ring, create=False) as store:
        await made(store)
        water.meet()
    put_back(database, copy)
    async with open_sqlite_store(database, ring, create=False) as store:
        for _ in range(changes):
            await made(store)
    with pytest.raises(WentBack, match="change 2 was known, another one stands there"):
        water.meet()


async def test_another_keystore_in_the_place_is_refused(database: Path, ring: KekRing, water: HighWater) -> None:
    water.meet()
    database.unlink()
    await migrate(database, ring)
    with pytest.raises(WentBack, match="now it is"):
        HighWater(database, ring).meet()


async def test_a_process_never_opens_another_file_in_the_place_of_the_one_it_knows(
    database: Path, tmp_path: Path, water: HighWater, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would have the same -shm beside them: closing one drops the locks of the other."""
    water.meet()
    os.replace(backup(database, tmp_path / "copy.db"), database)
    monkeypatch.setattr(high_water, "open_snapshot", lambda _: pytest.fail("opened"))
    with pytest.raises(KeystoreUnavailable, match="another file was put"):
        water.meet()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"store_id": "f" * 32}, "keystore ffffffff was here"),
        ({"generation": 2}, "generation 2 was known"),
        ({"seq": 2}, "change 2 was known, it ends at 1"),
        ({"head": b"x" * 32}, "another one stands there"),
    ],
)
async def test_each_part_of_the_mark_is_held_against_the_keystore(
    water: HighWater, changed: dict[str, Any], says: str
) -> None:
    water.meet()
    mark = known(water)
    assert await water.judge(mark) == ""
    water.file.write(mark._replace(**changed))
    with pytest.raises(WentBack, match=says):
        water.meet()


async def test_a_log_that_does_not_hold_from_the_mark_on_raises_nothing(
    water: HighWater, store: SqliteStore, hand: Callable[..., list[Any]]
) -> None:
    water.meet()
    await made(store)
    hand("UPDATE change SET actor = 'eve' WHERE seq = 2")
    with pytest.raises(RecordRefused):
        water.meet()
    assert known(water).seq == 1


async def test_a_long_log_is_followed_to_its_end(
    water: HighWater, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(high_water, "FOLLOW_AT_MOST", 1)
    monkeypatch.setattr(high_water, "SELECT_LOG", high_water.SELECT_LOG.replace("?1 + 1000", "?1 + 1"))
    for _ in range(4):
        await made(store)
    water.meet()
    assert known(water).seq == 5


async def test_the_file_stays_within_its_bound_and_reads_back(water: HighWater) -> None:
    water.meet()
    ended = tuple(Ended("x" * 128, 2**40, RevokeReason.COMPROMISED, n, "r" * 32) for n in range(MAX_REMEMBERED))
    mark = known(water)._replace(ended=ended)
    water.file.write(mark)
    assert water.path.stat().st_size < MAX_STATE_FILE / 2
    assert known(water) == mark


# ---- the file ----


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "folder"])
async def test_a_crash_at_any_step_of_writing_leaves_the_old_mark_or_the_new(
    water: HighWater, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    water.meet()
    await made(store)
    fsync, synced = os.fsync, []

    def crash(*_: object) -> None:
        raise RuntimeError("power cut")

    def fsync_file_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            crash()
        fsync(descriptor)
        synced.append(descriptor)

    with monkeypatch.context() as broken:
        if step == "write":
            broken.setattr(mark_file, "mark_text", crash)
        elif step == "fsync":
            broken.setattr(os, "fsync", crash)
        elif step == "replace":
            broken.setattr(os, "replace", crash)
        else:
            broken.setattr(os, "fsync", fsync_file_only)
        with pytest.raises(RuntimeError, match="power cut"):
            water.meet()
    assert known(water).seq == (2 if step == "folder" else 1)
    assert bool(synced) is (step == "folder")
    water.meet()
    assert known(water).seq == 2


def test_the_file_is_durable_before_it_takes_the_place_of_the_old(
    water: HighWater, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda d: (done.append("folder" if stat.S_ISDIR(os.fstat(d).st_mode) else "file"), fsync(d))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    water.meet()
    assert done == ["file", "replace", "folder"]


def test_a_full_disk_is_one_sentence_and_the_old_mark_stays(water: HighWater, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeystoreUnavailable, match=r"state file .* cannot be used: No space left"):
        water.meet()
    assert not water.path.exists()


def test_a_damaged_file_is_a_clear_error_and_stays(water: HighWater) -> None:
    for text in (b"", b"{", b"\xff", b"[" * 100_000, b"{}" + b" " * MAX_STATE_FILE):
        water.path.write_bytes(text)
        with pytest.raises(MarkUnreadable, match="damaged: `nqgate keystore adopt`"):
            water.meet()
        assert water.path.read_bytes() == text


def test_what_cannot_be_read_or_made_is_a_clear_error(database: Path, ring: KekRing, tmp_path: Path) -> None:
    (tmp_path / "folder.state").mkdir()
    with pytest.raises(KeystoreUnavailable, match="Is a directory"):
        HighWater(database, ring, tmp_path / "folder.state").meet()
    with pytest.raises(KeystoreUnavailable, match="No such file"):
        HighWater(database, ring, tmp_path / "none" / "mark").meet()


def test_one_process_at_a_time(water: HighWater, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark_file, "PATIENCE", 0.05)
    lock = os.open(f"{water.path}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(KeystoreUnavailable, match="locked by another process"):
            water.meet()
    finally:
        os.close(lock)
    water.meet()


async def test_the_mark_is_read_before_the_keystore(
    water: HighWater, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round, a change between the two would look like a keystore that went back."""
    order: list[str] = []
    read, snapshot = high_water.read_mark, high_water.open_snapshot
    monkeypatch.setattr(high_water, "read_mark", lambda path: (order.append("mark"), read(path))[1])
    monkeypatch.setattr(high_water, "open_snapshot", lambda path: (order.append("keystore"), snapshot(path))[1])
    water.meet()
    assert order == ["mark", "keystore"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_stays_the_owners_of_the_keystore(water: HighWater, database: Path) -> None:
    os.chown(database, 12345, 12346)
    water.meet()
    for path in (water.path, Path(f"{water.path}.lock")):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


async def test_the_mark_is_raised_with_another_ring_once_the_keystore_stands_under_it(
    database: Path, water: HighWater, store: SqliteStore, ring: KekRing
) -> None:
    water.meet()
    both = KekRing((*ring.keks, Kek(b"n" * 32)))
    store.use(both)
    while (await store.reseal(both.newest.kek_id, FIRST_PLACE, 500, "ann")).following is not None:
        pass
    with pytest.raises(WrongKek):
        water.meet()
    water.use(both)
    water.meet()
    assert known(water).seq == store.committed_seq

"""A rotation as gateways live through it: served all along, resumed after a crash, and final."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keystore import rotation
from keystore.board import MAX_KEKS, Identity, Seat, board_path
from keystore.directory import Directory, open_directory
from keystore.errors import Conflict, KeystoreUnavailable, RecordRefused, WrongKek
from keystore.kek_file import add_kek, retire_lines
from keystore.kek_use import kek_status_json
from keystore.means import RingMeans
from keystore.rotation import kek_status, loaded_by_gateways, require_loaded, rotate
from keystore.scope import AllBuckets
from keystore.sealing import KekRing, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.sqlite_audit import audit_keystore
from keystore.store import NewKey

Hand = Callable[..., list[Any]]
DAY = b"20260101"
KEYS = 12
# argv: database, KEK file, newest kek_id, after how many pages (0 = never), how it dies
ROTATING = """
import asyncio, os, sys
from pathlib import Path
from keystore import reseal
from keystore.rotation import rotate
from keystore.sealing import load_kek_ring
from keystore.sqlite import open_sqlite_store

database, kek_file, newest, dies_after, how = sys.argv[1:]
pages = 0

def die(*_):
    os.kill(os.getpid(), 9)

def progress(done):
    global pages
    pages += 1
    if pages == int(dies_after):
        if how == "between":
            die()
        reseal.Entry = die

async def main():
    async with open_sqlite_store(database, load_kek_ring(Path(kek_file)), create=False) as store:
        await rotate(store, newest, "elsewhere", progress, page=2)

asyncio.run(main())
"""


class Rotating:
    """A keystore of KEYS keys, a KEK added to its file, and a rotation to it in another process."""

    def __init__(self, database: Path, kek_file: Path, ids: list[str]) -> None:
        self.database = database
        self.kek_file = kek_file
        self.ids = ids
        self.old = load_kek_ring(kek_file)
        self.newest = add_kek(kek_file)

    @property
    def ring(self) -> KekRing:
        return load_kek_ring(self.kek_file)

    def begin(self, dies_after: int = 0, how: str = "-") -> "subprocess.Popen[bytes]":
        words = [str(self.database), str(self.kek_file), self.newest, str(dies_after), how]
        return subprocess.Popen([sys.executable, "-c", ROTATING, *words])

    def run(self, dies_after: int = 0, how: str = "-") -> int:
        return self.begin(dies_after, how).wait(60)


@pytest.fixture
async def rotating(store: SqliteStore, database: Path, kek_file: Path) -> Rotating:
    ids = []
    for number in range(KEYS):
        access_key, _ = await store.create_key(NewKey("default", f"key {number}", AllBuckets()), "ann")
        ids.append(access_key.access_key_id)
    await store.claim_bucket("photos", "default", "ann")
    return Rotating(database, kek_file, ids)


def found(directory: Directory, access_key_id: str) -> bytes:
    known = directory.find(access_key_id, DAY)
    assert known is not None
    return known.date_keys[DAY]


# ---- served all along ----


def test_a_gateway_that_loaded_it_finds_every_key_before_during_and_after(
    rotating: Rotating, directory: Directory
) -> None:
    before = {each: found(directory, each) for each in rotating.ids}
    directory.use(RingMeans(rotating.ring))
    process = rotating.begin()
    looks = 0
    while process.poll() is None:
        for each in rotating.ids:
            assert found(directory, each) == before[each]
            directory.find(f"{each[:-4]}aaaa", DAY)  # of an id that nobody has
        assert directory.tenure("photos").account == "default"
        looks += 1
    assert process.returncode == 0
    assert looks > 10
    retire_lines(rotating.kek_file, rotating.newest)
    directory.use(RingMeans(rotating.ring))
    other_day = {each: directory.find(each, b"20260102") for each in rotating.ids}
    assert {each: found(directory, each) for each in rotating.ids} == before
    assert None not in other_day.values()


def test_a_page_forgets_nothing_and_is_told_to_nobody_and_the_end_flushes(
    rotating: Rotating, directory: Directory
) -> None:
    directory.use(RingMeans(rotating.ring))
    known = directory.find(rotating.ids[0], DAY)
    told: list[str | None] = []
    directory.on_change = lambda _, access_key_id: told.append(access_key_id)
    assert rotating.run(4, "between") == -9
    assert directory.find(rotating.ids[0], DAY) is known
    assert told == []
    assert rotating.run() == 0
    assert directory.find(rotating.ids[0], DAY) is not known
    assert set(told) == {None}


def test_a_gateway_that_did_not_load_it_refuses_everything_until_it_does(
    rotating: Rotating, directory: Directory
) -> None:
    for each in rotating.ids:
        found(directory, each)
    assert rotating.run(1, "between") == -9
    for each in [*rotating.ids, "NQAKnobodyhasthisid0"]:
        with pytest.raises(KeystoreUnavailable, match=f"sealed under key-encryption key {rotating.newest}"):
            directory.find(each, DAY)
    directory.tick()
    assert not directory.fresh_or_refreshed()
    directory.use(RingMeans(rotating.ring))
    for each in rotating.ids:
        found(directory, each)


def test_a_ring_without_what_is_needed_changes_nothing(rotating: Rotating, directory: Directory) -> None:
    directory.use(RingMeans(rotating.ring))
    assert rotating.run(3, "between") == -9
    directory.tick()
    with pytest.raises(WrongKek):
        directory.use(RingMeans(rotating.old))
    assert found(directory, rotating.ids[0])
    assert rotating.run() == 0
    assert found(directory, rotating.ids[0])
    assert found(directory, rotating.ids[-1])


# ---- crashes ----


@pytest.mark.parametrize(("pages", "how"), [(1, "between"), (1, "within"), (3, "between"), (7, "within")])
def test_a_rotation_that_was_killed_is_whole_and_goes_on(rotating: Rotating, pages: int, how: str) -> None:
    assert rotating.run(pages, how) == -9
    report = audit_keystore(rotating.database, rotating.ring)
    assert report.findings == []
    half = kek_status(rotating.database, rotating.ring)
    assert not half.finished
    assert half.newest.seals
    assert half.newest.rows == {1: 1, 3: 5, 7: 13}[pages]
    assert rotating.run() == 0
    done = kek_status(rotating.database, rotating.ring)
    assert done.finished
    assert (done.due, done.newest.access_keys, done.newest.accounts, done.newest.buckets) == (0, KEYS, 1, 1)
    assert audit_keystore(rotating.database, rotating.ring).findings == []


# ---- what is final ----


@pytest.fixture
def rotated(rotating: Rotating, hand: Hand) -> tuple[Rotating, dict[str, list[Any]]]:
    """A finished rotation, and every table as it was before."""
    before = {table: hand(f"SELECT * FROM {table}") for table in ("access_key", "account", "bucket", "store")}
    assert rotating.run() == 0
    return rotating, before


def put(hand: Hand, table: str, row: tuple[Any, ...]) -> None:
    hand(f"REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", *row)


@pytest.mark.parametrize("marked", [False, True])
def test_the_old_seal_of_a_key_put_back_is_refused(
    rotated: tuple[Rotating, dict[str, list[Any]]], hand: Hand, marked: bool
) -> None:
    rotating, before = rotated
    if marked:
        retire_lines(rotating.kek_file, rotating.newest)
    for row in before["access_key"]:
        put(hand, "access_key", row)
    opened = open_directory(rotating.database, rotating.ring)
    try:
        for each in rotating.ids:
            with pytest.raises(KeystoreUnavailable, match="wrong key"):
                opened.find(each, DAY)
    finally:
        opened.close()
    assert audit_keystore(rotating.database, rotating.ring).found >= KEYS


def test_an_old_seal_under_the_new_id_of_a_kek_is_refused(
    directory: Directory, rotated: tuple[Rotating, dict[str, list[Any]]], hand: Hand
) -> None:
    rotating, before = rotated
    directory.use(RingMeans(rotating.ring))
    sealed = {row[0]: row[5] for row in before["access_key"]}
    each = rotating.ids[0]
    hand("UPDATE access_key SET secret_sealed = ? WHERE access_key_id = ?", sealed[each], each)
    with pytest.raises(RecordRefused, match="MAC"):
        directory.find(each, DAY)


def test_an_old_bucket_and_account_put_back_are_refused(
    directory: Directory, rotated: tuple[Rotating, dict[str, list[Any]]], hand: Hand
) -> None:
    rotating, before = rotated
    directory.use(RingMeans(rotating.ring))
    put(hand, "bucket", before["bucket"][0])
    put(hand, "account", before["account"][0])
    with pytest.raises(KeystoreUnavailable):
        directory.tenure("photos")
    with pytest.raises(KeystoreUnavailable):
        directory.store_credential("default")


def test_a_whole_keystore_from_before_is_refused_where_the_line_is_retired(
    rotated: tuple[Rotating, dict[str, list[Any]]], hand: Hand
) -> None:
    """Whoever got hold of the old KEK can write one that looks true under it."""
    rotating, before = rotated
    put(hand, "store", before["store"][0])
    hand("DELETE FROM change WHERE kind LIKE 'kek.%'")
    for table in ("access_key", "account", "bucket"):
        for row in before[table]:
            put(hand, table, row)
    open_directory(rotating.database, rotating.ring).close()  # as any restored backup: the mark outside tells of it
    retire_lines(rotating.kek_file, rotating.newest)
    with pytest.raises(WrongKek, match="is retired and reads the change log only"):
        open_directory(rotating.database, rotating.ring)


def test_without_the_retired_line_the_log_cannot_be_read_and_it_is_said_what_is_missing(
    rotated: tuple[Rotating, dict[str, list[Any]]],
) -> None:
    rotating, _ = rotated
    only = KekRing((rotating.ring.newest,))
    with pytest.raises(WrongKek, match=f"change log was written under key-encryption key {rotating.old.newest.kek_id}"):
        open_directory(rotating.database, only)


def test_a_second_rotation_reads_a_log_of_three_keks(rotated: tuple[Rotating, dict[str, list[Any]]]) -> None:
    rotating, _ = rotated
    retire_lines(rotating.kek_file, rotating.newest)
    rotating.newest = add_kek(rotating.kek_file)
    assert rotating.run() == 0
    retire_lines(rotating.kek_file, rotating.newest)
    assert len(rotating.ring.retired) == 2
    assert audit_keystore(rotating.database, rotating.ring).findings == []
    opened = open_directory(rotating.database, rotating.ring)
    assert found(opened, rotating.ids[0])
    opened.close()


# ---- who has which ----


@pytest.fixture
def seat(rotating: Rotating) -> Iterator[Seat]:
    taken = Seat(rotating.database, Identity(1, 2, 3, 4), 1)
    yield taken
    taken.leave()


def test_every_live_gateway_must_have_loaded_the_newest(rotating: Rotating, seat: Seat) -> None:
    seat.loaded([kek.kek_id for kek in rotating.old.keks])
    with pytest.raises(Conflict, match=f"process {os.getpid()} has not loaded key-encryption key {rotating.newest}"):
        require_loaded(rotating.database, rotating.newest, patience=0)
    seat.loaded([kek.kek_id for kek in rotating.ring.keks])
    require_loaded(rotating.database, rotating.newest, patience=0)


def test_a_gateway_that_says_nothing_of_keks_is_one_that_lacks_it(rotating: Rotating, seat: Seat) -> None:
    with pytest.raises(Conflict):
        require_loaded(rotating.database, rotating.newest, patience=0)
    seat.leave()
    assert loaded_by_gateways(rotating.database) == []
    require_loaded(rotating.database, rotating.newest, patience=0)
    seat.__init__(rotating.database, Identity(1, 2, 3, 4), 1)  # type: ignore[misc]  # the fixture leaves it again


def test_it_waits_for_a_gateway_that_is_about_to_look(rotating: Rotating, seat: Seat) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        seat.loaded([rotating.newest])

    require_loaded(rotating.database, rotating.newest, sleep=sleep)
    assert len(waited) == 1


def test_where_the_board_was_deleted_its_gateways_are_given_time(rotating: Rotating) -> None:
    board_path(rotating.database).unlink()
    waited: list[float] = []
    assert loaded_by_gateways(rotating.database, sleep=waited.append) == []
    assert waited == [2.0]


def test_of_many_keks_a_gateway_shows_the_newest(rotating: Rotating, seat: Seat) -> None:
    seat.loaded([f"{number:016x}" for number in range(20)])
    [shown] = loaded_by_gateways(rotating.database)
    assert shown == (os.getpid(), None, tuple(f"{number:016x}" for number in range(20 - MAX_KEKS, 20)))


# ---- status ----


def test_status_counts_what_stands_under_each(rotating: Rotating, seat: Seat) -> None:
    seat.loaded([rotating.newest])
    shown = json.loads(json.dumps(kek_status_json(kek_status(rotating.database, rotating.ring))))
    old, new = shown["keks"]
    assert shown["min_kek"] == old["kek_id"] == rotating.old.newest.kek_id
    assert (old["access_keys"], old["accounts"], old["buckets"], old["changes"]) == (KEYS, 1, 1, KEYS + 2)
    assert (old["seals"], old["newest"], old["retired"], old["loaded"]) == (True, False, False, True)
    assert (new["access_keys"], new["seals"], new["newest"], new["retired"]) == (0, False, True, False)
    assert shown["gateways"] == [{"pid": os.getpid(), "name": None, "keks": [rotating.newest]}]


def test_status_names_a_kek_that_only_rows_tell_of(rotating: Rotating, hand: Hand) -> None:
    hand("UPDATE bucket SET kek_id = 'unknown'")
    [strange, *_] = kek_status(rotating.database, rotating.ring).keks
    assert (strange.kek_id, strange.loaded, strange.buckets, strange.rows) == ("unknown", False, 1, 1)


async def test_between_two_pages_other_writers_get_their_turn(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested: list[float] = []

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    async with open_sqlite_store(rotating.database, rotating.ring, create=False) as store:
        monkeypatch.setattr(rotation.asyncio, "sleep", rest)
        await rotate(store, rotating.newest, "ann", page=5)
    assert len(rested) == 5
    assert min(rested) >= rotation.REST


async def test_how_far_it_is_is_told_after_every_page(rotating: Rotating) -> None:
    told: list[int] = []
    async with open_sqlite_store(rotating.database, rotating.ring, create=False) as store:
        assert await rotate(store, rotating.newest, "ann", told.append, page=5) == KEYS + 2
    assert told == [1, 6, 11, 13, 14, 14]
    assert kek_status(rotating.database, rotating.ring).finished

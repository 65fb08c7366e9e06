import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from gateway.workers.asking import handed_macs
from gateway.workers.feeds import Feeds
from gateway.workers.link import Message
from gateway.workers.noted import Noted, noted_messages
from gateway.workers.sides import SideAfar, SideHere
from gateway.workers.tallied import Tallied
from keystore.board import Cut
from keystore.directory import open_directory
from keystore.postgres_keeper import ToldChange
from keystore.sealing import KekRing, create_kek_file, load_kek_ring, new_kek_line
from keystore.sqlite import migrate
from keystore.uploads import Note, Upload
from keystore.usage import Denied, Used


async def test_a_worker_that_reads_by_itself_is_told_where_and_with_which_mac_keys(tmp_path: Path) -> None:
    create_kek_file(tmp_path / "kek")
    ring = load_kek_ring(tmp_path / "kek")
    await migrate(tmp_path / "keys.db", ring)
    directory = open_directory(tmp_path / "keys.db", ring)
    side = SideHere(directory, str(tmp_path / "keys.db"), ring)
    told: list[Message] = []
    side.tell = told.append
    begin, files = side.begin(0)
    assert (begin["database"], files) == (str(tmp_path / "keys.db"), [])
    assert handed_macs(begin).usable == [ring.newest.kek_id]
    another, _ = new_kek_line()
    side.use(KekRing((*ring.keks, another)))
    assert handed_macs(told[0]).usable == [ring.newest.kek_id, another.kek_id]
    assert handed_macs(side.begin(1)[0]).usable == handed_macs(told[0]).usable
    assert side.applied() == directory.where()[1]
    directory.close()


async def unwritten(used: dict[str, Used], denied: dict[str, Denied]) -> None:
    raise AssertionError("nothing is written here")


async def unwritten_too(notes: Mapping[Upload, Note], now: float) -> None:
    raise AssertionError("nothing is written here")


TALLIED, NOTED = Tallied(unwritten), Noted(unwritten_too)


@pytest.fixture
async def feeds() -> AsyncIterator[Feeds]:
    opened = Feeds(lambda number: None)
    yield opened
    opened.end()


def test_a_worker_that_is_told_inherits_the_word_and_its_end_of_a_feed(feeds: Feeds) -> None:
    acknowledged: list[bool] = []
    side = SideAfar(feeds, lambda: acknowledged.append(True), TALLIED, NOTED)
    feeds.ring([ToldChange(1, "everything", "", None)])
    begin, (word, feed) = side.begin(0)
    assert (begin, word) == ({"applied": 1}, feeds.word_file)
    inherited = os.dup(feed)
    side.begun(0)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(feed)
    feeds.ring([ToldChange(2, "everything", "", None)])
    assert b'"seq":2' in os.read(inherited, 1000)
    assert (feeds.acknowledgement().taken, side.applied()) == (1, 2)
    side.heard(0, {"took": 2})
    assert feeds.acknowledgement().taken == 2
    side.heard(0, {"told": 2, "cut": 1, "in_store": ["PutObject b/k"]})
    side.heard(0, {"settled": 2, "what": "PutObject b/k"})
    assert feeds.acknowledgement().cuts == {2: Cut(1, 1, 1)}
    assert len(acknowledged) == 3
    os.close(inherited)


def test_a_worker_that_ended_holds_nobody_up(feeds: Feeds) -> None:
    acknowledged: list[bool] = []
    side = SideAfar(feeds, lambda: acknowledged.append(True), TALLIED, NOTED)
    side.begin(0)
    side.begun(0)
    feeds.ring([ToldChange(1, "everything", "", None)])
    side.ended(0)
    assert (feeds.acknowledgement().taken, acknowledged) == (1, [True])


async def test_uploads_that_a_worker_noted_are_written_and_acknowledge_nothing(feeds: Feeds) -> None:
    written: list[Mapping[Upload, Note]] = []

    async def write(notes: Mapping[Upload, Note], now: float) -> None:
        written.append(notes)

    acknowledged: list[bool] = []
    noted = Noted(write)
    side = SideAfar(feeds, lambda: acknowledged.append(True), TALLIED, noted)
    notes = {Upload("b", b"k", b"i"): Note("NQAKone", 5)}
    for message in noted_messages(notes):
        side.heard(0, message)
    await noted.write()
    assert (written, acknowledged) == ([notes], [])

import asyncio
import contextlib
import mmap
import os
from collections.abc import AsyncIterator

import pytest

from gateway.workers import feeds as feeds_module
from gateway.workers.feeds import WORD, Feeds
from gateway.workers.link import MessageReader
from keystore.board import Cut
from keystore.postgres_keeper import ToldChange


@pytest.fixture
def stuck() -> list[int]:
    return []


@pytest.fixture
async def feeds(stuck: list[int]) -> AsyncIterator[Feeds]:
    opened = Feeds(stuck.append)
    yield opened
    opened.end()


def key(seq: int, record: bytes | None = b"{}") -> ToldChange:
    return ToldChange(seq, "key", "NQAKone", record)


def test_changes_lie_in_every_feed_in_order(feeds: Feeds) -> None:
    first, second = feeds.open(0), feeds.open(1)
    feeds.ring([key(1), ToldChange(2, "bucket", "photos", None), ToldChange(3, "everything", "", None)])
    for feed in (first, second):
        messages = MessageReader().feed(feed.recv(10_000))
        assert [(one["seq"], one["of"], one["record"]) for one in messages] == [
            (1, "key", "{}"), (2, "bucket", None), (3, "everything", None)
        ]  # fmt: skip
        assert (messages[0]["access_key_id"], messages[1]["bucket"]) == ("NQAKone", "photos")
        feed.close()
    assert feeds.applied == 3


def test_the_word_is_seen_by_whoever_has_mapped_it(feeds: Feeds) -> None:
    file = os.dup(feeds.word_file)
    with mmap.mmap(file, WORD, prot=mmap.PROT_READ) as seen:
        feeds.word(0x1234_5678_9ABC_DEF0)
        assert int.from_bytes(seen[:8], "little") == 0x1234_5678_9ABC_DEF0
    os.close(file)


async def test_what_does_not_fit_at_once_comes_when_there_is_room(feeds: Feeds, stuck: list[int]) -> None:
    """A gateway that was cut off may have a thousand changes to hand on, with their records."""
    slow, other = feeds.open(0), feeds.open(1)
    feeds.ring([key(seq, b"x" * 2000) for seq in range(1, 2001)])
    assert (feeds.applied, stuck) == (2000, [])
    for feed in (slow, other):
        reader = MessageReader()
        seen: list[int] = []
        while len(seen) < 2000:
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                seen += [one["seq"] for one in reader.feed(feed.recv(100_000))]
        assert seen == list(range(1, 2001))
        feed.close()


async def test_a_worker_that_takes_nothing_any_more_is_given_up_and_holds_nobody_up(
    feeds: Feeds, stuck: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds_module, "MAX_BEHIND", 4096)
    full, other = feeds.open(0), feeds.open(1)
    reader = MessageReader()
    seq = 0
    while not stuck:
        seq += 1
        feeds.ring([key(seq, b"x" * 500)])
        reader.feed(other.recv(10_000))
    assert stuck == [0]
    feeds.took(1, seq)
    assert feeds.acknowledgement().taken == seq
    full.close()
    other.close()


def test_a_worker_whose_end_is_closed_is_given_up(feeds: Feeds, stuck: list[int]) -> None:
    feeds.open(0).close()
    feeds.ring([key(1)])
    assert stuck == [0]


def test_all_have_taken_what_the_slowest_has_and_the_dead_have_taken_everything(feeds: Feeds) -> None:
    ends = [feeds.open(0), feeds.open(1)]
    feeds.ring([key(1), key(2)])
    assert feeds.acknowledgement().taken == 0
    feeds.took(0, 2)
    feeds.took(1, 1)
    assert feeds.acknowledgement().taken == 1
    feeds.close(1)
    feeds.took(1, 1)  # its last words
    assert feeds.acknowledgement().taken == 2
    feeds.close(0)
    assert feeds.acknowledgement().taken == feeds.applied == 2
    for end in ends:
        end.close()


def test_a_worker_that_comes_later_begins_behind_what_was_handed_out(feeds: Feeds) -> None:
    feeds.ring([key(1)])
    late = feeds.open(0)
    with pytest.raises(BlockingIOError):
        late.recv(1)
    assert feeds.acknowledgement().taken == 1
    late.close()


def test_what_was_cut_is_summed_over_workers_and_bounded(feeds: Feeds) -> None:
    feeds.told(7, 1, ["PutObject b/k"])
    feeds.told(7, 2, ["DeleteObject b/k"])
    feeds.settled(7, "PutObject b/k")
    feeds.settled(99, "nothing")
    told = feeds.acknowledgement()
    assert told.cuts == {7: Cut(3, 2, 1)}
    assert told.in_store == [(7, "DeleteObject b/k")]
    for seq in range(8, 60):
        feeds.told(seq, 1, [])
    told = feeds.acknowledgement()
    assert len(told.cuts) == 32
    assert told.in_store == []

"""What a worker that is told says back; what one that reads does is seen with real processes, in test_supervisor."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

from gateway.usage import Tally
from gateway.workers.asking import Asking, AskingKeys
from gateway.workers.feeds import Feeds
from gateway.workers.link import Message
from gateway.workers.noted import Noted
from gateway.workers.reading import told_from_afar
from gateway.workers.sides import SideAfar
from gateway.workers.tallied import Tallied
from keystore.lease import NEVER, pack
from keystore.postgres_keeper import ToldChange
from keystore.uploads import Note, Upload
from keystore.usage import Denied, Used


class Cutter:
    """What it was asked to cut."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, str | None]] = []
        self.lapses = 0

    def on_change(self, seq: int, access_key_id: str | None) -> None:
        self.changes.append((seq, access_key_id))

    def on_lapse(self) -> None:
        self.lapses += 1


async def unwritten(used: dict[str, Used], denied: dict[str, Denied]) -> None:
    raise AssertionError("nothing is written here")


async def unwritten_too(notes: Mapping[Upload, Note], now: float) -> None:
    raise AssertionError("nothing is written here")


async def until(holds: Any) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen in time")


async def test_changes_are_taken_when_they_come_and_a_lapse_ends_what_runs() -> None:
    feeds = Feeds(lambda number: None)
    side = SideAfar(feeds, lambda: None, Tallied(unwritten), Noted(unwritten_too))
    said: list[Message] = []
    begin, files = side.begin(0)
    begin["config"] = {"keystore": {"remembered": 2 << 20}}
    keys = AskingKeys(Asking(said.append, asyncio.get_running_loop()), b"eu")
    cutter = Cutter()
    forever = 1 << 43
    async with contextlib.AsyncExitStack() as stack:
        copies = (files[0], files[1])
        reading = told_from_afar(stack, begin, keys, said.append, copies)
        assert reading.directory._remembered.max_known == 2 << 20  # type: ignore[attr-defined]  # of the leased one
        side._theirs.clear()  # this process is the one that inherits
        tally = Tally()
        reading.begin(stack, cast("Any", cutter), tally)
        await until(lambda: cutter.lapses > 0)  # nothing was proven yet
        feeds.word(pack(forever, 0))
        assert reading.directory.fresh_or_refreshed()  # type: ignore[attr-defined]  # of the leased one
        feeds.ring([ToldChange(1, "key", "NQAKone", None)])
        feeds.word(pack(forever, 1))
        await until(lambda: {"took": 1} in said)
        assert cutter.changes == [(1, "NQAKone")]
        assert reading.applied() == 1
        reading.board.tell(1, 2, ["PutObject b/k"])
        reading.board.settled(1, "PutObject b/k")
        assert said[-2:] == [
            {"told": 1, "cut": 2, "in_store": ["PutObject b/k"]},
            {"settled": 1, "what": "PutObject b/k"},
        ]
        tally.uploads.keep(Upload("b", b"k", b"i"), Note("NQAKone", 5))
        await until(lambda: {"uploads": [("b", b"k".hex(), b"i".hex(), "NQAKone", 5, 0, False)]} in said)
        tally.uploads.keep(Upload("b", b"k", b"i"), Note(ended=True))
        lapses = cutter.lapses
        feeds.word(NEVER)
        await until(lambda: cutter.lapses > lapses)
    assert {"uploads": [("b", b"k".hex(), b"i".hex(), "", 0, 0, True)]} in said, "the last is told at the end"
    feeds.end()

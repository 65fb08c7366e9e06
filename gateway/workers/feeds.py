"""How the supervisor hands changes to workers that cannot read the keystore, and hears what became of them.

One word of 8 bytes, mapped by all, and a socket for each worker: what a word speaks of was written to every socket
before. What one does not take at once waits here; until it has come that worker answers 503, and nothing else.
"""

import asyncio
import mmap
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

from gateway.workers.link import Message, encode
from keystore.board import Cut
from keystore.postgres_keeper import Acknowledgement, ToldChange

WORD: Final = 8
REMEMBERED: Final = 32  # changes of which is remembered what they cut
MAX_BEHIND: Final = 16 << 20  # bytes that may wait for one worker, 20,000 changes; one that takes less is stuck


class _Feed:
    """Our end of one worker's feed, and what it has not taken yet."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.waiting = bytearray()


class Feeds:
    """On the running loop. `stuck`: called with the number of a worker that takes nothing any more."""

    def __init__(self, stuck: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stuck = stuck
        self.word_file = os.memfd_create("nqgate-word", os.MFD_CLOEXEC)
        os.ftruncate(self.word_file, WORD)
        self._map = mmap.mmap(self.word_file, WORD)
        self._word = memoryview(self._map).cast("Q")
        self._feeds: dict[int, _Feed] = {}
        self._taken: dict[int, int] = {}
        self._cuts: dict[int, Cut] = {}
        self._in_store: list[tuple[int, str]] = []
        self.applied = 0  # the last change that was handed out

    # ---- what the keeper does with them ----

    def ring(self, changes: Sequence[ToldChange]) -> None:
        block = b"".join([encode(_message(change)) for change in changes])
        for number, feed in list(self._feeds.items()):
            feed.waiting += block
            self._pass_on(number)
        if changes:
            self.applied = changes[-1].seq

    def _pass_on(self, number: int) -> None:
        """As much as it takes now, and the rest as soon as it takes more."""
        feed = self._feeds[number]
        gone = False
        try:
            while feed.waiting:
                del feed.waiting[: feed.end.send(feed.waiting)]
        except BlockingIOError:
            pass
        except OSError:  # its reader is gone
            gone = True
        if gone or len(feed.waiting) > MAX_BEHIND:
            self.close(number)
            self._stuck(number)
        elif feed.waiting:
            self._loop.add_writer(feed.end, self._pass_on, number)
        else:
            self._loop.remove_writer(feed.end)

    def word(self, word: int) -> None:
        """One aligned store of 64 bits."""
        self._word[0] = word

    def acknowledgement(self) -> Acknowledgement:
        taken = min(self._taken.values(), default=self.applied)
        return Acknowledgement(taken, dict(self._cuts), list(self._in_store))

    # ---- workers come, say what they did, and go ----

    def open(self, number: int) -> socket.socket:
        """The other end of a new worker's feed, which begins behind `applied`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._feeds[number] = _Feed(ours)
        self._taken[number] = self.applied
        return theirs

    def close(self, number: int) -> None:
        """A worker that is gone has taken everything: it accepts nothing and has nothing running."""
        feed = self._feeds.pop(number, None)
        if feed is not None:
            self._loop.remove_writer(feed.end)
            feed.end.close()
        self._taken.pop(number, None)

    def took(self, number: int, seq: int) -> None:
        if number in self._taken:
            self._taken[number] = seq

    def told(self, seq: int, cut: int, in_store: list[str]) -> None:
        known = self._cuts.get(seq, Cut(0, 0, 0))
        self._cuts[seq] = Cut(known.cut + cut, known.in_store + len(in_store), known.settled)
        while len(self._cuts) > REMEMBERED:
            del self._cuts[min(self._cuts)]
        self._in_store += [(seq, what) for what in in_store]
        self._in_store = [(at, what) for at, what in self._in_store if at in self._cuts]

    def settled(self, seq: int, what: str) -> None:
        if (seq, what) in self._in_store:
            self._in_store.remove((seq, what))
        known = self._cuts.get(seq)
        if known is not None:
            self._cuts[seq] = known._replace(settled=known.settled + 1)

    def end(self) -> None:
        for number in list(self._feeds):
            self.close(number)
        self._word.release()
        self._map.close()
        os.close(self.word_file)


def _message(change: ToldChange) -> Message:
    record = None if change.record is None else change.record.decode()
    named = {"key": "access_key_id", "bucket": "bucket", "account": "account"}.get(change.of)
    message: Message = {"seq": change.seq, "of": change.of, "record": record}
    if named is not None:
        message[named] = change.name
    return message

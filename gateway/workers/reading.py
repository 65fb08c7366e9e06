"""The two ways in which a worker knows the keystore: it reads a file on this machine, or it is told from afar."""

import asyncio
import contextlib
import logging
import mmap
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from gateway.uploads import UploadNotes, keep_uploads_written, write_uploads_out
from gateway.usage import Tally, keep_written, write_out
from gateway.wire.cutting import Cutter
from gateway.wire.roles import Board, Directory
from gateway.workers.asking import AskingKeys, AskingMeans, handed_macs
from gateway.workers.feeds import WORD
from gateway.workers.leased import LOOK_EVERY, LeasedDirectory
from gateway.workers.link import Message
from gateway.workers.noted import TELL_EVERY as NOTE_EVERY
from gateway.workers.noted import noted_messages
from gateway.workers.scan import Condemned
from gateway.workers.tallied import tallied_messages
from keystore.board import Identity, Seat
from keystore.directory import Directory as ReadingDirectory
from keystore.directory import open_directory
from keystore.errors import KeystoreError
from keystore.uploads import Note, Upload
from keystore.usage import Denied, Used

LOG: Final = logging.getLogger("nqgate")
TELL_EVERY: Final = 10.0  # seconds between two tellings of when keys were used; written once a minute


class Reading(Protocol):
    """What a worker does with either."""

    @property
    def directory(self) -> Directory: ...
    @property
    def board(self) -> Board: ...
    def applied(self) -> int:
        """The last change that was applied."""

    def renew(self, message: Message) -> None:
        """Other KEKs are loaded."""

    def condemn(self, message: Message) -> None:
        """What is not to be believed any more."""

    def begin(self, stack: contextlib.AsyncExitStack, cutter: Cutter, tally: Tally) -> None:
        """There is an engine now: it hears of changes, and what it tallies is kept."""


# ---- a file on this machine ----


class _Here:
    def __init__(self, database: Path, directory: ReadingDirectory, seat: Seat, keys: AskingKeys) -> None:
        self._database = database
        self.directory = directory
        self.board = seat
        self._keys = keys

    def applied(self) -> int:
        return self.directory.where()[1]

    def renew(self, message: Message) -> None:
        macs = handed_macs(message)
        try:
            self.directory.use(AskingMeans(macs, self._keys))
        except KeystoreError as error:
            LOG.warning("the changed KEK file is not used: %s", error)
        else:
            self.board.loaded(macs.usable)

    def condemn(self, message: Message) -> None:
        condemn(self.directory, Condemned(*message["condemned"]))

    def begin(self, stack: contextlib.AsyncExitStack, cutter: Cutter, tally: Tally) -> None:
        self.directory.on_change = cutter.on_change
        self.directory.on_applied = self.board.applied
        stack.callback(write_out, tally, self._database)
        stack.callback(write_uploads_out, tally.uploads, self._database)
        for keeping in (keep_written(tally, self._database), keep_uploads_written(tally.uploads, self._database)):
            stack.callback(asyncio.get_running_loop().create_task(keeping).cancel)


def remembered(begin: Message) -> int:
    """Bytes of records, as it is configured."""
    known: int = begin["config"]["keystore"]["remembered"]
    return known


def condemn(directory: ReadingDirectory, condemned: Condemned) -> None:
    """Refuse what a reading of the whole keystore found not to hold."""
    everything = "the keystore does not hold (nqgate audit verify says where)" if condemned.everything else ""
    directory.refuse(condemned.access_keys, condemned.buckets, everything)


def reading_here(stack: contextlib.AsyncExitStack, begin: Message, keys: AskingKeys) -> Reading:
    """Raises as `open_directory`."""
    database = Path(begin["database"])
    macs = handed_macs(begin)
    directory = open_directory(database, AskingMeans(macs, keys), max_known=remembered(begin), believed=True)
    stack.callback(directory.close)
    files, applied = directory.where()
    seat = Seat(database, Identity(*files), applied, begin["gateway"])
    stack.callback(seat.leave)
    seat.loaded(macs.usable)
    return _Here(database, directory, seat, keys)


# ---- told from afar ----


class LinkBoard:
    """What changes ended is told to the supervisor, who tells it to who waits."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send

    def tell(self, seq: int, cut: int, in_store: list[str]) -> None:
        self._send({"told": seq, "cut": cut, "in_store": in_store})

    def settled(self, seq: int, what: str) -> None:
        self._send({"settled": seq, "what": what})

    def applied(self, seq: int) -> None:
        self._send({"took": seq})

    def tallied(self, used: dict[str, Used], denied: dict[str, Denied]) -> None:
        for message in tallied_messages(used, denied):
            self._send(message)

    def noted(self, notes: Mapping[Upload, Note]) -> None:
        for message in noted_messages(notes):
            self._send(message)

    def tick(self) -> None:
        pass


class _FromAfar:
    def __init__(self, directory: LeasedDirectory, board: LinkBoard, feed: socket.socket) -> None:
        self.directory = directory
        self.board = board
        self._feed = feed

    def applied(self) -> int:
        return self.directory.where()[1]

    def renew(self, message: Message) -> None:
        """It verifies nothing, so it needs no key for it."""

    def condemn(self, message: Message) -> None:
        """It believes nothing but what it is told."""

    def begin(self, stack: contextlib.AsyncExitStack, cutter: Cutter, tally: Tally) -> None:
        self.directory.on_change = cutter.on_change
        self.directory.on_applied = self.board.applied
        loop = asyncio.get_running_loop()
        loop.add_reader(self._feed, self._read_on)
        stack.callback(loop.remove_reader, self._feed)
        stack.callback(loop.create_task(self._watch(cutter)).cancel)
        stack.callback(self._tell, tally)
        stack.callback(self._note, tally.uploads)
        for telling in (self._tell_on(tally), self._note_on(tally.uploads)):
            stack.callback(loop.create_task(telling).cancel)

    def _read_on(self) -> None:
        if not self.directory.read_on():  # an end can be read for ever
            asyncio.get_running_loop().remove_reader(self._feed)

    def _tell(self, tally: Tally) -> None:
        used, denied = tally.take()
        if used or denied:
            self.board.tallied(used, denied)

    async def _tell_on(self, tally: Tally) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            self._tell(tally)

    def _note(self, uploads: UploadNotes) -> None:
        self.board.noted(uploads.take())

    async def _note_on(self, uploads: UploadNotes) -> None:
        while True:
            await asyncio.sleep(NOTE_EVERY)
            self._note(uploads)

    async def _watch(self, cutter: Cutter) -> None:
        while True:
            if self.directory.lapsed():
                cutter.on_lapse()
            await asyncio.sleep(LOOK_EVERY)


def told_from_afar(
    stack: contextlib.AsyncExitStack,
    begin: Message,
    keys: AskingKeys,
    send: Callable[[Message], None],
    files: tuple[int, ...],
) -> Reading:
    """`files`: of the word and the feed."""
    word_file, feed_file = files
    mapped = mmap.mmap(word_file, WORD, prot=mmap.PROT_READ)
    word = memoryview(mapped).cast("Q")
    feed = socket.socket(fileno=feed_file)
    feed.setblocking(False)
    directory = LeasedDirectory(word, feed, keys, begin["applied"])
    directory.remember(remembered(begin))
    stack.callback(directory.close)
    return _FromAfar(directory, LinkBoard(send), feed)

"""How far a keystore had come, kept outside its database: an older copy put back, or a fork of it, is noticed.

One small file, replaced whole under a lock, and only after what it says is durable in the database. It remembers too
which keys were ended last, so that they can be ended again in a copy that does not know. It holds no secret, and is no
proof against somebody who can write it or take it away: a missing file is made anew from what the database says.

Law: the mark is read before the database. It is written after every commit it tells of, so what is read in this order
can only be ahead of it, unless the database went back.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from keystore.chain import START, Position, StoreRow
from keystore.errors import KeystoreError, KeystoreUnavailable, MarkUnreadable, RecordRefused, WentBack
from keystore.mark import MAX_REMEMBERED, MAX_STATE_FILE, Ended, Mark, mark_text, parse_mark, remember, why_back
from keystore.sealed_rows import SealedRows, enter_store
from keystore.sealing import KekRing, sync_folder
from keystore.sqlite_file import answering, keystore_path, open_snapshot
from keystore.sqlite_rows import FOLLOW_AT_MOST, MAC_AT, SELECT_LOG, SELECT_STORE, read_log, read_store

PATIENCE: Final = 5.0  # seconds for the lock; it is held for milliseconds, so whoever has it longer is stopped
RAISE_EVERY: Final = 1.0  # seconds between two looks of a gateway whether there is something to write


# ---- the file ----


def read_mark(path: Path) -> Mark | None:
    """None when there is no file. MarkUnreadable for one that is not understood, KeystoreUnavailable when it cannot
    be read."""
    with _answering(path):
        try:
            with open(path, "rb") as file:
                text = file.read(MAX_STATE_FILE + 1)
        except FileNotFoundError:
            return None
    try:
        return parse_mark(text)
    except ValueError as error:
        raise MarkUnreadable(
            f"the state file {path} is damaged: `nqgate keystore adopt` writes it anew from what the keystore says"
        ) from error


@contextlib.contextmanager
def _answering(path: Path) -> Iterator[None]:
    """Foreign exceptions become KeystoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise KeystoreUnavailable(f"the state file {path} cannot be used: {error.strerror or error}") from error


# ---- the mark of one keystore ----


class HighWater:
    """The mark of the keystore at `url_or_path`, in `state_file`, or beside the keystore where that is None."""

    def __init__(self, url_or_path: str | Path, ring: KekRing, state_file: Path | None = None) -> None:
        self.keystore = keystore_path(url_or_path)
        beside = self.keystore.with_name(self.keystore.name + ".state")
        self.path = Path(os.path.realpath(state_file or beside))
        self._ring = ring
        self._file: tuple[int, int] | None = None

    def meet(self) -> None:
        """Hold the keystore against the mark, and raise the mark to where the keystore is; a missing one is made.

        WentBack when the keystore is behind, or beside, what was known: nothing is written then. KeystoreUnavailable
        when either cannot be used. About 1 ms, or 15 µs for each change since; the whole log where there is no file.
        """
        self._check_file()
        with self._locked():
            mark = read_mark(self.path)
            with open_snapshot(self.keystore) as connection:
                store, rows = self._entered(connection)
                why = "" if mark is None else why_back(mark, store, mac_at(connection, mark.seq))
                if why:
                    raise WentBack(f"the keystore went back in time: {why}: `nqgate keystore adopt` accepts it")
                if mark is not None and mark.seq == store.seq:
                    return
                raised = _followed(connection, store, rows, mark)
            self._write(raised)

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on."""
        self._ring = ring

    def judge(self, mark: Mark) -> str:
        """`why_back` of the keystore as it is now."""
        with open_snapshot(self.keystore) as connection:
            store, _ = self._entered(connection)
            return why_back(mark, store, mac_at(connection, mark.seq))

    def survey(self, remembered: tuple[Ended, ...]) -> Mark:
        """The mark that the keystore as it is now would have, its whole log verified, and what else is remembered.

        RecordRefused when the log does not hold.
        """
        with open_snapshot(self.keystore) as connection:
            own = _followed(connection, *self._entered(connection), None)
        named = {one.access_key_id for one in own.ended}
        others = tuple(one for one in remembered if one.access_key_id not in named)
        return own._replace(ended=(*others, *own.ended)[-MAX_REMEMBERED:])

    def rewrite(self, remembered: tuple[Ended, ...]) -> None:
        """The mark is where the keystore is now, whatever was known before."""
        with self._locked():
            self._write(self.survey(remembered))

    def _check_file(self) -> None:
        """A process that has the keystore open never opens another file that was put in its place: both would share
        one -shm, and closing one would drop the locks of the other."""
        with answering(self.keystore):
            state = os.stat(self.keystore)
        if self._file not in (None, (state.st_dev, state.st_ino)):
            raise KeystoreUnavailable(f"another file was put in the place of {self.keystore}")
        self._file = state.st_dev, state.st_ino

    def _entered(self, connection: sqlite3.Connection) -> tuple[StoreRow, SealedRows]:
        store = read_store(connection.execute(SELECT_STORE).fetchall())
        return store, enter_store(self._ring, store)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time: who read an older mark must not write over a newer one."""
        lock = self.path.with_name(self.path.name + ".lock")
        with _answering(lock):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with _answering(lock):
                self._give_away(descriptor)
            deadline = time.monotonic() + PATIENCE
            while not _taken(descriptor):
                if time.monotonic() > deadline:
                    raise KeystoreUnavailable(f"the state file {self.path} is locked by another process: try again")
                time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

    def _write(self, mark: Mark) -> None:
        """Whole or not at all, and durable: a power cut leaves the old file or the new one."""
        draft = self.path.with_name(self.path.name + ".new")
        with _answering(self.path):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)
                self._give_away(descriptor)
                file.write(mark_text(mark))
                file.flush()
                os.fsync(descriptor)
            os.replace(draft, self.path)
            sync_folder(self.path.parent)

    def _give_away(self, descriptor: int) -> None:
        """What root writes stays the keystore's owner's: the gateway must be able to go on."""
        if os.geteuid() == 0:
            state = os.stat(self.keystore)
            os.fchown(descriptor, state.st_uid, state.st_gid)


def _followed(connection: sqlite3.Connection, store: StoreRow, rows: SealedRows, mark: Mark | None) -> Mark:
    """The mark at the end of the log, which is verified on the way there from `mark`."""
    at = START if mark is None else Position(mark.seq, mark.head)
    ended = () if mark is None else mark.ended
    while True:
        _, changes = read_log(connection.execute(SELECT_LOG, (at.seq,)).fetchall())
        at = rows.follow(at, changes)
        ended = remember(ended, changes)
        if len(changes) < FOLLOW_AT_MOST:
            break
    if at != (store.seq, store.head):
        raise RecordRefused(f"the change log ends at row {at.seq}, the store row says {store.seq}")
    return Mark(store.store_id, store.generation, at.seq, at.head, ended)


def mac_at(connection: sqlite3.Connection, seq: int) -> object:
    """None when there is no such change."""
    found = connection.execute(MAC_AT, (seq,)).fetchall()
    return found[0][0] if found else None


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.asynccontextmanager
async def kept(water: HighWater, seq: Callable[[], int], warn: Callable[..., None]) -> AsyncIterator[None]:
    """The mark met at the start, which raises as `HighWater.meet`; raised while changes come, and at the end.

    `seq`: the last change this process has read. What fails later is told to `warn`, and tried again.
    """
    await asyncio.to_thread(water.meet)
    raising = asyncio.create_task(_raise_on(water, seq, warn))
    try:
        yield
    finally:
        raising.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await raising
        await _raised(water, warn)


async def _raise_on(water: HighWater, seq: Callable[[], int], warn: Callable[..., None]) -> None:
    written = -1
    while True:
        await asyncio.sleep(RAISE_EVERY)
        now = seq()
        if now != written and await _raised(water, warn):
            written = now


async def _raised(water: HighWater, warn: Callable[..., None]) -> bool:
    try:
        await asyncio.to_thread(water.meet)
    except KeystoreError as error:
        warn("the high-water mark was not raised: %s", error)
        return False
    return True

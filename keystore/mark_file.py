"""The file that holds a mark, outside any database: read, and replaced whole under a lock.

It holds no secret, and is no proof against somebody who can write it or take it away: a missing file is made anew from
what the database says. Knows no database.

Law: the mark is read before the database. It is written after every commit it tells of, so what is read in this order
can only be ahead of it, unless the database went back.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from keystore.errors import KeystoreError, KeystoreUnavailable, MarkUnreadable
from keystore.mark import MAX_STATE_FILE, Mark, mark_text, parse_mark
from keystore.sealing import sync_folder

PATIENCE: Final = 5.0  # seconds for the lock; it is held for milliseconds, so whoever has it longer is stopped
RAISE_EVERY: Final = 1.0  # seconds between two looks of a gateway whether there is something to write


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


class MarkFile:
    """The mark at `path`. `owned_as`: a file whose owner this one's is, also when root writes it."""

    def __init__(self, path: Path, owned_as: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self._owned_as = owned_as

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
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

    def write(self, mark: Mark) -> None:
        """Whole or not at all, and durable: a power cut leaves the old file or the new one. While it is locked."""
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
        """What root writes stays the owner's: the gateway must be able to go on."""
        if os.geteuid() == 0:
            state = os.stat(self._owned_as)
            os.fchown(descriptor, state.st_uid, state.st_gid)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# ---- while a gateway runs ----

Meet = Callable[[], Awaitable[None]]  # holds the keystore against the mark, and raises the mark


@contextlib.asynccontextmanager
async def raised_while_running(
    meet: Meet, path: Path, seq: Callable[[], int], warn: Callable[..., None]
) -> AsyncIterator[None]:
    """The mark met at the start, which raises as `meet`; raised while changes come, and at the end. Where there is none
    at `path` nothing can be held against it, and nobody waits until it is made from the whole log.

    `seq`: the last change this process has read. What fails later is told to `warn`, and tried again.
    """
    if path.exists():
        await meet()
    raising = asyncio.create_task(_raise_on(meet, seq, warn))
    try:
        yield
    finally:
        raising.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await raising
        await _raised(meet, warn)


async def _raise_on(meet: Meet, seq: Callable[[], int], warn: Callable[..., None]) -> None:
    written = -1
    while True:
        now = seq()
        if now != written and await _raised(meet, warn):
            written = now
        await asyncio.sleep(RAISE_EVERY)


async def _raised(meet: Meet, warn: Callable[..., None]) -> bool:
    try:
        await meet()
    except KeystoreError as error:
        warn("the high-water mark was not raised: %s", error)
        return False
    return True

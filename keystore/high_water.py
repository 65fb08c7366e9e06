"""How far a SQLite keystore had come, kept outside its database: an older copy put back, or a fork of it, is noticed.

One small file (`mark_file`), written only after what it says is durable in the database. It remembers too which keys
and admin tokens were ended last, so that they can be ended again in a copy that does not know.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable, WentBack
from keystore.mark import WENT_BACK, Mark, Rising, together, why_back
from keystore.mark_file import MarkFile, raised_while_running, read_mark
from keystore.sealed_rows import SealedRows, enter_store
from keystore.sealing import KekRing
from keystore.sqlite_file import answering, keystore_path, open_snapshot
from keystore.sqlite_rows import FOLLOW_AT_MOST, MAC_AT, SELECT_LOG, SELECT_STORE, read_log, read_store


class HighWater:
    """The mark of the keystore at `url_or_path`, in `state_file`, or beside the keystore where that is None."""

    def __init__(self, url_or_path: str | Path, ring: KekRing, state_file: Path | None = None) -> None:
        self.keystore = keystore_path(url_or_path)
        beside = self.keystore.with_name(self.keystore.name + ".state")
        self.file = MarkFile(state_file or beside, self.keystore)
        self._ring = ring
        self._keystore_file: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        return self.file.path

    def meet(self) -> None:
        """Hold the keystore against the mark, and raise the mark to where the keystore is; a missing one is made.

        WentBack when the keystore is behind, or beside, what was known: nothing is written then. KeystoreUnavailable
        when either cannot be used. About 1 ms, or 15 µs for each change since; the whole log where there is no file.
        """
        self._check_file()
        with self.file.locked():
            mark = read_mark(self.path)
            with open_snapshot(self.keystore) as connection:
                store, rows = self._entered(connection)
                why = "" if mark is None else why_back(mark, store, mac_at(connection, mark.seq))
                if why:
                    raise WentBack(WENT_BACK.format(why))
                if mark is not None and mark.seq == store.seq:
                    return
                raised = _followed(connection, store, rows, mark)
            self.file.write(raised)

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on."""
        self._ring = ring

    async def judge(self, mark: Mark) -> str:
        """`why_back` of the keystore as it is now."""
        with open_snapshot(self.keystore) as connection:
            store, _ = self._entered(connection)
            return why_back(mark, store, mac_at(connection, mark.seq))

    async def survey(self, known: Mark | None) -> Mark:
        """The mark that the keystore as it is now would have, its whole log verified, and what else was `known`.

        RecordRefused when the log does not hold.
        """
        return self._survey(known)

    async def rewrite(self, known: Mark | None) -> None:
        """The mark is where the keystore is now, whatever was `known` before; what else that remembers is kept."""
        with self.file.locked():
            self.file.write(self._survey(known))

    def _survey(self, known: Mark | None) -> Mark:
        with open_snapshot(self.keystore) as connection:
            return together(_followed(connection, *self._entered(connection), None), known)

    def _check_file(self) -> None:
        """A process that has the keystore open never opens another file that was put in its place: both would share
        one -shm, and closing one would drop the locks of the other."""
        with answering(self.keystore):
            state = os.stat(self.keystore)
        if self._keystore_file not in (None, (state.st_dev, state.st_ino)):
            raise KeystoreUnavailable(f"another file was put in the place of {self.keystore}")
        self._keystore_file = state.st_dev, state.st_ino

    def _entered(self, connection: sqlite3.Connection) -> tuple[StoreRow, SealedRows]:
        store = read_store(connection.execute(SELECT_STORE).fetchall())
        return store, enter_store(self._ring, store)


def _followed(connection: sqlite3.Connection, store: StoreRow, rows: SealedRows, mark: Mark | None) -> Mark:
    """The mark at the end of the log, which is verified on the way there from `mark`."""
    rising = Rising(rows.follow, mark)
    while True:
        _, changes = read_log(connection.execute(SELECT_LOG, (rising.at.seq,)).fetchall())
        rising.take(changes)
        if len(changes) < FOLLOW_AT_MOST:
            return rising.risen(store)


def mac_at(connection: sqlite3.Connection, seq: int) -> object:
    """None when there is no such change."""
    found = connection.execute(MAC_AT, (seq,)).fetchall()
    return found[0][0] if found else None


def kept(water: HighWater, seq: Callable[[], int], warn: Callable[..., None]) -> AbstractAsyncContextManager[None]:
    """As `raised_while_running`, of a keystore on SQLite."""
    return raised_while_running(lambda: asyncio.to_thread(water.meet), water.path, seq, warn)

"""How far a PostgreSQL keystore had come, kept on each host that uses it: a restored copy, a fork, or a server that was
made primary and lacks something is noticed.

As on SQLite one small file (`mark_file`), shared by a gateway and the commands of its host. It is not locked while the
database is asked, which may take seconds: who finds another mark than the one held against the database begins anew.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable, WentBack
from keystore.found_rows import FOLLOW_AT_MOST, read_log, read_store
from keystore.mark import WENT_BACK, Mark, Rising, together, why_back
from keystore.mark_file import MarkFile, raised_while_running, read_mark
from keystore.postgres import PostgresStore
from keystore.postgres_rows import MAC_AT, SELECT_LOG, SELECT_STORE
from keystore.sealed_rows import SealedRows, enter_store
from keystore.sealing import KekRing
from keystore.statements import Hand

TRIES: Final = 20  # each was spoiled by another process of this host that had just raised the mark


class PostgresHighWater:
    """The mark in `state_file` of the keystore that `store` has open. `kek_file`: whose owner the file's is."""

    def __init__(self, store: PostgresStore, ring: KekRing, state_file: Path, kek_file: Path) -> None:
        self.file = MarkFile(state_file, kek_file)
        self._store = store
        self._ring = ring

    @property
    def path(self) -> Path:
        return self.file.path

    async def meet(self) -> None:
        """Hold the keystore against the mark, and raise the mark to where the keystore is; a missing one is made.

        WentBack when the keystore is behind, or beside, what was known: nothing is written then. KeystoreUnavailable
        when either cannot be used.
        """
        for _ in range(TRIES):
            mark = read_mark(self.path)
            raised = await self._held_against(mark)
            if raised is None or await asyncio.to_thread(self._replaced, mark, raised):
                return
        raise KeystoreUnavailable(f"the state file {self.path} is written by others all the time: try again")

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on."""
        self._ring = ring

    async def judge(self, mark: Mark) -> str:
        """`why_back` of the keystore as it is now."""
        async with self._store.snapshot() as hand:
            store, _ = await self._entered(hand)
            return why_back(mark, store, await _mac_at(hand, mark.seq))

    async def survey(self, known: Mark | None) -> Mark:
        """The mark that the keystore as it is now would have, its whole log verified, and what else was `known`.

        RecordRefused when the log does not hold.
        """
        async with self._store.snapshot() as hand:
            return together(await _followed(hand, *await self._entered(hand), None), known)

    async def rewrite(self, known: Mark | None) -> None:
        """The mark is where the keystore is now, whatever was `known` before; what else that remembers is kept."""
        await asyncio.to_thread(self._put, await self.survey(known))

    async def _held_against(self, mark: Mark | None) -> Mark | None:
        """The mark raised; None where there is nothing to raise."""
        async with self._store.snapshot() as hand:
            store, rows = await self._entered(hand)
            why = "" if mark is None else why_back(mark, store, await _mac_at(hand, mark.seq))
            if why:
                raise WentBack(WENT_BACK.format(why))
            if mark is not None and mark.seq == store.seq:
                return None
            return await _followed(hand, store, rows, mark)

    def _replaced(self, mark: Mark | None, raised: Mark) -> bool:
        """False, and nothing was done, when another process has raised the mark meanwhile."""
        with self.file.locked():
            if read_mark(self.path) != mark:
                return False
            self.file.write(raised)
            return True

    def _put(self, mark: Mark) -> None:
        with self.file.locked():
            self.file.write(mark)

    async def _entered(self, hand: Hand) -> tuple[StoreRow, SealedRows]:
        store = read_store(await hand.fetch(SELECT_STORE))
        return store, enter_store(self._ring, store)


async def _mac_at(hand: Hand, seq: int) -> object:
    """None when there is no such change."""
    found = await hand.fetch(MAC_AT, seq)
    return found[0][0] if found else None


async def _followed(hand: Hand, store: StoreRow, rows: SealedRows, mark: Mark | None) -> Mark:
    """The mark at the end of the log, which is verified on the way there from `mark`."""
    rising = Rising(rows.follow, mark)
    while True:
        _, changes = read_log(await hand.fetch(SELECT_LOG, rising.at.seq))
        rising.take(changes)
        if len(changes) < FOLLOW_AT_MOST:
            return rising.risen(store)


def kept_postgres(
    water: PostgresHighWater, seq: Callable[[], int], warn: Callable[..., None]
) -> AbstractAsyncContextManager[None]:
    """As `raised_while_running`, of a keystore on PostgreSQL."""
    return raised_while_running(water.meet, water.path, seq, warn)

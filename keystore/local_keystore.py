"""A keystore on this machine: its store, and the files beside it.

Files are read in threads: what waits for a gateway or a disk must not hold the event loop up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from keystore.audited_rows import Listed, Wanted
from keystore.confirmation import Confirmation, confirm
from keystore.refused import Refused, find_refused, list_refused
from keystore.sealing import KekRing
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.sqlite_audit import list_changes
from keystore.sqlite_file import keystore_path
from keystore.uploads import Note, Unfinished, Upload, forget_uploads, read_uploads, write_uploads
from keystore.usage import Usage, Used, forget_usage, read_usage, write_usage


class LocalFiles:
    """Implements `keystore.keystore.Beside`. `ring`: the KEKs to verify the log with, asked for each time."""

    def __init__(self, url_or_path: str | Path, ring: Callable[[], KekRing]) -> None:
        self._database = keystore_path(url_or_path)
        self._ring = ring

    async def confirmed(self, seq: int, since: float) -> Confirmation:
        return await asyncio.to_thread(confirm, self._database, seq, since=since)

    async def usage(self, access_key_ids: Sequence[str] | None) -> dict[str, Usage]:
        return await asyncio.to_thread(read_usage, self._database, access_key_ids)

    async def used(self, access_key_id: str, used: Used) -> None:
        await asyncio.to_thread(write_usage, self._database, {access_key_id: used}, {})

    async def forget(self, access_key_id: str) -> None:
        await asyncio.to_thread(forget_usage, self._database, access_key_id)
        await asyncio.to_thread(forget_uploads, self._database, access_key_id)

    async def refusal(self, request_id: str) -> Refused | None:
        return await asyncio.to_thread(find_refused, self._database, request_id)

    async def refusals(self, account: str | None, limit: int) -> list[Refused]:
        return await asyncio.to_thread(list_refused, self._database, account, limit)

    async def changes(self, wanted: Wanted) -> list[Listed]:
        return await asyncio.to_thread(list_changes, self._database, self._ring(), wanted)

    async def unfinished(self, access_key_ids: Sequence[str]) -> list[Unfinished]:
        """The uploads that these keys began and nobody has completed or aborted."""
        return await asyncio.to_thread(read_uploads, self._database, access_key_ids)

    async def note(self, notes: Mapping[Upload, Note], now: float) -> None:
        """What became of uploads. `now`: Unix seconds."""
        if notes:
            await asyncio.to_thread(write_uploads, self._database, notes, now)


class LocalKeystore(LocalFiles):
    """Implements `keystore.keystore.Keystore`. `store`: of the same file; the KEKs it uses are used here."""

    def __init__(self, url_or_path: str | Path, store: SqliteStore) -> None:
        super().__init__(url_or_path, lambda: store.ring)
        self.store = store


@asynccontextmanager
async def open_local_keystore(
    url_or_path: str | Path, ring: KekRing, *, create: bool, clock: Callable[[], float] = time.time
) -> AsyncIterator[LocalKeystore]:
    """Not held against its mark. Raises as `open_sqlite_store`."""
    async with open_sqlite_store(url_or_path, ring, create=create, clock=clock) as store:
        yield LocalKeystore(url_or_path, store)

"""A keystore on PostgreSQL: its store, and the tables beside it.

Each question has a connection of its own, so that none waits for a mutation, or for a gateway that another one waits
for.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from keystore.audited_rows import Listed, Wanted
from keystore.confirmation import Confirmation
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_audit import list_postgres_changes
from keystore.postgres_confirmation import confirm_postgres
from keystore.postgres_refused import find_refused_postgres, list_refused_postgres
from keystore.postgres_uploads import forget_uploads_postgres, read_uploads_postgres, write_uploads_postgres
from keystore.postgres_usage import forget_usage_postgres, read_usage_postgres, write_usage_postgres
from keystore.refused import Refused
from keystore.sealing import KekRing, Secret
from keystore.uploads import Note, Unfinished, Upload
from keystore.usage import Usage, Used


class RemoteTables:
    """Implements `keystore.keystore.Beside`. `ring`: the KEKs to verify the log with, asked for each time."""

    def __init__(self, url: Secret, ring: Callable[[], KekRing]) -> None:
        self._url = url
        self._ring = ring

    async def confirmed(self, seq: int, since: float) -> Confirmation:
        return await confirm_postgres(self._url, self._ring(), seq, since=since)

    async def usage(self, access_key_ids: Sequence[str] | None) -> dict[str, Usage]:
        return await read_usage_postgres(self._url, access_key_ids)

    async def used(self, access_key_id: str, used: Used) -> None:
        await write_usage_postgres(self._url, {access_key_id: used}, {})

    async def forget(self, access_key_id: str) -> None:
        await forget_usage_postgres(self._url, access_key_id)
        await forget_uploads_postgres(self._url, access_key_id)

    async def refusal(self, request_id: str) -> Refused | None:
        return await find_refused_postgres(self._url, request_id)

    async def refusals(self, account: str | None, limit: int) -> list[Refused]:
        return await list_refused_postgres(self._url, account, limit)

    async def changes(self, wanted: Wanted) -> list[Listed]:
        return await list_postgres_changes(self._url, self._ring(), wanted)

    async def unfinished(self, access_key_ids: Sequence[str]) -> list[Unfinished]:
        """The uploads that these keys began and nobody has completed or aborted."""
        return await read_uploads_postgres(self._url, access_key_ids)

    async def note(self, notes: Mapping[Upload, Note], now: float) -> None:
        """What became of uploads. `now`: Unix seconds."""
        await write_uploads_postgres(self._url, notes, now)


class RemoteKeystore(RemoteTables):
    """Implements `keystore.keystore.Keystore`. `store`: of the same database; the KEKs it uses are used here."""

    def __init__(self, url: Secret, store: PostgresStore) -> None:
        super().__init__(url, lambda: store.ring)
        self.store = store


@asynccontextmanager
async def open_remote_keystore(
    url: Secret, ring: KekRing, *, create: bool, clock: Callable[[], float] = time.time
) -> AsyncIterator[RemoteKeystore]:
    """Not held against its mark. Raises as `open_postgres_store`."""
    async with open_postgres_store(url.expose(), ring, create=create, clock=clock) as store:
        yield RemoteKeystore(url, store)

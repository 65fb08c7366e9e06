"""Rotation of the key-encryption key: who has which KEK loaded, what stands under which, and the pass over all rows.

First every gateway of this machine must have the newest KEK; then page after page is sealed under it, from the first of
which on every writer seals so; then the older ones are retired. Stopped anywhere, it goes on where it is run again.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from keystore.board import IDENTITY_PERIOD, Watcher
from keystore.errors import Conflict
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing
from keystore.sqlite_file import keystore_path, open_snapshot
from keystore.sqlite_rows import COUNT_BY_KEK, SELECT_STORE, read_store
from keystore.store import FIRST_PLACE, Place, Store

PAGE: Final = 500  # rows of one transaction, some 50 ms
REST: Final = (
    0.02  # seconds between two pages, at least; as long as the page took, so that other writers get their turn
)
PATIENCE: Final = 3.0  # seconds for the gateways to load a KEK that was just added; they look once a second
POLL: Final = 0.05


class KekUse(NamedTuple):
    """What stands under one KEK. `seals`: new rows do. `retired`: it reads the log only. Not `loaded`: only rows tell
    of it. `changes` are history: they keep their KEK for ever, and are read with it.
    """

    kek_id: str
    loaded: bool
    newest: bool
    seals: bool
    retired: bool
    access_keys: int
    accounts: int
    buckets: int
    changes: int

    @property
    def rows(self) -> int:
        """That a rotation would seal anew."""
        return self.access_keys + self.accounts + self.buckets


class Loaded(NamedTuple):
    """A live gateway, and the kek_ids that all its workers can use, the newest last; the newest eight of them."""

    pid: int
    keks: tuple[str, ...]


class KekStatus(NamedTuple):
    """`keks`: oldest first. `min_kek`: the oldest under which rows are accepted. `finished`: nothing to rotate."""

    min_kek: str
    keks: tuple[KekUse, ...]
    gateways: tuple[Loaded, ...]

    @property
    def newest(self) -> KekUse:
        return next(kek for kek in self.keks if kek.newest)

    @property
    def finished(self) -> bool:
        return self.newest.seals and self.min_kek == self.newest.kek_id

    @property
    def due(self) -> int:
        """Rows to seal anew."""
        return sum(kek.rows for kek in self.keks if not kek.newest)


def kek_status(url_or_path: str | Path, ring: KekRing) -> KekStatus:
    """As the rows say; nothing but the store row is verified. Raises as `enter_store`, and when it cannot be read."""
    path = keystore_path(url_or_path)
    with open_snapshot(path) as connection:
        store = read_store(connection.execute(SELECT_STORE).fetchall())
        enter_store(ring, store)
        counts = {(table, kek_id): rows for table, kek_id, rows in connection.execute(COUNT_BY_KEK).fetchall()}
    usable = ring.since(store.min_kek)
    loaded = [kek.kek_id for kek in (*usable.retired, *usable.keks)]
    strange = sorted({kek_id for _, kek_id in counts} - set(loaded))
    retired = {kek.kek_id for kek in usable.retired}
    keks = tuple(
        KekUse(
            kek_id=kek_id,
            loaded=kek_id in loaded,
            newest=kek_id == ring.newest.kek_id,
            seals=kek_id == store.kek_id,
            retired=kek_id in retired,
            access_keys=counts.get(("access_key", kek_id), 0),
            accounts=counts.get(("account", kek_id), 0),
            buckets=counts.get(("bucket", kek_id), 0),
            changes=counts.get(("change", kek_id), 0),
        )
        for kek_id in (*strange, *loaded)
    )
    return KekStatus(store.min_kek, keks, tuple(loaded_by_gateways(path)))


def kek_status_json(status: KekStatus) -> dict[str, object]:
    return {
        "min_kek": status.min_kek,
        "keks": [kek._asdict() for kek in status.keks],
        "gateways": [{"pid": each.pid, "keks": list(each.keks)} for each in status.gateways],
    }


def loaded_by_gateways(database: Path, *, sleep: Callable[[float], None] = time.sleep) -> list[Loaded]:
    """Of every live gateway of this machine. KeystoreUnavailable when the board cannot be used."""
    watcher = Watcher(database)
    try:
        if watcher.made:  # gateways whose board was deleted look for it once in a period
            sleep(2 * IDENTITY_PERIOD)
        gateways: dict[int, tuple[str, ...]] = {}
        for slot in filter(None, map(watcher.read, watcher.taken())):
            common = gateways.get(slot.gateway, slot.keks)
            gateways[slot.gateway] = tuple(kek_id for kek_id in slot.keks if kek_id in common)
        return [Loaded(pid, keks) for pid, keks in gateways.items()]
    finally:
        watcher.close()


def require_loaded(
    database: Path, kek_id: str, *, patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Conflict when a live gateway of this machine has not loaded the KEK in time: it could read nothing any more."""
    deadline = time.monotonic() + patience
    while lacking := [str(each.pid) for each in loaded_by_gateways(database) if kek_id not in each.keks]:
        if time.monotonic() > deadline:
            who = f"process {lacking[0]} has" if len(lacking) == 1 else f"processes {', '.join(lacking)} have"
            raise Conflict(
                f"{who} not loaded key-encryption key {kek_id}, and could read nothing after a rotation: does it read"
                " the same KEK file? Its log says why not, or restart it"
            )
        sleep(POLL)


async def rotate(
    store: Store, kek_id: str, actor: str, progress: Callable[[int], None] = lambda done: None, page: int = PAGE
) -> int:
    """Seal everything under `kek_id`, the newest, and retire the older ones; how many rows that were.

    `progress` is told after every page, which stands by then. Raises as `Store.reseal`.
    """
    done = 0
    place: Place | None = FIRST_PLACE
    while place is not None:
        began = time.monotonic()
        resealed = await store.reseal(kek_id, place, page, actor)
        done += resealed.rows
        place = resealed.following
        progress(done)
        if place is not None:
            await asyncio.sleep(max(REST, time.monotonic() - began))
    return done

"""Rotation of the key-encryption key: what stands under which on SQLite, who has which loaded, the pass over all rows.

First every gateway of the keystore must have the newest KEK; then page after page is sealed under it, from the first of
which on every writer seals so; then the older ones are retired. Stopped anywhere, it goes on where it is run again.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keystore.board import IDENTITY_PERIOD, Watcher
from keystore.kek_use import KekStatus, Loaded, kek_uses, not_loaded
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


def kek_status(url_or_path: str | Path, ring: KekRing) -> KekStatus:
    """As the rows say; nothing but the store row is verified. Raises as `enter_store`, and when it cannot be read."""
    path = keystore_path(url_or_path)
    with open_snapshot(path) as connection:
        store = read_store(connection.execute(SELECT_STORE).fetchall())
        enter_store(ring, store)
        counted = connection.execute(COUNT_BY_KEK).fetchall()
    return KekStatus(store.min_kek, kek_uses(ring, store, counted), tuple(loaded_by_gateways(path)))


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
        return [Loaded(pid, None, keks) for pid, keks in gateways.items()]
    finally:
        watcher.close()


def require_loaded(
    database: Path, kek_id: str, *, patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Conflict when a live gateway of this machine has not loaded the KEK in time: it could read nothing any more."""
    deadline = time.monotonic() + patience
    while lacking := [each.shown for each in loaded_by_gateways(database) if kek_id not in each.keks]:
        if time.monotonic() > deadline:
            raise not_loaded("process", lacking, kek_id)
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

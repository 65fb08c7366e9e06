"""Before the key-encryption key of a PostgreSQL keystore is rotated: what stands under which, and who has which loaded.

A gateway is live while its row is neither fenced nor left, and its lease is renewed. One that has not renewed it for a
whole lease, on our own clock, serves nothing: nobody waits for it, and it must load the KEK before it serves again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from keystore.chain import StoreRow
from keystore.errors import RecordRefused
from keystore.found_rows import STORE, read_store
from keystore.kek_use import KekStatus, Loaded, kek_uses, not_loaded
from keystore.postgres_rows import COUNT_BY_KEK, SCHEMA
from keystore.postgres_snapshot import connected, snapshot
from keystore.sealed_rows import enter_store
from keystore.sealing import KekRing, Secret
from keystore.statements import Hand

PATIENCE: Final = 4.0  # seconds for gateways to load a KEK that was just added and to say so; they look once a second
POLL: Final = 0.1
GATEWAYS: Final = (  # the store row with each live gateway; one row of it where there is none
    f"SELECT {STORE}, g.id::text, g.name, g.renewals, g.keks FROM {SCHEMA}.store s"  # noqa: S608
    f" LEFT JOIN {SCHEMA}.gateway g ON NOT g.fenced AND g.left_at IS NULL ORDER BY g.name, g.id"
)


class _Seen(NamedTuple):
    gateway_id: str
    renewals: int
    loaded: Loaded


async def kek_status_postgres(url: Secret, ring: KekRing) -> KekStatus:
    """As the rows say; nothing but the store row is verified. Raises as `enter_store`, and when it cannot be read."""
    async with snapshot(url) as hand:
        store, gateways = await _live(hand, ring)
        uses = kek_uses(ring, store, await hand.fetch(COUNT_BY_KEK))
    return KekStatus(store.min_kek, uses, tuple(one.loaded for one in gateways))


def boottime() -> float:
    """Seconds; goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def require_loaded_postgres(
    url: Secret,
    ring: KekRing,
    kek_id: str,
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = boottime,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Conflict when a live gateway, on whichever machine, has not loaded the KEK in time: it could read nothing any
    more. Who may be dead is watched for a lease first."""
    deadline = clock() + patience
    first: dict[str, int] = {}
    moved: dict[str, tuple[int, float]] = {}  # the renewals last seen, and since when
    async with connected(url) as hand:
        while True:
            store, gateways = await _live(hand, ring)
            now = clock()
            lacking = [one for one in gateways if kek_id not in one.loaded.keks]
            for one in lacking:
                first.setdefault(one.gateway_id, one.renewals)
                if moved.get(one.gateway_id, (None,))[0] != one.renewals:
                    moved[one.gateway_id] = one.renewals, now
            waited_for = [one for one in lacking if now - moved[one.gateway_id][1] < store.lease_ms / 1000]
            if not waited_for:
                return
            alive = [one.loaded.shown for one in waited_for if one.renewals != first[one.gateway_id]]
            if alive and now > deadline:
                raise not_loaded("gateway", alive, kek_id)
            await sleep(POLL)


async def _live(hand: Hand, ring: KekRing) -> tuple[StoreRow, list[_Seen]]:
    """The store row is verified: it says how long a lease is."""
    found = await hand.fetch(GATEWAYS)
    store = read_store(found)
    enter_store(ring, store)
    return store, [_seen(*row[len(StoreRow._fields) :]) for row in found if row[len(StoreRow._fields)] is not None]


def _seen(gateway_id: object, name: object, renewals: object, keks: object) -> _Seen:
    if not isinstance(renewals, int):
        raise RecordRefused("a row in the table of gateways holds a value of a wrong type")
    return _Seen(str(gateway_id), renewals, Loaded(None, str(name), tuple(str(keks).split())))

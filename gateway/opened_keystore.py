"""The keystore, opened for a gateway's life: its writing side, where the keeper looks, how workers know it, and what is
written down beside it. In a file on this machine, or in PostgreSQL.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.config import Config
from gateway.workers.feeds import Feeds
from gateway.workers.hand import Side
from gateway.workers.keeper import DirectorySource, RemoteSource, Source
from gateway.workers.noted import Noted
from gateway.workers.refused import Gathered
from gateway.workers.scan import Condemned, Scanned
from gateway.workers.sides import STUCK, SideAfar, SideHere
from gateway.workers.tallied import Tallied
from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreUnavailable
from keystore.high_water import HighWater, kept
from keystore.means import RingMeans
from keystore.postgres import open_postgres_store
from keystore.postgres_high_water import PostgresHighWater, kept_postgres
from keystore.postgres_keeper import PostgresKeeper
from keystore.postgres_refused import write_refused_postgres
from keystore.postgres_uploads import write_uploads_postgres
from keystore.postgres_usage import write_usage_postgres
from keystore.refused import write_refused
from keystore.sealing import KekRing, Secret
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_file import keystore_path
from keystore.store import Store

LOG: Final = logging.getLogger("nqgate")
JOIN_SECONDS: Final = 20.0  # for the first proof from the database; it takes milliseconds
WATCH: Final = 0.02  # seconds between two looks at the keystore
MAX_KNOWN: Final = 32 << 20  # bytes of records that the keeper remembers: it is asked once a day for each

Stuck = Callable[[int, str], None]  # the number of a worker that takes nothing any more, and why it is to be killed


class Opened(NamedTuple):
    """A keystore opened for the gateway's life. `users`: who must know when other KEKs are loaded. `scanned`: where it
    lies; `condemn`: what a reading of all of it has found. `lease_left`: seconds, where there is a lease."""

    source: Source
    writer: Store
    side: Side
    users: tuple[Callable[[KekRing], None], ...]
    fresh: Callable[[], bool]
    scanned: Scanned
    condemn: Callable[[Condemned], None]
    refused: Gathered
    lease_left: Callable[[], float | None]


def _verifying(directory: Directory) -> Callable[[KekRing], None]:
    return lambda ring: directory.use(RingMeans(ring))


async def _watch(directory: Directory) -> None:
    while True:
        await asyncio.sleep(WATCH)
        try:
            directory.tick()
        except Exception:
            LOG.exception("watching the keystore failed")


async def _open_here(stack: contextlib.AsyncExitStack, config: Config, ring: KekRing) -> Opened:
    """A file on this machine, which workers read by themselves."""
    path = config.keystore.path
    writer = await stack.enter_async_context(open_sqlite_store(path, ring, create=True))
    directory = open_directory(path, ring, max_known=MAX_KNOWN, believed=True)
    stack.callback(directory.close)
    water = HighWater(path, ring, config.keystore.state_file)
    await stack.enter_async_context(kept(water, lambda: directory.where()[1], LOG.warning))
    stack.callback(asyncio.get_running_loop().create_task(_watch(directory)).cancel)
    side = SideHere(directory, str(keystore_path(path)), ring)
    users = (_verifying(directory), writer.use, water.use, side.use)
    scanned = Scanned(None, str(path), str(config.keystore.kek_file), str(water.path))
    source = DirectorySource(directory)
    refused = Gathered(lambda told, now: asyncio.to_thread(write_refused, keystore_path(path), told, now))
    return Opened(
        source, writer, side, users, directory.fresh_or_refreshed, scanned, side.condemn, refused, lambda: None
    )


async def _open_afar(stack: contextlib.AsyncExitStack, config: Config, ring: KekRing, stuck: Stuck) -> Opened:
    """PostgreSQL, of which workers are told what they need."""
    url = config.keystore.url.get_secret_value()
    writer = await stack.enter_async_context(open_postgres_store(url, ring, create=True))
    feeds = Feeds(lambda number: stuck(number, STUCK))
    stack.callback(feeds.end)
    keeper = PostgresKeeper(Secret(url), ring, feeds, name=f"{socket.gethostname()} {config.s3.listen}")
    running = asyncio.get_running_loop().create_task(keeper.run())
    stack.push_async_callback(cancelled, running)
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            await keeper.ready()
    except TimeoutError:
        raise KeystoreUnavailable("the keystore's database proves nothing: the log above says why") from None
    water = PostgresHighWater(writer, ring, config.keystore.host_state_file, config.keystore.kek_file)
    await stack.enter_async_context(kept_postgres(water, lambda: keeper.applied, LOG.warning))
    tallied = Tallied(lambda used, denied: write_usage_postgres(Secret(url), used, denied))
    stack.push_async_callback(tallied.write)
    stack.callback(asyncio.get_running_loop().create_task(tallied.run()).cancel)
    noted = Noted(lambda notes, now: write_uploads_postgres(Secret(url), notes, now))
    stack.push_async_callback(noted.write)
    stack.push_async_callback(cancelled, asyncio.get_running_loop().create_task(noted.run()))
    side = SideAfar(feeds, keeper.acknowledge_soon, tallied, noted)
    scanned = Scanned(url, "", str(config.keystore.kek_file), str(config.keystore.host_state_file))
    users = (keeper.use, writer.use, water.use)
    refused = Gathered(lambda told, now: write_refused_postgres(Secret(url), told, now))
    source, left = RemoteSource(keeper), keeper.lease_left
    return Opened(source, writer, side, users, keeper.fresh, scanned, _already_refused, refused, left)


def _already_refused(condemned: Condemned) -> None:
    """Every record is read anew and verified with its last change; what else does not hold stands in the log."""


async def cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def open_keystore(stack: contextlib.AsyncExitStack, config: Config, ring: KekRing, stuck: Stuck) -> Opened:
    """Until the stack unwinds; a new one is migrated first. Raises KeystoreError."""
    if config.keystore.remote:
        return await _open_afar(stack, config, ring, stuck)
    return await _open_here(stack, config, ring)

"""The supervisor process: it opens the keystore for writing, starts the workers, answers on the control plane, and runs
until told to stop. It serves no S3 itself, so it answers while every worker is busy.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gateway.config import Config
from gateway.telemetry.slots import SUPERVISOR, Slot, Slots
from gateway.unix_listener import unix_listener
from gateway.wiring import console_listener_context, s3_listener_context
from gateway.workers.control import ControlPlane
from gateway.workers.feeds import Feeds
from gateway.workers.keeper import DirectorySource, Keeper, RemoteSource, Source
from gateway.workers.link import Message
from gateway.workers.measured import KeystoreState, SupervisorMeasures
from gateway.workers.noted import Noted
from gateway.workers.refused import Gathered
from gateway.workers.relaying import relay_listener, relay_name
from gateway.workers.scan import Condemned, Scan, Scanned
from gateway.workers.share import processors
from gateway.workers.sides import STUCK, SideAfar, SideHere
from gateway.workers.supervisor import Side, Supervisor
from gateway.workers.tallied import Tallied
from keystore.derived import UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreUnavailable
from keystore.high_water import HighWater, kept
from keystore.kek_file import KekWatch, kek_watched
from keystore.means import RingMeans
from keystore.postgres import open_postgres_store
from keystore.postgres_high_water import PostgresHighWater, kept_postgres
from keystore.postgres_keeper import PostgresKeeper
from keystore.postgres_refused import write_refused_postgres
from keystore.postgres_uploads import write_uploads_postgres
from keystore.postgres_usage import write_usage_postgres
from keystore.refused import write_refused
from keystore.sealing import KekRing, Secret, load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_file import keystore_path
from keystore.store import Store

LOG: Final = logging.getLogger("nqgate")
BACKLOG: Final = 1024  # connections the kernel may hold while the workers are busy
JOIN_SECONDS: Final = 20.0  # for the first proof from the database; it takes milliseconds
WATCH: Final = 0.02  # seconds between two looks at the keystore
MAX_KNOWN: Final = 32 << 20  # bytes of records that the keeper remembers: it is asked once a day for each


class BoundAddresses(NamedTuple):
    """Where both listeners are reached, as URLs; S3 on a Unix socket as unix:/PATH."""

    s3: str
    console: str


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _url(port: int, host: str, scheme: str = "http") -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def listen(host: str, port: int, workers: int) -> list[list[socket.socket]]:
    """For each worker its own sockets on every address of `host`: the kernel deals connections out to them evenly.

    OSError for an address that is taken, also by another gateway, or a name that is none.
    """
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    with contextlib.ExitStack() as undo:
        listeners: list[list[socket.socket]] = [[] for _ in range(workers)]
        for family, _, _, _, address in found:
            try:
                with _bound(family, address) as alone:  # a socket that shares would be let in beside another gateway's
                    address = alone.getsockname()
                for own in listeners:
                    own.append(undo.enter_context(_bound(family, address, shared=True)))
                    own[-1].listen(BACKLOG)
            except OSError as error:
                raise OSError(error.errno, f"{host}:{port} cannot be listened on: {error.strerror}") from error
        undo.pop_all()
    return listeners


def _bound(family: int, address: Any, *, shared: bool = False) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


class _Listening(NamedTuple):
    """Where S3 clients connect: each worker's sockets, what people call it, and how nobody new finds it any more."""

    listeners: list[list[socket.socket]]
    shown: str
    leave: Callable[[], None]


def _listening(stack: contextlib.AsyncExitStack, config: Config, *, secure: bool) -> _Listening:
    """Open until the stack unwinds. Of a Unix socket there is one, which all workers have."""
    workers = config.workers.count or processors()
    if config.s3.socket is not None:
        bound = stack.enter_context(unix_listener(config.s3.socket, int(config.s3.socket_mode, 8)))
        return _Listening([[bound.socket] for _ in range(workers)], config.s3.listen, bound.remove)
    host, port = _split(config.s3.listen)
    listeners = listen(host, port, workers)
    for listener in itertools.chain(*listeners):
        stack.enter_context(listener)
    shown = _url(listeners[0][0].getsockname()[1], host, "https" if secure else "http")
    return _Listening(listeners, shown, lambda: None)


def _control_plane(
    stack: contextlib.AsyncExitStack,
    config: Config,
    readiness: Callable[[], Message],
    relay: socket.socket,
    slots: Slots,
) -> tuple[ControlPlane, str]:
    """Begun, until the stack unwinds; and its address as a URL. OSError for one that is taken."""
    host, port = _split(config.console.listen)
    [listeners] = listen(host, port, 1)
    control = ControlPlane(config, readiness, slots)
    stack.push_async_callback(control.stop)
    for listener in listeners:
        stack.enter_context(listener)
    control.begin(relay, listeners)
    scheme = "http" if console_listener_context(config) is None else "https"
    return control, _url(listeners[0].getsockname()[1], host, scheme)


class _Keystore(NamedTuple):
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
    lease_left: Callable[[], float] | None = None


def _verifying(directory: Directory) -> Callable[[KekRing], None]:
    return lambda ring: directory.use(RingMeans(ring))


async def _watch(directory: Directory) -> None:
    while True:
        await asyncio.sleep(WATCH)
        try:
            directory.tick()
        except Exception:
            LOG.exception("watching the keystore failed")


async def _open_here(stack: contextlib.AsyncExitStack, config: Config, ring: KekRing) -> _Keystore:
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
    return _Keystore(source, writer, side, users, directory.fresh_or_refreshed, scanned, side.condemn, refused)


async def _open_afar(
    stack: contextlib.AsyncExitStack, config: Config, ring: KekRing, stuck: Callable[[int, str], None]
) -> _Keystore:
    """PostgreSQL, of which workers are told what they need."""
    url = config.keystore.url.get_secret_value()
    writer = await stack.enter_async_context(open_postgres_store(url, ring, create=True))
    feeds = Feeds(lambda number: stuck(number, STUCK))
    stack.callback(feeds.end)
    keeper = PostgresKeeper(Secret(url), ring, feeds, name=f"{socket.gethostname()} {config.s3.listen}")
    running = asyncio.get_running_loop().create_task(keeper.run())
    stack.push_async_callback(_cancelled, running)
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
    stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(noted.run()))
    side = SideAfar(feeds, keeper.acknowledge_soon, tallied, noted)
    scanned = Scanned(url, "", str(config.keystore.kek_file), str(config.keystore.host_state_file))
    users = (keeper.use, writer.use, water.use)
    refused = Gathered(lambda told, now: write_refused_postgres(Secret(url), told, now))
    source, left = RemoteSource(keeper), keeper.lease_left
    return _Keystore(source, writer, side, users, keeper.fresh, scanned, _already_refused, refused, left)


def _already_refused(condemned: Condemned) -> None:
    """Every record is read anew and verified with its last change; what else does not hold stands in the log."""


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _readiness(keystore: _Keystore, workers: Supervisor, scan: Scan) -> Message:
    """What /readyz tells. The last two stand in the body only: a store that is down must not take the gateway out of
    service."""
    fresh, serving = keystore.fresh(), workers.serving
    return {
        "ready": fresh and serving,
        "keystore": "fresh" if fresh else "not answering",
        "listeners": "serving" if serving else "not serving",
        "whole_keystore": scan.state,
        "upstream": workers.upstream_error or "ok",
    }


def _measured(
    stack: contextlib.AsyncExitStack, keystore: _Keystore, workers: Supervisor, control: ControlPlane
) -> None:
    """From now on, until the stack unwinds."""
    slot = Slot(workers.slots.file, SUPERVISOR)
    stack.callback(slot.close)
    state = KeystoreState(keystore.fresh, keystore.side.applied, keystore.lease_left)
    measures = SupervisorMeasures(slot, state, workers, control)
    stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(measures.run()))


async def serve(config: Config, *, on_ready: Callable[[BoundAddresses], None] | None = None) -> int:
    """Run until SIGTERM or SIGINT, then drain. Returns how many requests had to be cut (0 = a clean end).

    A new keystore is migrated first. Raises KeystoreError, SettingsError, or OSError for an address that is taken.
    """
    loop = asyncio.get_running_loop()
    ring = load_kek_ring(config.keystore.kek_file)
    upstream = config.upstream
    credential = UpstreamCredential(upstream.access_key_id, upstream.secret())
    secure = s3_listener_context(config) is not None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        gangs: list[Supervisor] = []
        if config.keystore.remote:
            keystore = await _open_afar(stack, config, ring, lambda number, why: gangs[0].kill(number, why))
        else:
            keystore = await _open_here(stack, config, ring)
        keeper = Keeper(keystore.source, keystore.writer, credential, upstream.region.encode())
        refused = keystore.refused
        stack.push_async_callback(refused.write)
        stack.push_async_callback(_cancelled, loop.create_task(refused.run()))
        relay = stack.enter_context(relay_listener())
        workers = Supervisor(config, keeper, keystore.side, refused.add, relay_name(relay))
        gangs.append(workers)
        if isinstance(keystore.side, SideHere):
            keystore.side.tell = workers.tell
        stack.callback(workers.slots.close)
        stack.push_async_callback(workers.stop)
        watch = KekWatch(config.keystore.kek_file, ring, keystore.users, LOG.warning)
        await stack.enter_async_context(kek_watched(watch))
        listening = _listening(stack, config, secure=secure)
        scan = Scan(keystore.scanned, keystore.condemn)
        control, console = _control_plane(
            stack, config, lambda: _readiness(keystore, workers, scan), relay, workers.slots
        )
        _measured(stack, keystore, workers, control)
        await workers.start(listening.listeners)
        await control.ready()
        stack.push_async_callback(_cancelled, loop.create_task(scan.run()))
        bound = BoundAddresses(listening.shown, console)
        LOG.info("serving S3 on %s, console, REST and health on %s", bound.s3, bound.console)
        if on_ready is not None:
            on_ready(bound)
        await stop.wait()
        listening.leave()
        cut = await workers.drain()
        LOG.info("stopped; %d requests were cut", cut)
        return cut

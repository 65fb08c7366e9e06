"""The supervisor process: it opens the keystore for writing, starts the workers, answers on the control plane, and runs
until told to stop. It serves no S3 itself, so it answers while every worker is busy.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp import web

from gateway.config import Config
from gateway.console.app import Readiness, build_app
from gateway.wiring import s3_listener_context
from gateway.workers.keeper import Keeper
from gateway.workers.share import processors
from gateway.workers.supervisor import Supervisor
from keystore.derived import UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.high_water import HighWater, kept
from keystore.kek_file import KekWatch, kek_watched
from keystore.means import RingMeans
from keystore.sealing import KekRing, load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_file import keystore_path

LOG: Final = logging.getLogger("nqgate")
BACKLOG: Final = 1024  # connections the kernel may hold while the workers are busy
WATCH: Final = 0.02  # seconds between two looks at the keystore
MAX_KNOWN: Final = 10_000  # records that the keeper remembers: it is asked once a day for each


class BoundAddresses(NamedTuple):
    """Where both listeners are reached, as URLs."""

    s3: str
    console: str


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _url(port: int, host: str, scheme: str = "http") -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host`. OSError for one that is taken, or a name that is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as undo:
        listeners = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                listener.bind(address)
                listener.listen(BACKLOG)
            except OSError as error:
                raise OSError(error.errno, f"{host}:{port} cannot be listened on: {error.strerror}") from error
            listeners.append(listener)
        undo.pop_all()
    return listeners


async def _serve_console(stack: contextlib.AsyncExitStack, listen_on: str, readiness: Readiness) -> str:
    """The control plane, until the stack unwinds; → its address as a URL. OSError for one that is taken."""
    host, port = _split(listen_on)
    runner = web.AppRunner(build_app(readiness), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()
    return _url(runner.addresses[0][1], host)


def _verifying(directory: Directory) -> Callable[[KekRing], None]:
    return lambda ring: directory.use(RingMeans(ring))


async def _watch(directory: Directory) -> None:
    while True:
        await asyncio.sleep(WATCH)
        try:
            directory.tick()
        except Exception:
            LOG.exception("watching the keystore failed")


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
        writer = await stack.enter_async_context(open_sqlite_store(config.keystore.path, ring, create=True))
        directory = open_directory(config.keystore.path, ring, max_known=MAX_KNOWN)
        stack.callback(directory.close)
        water = HighWater(config.keystore.path, ring, config.keystore.state_file)
        await stack.enter_async_context(kept(water, lambda: directory.where()[1], LOG.warning))
        keeper = Keeper(directory, writer, credential, upstream.region.encode())
        database = str(keystore_path(config.keystore.path))
        workers = Supervisor(config, keeper, ring, database, lambda: directory.where()[1])
        stack.push_async_callback(workers.stop)
        users = (_verifying(directory), writer.use, water.use, workers.use)
        watch = KekWatch(config.keystore.kek_file, ring, users, LOG.warning)
        await stack.enter_async_context(kek_watched(watch))
        stack.callback(loop.create_task(_watch(directory)).cancel)
        host, port = _split(config.s3.listen)
        listeners = listen(host, port)
        for listener in listeners:
            stack.enter_context(listener)
        readiness = Readiness(directory.fresh_or_refreshed, lambda: workers.serving, lambda: workers.upstream_error)
        console = await _serve_console(stack, config.console.listen, readiness)
        await workers.start(listeners, config.workers.count or processors())
        bound = BoundAddresses(_url(listeners[0].getsockname()[1], host, "https" if secure else "http"), console)
        LOG.info("serving S3 on %s, health on %s", bound.s3, bound.console)
        if on_ready is not None:
            on_ready(bound)
        await stop.wait()
        cut = await workers.drain()
        LOG.info("stopped; %d requests were cut", cut)
        return cut

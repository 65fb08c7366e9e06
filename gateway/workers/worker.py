"""One worker: a process that serves S3. It holds no key-encryption key, no secret and no credential of the store, only
what the supervisor hands it: MAC keys to verify records with, and keys derived for a day.

Started by the supervisor as `python -m gateway.workers.worker LINK LISTENER…`, each the number of an inherited socket.
"""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvloop

from gateway.config import Config, SettingsError
from gateway.telemetry.logs import configure_logs
from gateway.usage import keep_written, write_out
from gateway.wire.cutting import Cutter
from gateway.wire.engine import Engine
from gateway.wire.server import ClientConnection
from gateway.wiring import Parts, build_engine, configured_limits, s3_listener_context
from gateway.workers.asking import Asking, AskingMeans, AskingWriter, days_keys, handed_macs
from gateway.workers.link import Link, Message
from gateway.workers.share import share
from keystore.board import Identity, Seat
from keystore.derived import DaysKeys
from keystore.directory import Directory, open_directory
from keystore.errors import KeystoreError

LOG: Final = logging.getLogger("nqgate")
BEAT: Final = 0.25  # seconds between two signs of life to the supervisor
BACKLOG: Final = 1024  # connections the kernel may hold while the loop is busy


class RenewedKeys:
    """The gateway's own credential at the store, as keys of some days, which the supervisor renews."""

    def __init__(self, keys: DaysKeys) -> None:
        self.keys = keys

    @property
    def access_key_id(self) -> str:
        return self.keys.access_key_id

    def signing_key(self, date: bytes, region: bytes) -> bytes:
        return self.keys.signing_key(date, region)


class Worker:
    """From the first message of the supervisor to the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listeners: list[socket.socket]) -> None:
        self._loop = loop
        self._listeners = listeners
        self._link = Link(self._take, self._alone)
        self._asking = Asking(self._link.send, loop)
        self._begun: asyncio.Future[Message] = loop.create_future()
        self._stop = asyncio.Event()
        self._renew: Callable[[Message], None] = lambda message: None

    async def run(self, link: socket.socket) -> int:
        """→ the exit code."""
        await self._loop.create_connection(lambda: self._link, sock=link)
        try:
            begin = await self._begun
            await self._serve(begin)
        except (SettingsError, KeystoreError, OSError) as error:
            self._link.send({"failed": str(error), "settings": isinstance(error, SettingsError)})
            await asyncio.sleep(0)
            return 1
        finally:
            self._link.close()
        return 0

    # ---- what the supervisor says ----

    def _take(self, message: Message) -> None:
        if "number" in message:
            self._asking.take(message)
        elif "begin" in message:
            self._begun.set_result(message)
        elif "drain" in message:
            self._stop.set()
        else:
            self._renew(message)

    def _alone(self) -> None:
        """The supervisor is gone: nobody answers, and nobody would end this process. What runs here may finish."""
        if not self._begun.done():
            self._begun.set_exception(OSError("the supervisor is gone"))
        self._stop.set()

    # ---- serving ----

    async def _serve(self, begin: Message) -> None:
        config = Config.model_validate(begin["config"])
        configure_logs(config.log.level, config.log.format)
        database = Path(begin["database"])
        region = config.upstream.region.encode()
        macs = handed_macs(begin)
        own = RenewedKeys(days_keys(begin["store_keys"], region))
        async with contextlib.AsyncExitStack() as stack:
            directory = open_directory(database, AskingMeans(macs, self._asking, region))
            stack.callback(directory.close)
            files, applied = directory.where()
            seat = Seat(database, Identity(*files), applied, begin["gateway"])
            stack.callback(seat.leave)
            seat.loaded(macs.usable)
            limits = share(configured_limits(config), begin["workers"])
            engine = build_engine(config, Parts(directory, own, AskingWriter(self._asking), seat, limits))
            directory.on_change = Cutter(engine).on_change
            directory.on_applied = seat.applied
            self._renew = functools.partial(self._renewed, own, directory, seat, region)
            tls = s3_listener_context(config)
            servers = [await self._listen(engine, listener, tls) for listener in self._listeners]
            stack.callback(write_out, engine.tally, database)
            for work in (keep_written(engine.tally, database), engine.run(), self._beat(engine, directory)):
                stack.callback(self._loop.create_task(work).cancel)
            self._link.send({"ready": os.getpid()})
            await self._stop.wait()
            for server in servers:
                server.close()
            self._link.send({"drained": await engine.drain()})

    async def _listen(self, engine: Engine, listener: socket.socket, tls: Any) -> asyncio.Server:
        timeout = None if tls is None else engine.limits.head_timeout
        return await self._loop.create_server(
            lambda: ClientConnection(engine), sock=listener, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=timeout
        )

    def _renewed(self, own: RenewedKeys, directory: Directory, seat: Seat, region: bytes, message: Message) -> None:
        """Other KEKs are loaded, or another day has begun."""
        if "store_keys" in message:
            own.keys = days_keys(message["store_keys"], region)
        if "macs" in message:
            macs = handed_macs(message)
            try:
                directory.use(AskingMeans(macs, self._asking, region))
            except KeystoreError as error:
                LOG.warning("the changed KEK file is not used: %s", error)
            else:
                seat.loaded(macs.usable)

    async def _beat(self, engine: Engine, directory: Directory) -> None:
        while True:
            self._link.send({"applied": directory.where()[1], "upstream": engine.upstream.pool.last_error})
            await asyncio.sleep(BEAT)


async def _run(link: int, listeners: list[int]) -> int:
    loop = asyncio.get_running_loop()
    worker = Worker(loop, [socket.socket(fileno=number) for number in listeners])
    loop.add_signal_handler(signal.SIGTERM, worker._stop.set)
    return await worker.run(socket.socket(fileno=link))


def main() -> None:
    """Ctrl-C reaches every process of a terminal: the supervisor alone acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link, *listeners = [int(number) for number in sys.argv[1:]]
    sys.exit(uvloop.run(_run(link, listeners)))


if __name__ == "__main__":
    main()

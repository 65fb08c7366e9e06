"""One worker: a process that serves S3. It holds no key-encryption key, no secret and no credential of the store, only
what the supervisor hands it: keys derived for a day, and either the MAC keys to read the keystore with, or its records.

Started by the supervisor as `python -m gateway.workers.worker LINK[,WORD,FEED] LISTENER…`, numbers of inherited files.
"""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from typing import Final, Protocol, cast

import uvloop

from gateway.config import Config, SettingsError
from gateway.telemetry.logs import configure_logs
from gateway.telemetry.slots import Slot
from gateway.wire.cutting import Cutter
from gateway.wire.engine import Engine
from gateway.wire.server import ClientConnection
from gateway.wiring import Parts, build_engine, configured_limits, s3_listener_context
from gateway.workers.accepting import Accepting
from gateway.workers.asking import Asking, AskingKeys, AskingWriter, days_keys
from gateway.workers.link import Link, Message
from gateway.workers.measured import WorkerMeasures
from gateway.workers.reading import Reading, reading_here, told_from_afar
from gateway.workers.refused import refused_messages
from gateway.workers.relaying import Relay
from gateway.workers.share import share
from keystore.derived import DaysKeys
from keystore.errors import KeystoreError

BEAT: Final = 0.25  # seconds between two signs of life to the supervisor
BACKLOG: Final = 1024  # connections the kernel may hold while the loop is busy


class Closing(Protocol):
    """What accepts connections, until it is closed."""

    def close(self) -> None: ...


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
    """From the first message of the supervisor to the end. `told`: the files of word and feed, if it is told."""

    def __init__(self, listeners: list[socket.socket], told: tuple[int, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._told = told
        self._link = Link(self._take, self._alone)
        self._asking = Asking(self._link.send, self._loop)
        self._begun: asyncio.Future[Message] = self._loop.create_future()
        self.stop = asyncio.Event()
        self._own: RenewedKeys | None = None
        self._reading: Reading | None = None

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
            self.stop.set()
        elif "store_keys" in message and self._own is not None:  # another day has begun
            self._own.keys = days_keys(message["store_keys"], self._own.keys.region)
        elif "condemned" in message and self._reading is not None:
            self._reading.condemn(message)
        elif "macs" in message and self._reading is not None:  # other KEKs are loaded
            self._reading.renew(message)

    def _alone(self) -> None:
        """The supervisor is gone: nobody answers, and nobody would end this process. What runs here may finish."""
        if not self._begun.done():
            self._begun.set_exception(OSError("the supervisor is gone"))
        self.stop.set()

    # ---- serving ----

    async def _serve(self, begin: Message) -> None:
        config = Config.model_validate(begin["config"])
        configure_logs(config.log.level, config.log.format)
        region = config.upstream.region.encode()
        keys = AskingKeys(self._asking, region)
        own = self._own = RenewedKeys(days_keys(begin["store_keys"], region))
        async with contextlib.AsyncExitStack() as stack:
            if self._told:
                reading = told_from_afar(stack, begin, keys, self._link.send, self._told)
            else:
                reading = reading_here(stack, begin, keys)
            self._reading = reading
            if "condemned" in begin:
                reading.condemn(begin)
            limits = share(configured_limits(config), begin["workers"])
            writer, control = AskingWriter(self._asking), Relay(begin["control"])
            parts = Parts(reading.directory, own, writer, reading.board, limits, control)
            engine = build_engine(config, parts)
            reading.begin(stack, Cutter(engine), engine.tally)
            measures = self._measures(stack, begin, engine, reading)
            tls = s3_listener_context(config)
            servers = [await self._listen(engine, listener, tls) for listener in self._listeners]
            for work in (engine.run(), self._beat(engine, reading), measures.run()):
                stack.callback(self._loop.create_task(work).cancel)
            self._link.send({"ready": os.getpid()})
            await self.stop.wait()
            for server in servers:
                server.close()
            cut = await engine.drain()
            self._tell_refusals(engine)
            measures.write()
            self._link.send({"drained": cut})

    def _measures(
        self, stack: contextlib.AsyncExitStack, begin: Message, engine: Engine, reading: Reading
    ) -> WorkerMeasures:
        slot = Slot(begin["slots"], begin["slot"])
        stack.callback(slot.close)
        return WorkerMeasures(slot, engine, reading.applied)

    async def _listen(self, engine: Engine, listener: socket.socket, tls: ssl.SSLContext | None) -> Closing:

        def made() -> asyncio.BaseProtocol:
            return cast("asyncio.BaseProtocol", ClientConnection(engine))

        if listener.family == socket.AF_UNIX:
            return Accepting(listener, made)
        timeout = None if tls is None else engine.limits.head_timeout
        return await self._loop.create_server(
            made,
            sock=listener,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=timeout,
        )

    async def _beat(self, engine: Engine, reading: Reading) -> None:
        while True:
            self._link.send({"applied": reading.applied(), "upstream": engine.upstream.pool.last_error})
            self._tell_refusals(engine)
            await asyncio.sleep(BEAT)

    def _tell_refusals(self, engine: Engine) -> None:
        for message in refused_messages(engine.refusals.take()):
            self._link.send(message)


async def _run(link: int, told: tuple[int, ...], listeners: list[int]) -> int:
    worker = Worker([socket.socket(fileno=number) for number in listeners], told)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop.set)
    return await worker.run(socket.socket(fileno=link))


def main() -> None:
    """Ctrl-C reaches every process of a terminal: the supervisor alone acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link, *told = [int(number) for number in sys.argv[1].split(",")]
    sys.exit(uvloop.run(_run(link, tuple(told), [int(number) for number in sys.argv[2:]])))


if __name__ == "__main__":
    main()

"""The process of the control plane: it opens the keystore as a command does, and answers console, REST and IAM.

Started by the supervisor as `python -m gateway.control_plane LINK RELAY LISTENER…`, numbers of inherited files. It ends
when the link does.
"""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import uvloop
from aiohttp import web

from gateway.config import Config, KeystoreSettings, SettingsError
from gateway.console.acts import Acts
from gateway.console.app import Door, build_app
from gateway.console.connections import bounded
from gateway.console.measured import PlaneMeasures
from gateway.console.store_list import StoreList
from gateway.console.unread import server_log
from gateway.iam.answer import answer
from gateway.iam.relayed import answer_relayed
from gateway.iam.request import IamAnswer, IamRequest
from gateway.telemetry.exposition import exposition
from gateway.telemetry.logs import configure_logs
from gateway.telemetry.slots import Slot, SlotReader
from gateway.wiring import configured_policy, console_listener_context
from gateway.workers.accepting import Accepting
from gateway.workers.asking import Asking
from gateway.workers.link import Link, Message
from gateway.workers.relaying import Answer, answering_relays
from keystore.errors import KeystoreError
from keystore.kek_file import KekWatch, kek_watched
from keystore.local_keystore import LocalKeystore, open_local_keystore
from keystore.remote_keystore import RemoteKeystore, open_remote_keystore
from keystore.sealing import KekRing, Secret, load_kek_ring
from keystore.store import Store

HEAD_LINE: Final = 16_384  # bytes of a request line; a target has 8 KiB at most
KEEP_ALIVE: Final = 30.0  # seconds; a person's browser opens another one in 1 ms
HANDSHAKE: Final = 10.0  # seconds; no [limits], which a reload changes without another control plane
SHUTDOWN: Final = 2.0  # seconds for what is being answered

LOG: Final = logging.getLogger("nqgate")


@contextlib.asynccontextmanager
async def _opened(settings: KeystoreSettings, ring: KekRing) -> AsyncIterator[LocalKeystore | RemoteKeystore]:
    """The supervisor holds it against its high-water mark."""
    if settings.remote:
        async with open_remote_keystore(Secret(settings.url.get_secret_value()), ring, create=False) as afar:
            yield afar
    else:
        async with open_local_keystore(settings.path, ring, create=False) as here:
            yield here


def _numbers(stack: contextlib.AsyncExitStack, shared: tuple[int, int], acts: Acts) -> Callable[[], bytes]:
    """What /metrics says, from now until the stack unwinds. `shared`: the file of all slots, and our own's number."""
    file, number = shared
    slot, reader = Slot(file, number), SlotReader(file)
    stack.callback(slot.close)
    stack.callback(reader.close)
    measures = PlaneMeasures(slot)
    acts.on_confirmed = measures.confirmed
    version = importlib.metadata.version("nqgate")

    def numbers() -> bytes:
        measures.measure()
        return exposition(reader, version)

    return numbers


class Plane:
    """From the first message of the supervisor to the end."""

    def __init__(self, relay: socket.socket, listeners: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._relay = relay
        self._listeners = listeners
        self._link = Link(self._take, self._alone)
        self._asking = Asking(self._link.send, self._loop)
        self._begun: asyncio.Future[Message] = self._loop.create_future()
        self._stop = asyncio.Event()

    async def run(self, link: socket.socket) -> int:
        """→ the exit code."""
        await self._loop.create_connection(lambda: self._link, sock=link)
        try:
            begin = await self._begun
            await self._serve(Config.model_validate(begin["config"]), (begin["slots"], begin["slot"]))
        except (SettingsError, KeystoreError, OSError) as error:
            self._link.send({"failed": str(error), "settings": isinstance(error, SettingsError)})
            await asyncio.sleep(0)
            return 1
        finally:
            self._link.close()
        return 0

    def _take(self, message: Message) -> None:
        if "number" in message:
            self._asking.take(message)
        elif "begin" in message:
            self._begun.set_result(message)

    def _alone(self) -> None:
        if not self._begun.done():
            self._begun.set_exception(OSError("the supervisor is gone"))
        self._stop.set()

    async def _readiness(self) -> Message | None:
        """None when the supervisor does not say."""
        try:
            told = await self._asking.answer_to({"readiness": True})
        except KeystoreError:
            return None
        return {name: value for name, value in told.items() if name != "number"}

    def _relayed(self, acts: Acts, store: Store) -> Answer:
        """What a worker was sent for IAM or STS."""

        async def ask(request: IamRequest) -> IamAnswer:
            return await answer(request, acts, store, time.time())

        async def relayed(message: Message) -> Message:
            return await answer_relayed(message, ask)

        return relayed

    async def _serve(self, config: Config, shared: tuple[int, int]) -> None:
        configure_logs(config.log.level, config.log.format)
        tls = console_listener_context(config)
        ring = load_kek_ring(config.keystore.kek_file)
        rings = [ring]
        async with contextlib.AsyncExitStack() as stack:
            keystore = await stack.enter_async_context(_opened(config.keystore, ring))

            def use(changed: KekRing) -> None:
                keystore.store.use(changed)
                rings[:] = [changed]

            watch = KekWatch(config.keystore.kek_file, ring, (use,), LOG.warning)
            await stack.enter_async_context(kek_watched(watch))
            acts = Acts(keystore, configured_policy(config), StoreList(config).fresh, config.keys.max_lifetime)
            read = _numbers(stack, shared, acts)
            door = Door(config, acts, keystore.store, self._readiness, lambda: rings[0], metrics=read)
            app = build_app(door)
            await stack.enter_async_context(answering_relays(self._relay, self._relayed(acts, keystore.store)))
            runner = web.AppRunner(
                app,
                access_log=None,
                logger=server_log(),
                keepalive_timeout=KEEP_ALIVE,
                max_line_size=HEAD_LINE,
                shutdown_timeout=SHUTDOWN,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            most = config.console.connections
            spoken = None if tls is None else (tls, HANDSHAKE, most)
            for listener in self._listeners:
                stack.callback(Accepting(listener, bounded(runner, most), spoken).close)
            self._link.send({"ready": os.getpid()})
            await self._stop.wait()


async def _run(link: int, files: list[int]) -> int:
    relay, *listeners = [socket.socket(fileno=number) for number in files]
    return await Plane(relay, listeners).run(socket.socket(fileno=link))


def main() -> None:
    """Ctrl-C, a hang-up and a stop reach every process of a terminal or a unit: the supervisor alone acts on them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    link, *files = [int(number) for number in sys.argv[1:]]
    sys.exit(uvloop.run(_run(link, files)))


if __name__ == "__main__":
    main()

"""The process of the control plane, seen from the supervisor: started, replaced when it ends, answered, asked.

A process of its own, so that neither a long list nor a flood of sign-ins can keep the supervisor from proving that the
keystore is fresh. It opens the keystore as a command does, and has the same secrets as the supervisor.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from gateway.config import Config, SettingsError
from gateway.telemetry.slots import Slots
from gateway.workers.link import Link, Message
from gateway.workers.supervisor import LAST_MESSAGES, PAUSES, SETTLED, START_SECONDS, inherited_environment
from keystore.errors import KeystoreUnavailable

LOG: Final = logging.getLogger("nqgate")
COMMAND: Final = [sys.executable, "-P", "-m", "gateway.control_plane"]
LAST_WORDS: Final = 3.0  # seconds for it to end by itself


class ControlPlane:
    """One for each gateway, on the supervisor's loop. `readiness`: what /readyz tells, asked each time."""

    def __init__(self, config: Config, readiness: Callable[[], Message], slots: Slots) -> None:
        self.restarts = 0
        self._slots = slots
        self._config = config
        self._readiness = readiness
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: Message | None = None
        self._living: asyncio.Task[None] | None = None

    def begin(self, relay: socket.socket, listeners: list[socket.socket]) -> None:
        """Start it; it serves on `listeners`, and answers what workers send it on `relay`."""
        self._living = self._loop.create_task(self._keep_alive([relay, *listeners]))

    async def ready(self) -> None:
        """Once it serves. SettingsError or KeystoreUnavailable with what it said when it could not."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise KeystoreUnavailable(f"the control plane was not ready after {START_SECONDS:.0f} seconds") from None

    async def stop(self) -> None:
        """Harmless when called again."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
        if self._link is not None:
            self._link.close()  # which tells it to end
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    # ---- its life ----

    async def _keep_alive(self, listeners: list[socket.socket]) -> None:
        early_ends = 0
        while True:
            born = self._loop.time()
            await self._run_one(listeners)
            if not self._ready.done():
                said = self._failed or {"failed": "the control plane ended before it was ready; its words stand above"}
                self._ready.set_exception(
                    (SettingsError if said.get("settings") else KeystoreUnavailable)(said["failed"])
                )
                return
            early_ends = 0 if self._loop.time() - born > SETTLED else early_ends + 1
            pause = PAUSES[min(early_ends, len(PAUSES) - 1)]
            self.restarts += 1
            LOG.error("the control plane ended; it is started again%s", f" in {pause:g} s" if pause else "")
            await asyncio.sleep(pause)

    async def _run_one(self, listeners: list[socket.socket]) -> None:
        ours, theirs = socket.socketpair()
        files = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                *map(str, files),
                pass_fds=[*files, self._slots.file],
                stdin=asyncio.subprocess.DEVNULL,
                env=inherited_environment(),
            )
        slot = self._slots.take()
        silent = asyncio.Event()
        link = self._link = Link(self._take, silent.set)
        await self._loop.create_connection(lambda: link, sock=ours)
        self._send({"begin": True, "config": with_secrets(self._config), "slots": self._slots.file, "slot": slot})
        await self._process.wait()
        self._slots.give_back(slot)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_MESSAGES):
                await silent.wait()
        self._link = None
        link.close()

    # ---- what it says ----

    def _send(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(message)

    def _take(self, message: Message) -> None:
        if "number" in message:
            self._send({"number": message["number"], **self._readiness()})
        elif "ready" in message and not self._ready.done():
            self._ready.set_result(None)
        elif "failed" in message:
            self._failed = message
            LOG.error("the control plane cannot serve: %s", message["failed"])


def with_secrets(config: Config) -> Message:
    """The whole of it, what pydantic masks too: for the link only."""
    told: Message = config.model_dump(mode="json")
    told["keystore"]["url"] = config.keystore.url.get_secret_value()
    secret = config.upstream.secret_access_key
    told["upstream"]["secret_access_key"] = None if secret is None else secret.get_secret_value()
    return told

"""One place for a worker, and the process that has it: started, heard, replaced when it ends, until it is retired.

It decides nothing: who is to be killed and when a whole generation is replaced says `gateway.workers.supervisor`.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from gateway.config import Config, SettingsError
from gateway.telemetry.slots import Slots
from gateway.workers.keeper import Keeper
from gateway.workers.link import Link, Message
from keystore.errors import KeystoreUnavailable

LOG: Final = logging.getLogger("nqgate")
COMMAND: Final = [sys.executable, "-P", "-m", "gateway.workers.worker"]  # -P: not from the folder it is started in
START_SECONDS: Final = 30.0  # to become ready
PAUSES: Final = (0.0, 0.2, 1.0, 5.0)  # seconds before one that ended too early is started again, longer each time
SETTLED: Final = 10.0  # seconds a worker must have lived for its end not to be "too early"
LAST_MESSAGES: Final = 1.0  # seconds for what a worker that has ended said before
# What the environment may hold that a worker must not; PG… are those of PostgreSQL's own clients, PGPASSWORD too.
SECRET_SETTINGS: Final = ("NQGATE_UPSTREAM__SECRET_ACCESS_KEY", "NQGATE_KEYSTORE__URL", "PG")
# What the supervisor was started with, and nobody it starts: sockets that are its own, and whom it tells its state.
OWN_SETTINGS: Final = ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")


class Side(Protocol):
    """How workers know the keystore. `begin`: what a new one is told, and the files it inherits beside its link and the
    listeners. `begun`: it has them. `heard`: a message of a worker. `ended`: it is gone.
    """

    def begin(self, number: int) -> tuple[Message, list[int]]: ...
    def begun(self, number: int) -> None: ...
    def heard(self, number: int, message: Message) -> None: ...
    def ended(self, number: int) -> None: ...
    def applied(self) -> int:
        """The last change that the supervisor knows of."""


class Generation(NamedTuple):
    """Workers that are started alike. `shared`: all of them accept from the same sockets."""

    config: Config
    keeper: Keeper
    workers: int
    shared: bool


class House(NamedTuple):
    """What every worker of a gateway meets. `control`: the name under which it finds the control plane. `slots`: where
    its numbers stand. `take`: hears what it says; `replaced`: that another process takes a place."""

    side: Side
    control: str
    slots: Slots
    take: Callable[["Hand", Message], None]
    replaced: Callable[[], None]


class Hand:
    """`number`: no other hand of this supervisor has it, and every process that takes this place does. `retired`: when
    its process ends no other takes the place."""

    def __init__(self, number: int, generation: Generation, listeners: Sequence[socket.socket]) -> None:
        self.number = number
        self.generation = generation
        self.listeners = listeners
        self.link: Link | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.living: asyncio.Task[None] | None = None
        self.ready = False
        self._retired = asyncio.Event()
        self.failed: Message | None = None
        self.upstream_error: str | None = None
        self.applied = 0
        self.heard_at = 0.0
        self.due = 0  # the change that it should apply next
        self.due_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()

    @property
    def retired(self) -> bool:
        return self._retired.is_set()

    def retire(self) -> None:
        self._retired.set()

    def begin(self, house: House) -> None:
        self.living = self._loop.create_task(self._keep_alive(house))

    async def started(self) -> None:
        """Once the first is ready. SettingsError or KeystoreUnavailable with what it said when it could not serve."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.shield(self._started)
        except TimeoutError:
            raise KeystoreUnavailable(f"a worker was not ready after {START_SECONDS:.0f} seconds") from None

    def is_ready(self) -> None:
        self.ready = True
        if not self._started.done():
            self._started.set_result(None)

    def tell(self, message: Message) -> None:
        if self.link is not None:
            self.link.send(message)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    # ---- its life ----

    async def _keep_alive(self, house: House) -> None:
        """A worker in this place, until it is retired."""
        early_ends = 0
        while not self._retired.is_set():
            born = self._loop.time()
            await self._run_one(house)
            if self._retired.is_set():
                return
            if not self._started.done():
                self._started.set_exception(_why(self))
                return
            early_ends = 0 if self._loop.time() - born > SETTLED else early_ends + 1
            pause = PAUSES[min(early_ends, len(PAUSES) - 1)]
            house.replaced()
            LOG.error("worker %d ended; another takes its place%s", self.number, f" in {pause:g} s" if pause else "")
            await asyncio.sleep(pause)

    async def _run_one(self, house: House) -> None:
        ours, theirs = socket.socketpair()
        begin, files = house.side.begin(self.number)
        listeners = [listener.fileno() for listener in self.listeners]
        words = [",".join(map(str, [theirs.fileno(), *files])), *map(str, listeners)]
        self.failed, self.ready, self.applied = None, False, 0
        slot = house.slots.take()
        try:
            with theirs:
                self.process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    *words,
                    pass_fds=[theirs.fileno(), *files, *listeners, house.slots.file],
                    stdin=asyncio.subprocess.DEVNULL,
                    env=inherited_environment(),
                )
        except OSError as error:  # no memory, no files, no more processes: it may be better in a moment
            ours.close()
            house.slots.give_back(slot)
            self.failed = {"failed": f"no worker can be started: {error.strerror or error}"}
            LOG.error("%s", self.failed["failed"])
            house.side.begun(self.number)
            house.side.ended(self.number)
            return
        house.side.begun(self.number)
        self.heard_at = self._loop.time() + START_SECONDS  # it may take that long to speak
        silent = asyncio.Event()
        link = Link(lambda message: house.take(self, message), silent.set)
        await self._loop.create_connection(lambda: link, sock=ours)
        self.link = link
        link.send(self._begin(house) | {"slot": slot} | begin)
        if self._retired.is_set():  # meanwhile, and it has not been told
            self.signal(signal.SIGKILL)
        await self.process.wait()
        house.slots.give_back(slot)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_MESSAGES):
                await silent.wait()
        self.link, self.ready = None, False
        link.close()
        house.side.ended(self.number)

    def _begin(self, house: House) -> Message:
        return {
            "begin": True,
            "config": _without_secrets(self.generation.config),
            "gateway": os.getpid(),
            "workers": self.generation.workers,
            "shared": self.generation.shared,
            "store_keys": self.generation.keeper.store_keys(),
            "control": house.control,
            "slots": house.slots.file,
        }


def inherited_environment() -> dict[str, str]:
    """What a process that the supervisor starts may see of ours."""
    hidden = SECRET_SETTINGS + OWN_SETTINGS
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(hidden)}


def _without_secrets(config: Config) -> Message:
    """What pydantic masks stays masked; where the keystore lies is no worker's business."""
    told: Message = config.model_dump(mode="json")
    told["keystore"]["url"] = "sqlite:///not-told"
    return told


def _why(hand: Hand) -> Exception:
    said = hand.failed or {"failed": f"worker {hand.number} ended before it was ready; its words stand above"}
    return (SettingsError if said.get("settings") else KeystoreUnavailable)(said["failed"])

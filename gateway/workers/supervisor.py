"""Starts the workers, watches them, replaces one that died or hangs, and tells all of them what has changed.

The listening sockets are made before and inherited, one for each worker: a connection that waits in that of a worker
which ended is served by the one that takes its place, so none is lost. Of a Unix socket there is only one, for all of
them (`gateway.workers.accepting`).
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final, Protocol

from gateway.config import Config, SettingsError
from gateway.telemetry.slots import Slots
from gateway.workers.keeper import Keeper, answer
from gateway.workers.link import Link, Message
from keystore.errors import KeystoreUnavailable

LOG: Final = logging.getLogger("nqgate")
COMMAND: Final = [sys.executable, "-P", "-m", "gateway.workers.worker"]  # -P: not from the folder it is started in
LOOK_EVERY: Final = 0.25  # seconds between two looks at the workers
SILENT: Final = 10.0  # seconds without a sign of life: its loop hangs, or it was stopped
BEHIND: Final = 2.0  # seconds that a worker may take to apply a change; it takes 0.02
RENEW_EVERY: Final = 3600.0  # seconds; keys towards the store are handed out for yesterday, today and tomorrow
START_SECONDS: Final = 30.0  # to become ready
PAUSES: Final = (0.0, 0.2, 1.0, 5.0)  # seconds before one that ended too early is started again, longer each time
SETTLED: Final = 10.0  # seconds a worker must have lived for its end not to be "too early"
LAST_MESSAGES: Final = 1.0  # seconds for what a worker that has ended said before
LAST_WORDS: Final = 5.0  # seconds beyond the drain for a worker to end by itself
# What the environment may hold that a worker must not; PG… are those of PostgreSQL's own clients, PGPASSWORD too.
SECRET_SETTINGS: Final = ("NQGATE_UPSTREAM__SECRET_ACCESS_KEY", "NQGATE_KEYSTORE__URL", "PG")


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


class _Hand:
    """One place for a worker, and whoever has it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: Link | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.ready = False
        self.failed: Message | None = None
        self.upstream_error: str | None = None
        self.applied = 0
        self.heard_at = 0.0
        self.due = 0  # the change that it should apply next
        self.due_since = 0.0
        self.early_ends = 0
        self.cut: int | None = None


class Supervisor:
    """One for each gateway, on its event loop. `refused`: hears why workers refused requests. `control`: the name under
    which workers find the control plane."""

    def __init__(
        self, config: Config, keeper: Keeper, side: Side, refused: Callable[[Message], None], control: str
    ) -> None:
        self._config = config
        self._control = control
        self._keeper = keeper
        self._side = side
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._listeners: list[list[socket.socket]] = []
        self._hands: list[_Hand] = []
        self._living: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self.slots = Slots()
        self.restarts = 0

    # ---- what others ask ----

    @property
    def serving(self) -> bool:
        return not self._ending and any(hand.ready for hand in self._hands)

    @property
    def ready(self) -> int:
        return sum(hand.ready for hand in self._hands)

    @property
    def places(self) -> int:
        return len(self._hands)

    @property
    def upstream_error(self) -> str | None:
        return next((hand.upstream_error for hand in self._hands if hand.upstream_error), None)

    def tell(self, message: Message) -> None:
        """Every worker."""
        for hand in self._hands:
            if hand.link is not None:
                hand.link.send(message)

    # ---- starting ----

    async def start(self, listeners: list[list[socket.socket]]) -> None:
        """A worker for each list of sockets, ready. SettingsError or KeystoreUnavailable with what the first that
        failed said."""
        self._listeners = listeners
        self._hands = [_Hand(number) for number in range(len(listeners))]
        started = [self._loop.create_future() for _ in self._hands]
        pairs = zip(self._hands, started, strict=True)
        self._living = [self._loop.create_task(self._keep_alive(hand, ready)) for hand, ready in pairs]
        self._living.append(self._loop.create_task(self._watch()))
        self._living.append(self._loop.create_task(self._renew()))
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*started)
        except TimeoutError:
            raise KeystoreUnavailable(f"the workers were not ready after {START_SECONDS:.0f} seconds") from None

    async def _keep_alive(self, hand: _Hand, started: "asyncio.Future[None]") -> None:
        """A worker in this place, until the end; `started`: once the first is ready, or has failed."""
        while True:
            born = self._loop.time()
            await self._run_one(hand, started)
            if self._ending:
                return
            if not started.done():
                started.set_exception(_why(hand))
                return
            hand.early_ends = 0 if self._loop.time() - born > SETTLED else hand.early_ends + 1
            pause = PAUSES[min(hand.early_ends, len(PAUSES) - 1)]
            self.restarts += 1
            LOG.error("worker %d ended; another takes its place%s", hand.number, f" in {pause:g} s" if pause else "")
            await asyncio.sleep(pause)

    async def _run_one(self, hand: _Hand, started: "asyncio.Future[None]") -> None:
        ours, theirs = socket.socketpair()
        begin, files = self._side.begin(hand.number)
        listeners = [listener.fileno() for listener in self._listeners[hand.number]]
        words = [",".join(map(str, [theirs.fileno(), *files])), *map(str, listeners)]
        slot = self.slots.take()
        with theirs:
            hand.process = await asyncio.create_subprocess_exec(
                *COMMAND,
                *words,
                pass_fds=[theirs.fileno(), self.slots.file, *files, *listeners],
                stdin=asyncio.subprocess.DEVNULL,
                env=inherited_environment(),
            )
        self._side.begun(hand.number)
        hand.failed, hand.ready, hand.applied = None, False, 0
        hand.heard_at = self._loop.time() + START_SECONDS  # it may take that long to speak
        silent = asyncio.Event()
        link = Link(functools.partial(self._take, hand, started), silent.set)
        await self._loop.create_connection(lambda: link, sock=ours)
        hand.link = link
        link.send(
            {
                "begin": True,
                "config": _without_secrets(self._config),
                "gateway": os.getpid(),
                "workers": len(self._hands),
                "store_keys": self._keeper.store_keys(),
                "control": self._control,
                "slots": self.slots.file,
                "slot": slot,
                **begin,
            }
        )
        await hand.process.wait()
        self.slots.give_back(slot)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_MESSAGES):
                await silent.wait()
        hand.link, hand.ready = None, False
        link.close()
        self._side.ended(hand.number)

    # ---- what workers say ----

    def _take(self, hand: _Hand, started: "asyncio.Future[None]", message: Message) -> None:
        if "number" in message and hand.link is not None:
            task = self._loop.create_task(answer(self._keeper, message, hand.link.send))
            self._tasks.add(task)
            task.add_done_callback(self._answered)
        elif "applied" in message:
            hand.heard_at = self._loop.time()
            hand.applied = message["applied"]
            hand.upstream_error = message["upstream"]
        elif "ready" in message:
            hand.ready = True
            if not started.done():
                started.set_result(None)
        elif "failed" in message:
            hand.failed = message
            LOG.error("worker %d cannot serve: %s", hand.number, message["failed"])
        elif "refusals" in message:
            self._refused(message)
        elif "drained" in message:
            hand.cut = message["drained"]
        else:
            self._side.heard(hand.number, message)

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOG.error("answering a worker failed", exc_info=task.exception())

    # ---- watching ----

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now, applied = self._loop.time(), self._side.applied()
            for hand in self._hands:
                if not hand.ready or hand.applied >= hand.due:  # then what has come since is due from now on
                    hand.due, hand.due_since = applied, now
                if now - hand.heard_at > SILENT:
                    self._end(hand, f"gave no sign of life for {SILENT:.0f} s")
                elif now - hand.due_since > BEHIND:
                    self._end(hand, f"has not applied a change for {BEHIND:.0f} s")

    def kill(self, number: int, why: str) -> None:
        """The worker in that place, who is then replaced."""
        self._end(self._hands[number], why)

    def _end(self, hand: _Hand, why: str) -> None:
        """What it had under way is reset. That is how it confirms: a dead worker accepts nothing."""
        if hand.process is None or hand.process.returncode is not None:
            return
        LOG.error("worker %d (process %d) %s and is killed", hand.number, hand.process.pid, why)
        with contextlib.suppress(ProcessLookupError):
            hand.process.kill()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            self.tell({"store_keys": self._keeper.store_keys()})

    # ---- the end ----

    async def drain(self) -> int:
        """Let running requests finish; returns how many had to be cut."""
        self._ending = True
        for listener in itertools.chain(*self._listeners):
            listener.close()
        self.tell({"drain": True})
        for hand in self._hands:
            if hand.process is not None and hand.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    hand.process.send_signal(signal.SIGCONT)
        waiting = [hand.process.wait() for hand in self._hands if hand.process is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.limits.drain_timeout + LAST_WORDS):
                await asyncio.gather(*waiting)
        await self.stop()
        return sum(hand.cut or 0 for hand in self._hands)

    async def stop(self) -> None:
        """At once. Harmless when called again."""
        self._ending = True
        for hand in self._hands:
            self._end(hand, "did not end by itself")
        for task in self._living:
            task.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        for hand in self._hands:
            if hand.process is not None:
                await hand.process.wait()


def inherited_environment() -> dict[str, str]:
    """What a process that the supervisor starts may see of ours."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(SECRET_SETTINGS)}


def _without_secrets(config: Config) -> Message:
    """What pydantic masks stays masked; where the keystore lies is no worker's business."""
    told: Message = config.model_dump(mode="json")
    told["keystore"]["url"] = "sqlite:///not-told"
    return told


def _why(hand: _Hand) -> Exception:
    said = hand.failed or {"failed": f"worker {hand.number} ended before it was ready; its words stand above"}
    return (SettingsError if said.get("settings") else KeystoreUnavailable)(said["failed"])

"""Has workers in every place, watches them, kills one that hangs, replaces a whole generation by the next, and tells
all of them what has changed.

The listening sockets are made before and inherited: a connection that waits in that of a worker which ended, or was
replaced, is served by whoever has the place then, so none is lost. Of a Unix socket, or one that systemd made, there
is only one, for all of them (`gateway.workers.accepting`).

A generation is replaced so: the next one serves, on the same sockets, before the old one is told to leave. What the
old one has under way it finishes; both are told of every change, and a change is confirmed when both have applied it.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.telemetry.slots import Slots
from gateway.workers.hand import LAST_MESSAGES, Generation, Hand, House, Side
from gateway.workers.keeper import answer
from gateway.workers.link import Message
from gateway.workers.remaining import Remaining, said
from keystore.board import SLOTS
from keystore.errors import Conflict

LOG: Final = logging.getLogger("nqgate")
LOOK_EVERY: Final = 0.25  # seconds between two looks at the workers
SILENT: Final = 10.0  # seconds without a sign of life: its loop hangs, or it was stopped
QUIET: Final = 3.0  # seconds without one after which it is not counted among those that serve; they come four a second
BEHIND: Final = 2.0  # seconds that a worker may take to apply a change; it takes 0.02
# Seconds. Keys towards the store are handed out for yesterday, today and tomorrow; a clock that jumped further, or a
# machine that slept for days, must not cost more than this.
RENEW_EVERY: Final = 30.0
LAST_WORDS: Final = 5.0  # seconds beyond the drain for a worker to end by itself
GRACE: Final = 5.0  # seconds for which a replaced worker keeps idle connections: their next reply says that they end
SAY_EVERY: Final = 5.0  # seconds between two lines on what a drain waits for
SPARE_SLOTS: Final = 8  # of the board, for other gateways of this keystore on this machine


class Supervisor:
    """One for each gateway, on its event loop. `refused`: hears why workers refused requests. `control`: the name under
    which workers find the control plane."""

    def __init__(self, side: Side, refused: Callable[[Message], None], control: str) -> None:
        self.slots = Slots()
        self.restarts = 0
        self._house = House(side, control, self.slots, self._take, self._replaced)
        self._side = side
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._hands: list[Hand] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._remaining = Remaining()
        self._ending = False

    # ---- what others ask ----

    @property
    def draining(self) -> bool:
        return self._ending

    @property
    def alive(self) -> tuple[int, int]:
        """How many serve and have just given a sign of life, and of how many."""
        since, present = self._loop.time() - QUIET, self._present
        return sum(hand.ready and hand.heard_at > since for hand in present), len(present)

    @property
    def upstream_error(self) -> str | None:
        return next((hand.upstream_error for hand in self._hands if hand.upstream_error), None)

    @property
    def _present(self) -> list[Hand]:
        return [hand for hand in self._hands if not hand.retired]

    def tell(self, message: Message) -> None:
        """Every worker."""
        for hand in self._hands:
            hand.tell(message)

    # ---- starting and replacing ----

    async def start(self, generation: Generation, places: Sequence[Sequence[socket.socket]]) -> None:
        """A worker for each list of sockets, ready. SettingsError or KeystoreUnavailable with what the first that
        failed said."""
        self._chores = [self._loop.create_task(self._watch()), self._loop.create_task(self._renew())]
        hands = self._begin(generation, places)
        await asyncio.gather(*(hand.started() for hand in hands))

    def _begin(self, generation: Generation, places: Sequence[Sequence[socket.socket]]) -> list[Hand]:
        hands = [Hand(next(self._numbers), generation, listeners) for listeners in places]
        for hand in hands:
            self._hands.append(hand)
            hand.begin(self._house)
        return hands

    async def prepare(self, generation: Generation, places: Sequence[Sequence[socket.socket]]) -> list[Hand]:
        """The next generation, which serves beside the present one. When one of it cannot, none of it stays, and what
        it said is raised as by `start`. Conflict where too many that were replaced have not finished yet."""
        self._check_room(len(places))
        fresh: list[Hand] = []
        try:
            for listeners in places:  # one after the other: starting takes a processor half a second
                self._check_ending()
                fresh += self._begin(generation, [listeners])
                await fresh[-1].started()
            self._check_ending()
        except BaseException:
            await self.abandon(fresh)
            raise
        return fresh

    def _check_ending(self) -> None:
        if self._ending:
            raise Conflict("the gateway is about to end")

    def _check_room(self, places: int) -> None:
        leaving = sum(hand.retired for hand in self._hands)
        if leaving > min(2 * places, SLOTS - SPARE_SLOTS - 2 * places):
            raise Conflict(
                f"{leaving} workers that were replaced before still finish what they had under way:"
                f" {said(self._remaining.running)}; try again when they have"
            )

    async def abandon(self, fresh: list[Hand]) -> None:
        for hand in fresh:
            self._retire(hand, grace=0.0, patience=0.0)
        await asyncio.gather(*(hand.living for hand in fresh if hand.living is not None), return_exceptions=True)

    def commit(self, fresh: list[Hand], patience: float) -> int:
        """Those that were there before leave: what they have under way may take `patience` seconds. → how many."""
        if self._ending:  # meanwhile: all of them have been told
            return 0
        old = [hand for hand in self._present if hand not in fresh]
        for hand in old:
            self._retire(hand, grace=GRACE, patience=patience)
        return len(old)

    def _retire(self, hand: Hand, *, grace: float, patience: float) -> None:
        hand.retire()
        if hand.running:
            hand.tell(_drain(grace, patience))
        if hand.living is not None:
            hand.living.add_done_callback(lambda _: self._gone(hand))
        late = self._loop.call_later(patience + grace + LAST_WORDS, self._end, hand, "did not end by itself")
        if hand.living is not None:
            hand.living.add_done_callback(lambda _: late.cancel())

    def _gone(self, hand: Hand) -> None:
        with contextlib.suppress(ValueError):
            self._hands.remove(hand)
        cut = self._remaining.forget(hand.number)
        if cut:
            LOG.warning("worker %d, which was replaced, has ended; cut were: %s", hand.number, said(cut))

    def _replaced(self) -> None:
        self.restarts += 1

    # ---- what workers say ----

    def _take(self, hand: Hand, message: Message) -> None:
        if "number" in message and hand.link is not None:
            task = self._loop.create_task(answer(hand.generation.keeper, message, hand.link.send))
            self._tasks.add(task)
            task.add_done_callback(self._answered)
        elif "applied" in message:
            hand.heard_at = self._loop.time()
            hand.applied = message["applied"]
            hand.upstream_error = message["upstream"]
        elif "ready" in message:
            hand.is_ready()
        elif "failed" in message:
            hand.failed = message
            LOG.error("worker %d cannot serve: %s", hand.number, message["failed"])
        elif "refusals" in message:
            self._refused(message)
        elif "running" in message or "drained" in message:
            self._remaining.hear(hand.number, message)
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
        """The worker of that number, who is then replaced."""
        for hand in self._hands:
            if hand.number == number:
                self._end(hand, why)

    def _end(self, hand: Hand, why: str) -> None:
        """What it had under way is reset. That is how it confirms: a dead worker accepts nothing."""
        if hand.process is None or not hand.running:
            return
        LOG.error("worker %d (process %d) %s and is killed", hand.number, hand.process.pid, why)
        hand.signal(signal.SIGKILL)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            for hand in self._present:  # the others finish what they have, as whoever the gateway was at the store
                hand.tell({"store_keys": hand.generation.keeper.store_keys()})

    # ---- the end ----

    def leave(self) -> None:
        """Not ready any more, and every reply says that its connection ends; new ones are still served."""
        self._ending = True
        self.tell({"leaving": True})

    async def drain(self, grace: float, patience: float) -> int:
        """Let running requests finish; returns how many had to be cut. The listeners may be closed as soon as this has
        been called: workers have sockets of their own, and close them now."""
        self.leave()
        for hand in self._hands:
            hand.retire()
            hand.tell(_drain(grace, patience))
            hand.signal(signal.SIGCONT)
        saying = self._loop.create_task(self._say())
        await _ended(self._hands, max(grace, patience) + LAST_WORDS)
        saying.cancel()
        await self.stop()
        cut = self._remaining.cut
        if cut:
            LOG.warning("cut after %g s: %s", patience, said(cut))
        return self._remaining.requests_cut

    def hurry(self, patience: float) -> None:
        """A drain that runs: what is left has only so many seconds from now."""
        self.tell(_drain(0.0, patience))

    async def _say(self) -> None:
        await asyncio.sleep(LOOK_EVERY)  # workers tell at once
        while self._remaining.running:
            LOG.info("draining; still running: %s", said(self._remaining.running))
            await asyncio.sleep(SAY_EVERY)

    async def stop(self) -> None:
        """At once. Harmless when called again."""
        self._ending = True
        hands = list(self._hands)
        for hand in hands:
            hand.retire()
            self._end(hand, "did not end by itself")
        for task in self._chores:
            task.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        living = [hand.living for hand in hands if hand.living is not None]
        if living:
            await asyncio.wait(living, timeout=2 * LAST_MESSAGES)
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        for hand in hands:
            self._remaining.ended(hand.number)
            if hand.process is not None:
                await hand.process.wait()


def _drain(grace: float, patience: float) -> Message:
    return {"drain": True, "grace": grace, "patience": patience}


async def _ended(hands: Iterable[Hand], seconds: float) -> None:
    """Once all of them have, or the time is over."""
    waiting = [hand.process.wait() for hand in hands if hand.process is not None]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*waiting)

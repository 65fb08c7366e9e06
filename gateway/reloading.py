"""What happens to a gateway that runs: it reloads, hands over to another gateway, or drains and ends.

A reload is all or nothing. What is read is checked whole; then a new generation of workers, and another control plane
where it is concerned, serve beside the old ones; and only when all of them do, the old ones are told to leave. Whatever
fails before that changes nothing.
"""

import asyncio
import logging
import signal
import time
from pathlib import Path
from typing import Final, NamedTuple

from gateway.config import SettingsError, load_config
from gateway.listening import Handed, Listening
from gateway.opened_keystore import Opened
from gateway.sd_notify import ServiceManager
from gateway.settled import Changes, Settled, compare, kept_fixed, settle
from gateway.telemetry.logs import configure_logs
from gateway.workers.control import ControlPlane
from gateway.workers.hand import Generation
from gateway.workers.keeper import Keeper
from gateway.workers.link import Message
from gateway.workers.measured import Reloads
from gateway.workers.share import processors
from gateway.workers.supervisor import GRACE, Supervisor
from keystore.derived import UpstreamCredential
from keystore.errors import Conflict, KeystoreError
from keystore.kek_file import KekWatch

LOG: Final = logging.getLogger("nqgate")


class Running(NamedTuple):
    """The parts of a gateway that serves."""

    keystore: Opened
    workers: Supervisor
    control: ControlPlane
    listening: Listening
    console: Listening
    watch: KekWatch
    reloads: Reloads


def generation_of(keystore: Opened, settled: Settled, *, shared: bool) -> Generation:
    """Workers with these settings, and the store's credential among them."""
    upstream = settled.config.upstream
    credential = UpstreamCredential(upstream.access_key_id, settled.secret)
    keeper = Keeper(keystore.source, keystore.writer, credential, upstream.region.encode())
    return Generation(settled.config, keeper, settled.config.workers.count or processors(), shared)


class Reloading:
    """`gateway.orders.Orders` of one gateway. `config_file`: None = settings come from the environment alone. `stop`:
    set when it is to end."""

    def __init__(
        self, running: Running, settled: Settled, config_file: Path | None, told: ServiceManager, stop: asyncio.Event
    ) -> None:
        self._running = running
        self._settled = settled
        self._config_file = config_file
        self._told = told
        self._stop = stop
        self._one_at_a_time = asyncio.Lock()
        self._hanging_up: set[asyncio.Task[Message]] = set()
        self._successor = 0

    # ---- reload ----

    def hang_up(self) -> None:
        """SIGHUP: as `nqgate reload`, which waits for nobody."""
        task = asyncio.get_running_loop().create_task(self.reload(restart_workers=False))
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)

    async def reload(self, *, restart_workers: bool) -> Message:
        """What was applied and what needs a restart; or `error`, and what was in force stays so."""
        began = time.monotonic()
        async with self._one_at_a_time:
            self._told.reloading()
            try:
                changes, replaced = await self._reload(restart_workers=restart_workers)
            except (SettingsError, KeystoreError, OSError) as error:
                self._running.reloads.count(refused=True)
                LOG.error("nothing was reloaded, and what was in force stays so: %s", error)
                return {"error": str(error), "kind": _kind(error)}
            finally:
                self._told.ready("serving")
        self._running.reloads.count(refused=False)
        took_ms = round((time.monotonic() - began) * 1000)
        answer = {
            "applied": list(changes.applied),
            "need_restart": list(changes.need_restart),
            "workers_replaced": replaced,
            "took_ms": took_ms,
        }
        LOG.info("reloaded: %s", said(answer))
        return answer

    async def _reload(self, *, restart_workers: bool) -> tuple[Changes, int]:
        if self._stop.is_set():
            raise Conflict("the gateway is about to end")
        read = load_config(self._config_file)
        config = kept_fixed(self._settled.config, read)
        new = settle(config)
        changes = compare(self._settled, read, new)
        self._running.watch.look()
        replaced = await self._replace(new, changes, restart_workers=restart_workers)
        self._settled = new
        configure_logs(config.log.level, config.log.format)
        return changes, replaced

    async def _replace(self, new: Settled, changes: Changes, *, restart_workers: bool) -> int:
        """→ how many workers were. Raises what the first that cannot serve said, and then nothing was."""
        workers, control, listening = self._running.workers, self._running.control, self._running.listening
        fresh = None
        groups = len(listening.groups)
        if restart_workers or changes.of_workers:
            generation = generation_of(self._running.keystore, new, shared=listening.shared)
            try:
                fresh = await workers.prepare(generation, listening.places(generation.workers))
            except BaseException:
                listening.forget(groups)
                raise
        if changes.of_control:
            try:
                plane = await control.prepare(new.config)
            except BaseException:
                await workers.abandon(fresh or [])
                listening.forget(groups)
                raise
            await control.commit(plane)
        return 0 if fresh is None else workers.commit(fresh, new.config.limits.replace_timeout)

    # ---- hand-over ----

    def hand_over(self) -> Handed:
        """Both have them: whoever accepts first serves. ConnectionError where there is nothing to hand over."""
        if self._stop.is_set():
            raise ConnectionAbortedError("the gateway is about to end")
        LOG.info("another gateway asks for the sockets")
        listening = self._running.listening
        groups = tuple(tuple(group) for group in listening.groups)
        return Handed(groups, listening.shared, tuple(self._running.console.groups[0]), listening.bound is not None)

    def taken_over(self, pid: int) -> None:
        LOG.info("process %d serves on the same sockets now", pid)
        self._successor = pid
        if self._running.listening.bound is not None:
            self._running.listening.bound.keep()
        self._stop.set()

    # ---- the end ----

    async def end(self) -> int:
        """Drain. → how many requests had to be cut."""
        limits = self._settled.config.limits
        workers, listening = self._running.workers, self._running.listening
        if self._successor:
            self._told.stopping(f"process {self._successor} has taken over")
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, workers.hurry, limits.drain_timeout)
            await self._running.control.stop()  # it would say that nothing is ready
            listening.close()
            cut = await workers.drain(GRACE, limits.replace_timeout)
        else:
            self._told.stopping("draining")
            if limits.drain_delay:
                LOG.info("draining: listeners close in %g s", limits.drain_delay)
                workers.leave()
                await asyncio.sleep(limits.drain_delay)
            listening.leave()
            listening.close()
            cut = await workers.drain(0.0, limits.drain_timeout)
        LOG.info("stopped; %d requests were cut", cut)
        return cut


def said(answer: Message) -> str:
    """One line for the log."""
    parts = [f"{', '.join(answer['applied']) or 'nothing has changed'}"]
    if answer["need_restart"]:
        parts.append(f"needs a restart: {', '.join(answer['need_restart'])}")
    parts.append(f"{answer['workers_replaced']} workers replaced in {answer['took_ms']} ms")
    return "; ".join(parts)


def _kind(error: Exception) -> str:
    if isinstance(error, Conflict):
        return "conflict"
    return "unavailable" if isinstance(error, KeystoreError) else "settings"

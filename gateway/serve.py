"""The supervisor process: it opens the keystore for writing, starts the workers, answers on the control plane, and runs
until told to stop, or until another gateway has taken over. It serves no S3 itself, so it answers while every worker
is busy.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gateway.config import Config, SettingsError
from gateway.health import OK, Health, Seen
from gateway.listening import (
    NOTHING,
    Handed,
    Listening,
    activated,
    console_listening,
    listens_at,
    s3_listening,
    split,
    url,
)
from gateway.opened_keystore import Opened, cancelled, open_keystore
from gateway.orders import NobodyThere, Predecessor, orders_name, take_over, taking_orders
from gateway.reloading import Reloading, Running, generation_of
from gateway.sd_notify import ServiceManager
from gateway.settled import settle
from gateway.telemetry.slots import SUPERVISOR, Slot
from gateway.workers.control import ControlPlane
from gateway.workers.measured import KeystoreState, Reloads, SupervisorMeasures
from gateway.workers.relaying import relay_listener, relay_name
from gateway.workers.scan import Scan
from gateway.workers.sides import SideHere
from gateway.workers.supervisor import Supervisor
from keystore.kek_file import KekWatch, kek_watched
from keystore.sealing import load_kek_ring

LOG: Final = logging.getLogger("nqgate")


class BoundAddresses(NamedTuple):
    """Where both listeners are reached, as URLs; S3 on a Unix socket as unix:/PATH."""

    s3: str
    console: str


class Started(NamedTuple):
    """How a gateway was started. `config_file`: read again by a reload; None = settings come from the environment
    alone. `take_over`: the sockets of the gateway that runs with this file, if one does. `daemon`: SIGHUP asks for a
    reload; else a terminal was closed."""

    config_file: Path | None = None
    take_over: bool = False
    daemon: bool = True
    environment: Mapping[str, str] = os.environ
    on_ready: Callable[[BoundAddresses], None] | None = None


def _seen(keystore: Opened, workers: Supervisor, scan: Scan) -> Seen:
    serving, of = workers.alive
    store = workers.upstream_error or OK
    return Seen(keystore.fresh(), keystore.lease_left(), serving, of, workers.draining, scan.state, store)


def _measured(
    stack: contextlib.AsyncExitStack, keystore: Opened, workers: Supervisor, control: ControlPlane
) -> Reloads:
    """From now on, until the stack unwinds. → where reloads are counted."""
    reloads = Reloads()
    slot = Slot(workers.slots.file, SUPERVISOR)
    stack.callback(slot.close)
    state = KeystoreState(keystore.fresh, keystore.side.applied, keystore.lease_left)
    measures = SupervisorMeasures(slot, state, workers, control, reloads)
    stack.push_async_callback(cancelled, asyncio.get_running_loop().create_task(measures.run()))
    return reloads


async def _handed(config: Config, started: Started) -> tuple[Handed, Predecessor | None]:
    """Sockets that are there already, and whose they are now. SettingsError, OSError."""
    handed = activated(config, started.environment)
    if not started.take_over:
        return handed, None
    if handed is not NOTHING:
        raise SettingsError("systemd handed over sockets, which outlive a restart: --take-over has nothing to do there")
    try:
        before = await asyncio.to_thread(take_over, orders_name(started.config_file))
    except NobodyThere as nobody:
        LOG.info("%s: nothing is taken over", nobody)
        return NOTHING, None
    except OSError as error:
        raise OSError(error.errno, f"nothing can be taken over: {error.strerror or error}") from error
    return _still_wanted(config, before.handed), before


def _still_wanted(config: Config, handed: Handed) -> Handed:
    """Those of its sockets that are where this configuration listens."""
    s3 = handed.s3 if listens_at(config.s3.listen, handed.s3[0] if handed.s3 else ()) else ()
    console = handed.console if listens_at(config.console.listen, handed.console) else ()
    return handed._replace(s3=s3, console=console)


def _take(before: Predecessor) -> None:
    try:
        before.serving()
    except OSError as error:
        raise OSError(error.errno, f"the gateway that ran before does not let go: {error.strerror or error}") from error


def _bound_addresses(config: Config, listening: Listening, console: Listening) -> BoundAddresses:
    shown = config.s3.listen
    if config.s3.socket is None:
        scheme = "http" if config.s3.tls_certificate is None else "https"
        shown = url(listening.port, split(config.s3.listen)[0], scheme)
    scheme = "http" if config.console.tls_certificate is None else "https"
    return BoundAddresses(shown, url(console.port, split(config.console.listen)[0], scheme))


async def serve(config: Config, started: Started = Started()) -> int:  # noqa: B008 - it is immutable
    """Run until SIGTERM or SIGINT, then drain. Returns how many requests had to be cut (0 = a clean end).

    A new keystore is migrated first. Raises KeystoreError, SettingsError, or OSError for an address that is taken.
    """
    loop = asyncio.get_running_loop()
    told = ServiceManager(started.environment)
    settled = settle(config)
    ring = load_kek_ring(config.keystore.kek_file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(cancelled, loop.create_task(told.keep_watch()))
        handed, before = await _handed(config, started)
        gangs: list[Supervisor] = []
        keystore = await open_keystore(stack, config, ring, lambda number, why: gangs[0].kill(number, why))
        refused = keystore.refused
        stack.push_async_callback(refused.write)
        stack.push_async_callback(cancelled, loop.create_task(refused.run()))
        relay = stack.enter_context(relay_listener())
        workers = Supervisor(keystore.side, refused.add, relay_name(relay))
        gangs.append(workers)
        if isinstance(keystore.side, SideHere):
            keystore.side.tell = workers.tell
        stack.callback(workers.slots.close)
        stack.push_async_callback(workers.stop)
        watch = KekWatch(config.keystore.kek_file, ring, keystore.users, LOG.warning)
        await stack.enter_async_context(kek_watched(watch))
        generation = generation_of(keystore, settled, shared=handed.shared or config.s3.socket is not None)
        listening = stack.enter_context(s3_listening(config, handed, generation.workers))
        console = stack.enter_context(console_listening(config, handed))
        scan = Scan(keystore.scanned, keystore.condemn)
        health = Health(lambda: _seen(keystore, workers, scan))
        stack.callback(loop.create_task(health.run()).cancel)
        control = ControlPlane(relay, console.groups[0], health.tell, workers.slots)
        stack.push_async_callback(control.stop)
        reloads = _measured(stack, keystore, workers, control)
        await workers.start(generation, listening.places(generation.workers))
        await control.start(config)
        stack.push_async_callback(cancelled, loop.create_task(scan.run()))
        bound = _bound_addresses(config, listening, console)
        LOG.info("serving S3 on %s, console, REST and health on %s", bound.s3, bound.console)
        running = Running(keystore, workers, control, listening, console, watch, reloads)
        reloading = Reloading(running, settled, started.config_file, told, stop)
        if before is not None:
            await asyncio.to_thread(_take, before)
            if handed.ours:
                listening.own(config.s3.socket)
            LOG.info("the gateway that ran before takes no more connections")
        await stack.enter_async_context(taking_orders(orders_name(started.config_file), reloading))
        if started.daemon:
            loop.add_signal_handler(signal.SIGHUP, reloading.hang_up)
        told.ready(f"serving S3 on {bound.s3}")
        if started.on_ready is not None:
            started.on_ready(bound)
        await stop.wait()
        return await reloading.end()

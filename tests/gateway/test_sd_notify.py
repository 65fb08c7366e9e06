"""Datagrams to a service manager that is a socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sd_notify import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def told(manager: socket.socket, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": manager.getsockname(), **more})


def test_ready_reloading_and_stopping_are_one_datagram_each(manager: socket.socket) -> None:
    service = told(manager)
    service.ready("serving")
    service.reloading()
    service.stopping("draining")
    assert manager.recv(999) == b"READY=1\nSTATUS=serving"
    reloading = manager.recv(999).decode().splitlines()
    assert reloading[0] == "RELOADING=1"
    assert reloading[1].removeprefix("MONOTONIC_USEC=").isdigit()
    assert manager.recv(999) == b"STOPPING=1\nSTATUS=draining"


def test_an_abstract_name_begins_with_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0nqgate-test-{os.getpid()}")
        listening.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": f"@nqgate-test-{os.getpid()}"}).ready("serving")
        assert listening.recv(999).startswith(b"READY=1")


def test_nobody_need_listen(tmp_path: Path) -> None:
    ServiceManager({}).ready("serving")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nothing")}).ready("serving")


async def test_a_watchdog_hears_of_it_twice_in_its_time(manager: socket.socket) -> None:
    manager.setblocking(False)
    watching = asyncio.get_running_loop().create_task(told(manager, WATCHDOG_USEC="100000").keep_watch())
    await asyncio.sleep(0.5)
    watching.cancel()
    heard = 0
    while True:
        try:
            assert manager.recv(999) == b"WATCHDOG=1"
        except BlockingIOError:
            break
        heard += 1
    assert heard >= 3


async def test_a_watchdog_of_another_process_is_not_kept(manager: socket.socket) -> None:
    async with asyncio.timeout(5):
        await told(manager, WATCHDOG_USEC="100000", WATCHDOG_PID="1").keep_watch()
        await told(manager).keep_watch()

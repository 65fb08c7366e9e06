"""What a service manager is told: one datagram for each state, as systemd's sd_notify(3) has it. Nobody need listen."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

WATCHDOG_SHARE: Final = 0.5  # of the time in which it must be heard; systemd's own advice


class ServiceManager:
    """The one that the environment names: NOTIFY_SOCKET is a path, or an abstract name behind "@"."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "") if mine else ""
        self._watched = int(microseconds) / 1e6 if microseconds.isdigit() else 0.0

    def say(self, *lines: str) -> None:
        """Whoever does not listen, or too slowly, is not waited for."""
        if not self._address:
            return
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
            contextlib.suppress(OSError),
        ):
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), self._address)

    def ready(self, status: str) -> None:
        self.say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Until `ready`. The time is for Type=notify-reload."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        self.say("STOPPING=1", f"STATUS={status}")

    async def keep_watch(self) -> None:
        """Until cancelled: this loop lives. Returns at once where nobody asked for it."""
        while self._watched:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self._watched * WATCHDOG_SHARE)

"""The host names of the store, looked up: all addresses of each, anew from time to time and when one of them failed.

How long an answer holds is not told by getaddrinfo(3), so it is asked again after `interval`. It runs in a thread of
the loop's, one look-up of a name at a time. What cannot be looked up keeps the last answer. It connects to nothing.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Final

from gateway.wire.endpoints import Endpoint

LOG: Final = logging.getLogger("nqgate.upstream")
MAX_ADDRESSES: Final = 32  # of one name: what a reply of DNS over UDP holds, and more than anybody needs
AGAIN: Final = 1.0  # seconds between two look-ups that failures ask for


def is_name(endpoint: Endpoint) -> bool:
    """Whether its host has to be looked up."""
    if endpoint.path is not None:
        return False
    try:
        ipaddress.ip_address(endpoint.host)
    except ValueError:
        return True
    return False


class Name:
    """The host of one endpoint. `found`: called with its addresses after each look-up that had an answer. `error`: why
    the last had none."""

    def __init__(self, endpoint: Endpoint, interval: float, found: Callable[["Name"], None]) -> None:
        self._endpoint = endpoint
        self._interval = interval
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0
        self._asked = -AGAIN
        self.addresses: list[Endpoint] = []
        self.error: str | None = None

    def tick(self, now: float) -> None:
        if now >= self._due:
            self._begin(now)

    def doubt(self, now: float) -> None:
        """An address of it failed: perhaps the store has moved."""
        if now >= self._asked + AGAIN:
            self._begin(now)

    async def looked_up(self) -> None:
        """After one look-up that ends now or later, shared by all who wait."""
        if self._task is None:
            self._begin(self._loop.time())
        assert self._task is not None
        await asyncio.shield(self._task)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _begin(self, now: float) -> None:
        if self._task is None:
            self._asked = now
            self._task = self._loop.create_task(self._look_up())

    async def _look_up(self) -> None:
        try:
            self._take(await self._hosts())
        except Exception as error:  # a name that cannot be encoded, too: nobody may wait for ever
            if self.error is None:
                LOG.error("%s cannot be looked up%s: %s", self._endpoint.host, self._meanwhile(), error)
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._task = None
            self._due = self._loop.time() + self._interval

    async def _hosts(self) -> list[str]:
        endpoint = self._endpoint
        found = await self._loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]

    def _meanwhile(self) -> str:
        return f", its last {len(self.addresses)} addresses are used" if self.addresses else ""

    def _take(self, hosts: list[str]) -> None:
        if self.error is not None:
            LOG.warning("%s can be looked up again", self._endpoint.host)
        self.error = None
        each = list(dict.fromkeys(hosts))[:MAX_ADDRESSES]
        addresses = [self._endpoint._replace(host=host) for host in each]
        if sorted(addresses, key=_by_host) != sorted(self.addresses, key=_by_host):
            if self.addresses:
                LOG.warning("%s has other addresses now: %s", self._endpoint.host, ", ".join(each))
            self.addresses = addresses
            self._found(self)


def _by_host(endpoint: Endpoint) -> str:
    return endpoint.host

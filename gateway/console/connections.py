"""How many connections the control plane has open: a fixed number, and the eldest gives way to the newest.

What is asked here is answered within seconds, so the eldest is most likely one that asks nothing. Turning newcomers
away instead would let whoever opens most keep out health checks and operators. What was asked on it goes on to its end:
an act is not undone because nobody waits for the answer.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web


def bounded(runner: web.AppRunner, most: int) -> Callable[[], asyncio.BaseProtocol]:
    """The protocol of each new connection. `runner`: set up, and not cleaned up before the last of them was made."""

    def made() -> asyncio.BaseProtocol:
        server = runner.server
        if server is None:
            raise RuntimeError("the control plane has ended")
        opened = [one.transport for one in server.connections if one.transport is not None]
        for transport in opened[: max(0, len(opened) + 1 - most)]:
            transport.abort()  # what it has not read is thrown away: it may never read it
        return server()

    return made

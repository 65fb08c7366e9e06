"""How an engine stops: every reply says that its connection ends, idle ones are closed, what runs may finish, and what
remains is told in numbers. It names no object and no key.

A client may be sending its next request when its idle connection is closed, and then it has no answer. So where
another process serves the same port, idle connections are kept for a moment: who uses one hears `Connection: close`
with the answer, and finds the other process with the next request.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from gateway.wire.engine import Engine
from gateway.wire.roles import Client

LOOK_EVERY: Final = 0.05  # seconds between two looks at what is left
TELL_EVERY: Final = 1.0  # seconds between two tellings
UNREAD: Final = "not admitted yet"
SENDING: Final = "the last of a reply"


class Underway(NamedTuple):
    """Requests of one operation that have not been answered in full. `seconds`: since when the oldest runs; `to_go`:
    bytes of bodies and replies that are known to be left."""

    operation: str
    requests: int
    seconds: float
    to_go: int


class Leaving:
    """How long: may be said anew while it is done. `grace`: seconds for which an idle connection is kept; `patience`:
    seconds for all that runs; both from when it was said, `now`."""

    def __init__(self, grace: float, patience: float, now: float) -> None:
        self.say(grace, patience, now)

    def say(self, grace: float, patience: float, now: float) -> None:
        self.grace = grace
        self.graceful_until = now + grace
        self.until = now + patience


def underway(clients: Iterable[Client], now: float) -> list[Underway]:
    """What runs on these connections, the oldest first."""
    found: dict[str, Underway] = {}
    for client in clients:
        one = _one(client, now)
        if one is not None:
            before = found.get(one.operation, one._replace(requests=0, to_go=0))
            longest = max(before.seconds, one.seconds)
            found[one.operation] = Underway(one.operation, before.requests + 1, longest, before.to_go + one.to_go)
    return sorted(found.values(), key=lambda one: -one.seconds)


def _one(client: Client, now: float) -> Underway | None:
    exchange, unsent = client.exchange, client.transport.get_write_buffer_size()
    if exchange is None:
        return Underway(SENDING, 1, max(0.0, now - client.since), unsent) if unsent else None
    to_go = max(client.body_left, 0) + max(exchange.reply_left, 0) + unsent
    return Underway(exchange.operation or UNREAD, 1, max(0.0, now - exchange.begun), to_go)


async def drain(engine: Engine, leaving: Leaving, tell: Callable[[list[Underway]], None]) -> list[Underway]:
    """Until nothing is left, or patience is over; → what had to be cut. The listeners are closed already. `tell`: what
    runs, at once and every second."""
    loop = asyncio.get_running_loop()
    say_close(engine)
    told = loop.time() - TELL_EVERY
    while True:
        now = loop.time()
        if now >= leaving.graceful_until:
            _close_idle(engine, now - leaving.grace)
        await asyncio.sleep(0)  # what is closed says so
        if not engine.connections and now >= leaving.graceful_until:
            break
        if now >= leaving.until:
            break
        if now - told >= TELL_EVERY:
            told = now
            tell(underway(engine.clients, now))
        await asyncio.sleep(LOOK_EVERY)
    cut = underway(engine.clients, loop.time())
    for client in engine.clients:
        client.transport.abort()
    await engine.upstream.pool.close()
    engine.request_log.write_out()
    return cut


def say_close(engine: Engine) -> None:
    """From here on every reply that begins says that its connection ends."""
    engine.draining = True
    for client in engine.clients:
        if client.exchange is not None:
            client.exchange.leave()


def _close_idle(engine: Engine, since: float) -> None:
    for client in engine.clients:
        if client.idle and client.since <= since:
            client.close()

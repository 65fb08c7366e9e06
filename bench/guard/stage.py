"""One client after another on a real engine, between transports that are memory: bodies in blocks, replies in blocks.

Every answer must have the status that is expected. Knows the wire's connections as an event loop does, and no more.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from bench.errors import BenchError
from gateway.wire.engine import Engine
from gateway.wire.server import ClientConnection
from gateway.wire.upstream import UpstreamConnection

MAX_TURNS: Final = 1000  # of the loop, for one exchange
PATIENT: Final = 20
ADDRESS: Final = ("127.0.0.1", 40_000)


class Act(NamedTuple):
    """What is asked, in turn, and what the store answers each time. `status`: of every reply to the client. `times`:
    how often, while it is counted."""

    name: str
    requests: Sequence[bytes]
    body: bytes
    reply: bytes
    status: int
    times: int


class Memory:
    """A transport that sends at once: what was written is counted, and its beginning is kept."""

    def __init__(self) -> None:
        self.flowing = True
        self.begun = b""
        self.size = 0
        self.writes = 0
        self.closed = False

    def write(self, block: bytes | memoryview) -> None:
        if not self.size:
            self.begun = bytes(block[:4096])
        self.size += len(block)
        self.writes += 1

    def writelines(self, blocks: Sequence[bytes | memoryview]) -> None:
        """One call of the kernel."""
        for block in blocks:
            self.write(block)
        self.writes -= len(blocks) - 1

    def clear(self) -> None:
        self.begun, self.size, self.writes = b"", 0, 0

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ADDRESS if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def pause_reading(self) -> None:
        self.flowing = False

    def resume_reading(self) -> None:
        self.flowing = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed


class Stage:
    """A client and a connection to the store. `writes`: towards either, since the last look."""

    def __init__(self, engine: Engine) -> None:
        self.writes = 0
        self._near, self._far = Memory(), Memory()
        self._client = ClientConnection(engine)
        self._client.connection_made(cast("asyncio.Transport", self._near))
        pool = engine.upstream.pool
        [address] = pool.addresses
        self._store: UpstreamConnection = pool.connection_to(address)
        self._store.connection_made(cast("asyncio.Transport", self._far))
        pool.release(self._store)

    async def play(self, act: Act, times: int) -> None:
        """Raises BenchError for an answer that is not the expected one, or none."""
        expected = b"HTTP/1.1 %d " % act.status
        for number in range(times):
            await self._ask(act.requests[number % len(act.requests)] + act.body)
            if self._far.size:
                await self._arrive(self._store, self._far, act.reply)
            for turn in range(MAX_TURNS):
                if self._client.idle and self._near.size:
                    break
                await _turn(turn)
            if not self._near.begun.startswith(expected) or not self._client.idle:
                raise BenchError(f"{act.name}: the answer began with {self._near.begun[:60]!r}, not with {expected!r}")
            self.writes += self._near.writes + self._far.writes
            self._near.clear()
            self._far.clear()

    async def _ask(self, message: bytes) -> None:
        await self._arrive(self._client, self._near, message)
        for turn in range(MAX_TURNS):
            if self._near.size or self._sent_whole():
                return
            await _turn(turn)

    def _sent_whole(self) -> bool:
        exchange = self._client.exchange
        return bool(self._far.size) and exchange is not None and cast("Any", exchange).request_sent

    async def _arrive(self, connection: ClientConnection | UpstreamConnection, memory: Memory, message: bytes) -> None:
        """As from a socket: what fits into the buffer, and no more while reading is paused."""
        octets = memoryview(message)
        at = waited = 0
        while at < len(octets) and waited < MAX_TURNS and not memory.closed:
            if memory.flowing:
                view = cast("Any", connection).get_buffer(-1)
                block = octets[at : at + len(view)]
                view[: len(block)] = block
                connection.buffer_updated(len(block))
                at += len(block)
            else:
                waited += 1
            await _turn(waited)


async def _turn(number: int) -> None:
    """Of the loop; after some, a thread may be what is waited for."""
    await asyncio.sleep(0 if number < PATIENT else 0.002)

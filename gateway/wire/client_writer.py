"""The writing half of a client connection: what goes out, the memory that waits with it, and whether it is taken.

It reads nothing and knows no request but as somebody to be told that the client takes more.
"""

import asyncio
from typing import cast

from gateway.wire.buffers import BlockWriter
from gateway.wire.engine import Engine
from gateway.wire.exchange import Exchange
from gateway.wire.sockets import unacknowledged


class ClientWriter:
    """`since`: the engine's clock when the present wait began. `paused`: the client does not take what is written."""

    __slots__ = ("_engine", "_owed", "_unsent", "_writer", "exchange", "paused", "since", "transport")

    _writer: BlockWriter  # once there is a transport

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._owed = self._unsent = 0
        self.exchange: Exchange | None = None
        self.paused = False
        self.since = engine.clock
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def write(self, message: bytes) -> None:
        self.transport.write(message)

    def write_block(self, block: bytes | memoryview, before: bytes = b"") -> None:
        self._writer.write(block, before)

    def owe(self, size: int) -> None:
        """`size` bytes of the memory budget stand for what was just written: given back when it is sent."""
        self._owed += size
        if not self.transport.get_write_buffer_size():
            self._pay_back()

    def _pay_back(self) -> None:
        if self._owed:
            self._engine.memory.give_back(self._owed)
            self._owed = 0

    def _note_progress(self, now: float) -> None:
        """A slow reader is not a silent one: the transport resumes only when all is sent, so ask what is left."""
        unsent = self.transport.get_write_buffer_size() + unacknowledged(self.transport)
        if unsent < self._unsent:
            self.since = now
            if self.exchange is not None:
                self.exchange.progress(now)
        self._unsent = unsent

"""An upload small enough to wait for its verification and large enough for copies to be felt: its bytes are read to
where they wait, and written from there.

It knows how long the body is and that nothing frames it; whatever is not so is held by `upload.Held`.
"""

from gateway.forward import SentBody
from gateway.payload.reader import PayloadReader
from gateway.wire.engine import Engine
from gateway.wire.roles import Outlet, Uploading


class Gathered:
    """`length`: of the body, at most what `buffer` takes; that is one of the engine's few and goes back there. With the
    first byte all of the length is taken of the memory budget; what is only announced takes nothing of it."""

    __slots__ = ("_buffer", "_engine", "_exchange", "_filled", "_length", "_reader", "_taken", "sent")

    def __init__(
        self, engine: Engine, exchange: Uploading, reader: PayloadReader, length: int, buffer: memoryview
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._reader = reader
        self._length = length
        self._buffer: memoryview | None = buffer
        self._filled = 0
        self._taken = 0
        self.sent = True  # together with the head

    def begin(self) -> None:
        self._exchange.pull_body()

    def room(self) -> memoryview | None:
        """Where the next bytes of the body are to be read to; None once it is given back."""
        buffer = self._buffer
        return None if buffer is None else buffer[self._filled : self._length]

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        buffer = self._buffer
        assert buffer is not None
        if not self._taken:
            self._engine.memory.take(self._length)
            self._taken = self._length
        end = self._filled + len(block)
        if not (isinstance(block, memoryview) and block.obj is buffer.obj):  # it was read together with the head
            buffer[self._filled : end] = block
        self._reader.feed(block)
        self._filled = end
        if final:
            self._complete()

    def _complete(self) -> None:
        self._reader.finish()
        authorized = self._exchange.pass_gate()
        self._exchange.ask(self._engine.upstream.plan(authorized, SentBody(self._length)))

    def give(self) -> memoryview:
        """All of it, for whoever writes it now and hands the buffer back to the engine's."""
        buffer, self._buffer = self._buffer, None
        assert buffer is not None
        return buffer[: self._length]

    def connected(self, outlet: Outlet) -> None:
        pass

    def resumed(self) -> None:
        pass

    def release(self) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            self._engine.buffers.bodies.come_back(buffer)
        taken, self._taken = self._taken, 0
        if taken:
            self._engine.memory.give_back(taken)

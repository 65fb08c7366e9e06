"""The read buffers that all connections of a loop share, and the few that travel with unfinished writes.

A read fills `view`; its bytes are used before the next read. The transport keeps a reference to what it could not
send at once, so a buffer may be reused only when nothing of it is left unsent: otherwise it *travels* with the write
and another takes its place. (Overwriting early changed half of what a slow reader got.)

Large reads wake the peer less often. But a buffer that travels belongs to a slow reader for as long as it likes, so
there are at most `LARGE` large ones; when all of them travel, small ones take their place.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from gateway.wire.turn import SMALL_READ

SMALL: Final = 262144  # bytes
LARGE: Final = 8  # buffers
BODY: Final = 1048576  # bytes
BODIES: Final = 16  # buffers
HEAD: Final = SMALL_READ  # bytes of a read that looks for a request's head: what follows has another place


class BodyBuffers:
    """Where a body is read to that waits whole before any of it is sent. There are at most `BODIES`, for what is read
    into them may be as slow as its client likes; who finds none gathers his bytes as they come.

    A buffer is used again and not cleared: nothing leaves it but what was read into it since.
    """

    __slots__ = ("_free", "_made", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: list[memoryview] = []
        self._made = 0

    def take(self) -> memoryview | None:
        if self._free:
            return self._free.pop()
        if self._made == BODIES:
            return None
        self._made += 1
        return memoryview(bytearray(self.size))

    def come_back(self, view: memoryview) -> None:
        """Nobody reads it or writes to it any more. `view`: it, or a part of it."""
        self._free.append(memoryview(view.obj))

    def lost(self) -> None:
        """One will not come back: its connection is gone, and nobody knows when the transport forgets it."""
        self._made -= 1


class ReadBuffers:
    """`size` bytes each, or `SMALL`; at most `spare` idle small ones are kept. How many travel is bounded by the
    connections: a connection whose write is unfinished pauses its source, so it holds at most one.

    `head`: the first bytes of `view`. `bodies`: for those of at most `body` bytes.
    """

    __slots__ = ("_free", "_large", "_size", "_small", "_spare", "bodies", "head", "view")

    def __init__(self, size: int, spare: int = 16, body: int = BODY) -> None:
        self.bodies = BodyBuffers(min(body, BODY))
        self._size = size
        self._spare = spare
        self._free: list[memoryview] = []  # large ones
        self._small: list[memoryview] = []
        self._large = 1  # that there are
        self.view = memoryview(bytearray(size))
        self.head = self.view[:HEAD]

    def travel(self) -> memoryview:
        """Give the current buffer away with an unfinished write. Hand it to `come_back` once all is sent, or to
        `lost`."""
        travelling = self.view
        if self._free:
            self.view = self._free.pop()
        elif self._large < LARGE or self._size <= SMALL:
            self._large += 1
            self.view = memoryview(bytearray(self._size))
        else:
            self.view = self._small.pop() if self._small else memoryview(bytearray(SMALL))
        self.head = self.view[:HEAD]
        return travelling

    def come_back(self, travelling: memoryview) -> None:
        # Never into `view`: the block that is being written may be a part of it.
        if len(travelling) < self._size:
            if len(self._small) < self._spare:
                self._small.append(travelling)
        elif len(self._free) < self._spare:
            self._free.append(travelling)
        else:
            self._large -= 1

    def lost(self, travelling: Iterable[memoryview]) -> None:
        """Their connection is gone; nobody knows when the transport forgets them, so they are not used again."""
        self._large -= sum(len(view) == self._size for view in travelling)


class BlockWriter:
    """Blocks of a body on their way into one transport, which pauses when anything is left unsent.

    `secure`: it is TLS. Then a block is copied, for it may be kept without a pause.
    """

    __slots__ = ("_bodies", "_buffers", "_secure", "_transport", "_travelling")

    def __init__(self, transport: asyncio.Transport, buffers: ReadBuffers, *, secure: bool) -> None:
        self._transport = transport
        self._buffers = buffers
        self._secure = secure
        self._travelling: list[memoryview] = []
        self._bodies: list[memoryview] = []

    def write(self, block: bytes | memoryview, before: bytes = b"") -> None:
        """A memoryview must be a part of the shared read buffer. `before`: goes out with it, in the same call."""
        if self._secure:
            block = bytes(block)
        if before:
            self._transport.writelines((before, block))
        else:
            self._transport.write(block)
        if type(block) is memoryview and self._transport.get_write_buffer_size():
            self._travelling.append(self._buffers.travel())

    def write_body(self, head: bytes, body: memoryview) -> None:
        """A head and a part of one of the body buffers, which goes back to the others once all is sent."""
        self._transport.writelines((head, bytes(body) if self._secure else body))
        if self._secure or not self._transport.get_write_buffer_size():
            self._buffers.bodies.come_back(body)
        else:
            self._bodies.append(body)

    def all_sent(self) -> None:
        for travelling in self._travelling:
            self._buffers.come_back(travelling)
        self._travelling.clear()
        while self._bodies:
            self._buffers.bodies.come_back(self._bodies.pop())

    def lost(self) -> None:
        """The connection is gone, and with it whatever was not sent."""
        self._buffers.lost(self._travelling)
        self._travelling.clear()
        while self._bodies:
            self._bodies.pop()
            self._buffers.bodies.lost()

"""The read buffer that all connections of a loop share, and the few that travel with unfinished writes.

A read fills `view`; its bytes are used before the next read. The transport keeps a reference to what it could not
send at once, so a buffer may be reused only when nothing of it is left unsent: otherwise it *travels* with the write
and another takes its place. (Overwriting early changed half of what a slow reader got.)
"""

import asyncio


class ReadBuffers:
    """`size` bytes each; at most `spare` idle ones are kept. How many travel is bounded by the connections: a
    connection whose write is unfinished pauses its source, so it holds at most one."""

    __slots__ = ("_free", "_size", "_spare", "view")

    def __init__(self, size: int, spare: int = 16) -> None:
        self._size = size
        self._spare = spare
        self._free: list[memoryview] = []
        self.view = memoryview(bytearray(size))

    def travel(self) -> memoryview:
        """Give the current buffer away with an unfinished write. Hand it to `come_back` once all is sent."""
        travelling = self.view
        self.view = self._free.pop() if self._free else memoryview(bytearray(self._size))
        return travelling

    def come_back(self, travelling: memoryview) -> None:
        if len(self._free) < self._spare:
            self._free.append(travelling)


class BlockWriter:
    """Blocks of a body on their way into one transport, which pauses when anything is left unsent.

    `secure`: it is TLS. Then a block is copied, for it may be kept without a pause.
    """

    __slots__ = ("_buffers", "_secure", "_transport", "_travelling")

    def __init__(self, transport: asyncio.Transport, buffers: ReadBuffers, *, secure: bool) -> None:
        self._transport = transport
        self._buffers = buffers
        self._secure = secure
        self._travelling: list[memoryview] = []

    def write(self, block: bytes | memoryview) -> None:
        """A memoryview must be a part of the shared read buffer."""
        if self._secure:
            block = bytes(block)
        self._transport.write(block)
        if type(block) is memoryview and self._transport.get_write_buffer_size():
            self._travelling.append(self._buffers.travel())

    def all_sent(self) -> None:
        for travelling in self._travelling:
            self._buffers.come_back(travelling)
        self._travelling.clear()

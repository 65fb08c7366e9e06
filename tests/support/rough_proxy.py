"""A TCP proxy that delays, swallows and resets, each direction by itself. Knows no protocol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.support.server_process import LOOPBACK


@dataclass(slots=True)
class Way:
    """One direction. `black`: what comes is swallowed, and nobody is told."""

    delay: float = 0.0  # seconds for each piece
    black: bool = False


class RoughProxy:
    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.there = Way()
        self.back = Way()
        self.refuses = False
        self._upstream_port = upstream_port
        self._writers: set[asyncio.StreamWriter] = set()

    def blackhole(self, *, black: bool = True) -> None:
        self.there.black = self.back.black = black

    def heal(self) -> None:
        """What was swallowed on a connection is missing there for ever: so those are reset."""
        torn = self.there.black or self.back.black
        self.there, self.back, self.refuses = Way(), Way(), False
        if torn:
            self.reset()

    def reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(up_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pour(reader, up_writer, "there"))
                both.create_task(self._pour(up_reader, writer, "back"))
        finally:
            for one in (writer, up_writer):
                self._writers.discard(one)
                one.transport.abort()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                if delay := getattr(self, way).delay:
                    await asyncio.sleep(delay)
                if not getattr(self, way).black:
                    writer.write(octets)
        if not getattr(self, way).black:
            writer.close()


@contextlib.asynccontextmanager
async def rough_proxy(upstream_port: int) -> AsyncIterator[RoughProxy]:
    proxy = RoughProxy(upstream_port)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

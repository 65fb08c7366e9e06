"""A TCP proxy before PostgreSQL that loses what is to be lost: a COMMIT, its answer, or the time in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum

from tests.support.server_process import LOOPBACK

COMMIT = b"COMMIT\x00"


class Loss(Enum):
    NONE = "none"
    QUESTION = "the COMMIT never arrives, and the connection is closed"
    ANSWER = "the COMMIT is answered, and the connection is closed before the answer"
    SILENCE = "the COMMIT is answered, and the answer does not arrive"
    LATE = "the connection is closed, and the COMMIT arrives afterwards"


class LossyProxy:
    """Does to the next COMMIT what `loss` says, then is a plain proxy again. `refuses`: takes nobody new."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self.loss = Loss.NONE
        self.refuses = False
        self.late = 0.5  # seconds
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        back = asyncio.create_task(_pour(up_reader, writer))
        self._tasks.add(back)
        try:
            while octets := await reader.read(65536):
                if octets.endswith(COMMIT) and self.loss is not Loss.NONE:
                    loss, self.loss = self.loss, Loss.NONE
                    await self._lose(loss, octets, back, up_reader, up_writer, writer)
                    return
                up_writer.write(octets)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            up_writer.close()
            writer.close()

    async def _lose(
        self,
        loss: Loss,
        octets: bytes,
        back: asyncio.Task[None],
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        back.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await back
        if loss is Loss.QUESTION:
            return
        if loss is Loss.LATE:
            writer.transport.abort()
            await asyncio.sleep(self.late)
        up_writer.write(octets)
        await up_reader.read(65536)
        if loss is Loss.SILENCE:
            await asyncio.sleep(30)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while octets := await reader.read(65536):
            writer.write(octets)
        writer.close()


@contextlib.asynccontextmanager
async def lossy_proxy(upstream_port: int) -> AsyncIterator[LossyProxy]:
    proxy = LossyProxy(upstream_port)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(proxy.serve(reader, writer)))

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

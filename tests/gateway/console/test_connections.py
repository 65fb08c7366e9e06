"""More connections than may be: who stays, who gives way, and that nobody is kept out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from gateway.console.connections import bounded

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """`acted`: requests that came to their end."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._act)
        self.runner = web.AppRunner(app)
        self.port = 0
        self.acted = 0
        self._opened: list[asyncio.StreamWriter] = []

    async def _act(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        self.acted += 1
        return web.Response(text="done")

    @property
    def connections(self) -> int:
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    async def connect(self, data: bytes = b"") -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        writer.write(data)
        return reader, writer

    async def close(self) -> None:
        for writer in self._opened:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def served(most: int) -> AsyncIterator[Server]:
    server = Server()
    await server.runner.setup()
    listening = await asyncio.get_running_loop().create_server(bounded(server.runner, most), "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        await server.close()
        listening.close()
        await server.runner.cleanup()


async def ended(connection: Connection) -> bool:
    try:
        return await asyncio.wait_for(connection[0].read(), 0.2) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def test_the_eldest_gives_way_and_the_newest_is_served() -> None:
    async with served(4) as server:
        old = [await server.connect() for _ in range(4)]
        await asyncio.sleep(0.05)
        assert not any([await ended(one) for one in old])
        reader, _ = await server.connect(GET)
        assert b"done" in await reader.readuntil(b"done")
        assert [await ended(one) for one in old] == [True, False, False, False]
        assert server.connections == 4


async def test_a_storm_leaves_no_more_than_may_be() -> None:
    async with served(5) as server:
        storm = [await server.connect(b"GET / HT") for _ in range(60)]
        await asyncio.sleep(0.3)
        assert server.connections <= 5
        reader, _ = await server.connect(GET)
        assert b"done" in await reader.readuntil(b"done")
        assert sum([await ended(one) for one in storm[:50]]) == 50


async def test_what_was_asked_on_one_that_gives_way_is_done() -> None:
    async with served(2) as server:
        asking = await server.connect(GET)
        await asyncio.sleep(0.05)
        for _ in range(2):
            await server.connect()
        assert await ended(asking)
        assert server.acted == 0
        await asyncio.sleep(0.4)
        assert server.acted == 1

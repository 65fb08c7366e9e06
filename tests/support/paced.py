"""A client that sends so many requests a second, come what may, and a store that answers them; in a thread of its own.

Half of the requests go over connections that are kept, half over a fresh one each. It does what RFC 9112 asks of a
client and nothing to help the server: a connection whose reply says `Connection: close` is used no more, and a request
that gets no whole reply is lost, also where a client may send it again.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvloop

from tests.support.server_process import LOOPBACK

KEPT: Final = 16  # connections
STORE_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NEVER: Final = b"/never"
PATIENCE: Final = 30.0  # seconds for one reply: on a busy machine a start takes the processor for some

Head = Callable[[int], bytes]


class Paced:
    """`head`: of the request of that number. `port`: where it goes. `answered`: how often each status came."""

    def __init__(self, head: Head, port: int, per_second: int = 500) -> None:
        self._head = head
        self._port = port
        self._pause = 1 / per_second
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._kept = 0
        self._stop, self._over = threading.Event(), threading.Event()
        self.sent = 0
        self.answered: Counter[int] = Counter()
        self.lost: list[str] = []
        self.told_to_close = 0
        self.most_behind = 0.0

    @contextmanager
    def running(self) -> Iterator["Paced"]:
        thread = threading.Thread(target=lambda: uvloop.run(self._run()), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(PATIENCE + 10)

    def wait_for(self, requests: int, seconds: float = 60.0) -> None:
        """Until so many more have been answered."""
        wanted, deadline = sum(self.answered.values()) + requests, time.monotonic() + seconds
        while sum(self.answered.values()) < wanted:
            assert time.monotonic() < deadline, f"{self.answered} answered in {seconds} s; lost: {self.lost[:5]}"
            time.sleep(0.02)

    def stop(self) -> None:
        """Send no more, and wait for what was sent."""
        self._stop.set()
        self._over.wait(PATIENCE + 10)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due, running = loop.time(), set[asyncio.Task[None]]()
        while not self._stop.is_set():
            task = loop.create_task(self._one(self.sent))
            self.sent += 1
            running.add(task)
            task.add_done_callback(running.discard)
            due += self._pause
            self.most_behind = max(self.most_behind, loop.time() - due)
            await asyncio.sleep(max(0.0, due - loop.time()))
        await asyncio.gather(*running)
        for _, writer in self._idle:
            writer.close()
        self._over.set()

    async def _one(self, number: int) -> None:
        kept = number % 2 == 0 and (bool(self._idle) or self._kept < KEPT)
        try:
            async with asyncio.timeout(PATIENCE):
                status = await (self._over_kept(number) if kept else self._over_fresh(number))
            self.answered[status] += 1
        except (OSError, EOFError, TimeoutError) as error:
            how = "kept" if kept else "fresh"
            self.lost.append(f"{time.time():.3f} {number} over a {how} connection: {error!r}")

    async def _over_fresh(self, number: int) -> int:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        try:
            writer.write(self._head(number))
            return (await self._reply(reader))[0]
        finally:
            writer.close()

    async def _over_kept(self, number: int) -> int:
        if self._idle:
            reader, writer = self._idle.pop(0)
        else:
            self._kept += 1
            reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        again = False
        try:
            writer.write(self._head(number))
            status, again = await self._reply(reader)
        finally:
            if again:
                self._idle.append((reader, writer))
            else:
                self._kept -= 1
                writer.close()
        return status

    async def _reply(self, reader: asyncio.StreamReader) -> tuple[int, bool]:
        """Its status, and whether the connection may be used again."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        await reader.readexactly(length)
        closing = b"connection: close" in head
        self.told_to_close += closing
        return int(head.split(b" ", 2)[1]), not closing


class _Answering(asyncio.Protocol):
    transport: Any

    def __init__(self, delay: Callable[[], float], unanswered: Callable[[], None]) -> None:
        self._delay = delay
        self._unanswered = unanswered
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while b"\r\n\r\n" in self._pending:
            head, _, self._pending = self._pending.partition(b"\r\n\r\n")
            if NEVER in head:
                self._unanswered()
                continue
            asyncio.get_running_loop().call_later(self._delay(), self.transport.write, STORE_ANSWER)


class QuickStore:
    """Answers every request without a body, after `delay` seconds; one whose path says NEVER not at all."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.port = 0
        self.unanswered = 0
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), daemon=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()

        def count() -> None:
            self.unanswered += 1

        server = await loop.create_server(lambda: _Answering(lambda: self.delay, count), LOOPBACK, 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        while not self._stop.is_set():
            await asyncio.sleep(0.05)
        server.close()

    def __enter__(self) -> "QuickStore":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

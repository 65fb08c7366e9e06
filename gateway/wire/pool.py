"""The connections to the store: which are idle, how many there may be, and who waits for one.

It decides without waiting: `acquire` hands an idle connection at once, or opens one, or queues. Most recently used
first, so that the rest grow old and are closed before the store does it.
"""

import asyncio
import ssl
from collections import deque
from typing import Final, NamedTuple, cast

from gateway.wire.buffers import ReadBuffers
from gateway.wire.limits import Limits
from gateway.wire.turn import Turn
from gateway.wire.upstream import UpstreamConnection, UpstreamUser

BACKLOG_PAUSE: Final = 0.01  # seconds


class Endpoint(NamedTuple):
    """Where the store listens. `tls` is None for plain http; `server_name` is what its certificate must say. `path`: of
    its Unix socket, instead of all that."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str | None
    path: str | None = None


class UpstreamPool:
    def __init__(self, endpoint: Endpoint, buffers: ReadBuffers, turn: Turn, limits: Limits) -> None:
        self._endpoint = endpoint
        self._buffers = buffers
        self._turn = turn
        self._limits = limits
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[tuple[UpstreamUser, float]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._connections: set[UpstreamConnection] = set()
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time()
        self.last_error: str | None = None
        self.opened = self.failures = 0  # connections that were made, and that could not be

    @property
    def open(self) -> int:
        return len(self._connections) + len(self._opening)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return len(self._connections) - len(self._idle)

    @property
    def opening(self) -> int:
        return len(self._opening)

    @property
    def waiting(self) -> int:
        """Exchanges that wait for a connection."""
        return len(self._waiting)

    def acquire(self, exchange: UpstreamUser, *, fresh: bool = False) -> UpstreamConnection | None:
        """An idle connection, or None: then `exchange.connected(…)` or `exchange.connect_failed(…)` follows.

        `fresh`: no reused connection, because one just turned out to be stale.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.usable():
                return connection
        if self.open < self._limits.upstream_connections:
            task = self._loop.create_task(self._open(exchange))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self._waiting.append((exchange, self._loop.time() + self._limits.upstream_wait_timeout))
        return None

    async def _open(self, exchange: UpstreamUser) -> None:
        connection = None
        try:
            async with asyncio.timeout(self._limits.upstream_connect_timeout):
                connection = await self._connect()
            self.last_error = None
            self.opened += 1
        except Exception as error:  # a host name that cannot be encoded, too: nobody may wait for ever
            self.last_error = f"{type(error).__name__}: {error}"
            self.failures += 1
        # From here on it counts as what it has become, and not once more until the task is done: a request that came
        # in between found no room and waited for a connection that nobody would ever give back.
        self._opening.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if connection is None:
            exchange.connect_failed(f"the store cannot be reached: {self.last_error}")
            self._fail_waiting()
        elif not connection.usable():
            exchange.connect_failed("the store closed the connection at once")
            self._open_for_waiting()
        else:
            self._connections.add(connection)
            if not (exchange.wants_upstream and exchange.connected(connection)):
                self.release(connection)

    async def _connect(self) -> UpstreamConnection:
        endpoint = self._endpoint
        if endpoint.path is not None:
            return await self._connect_here(endpoint.path)
        _, made = await self._loop.create_connection(
            self._made,
            endpoint.host,
            endpoint.port,
            ssl=endpoint.tls,
            server_hostname=endpoint.server_name if endpoint.tls else None,
        )
        return cast("UpstreamConnection", made)

    async def _connect_here(self, path: str) -> UpstreamConnection:
        while True:
            try:
                _, made = await self._loop.create_unix_connection(self._made, path)
                return cast("UpstreamConnection", made)
            except BlockingIOError:  # connect(2): the store's backlog is full; over TCP the kernel would ask again
                await asyncio.sleep(BACKLOG_PAUSE)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from error  # uvloop's names no path

    def _made(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", UpstreamConnection(self, self._buffers, self._turn, self._limits))

    def _fail_waiting(self) -> None:
        """With no connection left that could come back, nobody waits for one that does not come."""
        if not self.open:
            while self._waiting:
                self._waiting.popleft()[0].connect_failed("the store cannot be reached")

    def _open_for_waiting(self) -> None:
        while self._waiting and self.open < self._limits.upstream_connections:
            exchange, _ = self._waiting.popleft()
            if exchange.wants_upstream:
                self.acquire(exchange, fresh=True)

    def release(self, connection: UpstreamConnection) -> None:
        """A connection is free again: the longest waiting exchange gets it, else it lies idle. If it is closing, the
        next who takes it sees that, or it leaves when it is lost."""
        while self._waiting and connection.usable():
            exchange, _ = self._waiting.popleft()
            if exchange.wants_upstream and exchange.connected(connection):
                return
        connection.idle_since = self._clock
        self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._open_for_waiting()

    def tick(self, now: float) -> None:
        """Once a second: waits that took too long are refused, connections idle for too long are closed."""
        self._clock = now
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].connect_failed("all connections to the store are busy", busy=True)
        oldest = now - self._limits.upstream_idle
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.pop(0).transport.abort()

    async def close(self) -> None:
        for task in list(self._opening):
            task.cancel()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)

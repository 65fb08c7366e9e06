"""The connections to the store: which are idle, how many there may be, and who waits for one.

It decides without waiting: `acquire` hands an idle connection at once, or opens one, or queues. Most recently used
first, so that the rest grow old and are closed before the store does it. A connection that cannot be opened is tried at
another address, for nothing of the request has left; what has is no concern of it.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple, cast

from gateway.wire.buffers import ReadBuffers
from gateway.wire.endpoints import FAILING, LOG, Address, Endpoint, Waited, least_busy, next_to_try
from gateway.wire.limits import Limits
from gateway.wire.names import Name, is_name
from gateway.wire.probe import Probe
from gateway.wire.turn import Turn
from gateway.wire.upstream import ConnectionOwner, UpstreamConnection, UpstreamUser

BACKLOG_PAUSE: Final = 0.01  # seconds
BUSY: Final = "all connections to the store are busy: limits.upstream_connections"
MAX_TRIES: Final = 3  # addresses that one connection is tried at: together they share the time for it


class Watching(NamedTuple):
    """Seconds. `resolve`: between two look-ups of a name. `health`: between two looks at an address that serves."""

    resolve: float = 30.0
    health: float = 5.0


WATCHING: Final = Watching()


class UpstreamPool(Waited):
    """`addresses`: all that may be chosen, each for itself; none until a name was looked up first. `opened`: how many
    connections were, since the start; `failures`: how many could not be."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        buffers: ReadBuffers,
        turn: Turn,
        limits: Limits,
        watching: Watching,
    ) -> None:
        self._buffers = buffers
        self._turn = turn
        self._limits = limits
        self._watching = watching
        self._waiting: deque[tuple[UpstreamUser, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._probed: set[Address] = set()
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time()
        self._watched = len(endpoints) > 1
        self._look_at = self.clock + watching.health
        self._next = 0
        self._looking = 0  # connections that will be opened once it is known where
        self._last_error: str | None = None
        self.opened = 0
        self.failures = 0
        self._fixed = [Address(self, endpoint) for endpoint in endpoints if not is_name(endpoint)]
        self._names = [Name(one, watching.resolve, self._renamed) for one in endpoints if is_name(one)]
        self._named: dict[Name, list[Address]] = {}
        self._gone: list[Address] = []
        self.addresses: list[Address] = []
        self._only: Address | None = None
        self._gather()

    @property
    def last_error(self) -> str | None:
        """Why the store could not be reached when that was tried last; None while any of several addresses serves."""
        well = self._only is None and any(not (one.aside or one.ill) for one in self.addresses)
        return None if well else self._last_error

    @property
    def open(self) -> int:
        return self._looking + sum([address.open for address in [*self.addresses, *self._gone]])

    @property
    def idle(self) -> int:
        return sum([len(address.idle) for address in self.addresses])

    @property
    def opening(self) -> int:
        return self._looking + sum([address.opening for address in [*self.addresses, *self._gone]])

    @property
    def busy(self) -> int:
        """Connections with a request under way."""
        return self.open - self.opening - self.idle

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def aside(self) -> int:
        """Addresses that nobody is sent to for the moment."""
        return sum([address.aside for address in self.addresses])

    # ---- for exchanges ----

    def elsewhere(self, retried: bool) -> bool:
        """Whether what was lost may be asked at another address: once."""
        return not retried and self._only is None

    def host(self) -> bytes:
        """How the store is called at the address that the next request will most likely go to."""
        chosen = least_busy(self.addresses, self._next)
        return b"" if chosen is None else chosen.host

    def acquire(
        self, exchange: UpstreamUser, *, fresh: bool = False, avoid: ConnectionOwner | None = None
    ) -> UpstreamConnection | None:
        """An idle connection, or None: then `exchange.connected(…)` or `exchange.connect_failed(…)` follows.

        `fresh`: no reused connection, because one just turned out to be stale. `avoid`: an address that just failed.
        """
        address = self._only
        if address is None:
            address = self._choose(avoid)
        if address is not None and not fresh:
            idle = address.idle
            while idle:
                connection = idle.pop()
                if connection.usable():
                    return connection
        if self.open < self._limits.upstream_connections or self._close_an_idle():
            self._open_for(exchange, address)
        else:
            self._waiting.append((exchange, self._loop.time() + self._limits.upstream_wait_timeout))
        return None

    def _choose(self, avoid: ConnectionOwner | None) -> Address | None:
        self._next += 1
        if isinstance(avoid, Address) and avoid in self.addresses:
            return next_to_try(self.addresses, [avoid], self._next) or avoid
        return least_busy(self.addresses, self._next)

    def _close_an_idle(self) -> bool:
        """No room, but perhaps what has it lies idle at another address."""
        for address in self.addresses:
            if address.idle:
                connection = address.idle.pop(0)
                address.connections.discard(connection)
                connection.transport.abort()
                return True
        return False

    def release(self, connection: UpstreamConnection) -> None:
        """Of a connection that was taken and not used."""
        connection.owner.release(connection)

    # ---- opening ----

    def _open_for(self, exchange: UpstreamUser, address: Address | None) -> None:
        if address is None:
            self._looking += 1
        else:
            address.opening += 1
        self._run(self._open(exchange, address))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, exchange: UpstreamUser, address: Address | None) -> None:
        if address is None:
            address = await self._first_address()
        connection = None if address is None else await self._reach(address)
        if connection is None:
            exchange.connect_failed(f"the store cannot be reached: {self._last_error}")
            self._fail_waiting()
        elif not connection.usable():
            exchange.connect_failed("the store closed the connection at once")
            self.room_again()
        else:
            owner = cast("Address", connection.owner)
            owner.connections.add(connection)
            if not (exchange.wants_upstream and exchange.connected(connection)):
                owner.release(connection)

    async def _first_address(self) -> Address | None:
        """Nobody knows where the store is yet: whoever looks its names up is waited for."""
        try:
            async with asyncio.timeout(self._limits.upstream_connect_timeout):
                for name in self._names:
                    await name.looked_up()
        except TimeoutError:
            self._last_error = "its name was not looked up in time"
        finally:
            self._looking -= 1
        address = least_busy(self.addresses, self._next)
        if address is None:
            self._last_error = next((name.error for name in self._names if name.error), self._last_error)
        else:
            address.opening += 1
        return address

    async def _reach(self, address: Address) -> UpstreamConnection | None:
        """A connection to it, or to one of the next: all together take no longer than one may. It is counted as being
        opened, and on return not any more: a request that came in between found no room, and waited for nothing."""
        ends = self._loop.time() + self._limits.upstream_connect_timeout
        tried: list[Address] = []
        chosen: Address | None = address
        while chosen is not None:
            tried.append(chosen)
            left = min(MAX_TRIES, len(self.addresses)) - len(tried)
            try:
                async with asyncio.timeout((ends - self._loop.time()) / (1 + max(0, left))):
                    connection = await self._connect(chosen)
                self.opened += 1
                self._last_error = None
                return connection
            except Exception as error:  # a host name that cannot be encoded, too: nobody may wait for ever
                self._unreached(chosen, f"{type(error).__name__}: {error}")
            finally:
                chosen.opening -= 1
            chosen = next_to_try(self.addresses, tried, self._next) if left > 0 else None
            if chosen is not None:
                chosen.opening += 1
        return None

    async def _connect(self, address: Address) -> UpstreamConnection:
        endpoint = address.endpoint

        def made() -> asyncio.BaseProtocol:
            return cast("asyncio.BaseProtocol", self.connection_to(address))

        if endpoint.path is not None:
            return await self._connect_here(endpoint.path, address)
        _, connection = await self._loop.create_connection(
            made,
            endpoint.host,
            endpoint.port,
            ssl=endpoint.tls,
            server_hostname=endpoint.server_name if endpoint.tls else None,
        )
        return cast("UpstreamConnection", connection)

    async def _connect_here(self, path: str, address: Address) -> UpstreamConnection:
        def made() -> asyncio.BaseProtocol:
            return cast("asyncio.BaseProtocol", self.connection_to(address))

        while True:
            try:
                _, connection = await self._loop.create_unix_connection(made, path)
                return cast("UpstreamConnection", connection)
            except BlockingIOError:  # connect(2): the store's backlog is full; over TCP the kernel would ask again
                await asyncio.sleep(BACKLOG_PAUSE)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from error  # uvloop's names no path

    def connection_to(self, address: Address) -> UpstreamConnection:
        return UpstreamConnection(address, self._buffers, self._turn, self._limits)

    # ---- waiting ----

    def take_waiting(self, connection: UpstreamConnection) -> bool:
        """Whether somebody who waited took it."""
        while self._waiting and connection.usable():
            exchange, _ = self._waiting.popleft()
            if exchange.wants_upstream and exchange.connected(connection):
                return True
        return False

    def _fail_waiting(self) -> None:
        """With no connection left that could come back, nobody waits for one that does not come."""
        if not self.open:
            while self._waiting:
                self._waiting.popleft()[0].connect_failed("the store cannot be reached")

    def room_again(self) -> None:
        while self._waiting and self.open < self._limits.upstream_connections:
            exchange, _ = self._waiting.popleft()
            if exchange.wants_upstream:
                self.acquire(exchange, fresh=True)

    # ---- which addresses there are ----

    def _renamed(self, name: Name) -> None:
        """A name has other addresses than before: those that stay keep their connections, those that go lose theirs."""
        before = {address.endpoint: address for address in self._named.get(name, [])}
        self._named[name] = [before[one] if one in before else Address(self, one) for one in name.addresses]
        for endpoint, address in before.items():
            if endpoint not in name.addresses:
                address.gone = True
                address.drop_idle()
                self._gone.append(address)
        self._gather()

    def _gather(self) -> None:
        self.addresses = [*self._fixed, *[one for named in self._named.values() for one in named]]
        self._only = self.addresses[0] if len(self.addresses) == 1 else None
        if self.addresses and least_busy(self.addresses, 0) is None:
            self._take_back_all()

    def _take_back_all(self) -> None:
        for address in self.addresses:
            address.take_back()

    # ---- which of them serve ----

    def ailing(self, address: Address, reason: str) -> None:
        """It fails, again and again or by refusing connections. Put aside, but never the last one."""
        if address.gone or address.aside:
            return
        others = [one for one in self.addresses if one is not address and not one.aside]
        if not address.ill:
            last = "" if others else "; it is the only one left, and is asked all the same"
            LOG.error("the store at %s fails: %s%s", address.endpoint.shown, reason, last)
            address.ill = True
        if others:
            address.put_aside(self._loop.time())

    def _unreached(self, address: Address, reason: str) -> None:
        self._last_error = reason
        self.failures += 1
        for name in self._names:
            name.doubt(self._loop.time())
        self.ailing(address, f"no connection: {reason}")

    def recovered(self, address: Address) -> None:
        address.take_back()
        self._last_error = None
        if address.ill:
            LOG.warning("the store at %s answers again", address.endpoint.shown)
            address.ill = False

    def _look(self, now: float) -> None:
        """What is aside is asked when its pause is over; what serves only where several endpoints are configured."""
        every = self._watched and now >= self._look_at
        if every:
            self._look_at = now + self._watching.health
        for address in self.addresses:
            due = now >= address.until if address.aside else every
            if due and address not in self._probed:
                self._probed.add(address)
                self._run(self._probe(address))

    async def _probe(self, address: Address) -> None:
        """Ask it something of no consequence; nobody's request is risked on what may be dead."""
        connection = None
        try:
            async with asyncio.timeout(self._limits.upstream_connect_timeout):
                connection = await self._connect(address)
                status = await Probe().ask(connection, address.endpoint)
            reason = f"it answered {status}" if status in FAILING else ""
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            self._probed.discard(address)
            if connection is not None:
                connection.reset()
        if not reason:
            if address.aside:
                self.recovered(address)
        elif address.aside:
            address.put_aside(self._loop.time())
        elif connection is None:
            self._unreached(address, reason)
        else:
            address.failed(f"asked how it is: {reason}")

    # ---- time ----

    def tick(self, now: float) -> None:
        """Once a second: waits that took too long are refused, connections idle for too long are closed, what is aside
        is looked at, names are looked up again."""
        self.clock = now
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].connect_failed(BUSY, busy=True)
        for address in self.addresses:
            address.close_older(now - self._limits.upstream_idle)
        for name in self._names:
            name.tick(now)
        self._look(now)
        if self._gone:
            self._gone = [address for address in self._gone if address.open]

    async def close(self) -> None:
        for name in self._names:
            name.close()
        for task in list(self._tasks):
            task.cancel()
        for address in [*self.addresses, *self._gone]:
            for connection in list(address.connections):
                connection.transport.abort()
        await asyncio.sleep(0)

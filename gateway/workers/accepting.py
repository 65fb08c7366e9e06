"""Connections taken from a listening socket one in a turn of the loop.

Of a Unix socket that all workers share, so that whoever has least to do takes most: libuv empties the backlog in one
go, and of 200 connections that came at once one of two workers got 195. And where TLS is spoken, so that a handshake
counts from its first moment: whoever begins many and ends none would otherwise take every descriptor, unseen by the
limits of connections, which are made when the handshake is over. When there are too many the oldest gives way: an
honest one takes two round trips and is done.

Of a plain TCP port each worker has a socket of its own, and the kernel deals; unless
systemd made it, and then there is one for all.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

LOG: Final = logging.getLogger("nqgate")
PAUSE: Final = 1.0  # seconds without accepting when no file can be opened
SAY_EVERY: Final = 60.0  # seconds between two lines about that


class Accepting:
    """From when it is made until `close`. `made`: the protocol of a new connection. `tls`: spoken on it, with a
    handshake of so many seconds at most, and so many handshakes at once."""

    def __init__(
        self,
        listener: socket.socket,
        made: Callable[[], asyncio.BaseProtocol],
        tls: tuple[ssl.SSLContext, float, int] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._made = made
        self._tls = tls
        self._connecting: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._paused: asyncio.TimerHandle | None = None
        self._said_at = float("-inf")
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    @property
    def connecting(self) -> int:
        """How many are not connections yet."""
        return len(self._connecting)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster
        except OSError as error:
            self._pause(error)
            return
        task = self._loop.create_task(self._connect(connection))
        self._connecting[task] = None
        task.add_done_callback(lambda done: self._connecting.pop(done, None))
        if self._tls is not None and len(self._connecting) > self._tls[2]:
            oldest = next(iter(self._connecting))
            del self._connecting[oldest]
            oldest.cancel()

    def _pause(self, error: OSError) -> None:
        """Whoever waits is taken when descriptors are there again: a listener that stays readable would keep the loop
        busy with nothing else."""
        now = self._loop.time()
        if now - self._said_at >= SAY_EVERY:
            self._said_at = now
            LOG.error("no connection can be accepted: %s; trying again every %.0f s", error.strerror, PAUSE)
        self._loop.remove_reader(self._listener)
        self._paused = self._loop.call_later(PAUSE, self._resume)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if self._tls is None:
            await self._loop.connect_accepted_socket(self._made, connection)
            return
        context, seconds, _ = self._tls
        try:
            with contextlib.suppress(OSError):  # a handshake that fails is the client's own; ssl.SSLError is one
                await self._loop.connect_accepted_socket(
                    self._made, connection, ssl=context, ssl_handshake_timeout=seconds
                )
        except asyncio.CancelledError:  # it gave way
            return

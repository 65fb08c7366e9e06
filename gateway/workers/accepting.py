"""Connections taken from a Unix socket that all workers share: one in a turn of the loop, so that whoever has least to
do takes most. libuv empties the backlog in one go: of 200 connections that came at once one of two workers got 195.

Of a TCP port each worker has a socket of its own, and the kernel deals; unless systemd made it, and then there is one.
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


class Accepting:
    """From when it is made until `close`. `made`: the protocol of a new connection. `tls`: spoken on it, with a
    handshake of so many seconds at most."""

    def __init__(
        self,
        listener: socket.socket,
        made: Callable[[], asyncio.BaseProtocol],
        tls: tuple[ssl.SSLContext, float] | None = None,
    ) -> None:
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._made = made
        self._connecting: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster
        except OSError as error:
            LOG.error("no connection can be accepted: %s; trying again in %.0f s", error.strerror, PAUSE)
            self._loop.remove_reader(self._listener)
            self._paused = self._loop.call_later(PAUSE, self._resume)
            return
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if self._tls is None:
            await self._loop.connect_accepted_socket(self._made, connection)
            return
        context, seconds = self._tls
        with contextlib.suppress(OSError):  # a handshake that fails is the client's own; ssl.SSLError is one
            await self._loop.connect_accepted_socket(self._made, connection, ssl=context, ssl_handshake_timeout=seconds)

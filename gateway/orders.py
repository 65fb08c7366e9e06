"""What a running gateway is told by a command of the same user: to reload, or to hand its sockets over.

A socket in the abstract namespace of Linux, named after the configuration file: found whatever that file says now,
inside any sandbox that leaves the network alone, and gone with whoever had it. That namespace has no permissions, so
each side asks the kernel who the other one is. Messages as between supervisor and workers; sockets travel beside one.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from gateway.listening import Handed
from gateway.workers.link import Message, MessageReader, encode

LOG: Final = logging.getLogger("nqgate")
BACKLOG: Final = 8
READ: Final = 65_536
MAX_FILES: Final = 250  # that the kernel passes with one message: SCM_MAX_FD is 253
ASK_SECONDS: Final = 5.0  # for a command to say what it wants
RELOAD_SECONDS: Final = 600.0  # 48 workers that take up to START_SECONDS each do not come near it
TAKE_SECONDS: Final = 300.0  # for a gateway that took the sockets to serve, or to give up
_PEER: Final = struct.Struct("3i")  # pid, uid, gid


class NobodyThere(Exception):
    """No gateway runs with this configuration."""


class Orders(Protocol):
    """Who carries them out. `hand_over`: the sockets, while both gateways have them; `taken_over`: the other one
    serves."""

    async def reload(self, *, restart_workers: bool) -> Message: ...
    def hand_over(self) -> Handed: ...
    def taken_over(self, pid: int) -> None: ...


def orders_name(config_file: Path | None) -> str:
    """Of the gateway with that configuration file; of one that has its settings from the environment alone."""
    file = "" if config_file is None else os.path.realpath(config_file)
    return f"\0nqgate-orders-{hashlib.sha256(file.encode()).hexdigest()[:32]}"


# ---- the gateway's side ----


@contextlib.asynccontextmanager
async def taking_orders(name: str, orders: Orders) -> AsyncIterator[None]:
    """Until the body is left. Where the name is taken the gateway goes on without: it hears signals all the same."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(name)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        LOG.warning("`nqgate reload` finds another gateway, not this one, with this configuration: %s", error.strerror)
        yield
        return
    listener.setblocking(False)
    serving = asyncio.get_running_loop().create_task(_serve(listener, orders))
    try:
        yield
    finally:
        listener.close()
        await asyncio.sleep(0)  # who was accepted just now is in good hands, and closed
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _serve(listener: socket.socket, orders: Orders) -> None:
    """One after the other: two reloads at once have no meaning."""
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        with connection:
            connection.setblocking(False)
            if not _ours(connection):
                continue
            try:
                if await _carry_out(connection, orders):
                    listener.close()  # before the other side hears: it takes the name
                    await loop.sock_sendall(connection, encode({"over": True}))
                    return
            except (OSError, TimeoutError, ValueError):
                continue  # it broke off, or speaks of something else
            except Exception:
                LOG.exception("an order failed")


async def _carry_out(connection: socket.socket, orders: Orders) -> bool:
    """Whether somebody else takes the orders from here on."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ASK_SECONDS):
        asked = await _message(connection)
    if "reload" in asked:
        await loop.sock_sendall(connection, encode(await orders.reload(restart_workers=bool(asked["reload"]))))
    elif "take_over" in asked:
        handed = orders.hand_over()
        _send_sockets(connection, handed)
        async with asyncio.timeout(TAKE_SECONDS):
            said = await _message(connection)
        if "serving" in said:
            orders.taken_over(int(said["serving"]))
            return True
    return False


def _ours(connection: socket.socket) -> bool:
    """This user, or root: who may signal the gateway may tell it something."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return _PEER.unpack(credentials)[1] in (os.getuid(), 0)


def _send_sockets(connection: socket.socket, handed: Handed) -> None:
    sockets = [one for group in handed.s3 for one in group] + list(handed.console)
    told = {
        "s3": [len(group) for group in handed.s3],
        "shared": handed.shared,
        "console": len(handed.console),
        "ours": handed.ours,
    }
    if len(sockets) > MAX_FILES:
        raise ValueError(f"{len(sockets)} sockets cannot be handed over at once")
    message = encode(told)
    if socket.send_fds(connection, [message], [one.fileno() for one in sockets]) != len(message):
        raise ValueError("the other side takes nothing")


async def _message(connection: socket.socket) -> Message:
    """ValueError for what is none, ConnectionError for what ends before its end."""
    reader = MessageReader()
    while True:
        block = await asyncio.get_running_loop().sock_recv(connection, READ)
        if not block:
            raise ConnectionResetError("the other side has closed")
        messages = reader.feed(block)
        if messages:
            return messages[0]


# ---- the side of who tells ----


def _told(name: str) -> socket.socket:
    """A connection to the gateway of that name. NobodyThere, PermissionError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ASK_SECONDS)
        connection.connect(name)
    except (ConnectionRefusedError, FileNotFoundError):
        connection.close()
        raise NobodyThere("no gateway runs with this configuration file") from None
    except BaseException:
        connection.close()
        raise
    owner = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1]
    if owner != os.getuid() and os.getuid() != 0:
        connection.close()
        raise PermissionError(f"the gateway with this configuration file runs as another user, of number {owner}")
    return connection


def ask_reload(name: str, *, restart_workers: bool) -> Message:
    """What the gateway answers when it is done. NobodyThere; OSError when it breaks off."""
    with _told(name) as connection:
        connection.settimeout(RELOAD_SECONDS)
        connection.sendall(encode({"reload": restart_workers}))
        message, _ = _answer(connection)
        return message


class Predecessor(NamedTuple):
    """The gateway whose sockets these are; it serves until it hears otherwise, and goes on when it hears nothing."""

    connection: socket.socket
    handed: Handed

    def serving(self) -> None:
        """From here on it takes no connections, finishes what it has, and ends. OSError when it has not heard: then it
        goes on, and of two gateways on the same sockets this one must end."""
        with self.connection:
            self.connection.sendall(encode({"serving": os.getpid()}))
            _answer(self.connection)


def take_over(name: str) -> Predecessor:
    """NobodyThere, OSError."""
    connection = _told(name)
    try:
        connection.settimeout(RELOAD_SECONDS)  # it may be reloading
        connection.sendall(encode({"take_over": True}))
        told, sockets = _answer(connection)
    except BaseException:
        connection.close()
        raise
    connection.settimeout(ASK_SECONDS)
    remaining = iter(sockets)
    groups = tuple(tuple(next(remaining) for _ in range(count)) for count in told["s3"])
    return Predecessor(connection, Handed(groups, told["shared"], tuple(remaining), told["ours"]))


def _answer(connection: socket.socket) -> tuple[Message, list[socket.socket]]:
    reader, files = MessageReader(), list[int]()
    while True:
        block, more, _, _ = socket.recv_fds(connection, READ, MAX_FILES)
        files += more
        if not block:
            raise ConnectionResetError("the gateway ended, or breaks off")
        messages = reader.feed(block)
        if messages:
            return messages[0], [socket.socket(fileno=file) for file in files]

"""Requests for IAM and STS on their way from a worker to the control plane, and the answers back.

Over a socket of the machine that only processes of the same user may use, one connection for each: the supervisor, who
must prove that the keystore is fresh, has nothing to do with it, however many come.
"""

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.iam.relayed import read_answer, request_message
from gateway.iam.request import IamAnswer, IamRequest
from gateway.workers.link import Message, MessageReader, encode
from keystore.errors import KeystoreUnavailable

PATIENCE: Final = 15.0  # seconds for an answer: an act waits up to 7 for the gateways to confirm it
ASK_SECONDS: Final = 2.0  # for a worker to say what it wants
AT_ONCE: Final = 32  # relayed requests that are answered at the same time; others wait
BACKLOG: Final = 128  # that wait; more are told that the control plane does not answer
LAST_ANSWERS: Final = 2.0  # seconds for those that run when the control plane ends
READ: Final = 65_536
_PEER: Final = struct.Struct("3i")  # pid, uid, gid

Answer = Callable[[Message], Awaitable[Message]]


def relay_listener() -> socket.socket:
    """In the abstract namespace of Linux: nothing is left behind by whoever is killed."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"\0nqgate-{secrets.token_hex(16)}")
    listener.listen(BACKLOG)
    return listener


def relay_name(listener: socket.socket) -> str:
    """As a worker is told it."""
    return bytes(listener.getsockname()).hex()


class Relay:
    """A worker's side: `gateway.wire.roles.ControlPlane`."""

    def __init__(self, name: str) -> None:
        self._address = bytes.fromhex(name)

    async def relay(self, request: IamRequest) -> IamAnswer:
        """KeystoreUnavailable when there is no answer, or not in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                return read_answer(await self._ask(request_message(request)))
        except (OSError, TimeoutError, ValueError) as error:
            raise KeystoreUnavailable(f"the control plane does not answer: {type(error).__name__}") from None

    async def _ask(self, question: Message) -> Message:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            await loop.sock_connect(connection, self._address)
            await loop.sock_sendall(connection, encode(question))
            return await _message(loop, connection)


@asynccontextmanager
async def answering_relays(listener: socket.socket, answer: Answer) -> AsyncIterator[None]:
    """The control plane's side, until the body is left: then no more are taken, and those that run may finish."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(AT_ONCE)
    running: set[asyncio.Task[None]] = set()
    listener.setblocking(False)

    def over(task: asyncio.Task[None]) -> None:
        running.discard(task)
        room.release()

    async def serve() -> None:
        while True:
            await room.acquire()
            connection, _ = await loop.sock_accept(listener)
            task = loop.create_task(_answer_one(connection, answer))
            running.add(task)
            task.add_done_callback(over)

    serving = loop.create_task(serve())
    try:
        yield
    finally:
        serving.cancel()
        if running:
            await asyncio.wait(running, timeout=LAST_ANSWERS)
        for task in (*running, serving):
            task.cancel()
        await asyncio.gather(serving, *running, return_exceptions=True)


async def _answer_one(connection: socket.socket, answer: Answer) -> None:
    """Whoever breaks off, or says nothing, is let go."""
    loop = asyncio.get_running_loop()
    with connection:
        connection.setblocking(False)
        if not _ours(connection):
            return
        try:
            async with asyncio.timeout(ASK_SECONDS):
                question = await _message(loop, connection)
            await loop.sock_sendall(connection, encode(await answer(question)))
        except (OSError, TimeoutError, ValueError):
            return


def _ours(connection: socket.socket) -> bool:
    """Another user of the machine could say any source address."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(credentials)[1] == os.getuid())


async def _message(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> Message:
    """ValueError for what is none, ConnectionError for what ends before its end."""
    reader = MessageReader()
    while True:
        block = await loop.sock_recv(connection, READ)
        if not block:
            raise ConnectionResetError("the other side has closed")
        messages = reader.feed(block)
        if messages:
            return messages[0]

"""Who is at the other end, as the transport says."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvloop

from gateway.source import UNIX
from gateway.wire.peers import peer_address


class Door(asyncio.Protocol):
    """Tells who came, and waits for the end: uvloop does not close a loop with an open transport."""

    def __init__(self) -> None:
        self.met: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.met.set_result(peer_address(transport))
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


async def peer_of(server: socket.socket, client: socket.socket) -> str:
    """What a uvloop server on `server` calls whoever connects by `client`."""
    loop = asyncio.get_running_loop()
    door = Door()
    if server.family == socket.AF_UNIX:
        listening = await loop.create_unix_server(lambda: door, sock=server)
    else:
        listening = await loop.create_server(lambda: door, sock=server)
    client.setblocking(False)
    await loop.sock_connect(client, server.getsockname())
    told = await door.met
    await door.gone.wait()
    listening.close()
    await listening.wait_closed()
    return told


def test_a_tcp_connection_has_an_address() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.socket() as client:
        assert uvloop.run(peer_of(server, client)) == "127.0.0.1"


@pytest.mark.parametrize("name", [None, "127.0.0.1", "\0127.0.0.1"])
def test_a_client_of_the_unix_socket_is_that_whatever_it_calls_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """It may bind its own end to a path or an abstract name, which getpeername tells."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s3.sock")
        server.listen()
        if name is not None:
            client.bind(name)
        assert uvloop.run(peer_of(server, client)) == UNIX


def test_a_connection_that_is_gone_came_from_nowhere() -> None:
    class Gone(asyncio.Transport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return default

    assert peer_address(Gone()) == ""

"""Workers that share one Unix socket, and handshakes that do not end."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from gateway.wire.tls import listener_context
from gateway.workers import accepting
from gateway.workers.accepting import Accepting
from tests.support.certificates import make_certificate

MANY = 60


class Counted(asyncio.Protocol):
    """`transports`: those that were made, of one worker."""

    def __init__(self, transports: list[asyncio.BaseTransport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(transport)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s3.sock"))
        bound.listen(MANY)
        yield bound


@contextlib.contextmanager
def clients(listener: socket.socket, number: int = MANY) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as opened:
        made = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(number)]
        for client in made:
            client.connect(listener.getsockname())
        yield made


async def until(holds) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


async def ended(transports: list[asyncio.BaseTransport]) -> None:
    for transport in transports:
        transport.close()
    await asyncio.sleep(0.01)


def test_connections_that_come_at_once_are_shared_out(listener: socket.socket) -> None:
    async def run() -> list[int]:
        taken: list[list[asyncio.BaseTransport]] = [[], [], []]
        workers = [Accepting(listener.dup(), lambda own=own: Counted(own)) for own in taken]  # type: ignore[misc]
        await until(lambda: sum(map(len, taken)) == MANY)
        for worker in workers:
            worker.close()
        await ended([transport for own in taken for transport in own])
        return [len(own) for own in taken]

    with clients(listener):
        shares = uvloop.run(run())
    assert min(shares) >= MANY // 6, shares


def test_who_has_closed_takes_nothing_more_and_leaves_it_to_the_others(listener: socket.socket) -> None:
    async def run() -> tuple[int, int]:
        first: list[asyncio.BaseTransport] = []
        second: list[asyncio.BaseTransport] = []
        gone = Accepting(listener.dup(), lambda: Counted(first))
        there = Accepting(listener.dup(), lambda: Counted(second))
        gone.close()
        await until(lambda: len(second) == MANY)
        there.close()
        await ended(second)
        return len(first), len(second)

    with clients(listener):
        assert uvloop.run(run()) == (0, MANY)


def test_where_no_file_can_be_opened_it_is_said_and_tried_again(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A listener that stays readable would otherwise keep the loop busy with nothing else."""
    monkeypatch.setattr(accepting, "PAUSE", 0.05)

    class Full(socket.socket):
        failures = 2

        def accept(self) -> tuple[socket.socket, object]:
            if Full.failures:
                Full.failures -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    async def run() -> int:
        taken: list[asyncio.BaseTransport] = []
        worker = Accepting(Full(fileno=listener.dup().detach()), lambda: Counted(taken))
        await until(lambda: len(taken) == 1)
        worker.close()
        await ended(taken)
        return len(taken)

    with clients(listener, 1):
        assert uvloop.run(run()) == 1
    assert [record.message.count("Too many open files") for record in caplog.records] == [1]  # once a minute


def test_closing_while_it_pauses_ends_it(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.01)

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            raise OSError(24, "Too many open files")

    async def run() -> int:
        taken: list[asyncio.BaseTransport] = []
        worker = Accepting(Full(fileno=listener.dup().detach()), lambda: Counted(taken))
        await asyncio.sleep(0.005)
        worker.close()
        await asyncio.sleep(0.05)
        return len(taken)

    with clients(listener, 1):
        assert uvloop.run(run()) == 0


# ---- TLS ----

MOST = 10  # handshakes at once


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(MANY)
        yield bound


def greeted(address: tuple[str, int], trusting: ssl.SSLContext) -> bytes:
    with socket.create_connection(address, 10) as plain, trusting.wrap_socket(plain, server_hostname=address[0]) as tls:
        return tls.recv(2)


def test_handshakes_that_do_not_end_give_way_and_an_honest_one_is_done(port: socket.socket, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = listener_context(certificate.certificate, certificate.private_key)
    trusting = ssl.create_default_context(cafile=str(certificate.authority))

    class Greets(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(b"hi")  # type: ignore[attr-defined]

    async def run() -> None:
        worker = Accepting(port.dup(), Greets, (context, 2.0, MOST))
        before = len(os.listdir("/proc/self/fd"))
        with contextlib.ExitStack() as opened:
            address = port.getsockname()
            slow = [opened.enter_context(socket.create_connection(address)) for _ in range(MANY)]
            slow[-1].send(b"\x16\x03")  # the beginning of one
            await until(lambda: len(os.listdir("/proc/self/fd")) <= before + MANY + MOST)
            assert worker.connecting <= MOST
            assert await asyncio.to_thread(greeted, address, trusting) == b"hi"
            assert slow[0].recv(1) == b""  # the oldest gave way
            await until(lambda: worker.connecting == 0)  # and the rest had their time
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)  # libuv keeps one in reserve
        worker.close()

    uvloop.run(run())


def test_a_tcp_socket_that_all_share_speaks_tls_and_a_client_that_does_not_harms_nobody(tmp_path: Path) -> None:
    certificate, private_key, authority = make_certificate(tmp_path)
    served = listener_context(certificate, private_key)
    trusting = ssl.create_default_context(cafile=str(authority))

    async def run(shared: socket.socket) -> list[bool]:
        taken: list[asyncio.BaseTransport] = []
        accepting = Accepting(shared.dup(), lambda: Counted(taken), (served, 5.0, MOST))
        port = shared.getsockname()[1]
        _, plain = await asyncio.open_connection("127.0.0.1", port)
        plain.write(b"GET / HTTP/1.1\r\n\r\n")
        _, secure = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        await until(lambda: taken)
        found = [transport.get_extra_info("ssl_object") is not None for transport in taken]
        accepting.close()
        for writer in (plain, secure):
            writer.close()
        await ended(taken)
        return found

    with socket.create_server(("127.0.0.1", 0)) as shared:
        assert uvloop.run(run(shared)) == [True]

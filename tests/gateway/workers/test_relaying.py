"""Both ends of the way to the control plane, over a real socket."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from gateway.iam.request import IamRequest
from gateway.workers import relaying
from gateway.workers.link import Message
from gateway.workers.relaying import Relay, answering_relays, relay_listener, relay_name
from keystore.errors import KeystoreUnavailable

HEADERS = [(b"host", b"gateway"), (b"x-odd", b"\xff")]


def form(body: bytes = b"") -> IamRequest:
    return IamRequest(b"POST", b"/", b"", HEADERS, body, "::1")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with relay_listener() as bound:
        yield bound


async def echo(question: Message) -> Message:
    headers = [*question["headers"], ["source", question["source"]], ["method", question["method"]]]
    return {"status": 202, "headers": headers, "body": question["body"]}


async def test_bytes_in_are_bytes_out(listener: socket.socket) -> None:
    relay = Relay(relay_name(listener))
    async with answering_relays(listener, echo):
        answers = await asyncio.gather(*(relay.relay(form(bytes(range(256)) * 200)) for _ in range(100)))
    for status, headers, body in answers:
        assert (status, body) == (202, bytes(range(256)) * 200)
        assert headers == [(b"host", b"gateway"), (b"x-odd", b"\xff"), (b"source", b"::1"), (b"method", b"POST")]


async def test_a_control_plane_that_is_not_there_is_503_and_at_once() -> None:
    with relay_listener() as gone:
        name = relay_name(gone)
    async with asyncio.timeout(2):
        with pytest.raises(KeystoreUnavailable, match="does not answer"):
            await Relay(name).relay(form(b""))


async def test_one_that_does_not_answer_is_not_waited_for_for_ever(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "PATIENCE", 0.05)
    with pytest.raises(KeystoreUnavailable):
        await Relay(relay_name(listener)).relay(form(b""))


async def test_one_that_fails_fails_the_request_and_no_other(listener: socket.socket) -> None:
    async def answer(question: Message) -> Message:
        if question["body"] == "00":
            raise ValueError("a bug")
        return await echo(question)

    relay = Relay(relay_name(listener))
    async with answering_relays(listener, answer):
        with pytest.raises(KeystoreUnavailable):
            await relay.relay(form(b"\0"))
        assert (await relay.relay(form(b"\1"))).body == b"\1"


async def test_whoever_says_nothing_or_nonsense_holds_nobody_up(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(relaying, "AT_ONCE", 2)
    relay = Relay(relay_name(listener))
    async with answering_relays(listener, echo):
        rude = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for number, connection in enumerate(rude):
            connection.connect(listener.getsockname())
            connection.send(b"" if number % 2 else struct.pack(">I", 1 << 31))
        assert (await relay.relay(form(b"\1"))).body == b"\1"
        for connection in rude:
            connection.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_of_the_machine_is_not_answered(listener: socket.socket) -> None:
    async with answering_relays(listener, echo):
        program = (
            "import os, socket, sys\n"
            "os.setuid(65534)\n"
            "connection = socket.socket(socket.AF_UNIX)\n"
            "connection.connect(bytes.fromhex(sys.argv[1]))\n"
            "connection.settimeout(5)\n"
            "print(connection.recv(1))\n"
        )
        asked = await asyncio.create_subprocess_exec(
            "/usr/bin/env", "python3", "-c", program, relay_name(listener), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await asked.communicate()
        assert told == b"b''\n"

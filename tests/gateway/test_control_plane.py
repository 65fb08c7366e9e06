"""The process alone, over a link that this test holds."""

import asyncio
import json
import os
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.slots import Slots
from gateway.workers.control import with_secrets
from gateway.workers.link import Link, Message
from gateway.workers.relaying import relay_listener
from keystore.local_keystore import open_local_keystore
from keystore.sealing import create_kek_file, load_kek_ring
from tests.support.plane import config_in

pytestmark = pytest.mark.server  # a process of its own


class Held:
    """What it said, and a hand on it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.said: list[Message] = []
        self.link = Link(self._take, lambda: None)
        self.state: Message = {"ready": True}

    def _take(self, message: Message) -> None:
        self.said.append(message)
        if "readiness" in message:
            self.link.send({"number": message["number"], **self.state})

    async def until(self, word: str) -> Message:
        async with asyncio.timeout(20):
            while not any(word in message for message in self.said):
                await asyncio.sleep(0.01)
        return next(message for message in self.said if word in message)

    async def text(self, path: str) -> str:
        def ask() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
                return str(reply.read().decode())

        return await asyncio.to_thread(ask)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        def ask() -> tuple[int, dict[str, Any]]:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
                return reply.status, json.loads(reply.read())

        return await asyncio.to_thread(ask)


@asynccontextmanager
async def begun(begin: Message) -> AsyncIterator[Held]:
    ours, theirs = socket.socketpair()
    slots = Slots()
    with socket.create_server(("127.0.0.1", 0)) as listener, relay_listener() as relay, theirs:
        files = (theirs.fileno(), relay.fileno(), listener.fileno())
        command = [sys.executable, "-P", "-m", "gateway.control_plane", *map(str, files)]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}
        process = await asyncio.create_subprocess_exec(*command, pass_fds=(*files, slots.file), env=environment)
        held = Held(process, listener.getsockname()[1])
    await asyncio.get_running_loop().create_connection(lambda: held.link, sock=ours)
    held.link.send({**begin, "slots": slots.file, "slot": slots.take()})
    slots.close()
    try:
        yield held
    finally:
        held.link.close()
        async with asyncio.timeout(10):
            await process.wait()


async def test_it_serves_once_it_was_told_how_and_ends_with_its_link(tmp_path: Path) -> None:
    create_kek_file(tmp_path / "kek")
    async with open_local_keystore(tmp_path / "keys.db", load_kek_ring(tmp_path / "kek"), create=True):
        pass  # the supervisor makes it
    async with begun({"begin": True, "config": with_secrets(config_in(tmp_path))}) as held:
        assert (await held.until("ready"))["ready"] == held.process.pid
        assert await held.get("/healthz") == (200, {"alive": True, "supervisor": "answering"})
        held.state = {"ready": True, "keystore": "fresh"}
        assert await held.get("/readyz") == (200, {"ready": True, "keystore": "fresh"})
        status, told = await held.get("/api/v1/openapi.json")
        assert (status, told["openapi"]) == (200, "3.1.0")
        assert 'nqgate_processes{process="control"} 1.0' in await held.text("/metrics")
    assert held.process.returncode == 0


async def test_what_keeps_it_from_serving_is_said_over_the_link(tmp_path: Path) -> None:
    async with begun({"begin": True, "config": with_secrets(config_in(tmp_path))}) as held:
        failed = await held.until("failed")
        assert "kek" in failed["failed"]
    assert held.process.returncode == 1

"""The road of a request without a socket: the real engine and the real keystore, between transports that are memory.

What is left is our own work, llhttp's and that of the hashes; nothing of the kernel, little of the event loop. Run by
itself it serves so many requests and says what one took; under valgrind (`bench.instructions`) it is counted.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench.scenario import KIB
from gateway.config import load_config
from gateway.wire.engine import Engine
from gateway.wire.server import ClientConnection
from gateway.wire.upstream import UpstreamConnection
from gateway.wiring import Parts, build_engine, configured_limits
from keystore.derived import UpstreamCredential
from keystore.directory import open_directory
from keystore.sealing import load_kek_ring

CLIENTS: Final = 32
# What the static upstream of the bench answers.
_REPLY: Final = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 26 Nov 2026 11:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\nLast-Modified: Thu, 26 Nov 2026 10:00:00 GMT\r\n"
    b'Connection: keep-alive\r\nETag: "6a4e2f10-400"\r\nx-amz-request-id: 0000000000000000\r\n'
    b"Accept-Ranges: bytes\r\n\r\n"
)


class Memory:
    """A transport that sends at once. `heard`: what becomes of it."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self.write = heard

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ("127.0.0.1", 40_000) if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class NoBoard:
    def tell(self, seq: int, cut: int, in_store: list[str]) -> None: ...
    def settled(self, seq: int, what: str) -> None: ...
    def tick(self) -> None: ...


class Stage:
    """`CLIENTS` connections of one engine, and a store that answers all requests of a turn of the loop in the next."""

    def __init__(self, engine: Engine, reply: bytes) -> None:
        self._engine = engine
        self._reply = reply
        self._asked: list[UpstreamConnection] = []
        self._answers = 0
        self.last = b""
        self._clients = [self._client() for _ in range(CLIENTS)]
        for _ in range(CLIENTS):
            self._connect()

    def _client(self) -> ClientConnection:
        client = ClientConnection(self._engine)
        client.connection_made(cast("asyncio.Transport", Memory(self._heard)))
        return client

    def _connect(self) -> None:
        pool, engine = self._engine.upstream.pool, self._engine
        connection = UpstreamConnection(pool, engine.buffers, engine.turn, engine.limits)
        connection.connection_made(cast("asyncio.Transport", Memory(lambda _: self._asked.append(connection))))
        pool.release(connection)

    def _heard(self, message: bytes) -> None:
        self._answers += 1
        self.last = message

    async def serve(self, requests: list[bytes], turns: int) -> int:
        """`turns` times one request on every connection. → how many answers came."""
        number = 0
        for _ in range(turns):
            for client in self._clients:
                self._arrive(client, requests[number % len(requests)])
                number += 1
            await asyncio.sleep(0)
            asked, self._asked = self._asked, []
            for connection in asked:
                self._arrive(connection, self._reply)
            await asyncio.sleep(0)
        return self._answers

    def _arrive(self, connection: ClientConnection | UpstreamConnection, message: bytes) -> None:
        self._engine.buffers.view[: len(message)] = message
        connection.buffer_updated(len(message))


@contextmanager
def opened_engine(configuration: Path) -> Iterator[Engine]:
    """The engine of this configuration, on the running loop; its keystore must be there."""
    config = load_config(configuration)
    directory = open_directory(config.keystore.path, load_kek_ring(config.keystore.kek_file))
    try:
        credential = UpstreamCredential("upstream", "the-upstream-ignores-this")
        parts = Parts(directory, credential, cast("Any", None), NoBoard(), configured_limits(config))
        yield build_engine(config, parts)
    finally:
        directory.close()


async def _run(configuration: Path, requests: list[bytes], turns: int) -> None:
    with opened_engine(configuration) as engine:
        stage = Stage(engine, _REPLY % KIB + bytes(KIB))
        await stage.serve(requests, 3)
        begin = time.process_time()
        before = stage._answers
        answers = await stage.serve(requests, turns) - before
        used = time.process_time() - begin
        print(stage.last[:200])
        print(json.dumps({"answers": answers, "us": used / answers * 1e6}))


def main() -> None:
    configuration, requests, turns = sys.argv[1:4]
    heads = [text.encode("latin-1") for text in json.loads(Path(requests).read_text())]
    uvloop.run(_run(Path(configuration), heads, int(turns)))


if __name__ == "__main__":
    main()

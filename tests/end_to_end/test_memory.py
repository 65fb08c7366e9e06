"""Bodies of any size in bounded memory, and a slow peer is never a reason to buffer."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bodies import GIB, MIB, blocks, sha256_of
from tests.support.gateway_process import Gateway
from tests.support.house import Fronted, on_stores, recorded_store
from tests.support.raw_client import RawConnection, Signer
from tests.support.recording_upstream import Exchange, RecordingUpstream, Script, ok

pytestmark = pytest.mark.server  # seconds each, by their nature
LARGE = 64 * MIB
TRANSFER = 4 * MIB  # reads are of 1 MiB and 64 KiB: one that could not be written travels, another takes its place
WARM_UP = 4 * MIB  # one transfer, so that what any transfer costs is there before the measurement
SLOW_RATE = 100_000  # bytes a second
SLOW_SECONDS = 4.0


def _send(connection: RawConnection, signer: Signer, target: str, size: int) -> None:
    head = signer.head("PUT", target, [("Content-Length", str(size))], sha256=sha256_of(size))
    connection.send(head)
    for block in blocks(size):
        connection.send(block)


def _fetch(connection: RawConnection, size: int) -> str:
    """Read a whole reply body at full speed: the SHA-256 of it."""
    digest = hashlib.sha256()
    while size:
        block = connection.read_some(min(size, MIB))
        assert block, f"the connection ended {size} bytes before the body did"
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _read_head(connection: RawConnection) -> bytes:
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += connection.read(1)
    return bytes(head)


@on_stores("seaweedfs", "rclone")
def test_a_gibibyte_up_and_down_in_less_than_32_mib(fronted: Fronted, bucket: str) -> None:
    gateway = fronted.gateway
    signer = gateway.signer(fronted.access_key)
    target = f"/{bucket}/large"
    with gateway.memory_watch() as memory:
        with gateway.connect(timeout=120.0) as connection:
            _send(connection, signer, target, GIB)
            assert connection.reply().status == 200
        with gateway.connect(timeout=120.0) as connection:
            connection.send(signer.head("GET", target))
            assert _read_head(connection).startswith(b"HTTP/1.1 200 ")
            assert _fetch(connection, GIB) == sha256_of(GIB)
    assert memory.growth < 32 * MIB


# ---- slow peers, with an upstream that could fill any buffer ----


def _generated(size: int) -> Script:
    """Answer `size` bytes as fast as they are taken."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for block in blocks(size):
            exchange.send(block)

    return script


def _swallowed(paused: threading.Event) -> Script:
    """Take nothing of the body until `paused` is set, then all of it; the answer's ETag is its SHA-256."""

    def script(exchange: Exchange) -> None:
        paused.wait(30.0)
        exchange.send(ok(b"", b'etag: "%b"' % hashlib.sha256(exchange.read_body()).hexdigest().encode()))

    return script


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as opened:
        yield opened


@pytest.fixture
def gateway(tmp_path: Path, upstream: RecordingUpstream) -> Iterator[Gateway]:
    with Gateway(tmp_path, recorded_store(upstream)) as opened:
        yield opened


@pytest.fixture
def signer(gateway: Gateway) -> Signer:
    return gateway.signer(gateway.create_key())


def _download(gateway: Gateway, signer: Signer, size: int, *, slowly: bool) -> str:
    with gateway.connect(receive_buffer=65_536 if slowly else None) as connection:
        connection.send(signer.head("GET", "/aaa/large"))
        assert _read_head(connection).startswith(b"HTTP/1.1 200 ")
        digest = hashlib.sha256()
        taken = 0
        until = time.monotonic() + (SLOW_SECONDS if slowly else 0.0)
        while time.monotonic() < until:
            block = connection.read(SLOW_RATE // 10)
            digest.update(block)
            taken += len(block)
            time.sleep(0.1)
        while taken < size:
            block = connection.read_some(MIB)
            assert block, f"the connection ended after {taken} bytes"
            digest.update(block)
            taken += len(block)
    return digest.hexdigest()


def test_a_slow_reader_costs_little_and_gets_the_whole_object(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream
) -> None:
    upstream.reset(_generated(WARM_UP))
    assert _download(gateway, signer, WARM_UP, slowly=False) == sha256_of(WARM_UP)
    upstream.reset(_generated(LARGE))
    with gateway.memory_watch() as memory:
        assert _download(gateway, signer, LARGE, slowly=True) == sha256_of(LARGE)
    assert memory.growth < TRANSFER


def test_twenty_slow_readers_get_twenty_whole_objects(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream
) -> None:
    upstream.reset(_generated(8 * MIB))
    whole = sha256_of(8 * MIB)
    connections = [gateway.connect(receive_buffer=65_536) for _ in range(20)]
    try:
        for connection in connections:
            connection.send(signer.head("GET", "/aaa/large"))
        time.sleep(1.0)  # every socket buffer on the way is full now
        for connection in connections:
            assert _read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert {_fetch(connection, 8 * MIB) for connection in connections} == {whole}
    finally:
        for connection in connections:
            connection.close()


def test_an_upstream_that_does_not_read_costs_little(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream
) -> None:
    resumed = threading.Event()
    resumed.set()
    upstream.reset(_swallowed(resumed))

    def upload(size: int) -> None:
        with gateway.connect(timeout=30.0) as connection:
            _send(connection, signer, "/aaa/large", size)
            assert connection.reply().header(b"etag") == b'"%b"' % sha256_of(size).encode()

    upload(WARM_UP)
    resumed.clear()
    with gateway.memory_watch() as memory:
        threading.Timer(2.0, resumed.set).start()
        upload(LARGE)
    assert memory.growth < TRANSFER


def test_a_reader_that_vanishes_frees_its_upstream_connection(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream
) -> None:
    ended = threading.Event()

    def script(exchange: Exchange) -> None:
        try:
            _generated(GIB)(exchange)
        finally:
            ended.set()

    upstream.reset(script)
    with gateway.connect() as connection:
        connection.send(signer.head("GET", "/aaa/large"))
        connection.read(MIB)
        connection.socket.shutdown(socket.SHUT_RDWR)
    assert ended.wait(10.0)

"""Readers who take a large object slowly: what they cost the worker, and what a quick client feels beside them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from bench.child import LOOPBACK
from bench.errors import BenchError
from bench.objects import object_keys
from bench.scale.heads import get_heads
from bench.scale.load import load
from bench.scale.memory import KIB, MIB, memory
from bench.scale.seed import Seeded
from bench.scale.series import Drawing, Row, Series, slope
from bench.scale.site import Site

OBJECT: Final = 64 * MIB
PACE: Final = 16 * KIB  # bytes a second that one takes
SETTLE_SECONDS: Final = 3.0
BESIDE_SECONDS: Final = 4  # of the quick client


class Crowd(NamedTuple):
    """So many readers: RSS in bytes, p99 of a lone quick client, and the processor time for each MiB they took."""

    readers: int
    rss: int
    p99_us: int
    cpu_ms_per_mib: float | None


def slow_drawing(crowds: Sequence[Crowd]) -> Drawing:
    alone, last = crowds[0], crowds[-1]
    points = tuple((one.readers, (one.rss - alone.rss) / MIB) for one in crowds)
    rows = [
        Row(f"each of {last.readers:,} slow readers", f"{slope(points) * MIB / KIB:.0f} KiB", "one read buffer"),
        Row("p99 of a quick client beside them / alone", f"{last.p99_us / alone.p99_us:.1f}"),
        Row("CPU per MiB they take", f"{last.cpu_ms_per_mib or 0:.1f} ms"),
    ]
    title = "Slow readers of 64 MiB, 16 KiB a second each"
    series = (Series("slow readers", points),)
    return Drawing("slow", title, "readers", "growth of the worker (RSS), MiB", series, tuple(rows))


class Readers:
    """Takes PACE bytes a second from each of its connections, in a thread of its own. `taken`: bytes so far."""

    def __init__(self) -> None:
        self.taken = 0
        self.ended: str = ""
        self._connections: list[socket.socket] = []
        self._over = threading.Event()

    def add(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connections.append(connection)

    def read_on(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            for connection in list(self._connections):
                with suppress(BlockingIOError):
                    block = connection.recv(PACE)
                    self.taken += len(block)
                    self.ended = self.ended if block else "a slow reader's connection ended early"
            due += 1.0

    def stop(self) -> None:
        self._over.set()


@contextmanager
def _reading() -> Iterator[Readers]:
    readers = Readers()
    thread = threading.Thread(target=readers.read_on)
    thread.start()
    try:
        yield readers
    finally:
        readers.stop()
        thread.join()


def run_slow(
    site: Site, seeded: Seeded, folder: Path, steps: Sequence[int], progress: Callable[[str], None]
) -> list[Crowd]:
    """Up to each of `steps` readers, and a quick client beside them each time."""
    quick = get_heads(site.origin, [seeded.credential(0)], object_keys(KIB)[:1])
    load(site, folder, quick, 1, connections=1)
    crowds = [_look(site, folder, quick, 0, None)]
    with ExitStack() as stack:
        readers = stack.enter_context(_reading())
        for before, after in zip([0, *steps], steps, strict=False):
            progress(f"{after:,} slow readers")
            names = object_keys(OBJECT)
            numbers = range(before, after)
            for head in get_heads(site.origin, (seeded.credential(0) for _ in numbers), names):
                readers.add(stack.enter_context(_begin(site, head)))
            time.sleep(SETTLE_SECONDS)
            crowds.append(_look(site, folder, quick, after, _cpu_per_mib(site, readers)))
        if readers.ended:
            raise BenchError(readers.ended)
    return crowds


def _begin(site: Site, head: bytes) -> socket.socket:
    """A small receive buffer: what the kernel takes in their place is no slow reading."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PACE)
    connection.settimeout(30)
    connection.connect((LOOPBACK, site.port))
    connection.sendall(head)
    begun = connection.recv(15)
    if not begun.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"a slow reader was answered {begun!r}")
    return connection


def _cpu_per_mib(site: Site, readers: Readers) -> float:
    """Milliseconds of processor time."""
    before, taken = site.cpu(), readers.taken
    time.sleep(SETTLE_SECONDS)
    return site.cpu().since(before) * 1000 / ((readers.taken - taken) / MIB)


def _look(site: Site, folder: Path, quick: Sequence[bytes], readers: int, cpu: float | None) -> Crowd:
    rss = memory(site.worker).rss
    return Crowd(readers, rss, load(site, folder, quick, BESIDE_SECONDS, connections=1).p99_us, cpu)

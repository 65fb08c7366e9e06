"""Connections that do nothing: what each costs the worker, and what the kernel keeps for both of its ends."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from typing import Final, NamedTuple

from bench.child import LOOPBACK
from bench.errors import BenchError
from bench.objects import object_keys
from bench.scale.heads import get_heads
from bench.scale.memory import KIB, MIB, Memory, kernel_slabs, memory
from bench.scale.seed import Seeded
from bench.scale.series import Drawing, Row, Series, slope
from bench.scale.site import Site

SETTLE_SECONDS: Final = 1.5  # the loop's tick, the log, the keystore's watch
WANTED: Final = "≤ 16 KiB"


class Look(NamedTuple):
    """How it was with so many connections."""

    connections: int
    memory: Memory
    slabs: int


def idle_drawing(looks: dict[str, list[Look]]) -> Drawing:
    """`looks`: by what the connections have done so far."""
    series = tuple(Series(name, _grown(found)) for name, found in looks.items())
    rows = [
        Row(f"an idle connection, {one.name}", f"{slope(one.points) * MIB / KIB:.1f} KiB", WANTED) for one in series
    ]
    for name, found in looks.items():
        kernel = slope((look.connections, look.slabs) for look in found) / KIB
        rows.append(Row(f"the kernel's slabs, both ends, {name}", f"{kernel:.1f} KiB"))
    return Drawing("idle", "Idle connections", "connections", "growth of the worker (PSS), MiB", series, tuple(rows))


def _grown(looks: Sequence[Look]) -> tuple[tuple[float, float], ...]:
    first = looks[0].memory.pss
    return tuple((look.connections, (look.memory.pss - first) / MIB) for look in looks)


def hold_idle(
    site: Site, seeded: Seeded, steps: Sequence[int], *, asked: int, progress: Callable[[str], None]
) -> list[Look]:
    """Open connections up to each of `steps` and look; each asks `asked` times first.

    Some were opened and closed before: what the first ones leave behind is no growth.
    """
    credentials = islice(cycle([seeded.credential(0)]), len(object_keys(KIB)))
    heads = cycle(get_heads(site.origin, credentials, object_keys(KIB)))
    with opened(site, 100) as warm:
        for connection in warm:
            ask(connection, next(heads))
    time.sleep(SETTLE_SECONDS)
    looks = [_look(site, 0)]
    with ExitStack() as stack:
        for before, after in zip([0, *steps], steps, strict=False):
            progress(f"{after} idle connections")
            for connection in stack.enter_context(opened(site, after - before)):
                for _ in range(asked):
                    ask(connection, next(heads))
            time.sleep(SETTLE_SECONDS)
            looks.append(_look(site, after))
    return looks


def _look(site: Site, connections: int) -> Look:
    return Look(connections, memory(site.worker), kernel_slabs())


@contextmanager
def opened(site: Site, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, all closed at the end."""
    context = _trusting() if site.tls else None
    with ExitStack() as stack:
        yield [stack.enter_context(_connect(site, context)) for _ in range(count)]


def _connect(site: Site, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((LOOPBACK, site.port), timeout=30)
    return connection if context is None else context.wrap_socket(connection)


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(connection: socket.socket, head: bytes) -> None:
    """One request for 1 KiB. Raises BenchError unless it is answered 200 and whole."""
    connection.sendall(head)
    reply = b""
    while len(reply) - reply.find(b"\r\n\r\n") - 4 < KIB or b"\r\n\r\n" not in reply:
        block = connection.recv(1 << 16)
        reply += block
        if not block or not reply.startswith(b"HTTP/1.1 200"[: len(reply)]):
            raise BenchError(f"an answer was not the expected one: {reply[:300]!r}")

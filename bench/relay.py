"""The least that a copying proxy can cost: blocking sockets, a thread per connection, one buffer of 1 MiB, `sendall`.

Each client connection has a connection to the upstream of its own. Of a message it knows where the head ends and what
Content-Length says, and nothing else: no other framing, no time limit, no error but the end of the connection. So it is
a yardstick, for loopback, and no proxy.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.child import LOOPBACK, accepts, child, free_port
from bench.contender import Contender
from bench.placement import pinned
from bench.scenario import MIB, SCENARIOS

NAME: Final = "relay"
ROOT: Final = Path(__file__).parent.parent
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


@contextmanager
def blocking_relay(folder: Path, upstream_port: int, cpus: Sequence[int]) -> Iterator[Contender]:
    """A relay in a process of its own. Raises BenchError if it does not come up."""
    port = free_port()
    folder.mkdir()
    command = pinned([sys.executable, "-m", "bench.relay", str(port), str(upstream_port)], cpus)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with child("the relay", command, folder / "log", lambda: accepts(port), environment) as pid:
        only = frozenset(scenario.name for scenario in SCENARIOS if scenario.relayed)
        yield Contender(NAME, port, pid, "blocking sockets, 1 MiB buffers", only=only)


def serve(listener: socket.socket, upstream_port: int) -> None:
    """Accept until the process ends."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=relay, args=(client, upstream_port), daemon=True).start()


def relay(client: socket.socket, upstream_port: int) -> None:
    """Request and reply by turns, until one of the two ends."""
    buffer = bytearray(MIB)
    with suppress(OSError), client, socket.create_connection((LOOPBACK, upstream_port)) as upstream:
        for side in (client, upstream):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while pass_message(client, upstream, buffer) and pass_message(upstream, client, buffer):
            pass


def pass_message(source: socket.socket, target: socket.socket, buffer: bytearray) -> bool:
    """One head and its body. False when the source ended too early, or its head is longer than the buffer."""
    view = memoryview(buffer)
    filled, end = 0, -1
    while end < 0:
        received = source.recv_into(view[filled:])
        if not received:
            return False
        filled += received
        end = buffer.find(b"\r\n\r\n", 0, filled)
    length = _LENGTH.search(buffer, 0, end)
    target.sendall(view[:filled])
    left = end + 4 + (int(length[1]) if length else 0) - filled
    while left > 0:
        received = source.recv_into(view[: min(left, len(view))])
        if not received:
            return False
        target.sendall(view[:received])
        left -= received
    return True


if __name__ == "__main__":
    with socket.create_server((LOOPBACK, int(sys.argv[1])), backlog=1024) as listening:
        serve(listening, int(sys.argv[2]))

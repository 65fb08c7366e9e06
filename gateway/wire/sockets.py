"""What both sides of the wire set on their sockets and ask of them, and the end by which nothing passes for whole."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Final

# A reset instead of a clean end: SO_LINGER on, 0 seconds.
RESET: Final = struct.pack("ii", 1, 0)
# What the kernel may hold unsent before the socket counts as full: one large read fits, so an object of 1 MiB leaves in
# one write. With 256 KiB it took some seven: 1.12 (GET) and 1.11 times (PUT) the CPU, three runs in turn. What is
# unsent when a transfer is cut is thrown away by the reset.
NOTSENT_LOWAT: Final = 1179648
# A Unix socket takes what its buffer holds, by default 208 KiB: with reads of 256 KiB every MiB took 2 to 3 writes more
# than over TCP. The kernel doubles this for its own use, up to twice net.core.wmem_max.
UNIX_BUFFER: Final = 262144

# Over TLS some bytes always wait: uvloop counts session tickets, and pauses at the mark, not above it.
TLS_UNSENT: Final = 65536


def tune(transport: asyncio.Transport) -> bool:
    """No Nagle delay, little unsent data in the kernel, and `pause_writing` as soon as anything is left unsent.

    → whether it is TLS: then what is written must not be a part of the read buffer, for it may be kept without a pause.
    """
    secure = transport.get_extra_info("ssl_object") is not None
    transport.set_write_buffer_limits(high=TLS_UNSENT if secure else 0)
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
    elif sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
    return secure


def unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes in the kernel that the peer has not confirmed yet; 0 where it cannot tell."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def reset(transport: asyncio.Transport) -> None:
    """End the connection so that the peer cannot take what it got for whole."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0 and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()

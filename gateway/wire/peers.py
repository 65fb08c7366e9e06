"""Who is at the other end of a client's connection. Knows no request, and believes no header."""

import asyncio
import socket

from gateway.source import NOWHERE, UNIX


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The address; UNIX for a Unix socket, whose other end may have bound itself to any name; NOWHERE if it is gone."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        return UNIX
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else NOWHERE

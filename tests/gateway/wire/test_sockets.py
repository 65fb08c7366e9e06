"""What is set on sockets."""

import asyncio
import socket

import uvloop

from gateway.wire.sockets import UNIX_BUFFER, tune


def test_a_unix_socket_takes_256_kib_at_once() -> None:
    """With the kernel's own buffer it takes 208 KiB: a piece more of every large block."""

    async def left_of_one_block() -> int:
        near, far = socket.socketpair()
        with far:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, near)
            tune(transport)
            transport.write(bytes(UNIX_BUFFER))
            left = transport.get_write_buffer_size()
            transport.abort()
            await asyncio.sleep(0)
            return left

    assert uvloop.run(left_of_one_block()) == 0

"""The memory that waits with what a client has not taken is given back when it is sent, and when the client is gone."""

from typing import Any

import pytest

from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import RunningEngine, wait_until

SIZE = 16 << 20  # more than the kernel takes for a socket


def written(gateway: RunningEngine, size: int) -> None:
    """`size` bytes of a reply to the one client there is, and the memory they stand for."""
    [client] = gateway.engine.clients
    to: Any = client
    gateway.engine.memory.take(size)
    to.write(bytes(size))
    to.owe(size)


def taken(gateway: RunningEngine) -> int:
    return gateway.call(lambda: gateway.engine.memory.taken)


@pytest.mark.parametrize("leaves", [False, True])
def test_what_a_client_does_not_take_is_owed_until_it_does_or_is_gone(
    gateway: RunningEngine, upstream: RecordingUpstream, leaves: bool
) -> None:
    with gateway.connect(receive_buffer=4096) as client:
        wait_until(lambda: gateway.call(lambda: gateway.engine.connections) == 1)
        gateway.call(lambda: written(gateway, SIZE))
        assert taken(gateway) == SIZE
        if not leaves:
            client.read(SIZE)
            wait_until(lambda: taken(gateway) == 0)
    wait_until(lambda: taken(gateway) == 0)


def test_what_the_kernel_took_at_once_is_owed_by_nobody(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        wait_until(lambda: gateway.call(lambda: gateway.engine.connections) == 1)
        gateway.call(lambda: written(gateway, 100))
        assert taken(gateway) == 0
        client.read(100)

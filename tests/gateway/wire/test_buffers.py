from typing import Any, cast

import pytest

from gateway.wire.buffers import BlockWriter, ReadBuffers


def test_a_travelling_buffer_is_not_reused_before_it_comes_back() -> None:
    buffers = ReadBuffers(8)
    first = buffers.view
    travelling = buffers.travel()
    assert travelling is first
    assert buffers.view.obj is not first.obj
    second = buffers.view
    buffers.come_back(travelling)
    assert buffers.view is second
    buffers.travel()
    assert buffers.view is first


def test_spare_buffers_are_bounded() -> None:
    buffers = ReadBuffers(8, spare=2)
    away = [buffers.travel() for _ in range(5)]
    for view in away:
        buffers.come_back(view)
    kept = {id(view.obj) for view in away}
    again = [buffers.travel() for _ in range(4)]
    assert sum(id(view.obj) in kept for view in again) == 2


class Transport:
    """Keeps what it was given, as uvloop does, and has `unsent` bytes left."""

    def __init__(self) -> None:
        self.written: list[bytes | memoryview] = []
        self.unsent = 0

    def write(self, block: bytes | memoryview) -> None:
        self.written.append(block)

    def get_write_buffer_size(self) -> int:
        return self.unsent


@pytest.mark.parametrize("unsent", [0, 3])
def test_only_a_block_that_was_not_sent_at_once_takes_its_buffer_along(unsent: int) -> None:
    buffers, transport = ReadBuffers(8), Transport()
    writer = BlockWriter(cast("Any", transport), buffers, secure=False)
    transport.unsent = unsent
    first = buffers.view
    writer.write(first[:4])
    assert (buffers.view.obj is first.obj) is (unsent == 0)
    writer.all_sent()
    buffers.travel()
    assert (buffers.view.obj is first.obj) is (unsent == 3)


def test_over_tls_a_block_is_copied() -> None:
    buffers, transport = ReadBuffers(8), Transport()
    transport.unsent = 3
    view = buffers.view
    BlockWriter(cast("Any", transport), buffers, secure=True).write(view[:4])
    assert buffers.view is view
    assert transport.written == [bytes(4)]
    assert type(transport.written[0]) is bytes

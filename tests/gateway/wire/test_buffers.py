from typing import Any, cast

import pytest

from gateway.wire.buffers import LARGE, SMALL, BlockWriter, ReadBuffers


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


def test_only_a_few_large_buffers_travel_and_small_ones_take_their_place() -> None:
    buffers = ReadBuffers(2 * SMALL)
    away = [buffers.travel() for _ in range(LARGE + 3)]
    assert [len(view) for view in away] == [2 * SMALL] * LARGE + [SMALL] * 3
    assert len(buffers.view) == SMALL
    for view in away:
        buffers.come_back(view)
    again = [buffers.travel() for _ in range(LARGE + 3)]
    assert [len(view) for view in again] == [SMALL] + [2 * SMALL] * LARGE + [SMALL] * 2


def test_a_buffer_that_comes_back_never_takes_the_place_of_the_one_in_use() -> None:
    buffers = ReadBuffers(2 * SMALL)
    away = [buffers.travel() for _ in range(LARGE)]
    used = buffers.view
    buffers.come_back(away[0])
    assert buffers.view is used


def test_what_is_lost_is_never_used_again_and_another_may_be_made() -> None:
    buffers = ReadBuffers(2 * SMALL)
    away = [buffers.travel() for _ in range(LARGE)]
    lost = {id(view.obj) for view in away[:2]}
    buffers.lost(away[:2])
    again = [buffers.travel() for _ in range(4)]
    assert [len(view) for view in again] == [SMALL] + [2 * SMALL] * 2 + [SMALL]
    assert not lost & {id(view.obj) for view in again}


@pytest.mark.parametrize("size", [8, 2 * SMALL])
def test_spare_buffers_are_bounded(size: int) -> None:
    buffers = ReadBuffers(size, spare=2)
    away = [buffers.travel() for _ in range(LARGE + 5)]
    for view in away:
        buffers.come_back(view)
    kept = {id(view.obj) for view in away}
    again = [buffers.travel() for _ in range(LARGE + 5)]
    assert sum(id(view.obj) in kept for view in again) == (2 if size < SMALL else 4)


class Transport:
    """Keeps what it was given, as uvloop does, and has `unsent` bytes left."""

    def __init__(self) -> None:
        self.written: list[bytes | memoryview] = []
        self.unsent = 0

    def write(self, block: bytes | memoryview) -> None:
        self.written.append(block)

    def writelines(self, blocks: tuple[bytes | memoryview, ...]) -> None:
        self.written += blocks

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


@pytest.mark.parametrize("secure", [False, True])
def test_what_goes_before_a_block_is_written_in_the_same_call(secure: bool) -> None:
    buffers, transport = ReadBuffers(8), Transport()
    transport.unsent = 3
    first = buffers.view
    BlockWriter(cast("Any", transport), buffers, secure=secure).write(first[:4], b"head")
    assert transport.written == [b"head", bytes(4)]
    assert (buffers.view is first) is secure


def test_what_travelled_on_a_connection_that_is_gone_does_not_come_back() -> None:
    buffers, transport = ReadBuffers(8), Transport()
    writer = BlockWriter(cast("Any", transport), buffers, secure=False)
    transport.unsent = 3
    first = buffers.view
    writer.write(first[:4])
    writer.lost()
    writer.all_sent()
    assert id(first.obj) not in [id(buffers.travel().obj) for _ in range(3)]

from gateway.wire.buffers import ReadBuffers


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

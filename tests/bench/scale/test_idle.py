import socket

import pytest

from bench.errors import BenchError
from bench.scale.idle import Look, ask, idle_drawing
from bench.scale.memory import Memory

KIB = 1024


def test_the_cost_of_one_is_the_slope_and_the_kernel_is_told_apart() -> None:
    looks = [
        Look(count, Memory(10**9, 50_000_000 + count * 2 * KIB), 10**8 + count * 7 * KIB) for count in (0, 100, 400)
    ]
    drawing = idle_drawing({"http": looks})
    assert [row.figure for row in drawing.rows] == ["2.0 KiB", "7.0 KiB"]
    assert drawing.series[0].points[0] == (0, 0.0)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nshort"])
def test_another_answer_than_a_whole_object_is_no_measurement(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(BenchError):
            ask(ours, b"GET / HTTP/1.1\r\n\r\n")


def test_a_whole_object_in_pieces_is_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n" + bytes(KIB))
        ask(ours, b"GET / HTTP/1.1\r\n\r\n")
        assert theirs.recv(100) == b"GET / HTTP/1.1\r\n\r\n"

import socket
import threading

from bench.scale.slow import PACE, Crowd, Readers, slow_drawing

MIB = 1 << 20


def test_what_one_reader_costs_is_the_slope() -> None:
    crowds = [Crowd(0, 60 * MIB, 1_000, None), Crowd(100, 85 * MIB, 2_000, 5.0), Crowd(200, 110 * MIB, 3_000, 4.0)]
    drawing = slow_drawing(crowds)
    assert [row.figure for row in drawing.rows] == ["256 KiB", "3.0", "4.0 ms"]


def test_a_reader_takes_no_more_than_its_pace_and_notices_an_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(bytes(2 * PACE))
        readers = Readers()
        readers.add(ours)
        thread = threading.Thread(target=readers.read_on)
        thread.start()
        threading.Event().wait(0.3)
        readers.stop()
        thread.join()
        assert readers.taken == PACE
        assert readers.ended == ""
        ours.setblocking(True)
        ours.recv(PACE)
        theirs.shutdown(socket.SHUT_WR)
        again = Readers()
        again.add(ours)
        thread = threading.Thread(target=again.read_on)
        thread.start()
        threading.Event().wait(0.3)
        again.stop()
        thread.join()
        assert again.ended

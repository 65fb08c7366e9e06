import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.contender import Contender
from bench.errors import BenchError
from bench.preflight import check_answers

REQUEST = b"GET /bench/a HTTP/1.1\r\nHost: h\r\nAuthorization: very-secret\r\n\r\n"


@contextmanager
def answering(*replies: bytes) -> Iterator[Contender]:
    """Answers one connection's requests with these replies, then closes it."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for reply in replies:
                connection.recv(65536)
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield Contender("fake", listener.getsockname()[1], 0, "")
        server.join()


def reply(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_every_answer_is_read_on_one_connection() -> None:
    with answering(*[reply("200 OK", b"whole")] * 3) as contender:
        check_answers(contender, [REQUEST] * 3, b"whole")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (reply("403 Forbidden", b"<Code>AccessDenied</Code>"), "403: <Code>AccessDenied"),
        (reply("200 OK", b"short"), "5 bytes"),
        (reply("200 OK", b"wrong!"), "6 bytes"),
        (reply("206 Partial Content", b"whole!"), "206"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwho", "did not answer"),
        (b"", "did not answer"),
    ],
)
def test_one_answer_that_is_not_the_whole_object_stops_the_bench(last: bytes, words: str) -> None:
    with (
        answering(reply("200 OK", b"whole!"), last) as contender,
        pytest.raises(BenchError, match=words) as refused,
    ):
        check_answers(contender, [REQUEST] * 2, b"whole!")
    assert "very-secret" not in str(refused.value)

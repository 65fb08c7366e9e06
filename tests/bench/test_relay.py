import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.relay import blocking_relay, pass_message
from bench.scenario import MIB, SCENARIOS, select

HEAD = b"PUT /a HTTP/1.1\r\nHost: h\r\ncontent-length:  %d\r\n\r\n"


def passed(sent: bytes, size: int = MIB) -> tuple[bool, bytes]:
    """What one message is, of all that a source sent before it ended."""
    (source, far), (target, near) = socket.socketpair(), socket.socketpair()
    received = bytearray()

    def receive() -> None:
        while part := near.recv(1 << 20):
            received.extend(part)

    sending = threading.Thread(target=lambda: (far.sendall(sent), far.close()))
    receiving = threading.Thread(target=receive)
    with source, near:
        sending.start()
        receiving.start()
        with target:
            whole = pass_message(source, target, bytearray(size))
        receiving.join()
        sending.join()
    return whole, bytes(received)


@pytest.mark.parametrize("length", [0, 1, 65_536, 3 * MIB + 1])
def test_a_message_passes_whole_whatever_its_length(length: int) -> None:
    message = HEAD % length + bytes(length)
    assert passed(message) == (True, message)


def test_a_head_without_a_length_is_a_message_without_a_body() -> None:
    message = b"GET /a HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n"
    assert passed(message) == (True, message)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", HEAD % 9 + b"short"])
def test_a_source_that_ends_too_early_ends_the_relay(sent: bytes) -> None:
    assert not passed(sent)[0]


def test_a_head_longer_than_the_buffer_ends_the_relay() -> None:
    assert passed(b"GET / HTTP/1.1\r\nA: " + b"a" * 100, size=64) == (False, b"")


@contextmanager
def answering() -> Iterator[int]:
    """The port of an upstream that answers each request with its own bytes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while asked := self.request.recv(65536):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


def test_a_relay_takes_turns_on_one_connection_and_takes_part_where_copying_is_the_work(tmp_path: Path) -> None:
    with (
        answering() as port,
        blocking_relay(tmp_path / "relay", port, ()) as contender,
        socket.create_connection(("127.0.0.1", contender.port), timeout=10) as client,
    ):
        for asked in (b"GET /a HTTP/1.1\r\n\r\n", b"GET /bc HTTP/1.1\r\n\r\n"):
            client.sendall(asked)
            assert client.recv(65536).endswith(asked)
    taken = {scenario.name for scenario in SCENARIOS if contender.takes_part(scenario)}
    assert {"get-1m", "get-64m", "put-1k", "put-64m", "put-1m-unsigned"} <= taken
    assert not taken & {"get-1k", "put-1m-trailer", "tls-get-1m", "head-0", "list", "refused-scope"}
    assert not contender.takes_part(*select(["tls-put-1m"]))

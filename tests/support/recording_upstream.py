"""An upstream made of sockets: it keeps every byte it received and answers what the test tells it to.

It understands just enough HTTP to find where a request ends (Content-Length; a chunked body is kept raw) and knows
nothing of S3. Each connection has a thread of its own; a script is a function of one `Exchange`.
"""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.server_process import LOOPBACK

READ_SIZE = 65_536
IDLE_SECONDS = 30.0  # a test that waits longer than this for a byte has failed already


@dataclass(slots=True)
class RecordedRequest:
    """One request exactly as it arrived. `head` ends with the empty line; `body` grows while it is read."""

    connection: int  # the number of the connection it came on, 1 for the first
    head: bytes
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """(name as sent, value as sent), in order."""
        lines = self.head.split(b"\r\n")[1:-2]
        return [(name, value.removeprefix(b" ")) for name, _, value in (line.partition(b":") for line in lines)]

    def values(self, name: bytes) -> list[bytes]:
        return [value for sent, value in self.headers if sent.lower() == name.lower()]

    def header(self, name: bytes) -> bytes:
        """The value of a header that must be there exactly once."""
        values = self.values(name)
        assert len(values) == 1, f"{name!r} was sent {len(values)} times"
        return values[0]


class ConnectionEnded(Exception):
    """The other side closed or reset the connection."""


class Exchange:
    """What a script works with: the request just received and the connection it came on."""

    def __init__(self, connection: "_Connection", request: RecordedRequest) -> None:
        self._connection = connection
        self.request = request
        self.keep_open = True

    def read_body(self) -> bytes:
        """Read the rest of the body as Content-Length has it; ConnectionEnded if the client stops short."""
        lengths = self.request.values(b"content-length")
        missing = int(lengths[0]) - len(self.request.body) if lengths else 0
        while missing > 0:
            block = self._connection.take(missing)
            self.request.body += block
            missing -= len(block)
        self.request.complete = True
        return bytes(self.request.body)

    def send(self, data: bytes) -> None:
        self._connection.socket.sendall(data)

    def close(self) -> None:
        self.keep_open = False

    def wait_for_end(self) -> None:
        """Hold the connection, and keep what still arrives, until the other side closes it."""
        while True:
            self.request.body += self._connection.take(READ_SIZE)


Script = Callable[[Exchange], None]


class RecordingUpstream:
    """Listens on a free loopback port, `at` an address, or on a Unix socket at `path`. `script` answers each request;
    the next test sets its own after `reset()`."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
        at: tuple[str, int] = (LOOPBACK, 0),
    ) -> None:
        self._tls = tls
        if path is None:
            self._listener = socket.create_server(at)
            self.port: int = self._listener.getsockname()[1]
            self.endpoint = f"http://{at[0]}:{self.port}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.port, self.endpoint = 0, f"unix:{path}"
        self.script: Script = script or canned(ok())
        self.requests: list[RecordedRequest] = []
        self.connections = 0  # accepted since the last reset
        self._open: set[socket.socket] = set()
        self._numbers = itertools.count(1)  # an address would be used again once a connection is gone
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def reset(self, script: Script | None = None) -> None:
        """Forget what was seen; idle connections stay open, as a pool expects."""
        with self._changed:
            self.requests.clear()
            self.connections = 0
            self.script = script or canned(ok())

    def wait_for_requests(self, number: int, timeout: float = 10.0) -> list[RecordedRequest]:
        """The requests whose heads arrived, once there are `number` of them."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.requests) >= number, timeout)
            assert arrived, (
                f"the upstream saw {len(self.requests)} requests on {self.connections} connections, not {number}: "
                f"{[request.line for request in self.requests]}"
            )
            return list(self.requests)

    def only_request(self) -> RecordedRequest:
        assert len(self.requests) == 1, f"the upstream saw {[request.line for request in self.requests]}"
        return self.requests[0]

    def assert_untouched(self) -> None:
        """No connection was opened and no request came since the last reset."""
        lines = [request.line for request in self.requests]
        assert (self.connections, lines) == (0, []), f"{self.connections} connections, {lines}"

    def drop_connections(self) -> None:
        """Close every open connection, as a store does that restarts."""
        for peer in list(self._open):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(5.0)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except ConnectionAbortedError:  # reset before it was taken
                continue
            except OSError:  # the listener was shut down
                return
            with contextlib.suppress(OSError):
                peer.settimeout(IDLE_SECONDS)
                with self._changed:
                    self.connections += 1
                    self._open.add(peer)
                self._spawn(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError, ConnectionEnded):
            if self._tls is None:
                self._converse(peer)
                return
            with self._tls.wrap_socket(peer, server_side=True) as secured:  # detaches `peer`
                self._open.add(secured)
                self._converse(secured)
                self._open.discard(secured)
        self._open.discard(peer)

    def _converse(self, peer: socket.socket) -> None:
        connection = _Connection(peer)
        number = next(self._numbers)
        while True:
            head = connection.read_head()
            with self._changed:
                request = RecordedRequest(connection=number, head=head)
                self.requests.append(request)
                script = self.script
                self._changed.notify_all()
            exchange = Exchange(connection, request)
            script(exchange)
            if not exchange.keep_open:
                return


class _Connection:
    """A socket and what was read beyond the last thing asked for."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        self._ahead = bytearray()

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._ahead:
            self._fill()
        size = self._ahead.index(b"\r\n\r\n") + 4
        return self.take(size)

    def take(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes."""
        if not self._ahead:
            self._fill()
        block = bytes(self._ahead[:limit])
        del self._ahead[:limit]
        return block

    def _fill(self) -> None:
        block = self.socket.recv(READ_SIZE)
        if not block:
            raise ConnectionEnded
        self._ahead += block


# ---- replies ----


def ok(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole reply with its Content-Length."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# ---- scripts ----


def canned(reply: bytes) -> Script:
    """Read the whole request, then answer these bytes and stay open."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(reply)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first script for the first request, and so on; the last one for all that follow."""
    remaining = list(scripts)

    def script(exchange: Exchange) -> None:
        chosen = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        chosen(exchange)

    return script


def early(reply: bytes) -> Script:
    """Answer as soon as the head is here and read no byte of the body; then wait for the other side to close."""

    def script(exchange: Exchange) -> None:
        exchange.send(reply)
        exchange.close()
        exchange.wait_for_end()

    return script


def in_pieces(pieces: Iterable[bytes], *, pause: float = 0.02) -> Script:
    """Answer piece by piece with a pause between them: slow replies, chunked ones, 1xx before the final one."""
    pieces = list(pieces)

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        for piece in pieces:
            exchange.send(piece)
            time.sleep(pause)

    return script


def chunked(*blocks: bytes) -> Script:
    """A reply without length: Transfer-Encoding: chunked."""
    framed = [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks]
    return in_pieces([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *framed, b"0\r\n\r\n"], pause=0.0)


def short_body(declared: int, sent: bytes) -> Script:
    """Promise `declared` bytes, send fewer, close."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (declared, sent))
        exchange.close()

    return script


def close_without_answer(exchange: Exchange) -> None:
    """Read the request, then close."""
    exchange.read_body()
    exchange.close()


def never_answers(exchange: Exchange) -> None:
    """Read the request and say nothing until the other side gives up."""
    exchange.read_body()
    exchange.wait_for_end()

"""Before anything is measured: every request is sent once, and its answer read whole.

A wrong path or a refused key would otherwise be measured too, and be fast.
"""

import http.client
import socket
from collections.abc import Sequence

from bench.child import LOOPBACK
from bench.contender import Contender
from bench.errors import BenchError


def check_answers(contender: Contender, requests: Sequence[bytes], expected: bytes) -> None:
    """Raises BenchError unless each request is answered 200 with exactly the bytes expected, on one connection."""
    with socket.create_connection((LOOPBACK, contender.port), timeout=10) as connection:
        for request in requests:
            try:
                connection.sendall(request)
                status, length, body = _answer(connection)
            except (OSError, http.client.HTTPException) as error:
                raise BenchError(f"{contender.name} did not answer {_line(request)}: {error!r}") from error
            if status != http.HTTPStatus.OK:
                raise BenchError(f"{contender.name} answered {_line(request)} with {status}: {_excerpt(body)}")
            if length != str(len(expected)) or body != expected:
                raise BenchError(
                    f"{contender.name} answered {_line(request)} with {len(body)} bytes (Content-Length {length}), "
                    f"not the {len(expected)} of the object"
                )


def _answer(connection: socket.socket) -> tuple[int, str | None, bytes]:
    with http.client.HTTPResponse(connection) as reply:
        reply.begin()
        return reply.status, reply.getheader("Content-Length"), reply.read()


def _line(request: bytes) -> str:
    return request.split(b" HTTP/", 1)[0].decode("ascii", "replace")


def _excerpt(body: bytes) -> str:
    return body[:300].decode("utf-8", "replace")

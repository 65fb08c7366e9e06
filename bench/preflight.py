"""Before anything is measured: every request is sent once, and its answer read whole.

A wrong path or a refused key would otherwise be measured too, and be fast; so would a gateway that verifies nothing, or
one that forgets a part of what it was given.
"""

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.child import LOOPBACK
from bench.contender import Contender
from bench.errors import BenchError
from bench.scenario import Upload
from bench.signed import Requests


class Answer(NamedTuple):
    status: int
    length: str | None
    body: bytes


def check_answers(contender: Contender, requests: Requests, expected: bytes) -> None:
    """Raises BenchError unless each request is answered 200 with exactly the bytes expected, on one connection."""
    with _connected(contender) as connection:
        for head in requests.heads:
            answer = _ask(contender, connection, head, requests.body)
            if answer.status != http.HTTPStatus.OK:
                raise BenchError(
                    f"{contender.name} answered {_line(head)} with {answer.status}: {_excerpt(answer.body)}"
                )
            if answer.length != str(len(expected)) or answer.body != expected:
                raise BenchError(
                    f"{contender.name} answered {_line(head)} with {len(answer.body)} bytes (Content-Length "
                    f"{answer.length}), not the {len(expected)} of the object"
                )


def check_upload(contender: Contender, requests: Requests, payload: bytes, upload: Upload, kept: Path) -> None:
    """Raises BenchError unless a gateway refuses what is spoilt, and unless what is good arrives whole.

    `requests`: for an object whose content the upstream leaves in `kept`, framed by aws-chunked if nobody undid it.
    """
    if contender.verifies:
        for what, spoilt in _spoilt(requests, payload, upload):
            with _connected(contender) as connection:
                answer = _ask(contender, connection, spoilt.heads[0], spoilt.body)
            if not 400 <= answer.status < 500:
                raise BenchError(f"{contender.name} answered an upload with another {what} with {answer.status}")
    for leftover in kept.iterdir():
        leftover.unlink()  # of an upload that was refused, short of its end
    check_answers(contender, requests, b"")
    arrived = [file.read_bytes() for file in kept.iterdir()]
    if arrived != [payload if contender.verifies else requests.content]:
        sizes = ", ".join(str(len(content)) for content in arrived) or "no"
        raise BenchError(f"{contender.name} passed on {sizes} bytes of an upload, not the {len(payload)} it was given")


def _spoilt(requests: Requests, payload: bytes, upload: Upload) -> Iterator[tuple[str, Requests]]:
    """What no gateway may pass on: another signature; where the request declares its body, another body."""
    heads = [re.sub(rb"(?<=Signature=)[0-9a-f]{8}", b"00000000", head) for head in requests.heads]
    yield "signature", requests._replace(heads=heads)
    if upload is not Upload.UNSIGNED:
        body = bytearray(requests.body)
        body[body.index(payload[:64])] ^= 1
        yield "body", requests._replace(body=bytes(body))


def _connected(contender: Contender) -> socket.socket:
    return socket.create_connection((LOOPBACK, contender.port), timeout=10)


def _ask(contender: Contender, connection: socket.socket, head: bytes, body: bytes) -> Answer:
    try:
        connection.sendall(head)
        _send_body(connection, body)
        with http.client.HTTPResponse(connection) as reply:
            reply.begin()
            return Answer(reply.status, reply.getheader("Content-Length"), reply.read())
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{contender.name} did not answer {_line(head)}: {error!r}") from error


def _send_body(connection: socket.socket, body: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # refused by its head alone: the answer is on its way
        connection.sendall(body)


def _line(head: bytes) -> str:
    return head.split(b" HTTP/", 1)[0].decode("ascii", "replace")


def _excerpt(body: bytes) -> str:
    return body[:300].decode("utf-8", "replace")

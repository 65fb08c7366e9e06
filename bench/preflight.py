"""Before anything is measured: every request is sent once, and its answer read whole.

A wrong path or a refused key would otherwise be measured too, and be fast; so would a gateway that verifies nothing, or
one that forgets a part of what it was given, or one that refuses for another reason than the one to be measured.
"""

import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.certificate import CIPHER
from bench.contender import Contender
from bench.errors import BenchError
from bench.scenario import Refusal, Upload
from bench.signed import Requests, falsely_signed


class Answer(NamedTuple):
    status: int
    length: str | None
    body: bytes


def check_answers(contender: Contender, requests: Requests, expected: bytes) -> None:
    """Raises BenchError unless each request is answered 200 with exactly the bytes expected, on one connection."""
    for head, answer in _answers(contender, requests, http.HTTPStatus.OK):
        if answer.length != str(len(expected)) or answer.body != expected:
            raise BenchError(
                f"{contender.name} answered {_line(head)} with {len(answer.body)} bytes (Content-Length "
                f"{answer.length}), not the {len(expected)} of the object"
            )


def check_listed(contender: Contender, requests: Requests, object_keys: Sequence[str]) -> None:
    """Raises BenchError unless each request is answered 200 with a page of exactly these keys, on one connection."""
    for head, answer in _answers(contender, requests, http.HTTPStatus.OK):
        listed = [escaped.decode("ascii", "replace") for escaped in re.findall(rb"<Key>([^<]*)</Key>", answer.body)]
        if listed != list(object_keys):
            raise BenchError(
                f"{contender.name} answered {_line(head)} with a page of {len(listed)} keys, not the "
                f"{len(object_keys)} there are"
            )


def check_cipher(contender: Contender) -> None:
    """Raises BenchError if a contender that speaks TLS agreed on another cipher than the one that all are to use."""
    if contender.certificate is None:
        return
    with _connected(contender) as connection:
        cipher = connection.cipher() if isinstance(connection, ssl.SSLSocket) else None
    if cipher is None or cipher[0] != CIPHER:
        raise BenchError(f"{contender.name} speaks {cipher and cipher[0]}, not {CIPHER}: its cost would be another's")


def check_refused(contender: Contender, requests: Requests, refusal: Refusal) -> None:
    """Raises BenchError unless each request is refused with 403 for this reason and no other, on one connection."""
    for head, answer in _answers(contender, requests, http.HTTPStatus.FORBIDDEN):
        if b"<Code>%b</Code>" % refusal.encode() not in answer.body:
            raise BenchError(
                f"{contender.name} refused {_line(head)} for another reason than {refusal}: {_excerpt(answer.body)}"
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
    if arrived != [payload] and (contender.verifies or arrived != [requests.content]):
        sizes = ", ".join(str(len(content)) for content in arrived) or "no"
        raise BenchError(f"{contender.name} passed on {sizes} bytes of an upload, not the {len(payload)} it was given")


def _spoilt(requests: Requests, payload: bytes, upload: Upload) -> Iterator[tuple[str, Requests]]:
    """What no gateway may pass on: another signature; where the request declares its body, another body."""
    yield "signature", falsely_signed(requests)
    if upload is not Upload.UNSIGNED:
        body = bytearray(requests.body)
        body[body.index(payload[:64])] ^= 1
        yield "body", requests._replace(body=bytes(body))


def _answers(contender: Contender, requests: Requests, status: int) -> Iterator[tuple[bytes, Answer]]:
    with _connected(contender) as connection:
        for head in requests.heads:
            answer = _ask(contender, connection, head, requests.body)
            if answer.status != status:
                said = f"{contender.name} answered {_line(head)} with {answer.status}, not {status:d}"
                raise BenchError(f"{said}: {_excerpt(answer.body)}")
            yield head, answer


def _connected(contender: Contender) -> socket.socket:
    connection = socket.create_connection((contender.host, contender.port), timeout=10)
    if contender.certificate is None:
        return connection
    context = ssl.create_default_context(cafile=contender.certificate)
    return context.wrap_socket(connection, server_hostname=contender.host)


def _ask(contender: Contender, connection: socket.socket, head: bytes, body: bytes) -> Answer:
    try:
        connection.sendall(head)
        _send_body(connection, body)
        with http.client.HTTPResponse(connection, method=head.partition(b" ")[0].decode()) as reply:
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
    text = body[:300].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)

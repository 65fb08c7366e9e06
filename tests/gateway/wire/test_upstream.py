"""The store's side of the wire."""

import random

import pytest

from tests.support.recording_upstream import RecordingUpstream, canned, in_pieces, in_turn, ok
from tests.support.wire import RunningEngine


def test_bytes_nobody_asked_for_are_never_taken_for_the_next_reply(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = canned(ok(b"first") + ok(b"smuggled"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/1"))
        assert client.reply().body == b"first"
    upstream.script = canned(ok(b"second"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/2"))
        assert client.reply().body == b"second"


def test_a_reply_head_without_end_is_bounded(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 200_000)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 500


def test_a_reply_in_single_bytes_is_the_same_reply(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    def script(exchange) -> None:  # type: ignore[no-untyped-def]
        exchange.read_body()
        for byte in ok(b"body", b"ETag: x"):
            exchange.send(bytes([byte]))

    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == b"body"


def test_interim_replies_without_end_are_nonsense(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    """Each would put the time for an answer off for ever, had it been counted as one."""
    upstream.script = in_turn(canned(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + ok(b"late")), canned(ok(b"sound")))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 500
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == b"sound"


def test_connection_close_of_the_store_is_obeyed(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(b"x", b"Connection: close"))
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().status == 200
    assert upstream.connections == 2


def test_a_body_behind_a_failed_head_is_not_taken_for_the_next_reply(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    """Some stores send the error document even to HEAD; it may come in a segment of its own, later."""
    document = b"<Error><Code>NoSuchKey</Code></Error>"
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(document)
    with gateway.connect() as client:
        upstream.script = in_pieces([head, document])
        client.send(gateway.signer.head("HEAD", "/bucket/none"))
        assert client.reply(head_request=True).status == 404
        upstream.script = canned(ok(b"second"))
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == b"second"
    assert upstream.connections == 2


LARGE = random.Random(5).randbytes(700_001)  # more than one read, and its head comes in the first of them
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "headers"),
    [(b"", b"ETag: x"), (INTERIM, b"ETag: x"), (b"", b"X-A: " + b"a" * 5000)],
    ids=["head", "interim reply", "long head"],
)
@pytest.mark.parametrize("size", [20_000, 700_001])
def test_a_large_first_read_loses_nothing_of_the_body(
    gateway: RunningEngine, upstream: RecordingUpstream, before: bytes, headers: bytes, size: int
) -> None:
    upstream.script = canned(before + ok(LARGE[:size], headers))
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().body == LARGE[:size]
    assert upstream.connections == 1


def test_a_large_reply_without_a_length_is_whole(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (700_001, LARGE)
    )
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == LARGE


def test_what_a_large_read_brings_behind_the_reply_is_not_passed_on(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = canned(ok(LARGE[:20_000]) + ok(b"smuggled" * 4000))
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().body == LARGE[:20_000]
    assert upstream.connections == 2


def test_a_large_read_that_begins_with_nonsense_is_the_stores_fault(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = canned(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + LARGE)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 500

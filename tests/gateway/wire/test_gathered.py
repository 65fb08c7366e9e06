"""Bodies that are read to where they wait: whole, verified before the store hears of them, one client's bytes only."""

import hashlib
import random
import threading

import pytest

from gateway.wire.buffers import BODIES
from gateway.wire.turn import SMALL_READ
from tests.support.raw_client import UNSIGNED_PAYLOAD, RawReply
from tests.support.recording_upstream import Exchange, RecordingUpstream, ok
from tests.support.wire import RunningEngine, wait_until

MIB = 1024 * 1024
BODY = random.Random(7).randbytes(MIB)
OTHER = random.Random(8).randbytes(MIB)


def put(gateway: RunningEngine, body: bytes, *, sha256: str | None = None) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body, sha256=sha256))
        client.send(body)
        return client.reply()


def taken(gateway: RunningEngine) -> int:
    return gateway.call(lambda: gateway.engine.memory.taken)


@pytest.mark.parametrize("size", [SMALL_READ, SMALL_READ + 1, 262_144, MIB - 1, MIB])
@pytest.mark.parametrize("together", [True, False], ids=["with the head", "behind the head"])
def test_a_body_arrives_as_it_was_sent(
    gateway: RunningEngine, upstream: RecordingUpstream, size: int, together: bool
) -> None:
    body = BODY[:size]
    with gateway.connect() as client:
        head = gateway.signer.head("PUT", "/bucket/k", body=body)
        if together:
            client.send(head + body)
        else:
            client.send(head)
            client.send(body)
        assert client.reply().status == 200
    request = upstream.only_request()
    assert bytes(request.body) == body
    assert request.header(b"content-length") == b"%d" % size
    assert taken(gateway) == 0


def test_a_body_in_pieces_of_any_size_is_the_same_body(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    chance = random.Random(9)
    for _ in range(3):
        with gateway.connect() as client:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY[:100_000]))
            at = 0
            while at < 100_000:
                end = min(100_000, at + chance.choice([1, 100, 5_000, 40_000]))
                client.send(BODY[at:end])
                at = end
            assert client.reply().status == 200
        assert bytes(upstream.requests[-1].body) == BODY[:100_000]


def test_nothing_of_the_upload_before_leaves_with_the_next_in_its_buffer(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    """The buffer is used again, and the second body is shorter."""
    assert put(gateway, BODY).status == 200
    assert put(gateway, OTHER[:50_000], sha256=UNSIGNED_PAYLOAD).status == 200
    assert bytes(upstream.requests[-1].body) == OTHER[:50_000]
    assert put(gateway, b"").status == 200  # over the same connection: nothing stands between the two
    assert [request.line.split(b" ")[0] for request in upstream.requests] == [b"PUT"] * 3
    assert upstream.connections == 1


def test_the_next_request_behind_a_body_is_not_read_into_it(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    with gateway.connect() as client:
        for body in (BODY[:100_000], OTHER[:200_000]):
            client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + body)
        assert [client.reply().status for _ in range(2)] == [200, 200]
    assert [bytes(request.body) for request in upstream.requests] == [BODY[:100_000], OTHER[:200_000]]


def test_more_at_once_than_there_are_buffers_all_arrive(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    bodies = [random.Random(number).randbytes(100_000) for number in range(BODIES + 4)]
    clients = [gateway.connect() for _ in bodies]
    for client, body in zip(clients, bodies, strict=True):
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + body[:60_000])
    wait_until(lambda: taken(gateway) >= BODIES * 100_000 + 4 * 60_000)
    for client, body in zip(clients, bodies, strict=True):
        client.send(body[60_000:])
    for client in clients:
        assert client.reply().status == 200
        client.close()
    assert {bytes(request.body) for request in upstream.requests} == set(bodies)
    assert taken(gateway) == 0


@pytest.mark.parametrize("sent", [0, 1, 60_000, 100_000], ids=["nothing", "one byte", "a part", "another body"])
def test_uploads_that_come_to_nothing_give_their_buffers_back(
    gateway: RunningEngine, upstream: RecordingUpstream, sent: int
) -> None:
    for _ in range(BODIES + 1):
        with gateway.connect() as client:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY[:100_000]))
            client.send(OTHER[:sent])
            if sent == 100_000:
                assert client.reply().code == "XAmzContentSHA256Mismatch"
    wait_until(lambda: not gateway.call(lambda: gateway.engine.connections))
    upstream.assert_untouched()
    bodies = gateway.engine.buffers.bodies
    assert taken(gateway) == 0
    assert None not in gateway.call(lambda: [bodies.take() for _ in range(BODIES)])


def test_a_store_that_reads_slowly_gets_every_byte_of_its_own_body(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    """What a socket did not take at once keeps its buffer: the next upload must not be read over it."""
    gone_on = threading.Event()

    def script(exchange: Exchange) -> None:
        gone_on.wait(10.0)
        exchange.send(ok(b"", b'etag: "%b"' % hashlib.sha256(exchange.read_body()).hexdigest().encode()))

    upstream.script = script
    bodies = [random.Random(number).randbytes(MIB) for number in range(6)]
    clients = [gateway.connect() for _ in bodies]
    for client, body in zip(clients, bodies, strict=True):
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + body)
    wait_until(lambda: gateway.call(lambda: sum(bool(one.exchange) for one in gateway.engine.clients)) == len(bodies))
    gone_on.set()
    for client, body in zip(clients, bodies, strict=True):
        assert client.reply().header(b"etag") == b'"%b"' % hashlib.sha256(body).hexdigest().encode()
        client.close()


def test_a_store_that_leaves_in_the_middle_costs_its_buffer_and_no_more(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = lambda exchange: exchange.close()
    for _ in range(BODIES + 1):
        assert put(gateway, BODY).status == 503
    bodies = gateway.engine.buffers.bodies
    wait_until(lambda: taken(gateway) == 0)
    assert None not in gateway.call(lambda: [bodies.take() for _ in range(BODIES)])


def test_a_key_revoked_while_a_body_comes_in_sends_nothing(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY) + BODY[:-1])
        wait_until(lambda: taken(gateway) != 0)
        gateway.call(gateway.directory.revoke)
        client.send(BODY[-1:])
        assert client.reply().code == "InvalidAccessKeyId"
    upstream.assert_untouched()

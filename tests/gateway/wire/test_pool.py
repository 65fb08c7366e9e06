"""Connections to the store: reused, bounded, waited for, and closed before they are stale."""

import asyncio
import threading
import time
from unittest.mock import patch

from gateway.wire.endpoints import Endpoint
from gateway.wire.exchange import Exchange
from gateway.wire.upstream import UpstreamConnection
from tests.support.recording_upstream import RecordingUpstream, never_answers, ok
from tests.support.wire import RunningEngine, wait_until


class User:
    """A request that asks for a connection, and what it was given."""

    wants_upstream = True

    def __init__(self) -> None:
        self.connections = 0
        self.refused = 0

    def connected(self, connection: UpstreamConnection) -> bool:
        self.connections += 1
        return True

    def connect_failed(self, reason: str, *, busy: bool = False) -> None:
        self.refused += 1


def test_more_requests_than_connections_wait_and_are_then_told_to_slow_down(upstream: RecordingUpstream) -> None:
    upstream.script = never_answers
    with (
        RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=1) as gateway,
        gateway.connect() as first,
        gateway.connect() as second,
    ):
        first.send(gateway.signer.head("GET", "/bucket/1"))
        upstream.wait_for_requests(1)
        second.send(gateway.signer.head("GET", "/bucket/2"))
        reply = second.reply()
        assert (reply.status, reply.code) == (503, "SlowDown")
    assert len(upstream.requests) == 1


def test_a_waiting_request_gets_the_connection_that_comes_back(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, upstream_connections=1) as gateway:
        clients = [gateway.connect() for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(gateway.signer.head("GET", f"/bucket/{number}"))
        assert [client.reply().status for client in clients] == [200] * 4
        for client in clients:
            client.close()
    assert upstream.connections == 1


def test_a_request_that_comes_while_a_connection_is_handed_over_finds_the_room_there_is(
    upstream: RecordingUpstream,
) -> None:
    """A new connection was counted twice until the loop's next round: the second request waited for nothing."""
    upstream.script = never_answers
    with (
        RunningEngine(upstream.port, upstream_connections=2, upstream_wait_timeout=60) as gateway,
        gateway.connect() as first,
    ):
        second, pool = User(), gateway.engine.upstream.pool
        found: list[int] = []
        connected = Exchange.connected

        def handed_over(exchange: Exchange, connection: UpstreamConnection) -> bool:
            pool.acquire(second)
            found.append(len(pool._waiting))
            return connected(exchange, connection)

        with patch.object(Exchange, "connected", handed_over):
            first.send(gateway.signer.head("GET", "/bucket/1"))
            upstream.wait_for_requests(1)
        assert found == [0]
        wait_until(lambda: second.connections == 1)


def test_what_waits_is_not_left_behind_by_a_store_that_closes_at_once(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=60) as gateway:
        first, second, pool = User(), User(), gateway.engine.upstream.pool
        once, made = [True], UpstreamConnection.connection_made

        def closed(connection: UpstreamConnection, transport: asyncio.Transport) -> None:
            made(connection, transport)
            if once and once.pop():
                transport.abort()

        with patch.object(UpstreamConnection, "connection_made", closed):
            gateway.call(lambda: [pool.acquire(first), pool.acquire(second)])
            wait_until(lambda: (first.refused, second.connections) == (1, 1))


def test_idle_connections_are_closed_by_us_first(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, upstream_idle=1) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200
        deadline = time.monotonic() + 10
        while gateway.call(lambda: gateway.engine.upstream.pool.open) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gateway.call(lambda: gateway.engine.upstream.pool.open) == 0


def test_a_revoke_answers_everybody_who_waits_for_a_connection(upstream: RecordingUpstream) -> None:
    """Each refusal hands the connection on; done by recursion, some 300 waiting requests were never answered."""
    gate = threading.Event()

    def script(exchange) -> None:  # type: ignore[no-untyped-def]
        exchange.read_body()
        gate.wait(20)
        exchange.send(ok(b"hello"))

    upstream.script = script
    with RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=60) as gateway:
        clients = [gateway.connect() for _ in range(500)]
        for client in clients:
            client.send(gateway.signer.head("GET", "/bucket/k"))
        while gateway.call(lambda: len(gateway.engine.upstream.pool._waiting)) < len(clients) - 1:
            time.sleep(0.02)
        gateway.call(gateway.directory.revoke)
        gate.set()
        statuses = [client.reply().status for client in clients]
        assert statuses.count(403) == len(clients) - 1
        for client in clients:
            client.close()


def test_an_endpoint_that_no_resolver_takes_is_503() -> None:
    nowhere = Endpoint("a..b", 80, None, None)
    with RunningEngine(0, endpoints=[nowhere]) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 503

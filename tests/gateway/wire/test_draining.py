"""An engine that drains under real clients."""

import asyncio
import threading
import time
from concurrent.futures import Future

from gateway.wire.draining import UNREAD, Leaving, Underway, drain
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine, wait_until


class Drain:
    """One that runs. `told`: every telling."""

    def __init__(self, gateway: RunningEngine, grace: float = 0.0, patience: float = 10.0) -> None:
        self.told: list[list[Underway]] = []
        self.now = gateway._loop.time
        self.leaving = Leaving(grace, patience, self.now())
        work = drain(gateway.engine, self.leaving, self.told.append)
        self._running: Future[list[Underway]] = asyncio.run_coroutine_threadsafe(work, gateway._loop)
        wait_until(lambda: gateway.engine.draining)

    def cut(self) -> list[Underway]:
        return self._running.result(15)

    @property
    def over(self) -> bool:
        return self._running.done()


def test_an_idle_connection_is_served_once_more_within_the_grace_and_told_that_it_ends(
    upstream: RecordingUpstream,
) -> None:
    with RunningEngine(upstream.port) as gateway, gateway.connect() as client, gateway.connect() as silent:
        for one in (client, silent):
            one.send(gateway.signer.head("GET", "/bucket/k"))
            assert one.reply().values(b"connection") == []
        draining = Drain(gateway, grace=1.5)
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
        assert (reply.status, reply.header(b"connection")) == (200, b"close")
        assert client.is_closed()
        assert not draining.over
        assert draining.cut() == []
        assert silent.is_closed()


def test_a_connection_that_comes_while_it_drains_is_served(upstream: RecordingUpstream) -> None:
    """It was accepted before the listener was closed."""
    with RunningEngine(upstream.port) as gateway:
        draining = Drain(gateway, grace=1.0)
        with gateway.connect() as client:
            client.send(gateway.signer.head("GET", "/bucket/k"))
            reply = client.reply()
            assert (reply.status, reply.header(b"connection")) == (200, b"close")
        assert draining.cut() == []


def test_a_reply_that_begins_after_the_drain_says_that_its_connection_ends(upstream: RecordingUpstream) -> None:
    go_on = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go_on.wait(10)
        exchange.send(ok(b"slow"))

    upstream.script = slow
    with RunningEngine(upstream.port) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        draining = Drain(gateway, grace=0.2)
        go_on.set()
        assert client.reply().header(b"connection") == b"close"
        assert draining.cut() == []


def test_what_remains_is_told_by_operation_with_its_bytes_and_what_is_cut_too(upstream: RecordingUpstream) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(1000))
        time.sleep(5)

    upstream.script = half
    with RunningEngine(upstream.port) as gateway, gateway.connect() as reader, gateway.connect() as writer:
        reader.send(gateway.signer.head("GET", "/bucket/secret-name"))
        upstream.wait_for_requests(1)
        writer.send(gateway.signer.head("PUT", "/bucket/secret-name", body=b"body") + b"b")
        wait_until(lambda: len([one for one in gateway.engine.clients if one.exchange]) == 2)
        wait_until(lambda: any(one.exchange and one.exchange.reply_left == 4000 for one in gateway.engine.clients))
        draining = Drain(gateway, patience=2.2)
        cut = draining.cut()
        assert {(one.operation, one.requests, one.to_go) for one in cut} == {
            ("GetObject", 1, 4000),
            ("PutObject", 1, 3),
        }
        assert all(2 <= one.seconds < 8 for one in cut)
        assert len(draining.told) == 3
        assert {one.operation for one in draining.told[0]} == {"GetObject", "PutObject"}
        assert "secret-name" not in repr(draining.told)


def test_a_drain_that_is_told_to_hurry_does(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port) as gateway, gateway.connect() as idle:
        idle.send(gateway.signer.head("GET", "/bucket/k"))
        assert idle.reply().status == 200
        draining = Drain(gateway, grace=60, patience=60)
        time.sleep(0.2)
        assert not draining.over
        draining.leaving.say(0, 60, draining.now())
        assert draining.cut() == []


def test_a_request_that_is_not_admitted_yet_has_no_operation(upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(b"hello"))
    with RunningEngine(upstream.port) as gateway, gateway.connect() as client:
        fields = b"POST /bucket HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        client.send(fields + b"Content-Length: 500\r\n\r\n--b\r\n")
        wait_until(lambda: any(one.exchange for one in gateway.engine.clients))
        assert [(one.operation, one.to_go) for one in Drain(gateway, patience=0.1).cut()] == [(UNREAD, 495)]

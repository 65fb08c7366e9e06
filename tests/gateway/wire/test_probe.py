"""The question whether an address answers."""

import time

from gateway.wire.endpoints import Endpoint
from gateway.wire.pool import WATCHING
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine


def test_the_question_is_unsigned_and_names_nothing(upstream: RecordingUpstream) -> None:
    with RecordingUpstream(canned(ok(status=b"403 Forbidden"))) as other:
        endpoints = [Endpoint("127.0.0.1", one.port, None, None, host_header=b"store") for one in (upstream, other)]
        with RunningEngine(0, endpoints=endpoints) as gateway:
            gateway.call(lambda: gateway.engine.upstream.pool.tick(time.monotonic() + 2 * WATCHING.health))
            [asked] = other.wait_for_requests(1)
            upstream.wait_for_requests(1)
            assert asked.line == b"HEAD / HTTP/1.1"
            assert [name for name, _ in asked.headers] == [b"host", b"user-agent", b"connection"]

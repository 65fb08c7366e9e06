"""What the connections of one loop share."""

from typing import Any

from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import RunningEngine


def test_request_ids_are_16_hex_digits_and_do_not_repeat(gateway: RunningEngine) -> None:
    identifiers = {gateway.engine.next_request_id() for _ in range(10_000)}
    assert len(identifiers) == 10_000
    assert all(len(identifier) == 16 and identifier == identifier.upper() for identifier in identifiers)


def test_a_keystore_watch_that_fails_does_not_stop_the_time_limits(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, keep_alive_timeout=1) as gateway:
        calls: list[None] = []

        def fails() -> None:
            calls.append(None)
            raise RuntimeError("always")

        gateway.directory.tick = fails  # type: ignore[method-assign]
        with gateway.connect() as client:
            assert client.is_closed()  # the idle time limit still works
        assert len(calls) > 1


def test_one_time_limit_that_fails_does_not_stop_the_others(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, keep_alive_timeout=1) as gateway:

        class Fails:
            def check(self, now: float) -> None:
                raise RuntimeError("always")

        others = gateway.engine._connections
        failing: Any = Fails()
        gateway.call(lambda: others.add(failing))
        with gateway.connect() as client:
            assert client.is_closed()
        gateway.call(lambda: others.discard(failing))

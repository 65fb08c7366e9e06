"""What the connections of one loop share."""

from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import RunningEngine


def test_request_ids_are_16_hex_digits_and_do_not_repeat(gateway: RunningEngine) -> None:
    identifiers = {gateway.engine.next_request_id() for _ in range(10_000)}
    assert len(identifiers) == 10_000
    assert all(len(identifier) == 16 and identifier == identifier.upper() for identifier in identifiers)


def test_a_tick_that_fails_is_not_the_last_one(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, keep_alive_timeout=1) as gateway:
        calls: list[None] = []

        def fails_once() -> None:
            calls.append(None)
            if len(calls) == 1:
                raise RuntimeError("once")

        gateway.directory.tick = fails_once  # type: ignore[method-assign]
        with gateway.connect() as client:
            assert client.is_closed()  # the idle time limit still works
        assert len(calls) > 1

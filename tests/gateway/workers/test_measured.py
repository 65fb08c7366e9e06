"""What a worker and the supervisor say of themselves."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.telemetry.metrics import METRICS, PLACE, Kind, place_of
from gateway.telemetry.slots import SUPERVISOR, Slot, SlotReader, Slots
from gateway.wire.endpoints import Endpoint
from gateway.workers.measured import EVERY, KeystoreState, Reloads, SupervisorMeasures, WorkerMeasures
from tests.support.recording_upstream import RecordingUpstream, canned, never_answers, ok
from tests.support.wire import RunningEngine, wait_until


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots()
    yield made
    made.close()


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello"))) as running:
        yield running


class Measured:
    """A worker's engine and what its slot says."""

    def __init__(self, gateway: RunningEngine, slots: Slots) -> None:
        self._gateway = gateway
        self._slots = slots
        self._slot = Slot(slots.file, slots.take())
        self._measures = WorkerMeasures(self._slot, gateway.engine, lambda: 17)

    def at(self, name: str, *values: str) -> int:
        self._gateway.call(self._measures.write)
        reader = SlotReader(self._slots.file)
        [cells] = reader.used()
        reader.close()
        return cells[place_of(name, *values)]


def test_a_worker_says_what_it_has_open_running_and_waiting(upstream: RecordingUpstream, slots: Slots) -> None:
    upstream.script = never_answers
    with RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=10) as gateway:
        measured = Measured(gateway, slots)
        with gateway.connect() as first, gateway.connect() as second, gateway.connect():
            first.send(gateway.signer.head("GET", "/bucket/k"))
            upstream.wait_for_requests(1)
            second.send(gateway.signer.head("GET", "/bucket/k"))
            wait_until(lambda: measured.at("nqgate_upstream_waiting") == 1)
            assert measured.at("nqgate_connections") == 3
            assert measured.at("nqgate_requests_in_flight") == 2
            assert measured.at("nqgate_upstream_connections", "busy") == 1
            assert measured.at("nqgate_upstream_connections", "idle") == 0
            assert measured.at("nqgate_upstream_connections_limit") == 1
            assert measured.at("nqgate_worker_change") == 17
            upstream.drop_connections()
            assert first.reply().status == 503
            upstream.wait_for_requests(2)
            upstream.drop_connections()
            assert second.reply().status == 503
        wait_until(lambda: measured.at("nqgate_requests_in_flight") == 0)


def test_a_worker_says_what_waits_in_memory_and_what_it_counted(upstream: RecordingUpstream, slots: Slots) -> None:
    with RunningEngine(upstream.port) as gateway:
        measured = Measured(gateway, slots)
        with gateway.connect() as client:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=b"x" * 5000) + b"x" * 1000)
            wait_until(lambda: measured.at("nqgate_body_memory_bytes") >= 1000)
            assert measured.at("nqgate_body_memory_limit_bytes") == gateway.limits.buffer_total
            client.send(b"x" * 4000)
            assert client.reply().status == 200
        assert measured.at("nqgate_requests", "PutObject", "2xx") == 1
        assert measured.at("nqgate_received_bytes", "upload") == 5000
        assert measured.at("nqgate_upstream_opened") == 1
        assert measured.at("nqgate_upstream_connections", "idle") == 1


def test_a_store_that_cannot_be_reached_is_said(slots: Slots) -> None:
    with RunningEngine(1) as gateway:
        measured = Measured(gateway, slots)
        with gateway.connect() as client:
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().status == 503
        assert measured.at("nqgate_upstream_unreachable_workers") == 1
        assert measured.at("nqgate_upstream_connect_failures") == 1
        assert measured.at("nqgate_refusals", "store") == 1


def test_addresses_that_are_put_aside_are_counted(upstream: RecordingUpstream, slots: Slots) -> None:
    endpoints = [Endpoint("127.0.0.1", port, None, None) for port in (1, upstream.port)]
    with RunningEngine(upstream.port, endpoints=endpoints) as gateway:
        measured = Measured(gateway, slots)
        assert (measured.at("nqgate_upstream_addresses"), measured.at("nqgate_upstream_addresses_aside")) == (2, 0)
        with gateway.connect() as client:
            for _ in range(2):
                client.send(gateway.signer.head("GET", "/bucket/k"))
                assert client.reply().status == 200
        assert (measured.at("nqgate_upstream_addresses"), measured.at("nqgate_upstream_addresses_aside")) == (2, 1)


def test_which_limit_was_reached_is_said(upstream: RecordingUpstream, slots: Slots) -> None:
    upstream.script = never_answers
    with RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=1) as gateway:
        measured = Measured(gateway, slots)
        with gateway.connect() as first, gateway.connect() as second:
            first.send(gateway.signer.head("GET", "/bucket/k"))
            upstream.wait_for_requests(1)
            second.send(gateway.signer.head("GET", "/bucket/k"))
            assert second.reply().status == 503
            assert measured.at("nqgate_limited", "upstream_connections") == 1
        assert measured.at("nqgate_refusals", "limits") == 1


def test_whoever_else_is_told_is_told_still(upstream: RecordingUpstream, slots: Slots) -> None:
    heard: list[Any] = []
    with RunningEngine(upstream.port) as gateway:
        gateway.engine.on_ended = (heard.append,)
        measured = Measured(gateway, slots)
        with gateway.connect() as client:
            client.send(gateway.signer.head("GET", "/bucket/k"))
            client.reply()
        wait_until(lambda: len(heard) == 1)
        assert measured.at("nqgate_requests", "GetObject", "2xx") == 1


class Gang:
    restarts = 3
    alive = (1, 2)


def supervisor(slot: Slot, left: float | None = None, reloads: Reloads | None = None) -> SupervisorMeasures:
    state = KeystoreState(lambda: True, lambda: 42, lambda: left)
    return SupervisorMeasures(slot, state, Gang(), Gang(), reloads or Reloads())


@pytest.mark.parametrize(("left", "leased", "told"), [(None, 0, 0), (2.5, 1, 2_500_000), (0.0, 1, 0), (-3.0, 1, 0)])
def test_the_supervisor_says_what_it_alone_knows(slots: Slots, left: float | None, leased: int, told: int) -> None:
    slot = Slot(slots.file, SUPERVISOR)
    measures = supervisor(slot, left)
    measures.write()
    measures.write()
    at = {name: slot.cells[place_of(name)] for name in PLACE if len(_series(name)) == 1}
    assert (at["nqgate_keystore_fresh"], at["nqgate_keystore_change"]) == (1, 42)
    assert (at["nqgate_keystore_leased"], at["nqgate_keystore_lease_seconds"]) == (leased, told)
    assert (at["nqgate_worker_restarts"], at["nqgate_control_plane_restarts"]) == (3, 3)
    assert slot.cells[place_of("nqgate_workers", "ready")] == slot.cells[place_of("nqgate_workers", "starting")] == 1
    assert at["nqgate_measured_at_seconds"] >= at["nqgate_started_at_seconds"] > 1_700_000_000
    slot.close()


def _series(name: str) -> list[tuple[str, ...]]:
    return next(metric.series for metric in METRICS if metric.name == name)


async def test_the_loop_is_watched_and_what_fails_is_said_and_survived(
    slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    slot = Slot(slots.file, SUPERVISOR)
    failing = [True, False]

    def fresh() -> bool:
        if failing.pop(0) if failing else False:
            raise RuntimeError("a bug")
        return True

    measures = SupervisorMeasures(slot, KeystoreState(fresh, lambda: 1, lambda: None), Gang(), Gang(), Reloads())
    running = asyncio.create_task(measures.run())
    await asyncio.sleep(EVERY * 5)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert "measuring failed" in caplog.text
    assert slot.cells[place_of("nqgate_keystore_fresh")] == 1
    slot.close()


def test_every_gauge_and_slow_counter_is_written_by_somebody() -> None:
    """A metric that nobody writes would be 0 for ever, and an alert on it silent."""
    from pathlib import Path

    import gateway

    folder = Path(gateway.__file__).parent
    written = "".join(
        (folder / name).read_text()
        for name in (
            "workers/measured.py",
            "console/measured.py",
            "telemetry/own_usage.py",
            "telemetry/request_counts.py",
        )
    )
    assert [metric.name for metric in METRICS if f'"{metric.name}"' not in written] == []
    assert {metric.kind for metric in METRICS} == set(Kind)


def test_reloads_are_counted_and_the_last_one_is_remembered(slots: Slots) -> None:
    slot = Slot(slots.file, SUPERVISOR)
    reloads = Reloads()
    measures = supervisor(slot, reloads=reloads)
    reader = SlotReader(slots.file)

    def told() -> tuple[int, int, int]:
        measures.write()
        [cells] = reader.used()
        done, refused = (cells[place_of("nqgate_reloads", outcome)] for outcome in ("done", "refused"))
        return done, refused, cells[place_of("nqgate_reload_refused")]

    assert told() == (0, 0, 0)
    reloads.count(refused=False)
    reloads.count(refused=True)
    assert told() == (1, 1, 1)
    reloads.count(refused=False)
    assert told() == (2, 1, 0)
    reader.close()
    slot.close()

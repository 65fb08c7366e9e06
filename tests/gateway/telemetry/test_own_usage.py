"""What a process says it takes is what the machine says."""

import os

import pytest

from gateway.telemetry import own_usage
from gateway.telemetry.metrics import place_of
from gateway.telemetry.own_usage import OwnUsage, open_files
from gateway.telemetry.slots import Slot


def test_open_files_are_counted() -> None:
    before = open_files()
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    assert open_files() == before + 10
    for one in opened:
        os.close(one)


def test_memory_files_and_time_stand_in_the_slot(slot: Slot) -> None:
    usage = OwnUsage(slot, "worker")
    usage.measure()
    first = slot.cells[place_of("nqgate_cpu_seconds", "worker")]
    sum(number * number for number in range(300_000))
    usage.measure()
    assert slot.cells[place_of("nqgate_cpu_seconds", "worker")] > first > 0
    assert slot.cells[place_of("nqgate_resident_bytes", "worker")] > 10_000_000
    assert slot.cells[place_of("nqgate_open_files", "worker")] > 3
    assert slot.cells[place_of("nqgate_processes", "worker")] == 1
    assert slot.cells[place_of("nqgate_processes", "control")] == 0


def test_a_machine_that_does_not_say_fails_nobody(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_usage, "_STATM", "/proc/self/nothing")
    OwnUsage(slot, "worker").measure()
    assert slot.cells[place_of("nqgate_resident_bytes", "worker")] == 0

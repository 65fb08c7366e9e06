"""Slots: counters outlive their process, gauges do not, and no number is ever seen torn."""

import multiprocessing
import os
from collections.abc import Iterator

import pytest

from gateway.telemetry.metrics import CELLS, GAUGES_AT
from gateway.telemetry.slots import SLOTS, SUPERVISOR, Slot, SlotReader, Slots


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots()
    yield made
    made.close()


def seen(slots: Slots) -> list[tuple[int, ...]]:
    reader = SlotReader(slots.file)
    found = list(reader.used())
    reader.close()
    return found


def test_what_is_written_is_seen_by_who_reads(slots: Slots) -> None:
    slot = Slot(slots.file, slots.take())
    slot.add(3, 5)
    assert seen(slots) == []
    slot.write()
    [cells] = seen(slots)
    assert (len(cells), cells[3], sum(cells)) == (CELLS, 5, 5)
    slot.close()


def test_who_takes_over_a_slot_counts_on_and_its_gauges_begin_anew(slots: Slots) -> None:
    number = slots.take()
    slot = Slot(slots.file, number)
    slot.add(0, 7)
    slot.put(GAUGES_AT, 3)
    slot.put(CELLS - 1, 4)
    slot.write()
    slot.close()
    slots.give_back(number)
    [cells] = seen(slots)
    assert (cells[0], cells[GAUGES_AT], cells[CELLS - 1]) == (7, 0, 0)
    assert slots.take() == number
    following = Slot(slots.file, number)
    following.add(0, 1)
    following.write()
    [cells] = seen(slots)
    assert cells[0] == 8
    following.close()


def test_two_processes_at_once_have_two_slots(slots: Slots) -> None:
    """A worker that drains and the one that takes its place."""
    first, second = slots.take(), slots.take()
    assert len({first, second, SUPERVISOR}) == 3
    for number in (first, second):
        slot = Slot(slots.file, number)
        slot.add(0, 1)
        slot.write()
        slot.close()
    assert sum(cells[0] for cells in seen(slots)) == 2


def test_when_all_are_taken_nobody_is_refused(slots: Slots) -> None:
    taken = [slots.take() for _ in range(SLOTS + 5)]
    assert max(taken) == SLOTS - 1


def test_a_gauge_is_never_below_0_and_a_number_may_run_over(slots: Slots) -> None:
    slot = Slot(slots.file, slots.take())
    slot.put(GAUGES_AT, -5)
    slot.add(0, (1 << 64) + 3)
    slot.write()
    [cells] = seen(slots)
    assert (cells[0], cells[GAUGES_AT]) == (3, 0)
    slot.close()


def test_who_reads_can_change_nothing(slots: Slots) -> None:
    reader = SlotReader(slots.file)
    with pytest.raises(TypeError):
        reader._map[0] = 1
    reader.close()


def test_a_slot_given_back_after_the_end_harms_nobody() -> None:
    slots = Slots()
    number = slots.take()
    slots.close()
    slots.give_back(number)


def _write_on(file: int, until: int) -> None:
    slot = Slot(file, 1)
    for turn in range(until):
        slot.cells[:] = [(turn % 2) * ((1 << 64) - 1)] * CELLS
        slot.write()


def test_no_number_is_seen_torn(slots: Slots) -> None:
    """Between all bits and none every torn read would show; two values only are ever right."""
    file = os.dup(slots.file)
    os.set_inheritable(file, True)
    writer = multiprocessing.get_context("fork").Process(target=_write_on, args=(file, 20_000))
    writer.start()
    found = set()
    reader = SlotReader(slots.file)
    while writer.is_alive():
        for cells in reader.used():
            found.update(cells)
    writer.join()
    reader.close()
    os.close(file)
    assert writer.exitcode == 0
    assert found <= {0, (1 << 64) - 1}

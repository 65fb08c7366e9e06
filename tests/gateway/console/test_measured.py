"""What the control plane says of confirmations."""

from collections.abc import Iterator

import pytest

from gateway.console.measured import PlaneMeasures
from gateway.telemetry.metrics import BY_NAME, SECONDS, place_of
from gateway.telemetry.slots import Slot, SlotReader, Slots
from keystore.access_key import RevokeReason
from keystore.confirmation import Confirmation
from tests.support.plane import OPERATOR, Plane

PROVEN = Confirmation(2, 2, 0, (), 1, 0, (), 40)
SECONDS_OF = "nqgate_confirmation_seconds"


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots()
    yield made
    made.close()


def numbers(slots: Slots) -> tuple[int, ...]:
    reader = SlotReader(slots.file)
    [cells] = reader.used()
    reader.close()
    return cells


def test_a_confirmation_is_counted_with_its_time_at_once(slots: Slots) -> None:
    slot = Slot(slots.file, slots.take())
    measures = PlaneMeasures(slot)
    measures.confirmed(PROVEN)
    measures.confirmed(PROVEN._replace(confirmed=1, lapsed=1, took_ms=5100))
    cells = numbers(slots)
    assert cells[place_of("nqgate_confirmations", "yes")] == 1
    assert cells[place_of("nqgate_confirmations", "no")] == 1
    place = place_of(SECONDS_OF)
    assert cells[place + SECONDS.index(0.05)] == cells[place + SECONDS.index(10.0)] == 1
    assert cells[place + BY_NAME[SECONDS_OF].width - 1] == 5_140_000
    assert cells[place_of("nqgate_processes", "control")] == 1
    slot.close()


async def test_every_act_that_takes_something_away_is_told(plane: Plane) -> None:
    told: list[Confirmation] = []
    plane.acts.on_confirmed = told.append
    first, second, third = [await plane.key(f"key {number}") for number in range(3)]
    await plane.acts.revoke(OPERATOR, first, RevokeReason.OTHER, drain=False)
    assert len(told) == 1
    await plane.acts.roll(OPERATOR, second, 0)
    assert len(told) == 2
    await plane.acts.delete(OPERATOR, first)
    await plane.acts.revoke(OPERATOR, third, RevokeReason.OTHER, drain=True)
    assert len(told) == 4
    assert all(one.proven for one in told)

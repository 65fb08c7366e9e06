"""One observation at a time."""

import pytest

from gateway.telemetry.histogram import observe
from gateway.telemetry.metrics import BY_NAME, LAG, place_of
from gateway.telemetry.slots import Slot

NAME = "nqgate_loop_lag_seconds"


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (LAG[0], 0), (LAG[0] * 1.01, 1), (LAG[-1] * 2, len(LAG))])
def test_it_lies_in_the_first_bucket_that_holds_it(slot: Slot, value: float, bucket: int) -> None:
    observe(slot, NAME, value)
    place = place_of(NAME)
    assert slot.cells[place : place + len(LAG) + 1] == [int(at == bucket) for at in range(len(LAG) + 1)]
    assert slot.cells[place + BY_NAME[NAME].width - 1] == round(value * 1e6)


def test_a_name_that_is_none_is_an_error(slot: Slot) -> None:
    with pytest.raises(KeyError):
        observe(slot, "nqgate_made_up", 1.0)

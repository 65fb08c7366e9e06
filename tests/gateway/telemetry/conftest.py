from collections.abc import Iterator

import pytest

from gateway.telemetry.slots import Slot, Slots


@pytest.fixture
def slot() -> Iterator[Slot]:
    slots = Slots()
    made = Slot(slots.file, 2)
    yield made
    made.close()
    slots.close()

"""One observation of a histogram without labels, where it is seldom; of requests `request_counts` counts."""

from bisect import bisect_left

from gateway.telemetry.metrics import BY_NAME, PLACE
from gateway.telemetry.slots import Slot


def observe(slot: Slot, name: str, value: float) -> None:
    """`value`: in the unit that is shown. KeyError for a name that is none."""
    metric, place = BY_NAME[name], PLACE[name]
    slot.add(place + bisect_left(metric.bounds, value), 1)
    slot.add(place + metric.width - 1, round(value / metric.unit))

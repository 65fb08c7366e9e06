"""What the slots hold as Prometheus reads it: the sum of all processes, in the library's own text format.

Knows no HTTP, and asks nobody: it reads memory, so it answers while keystore, store and every worker do not.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gateway.telemetry.metrics import METRICS, PLACE, Kind, Metric, place_of
from gateway.telemetry.slots import SlotReader

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_WORKER: Final = place_of("nqgate_processes", "worker")
Cells = Sequence[int]


class SlotCollector(Collector):
    """`version`: of this gateway."""

    def __init__(self, reader: SlotReader, version: str) -> None:
        self._reader = reader
        self._version = version

    def collect(self) -> Iterator[Family]:
        yield self._info()
        slots = list(self._reader.used())
        for metric in METRICS:
            yield _family(metric, slots)

    def _info(self) -> Family:
        family = GaugeMetricFamily("nqgate_info", INFO, labels=["version"])
        family.add_metric([self._version], 1)
        return family


INFO: Final = "Always 1; its label says which version serves."


def exposition(reader: SlotReader, version: str) -> bytes:
    registry = CollectorRegistry()
    registry.register(SlotCollector(reader, version))
    return generate_latest(registry)


def _family(metric: Metric, slots: Sequence[Cells]) -> Family:
    labels = [name for name, _ in metric.labels]
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, labels, slots)
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = made(metric.name, metric.help, labels=labels)
    for number, values in enumerate(metric.series):
        value = _together(metric.kind, PLACE[metric.name] + number, slots)
        if value or not metric.sparse:
            family.add_metric(values, value * metric.unit)
    return family


def _histogram(metric: Metric, labels: list[str], slots: Sequence[Cells]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=labels)
    bounds = [*map(_bound, metric.bounds), "+Inf"]
    for number, values in enumerate(metric.series):
        place = PLACE[metric.name] + number * metric.width
        *counts, total = [sum(cells[place + at] for cells in slots) for at in range(metric.width)]
        if any(counts) or not metric.sparse:
            family.add_metric(values, list(zip(bounds, _upwards(counts), strict=True)), total * metric.unit)
    return family


def _bound(bound: float) -> str:
    """As Prometheus's own clients write it, so that rules match: 1.0, not 1."""
    return repr(float(bound))


def _upwards(counts: Iterable[int]) -> Iterator[int]:
    """Each bucket holds all that is below its bound."""
    total = 0
    for count in counts:
        total += count
        yield total


def _together(kind: Kind, place: int, slots: Sequence[Cells]) -> int:
    if kind is Kind.LEAST:
        return min((cells[place] for cells in slots if cells[_WORKER]), default=0)
    every = [cells[place] for cells in slots]
    return max(every, default=0) if kind is Kind.MOST else sum(every)

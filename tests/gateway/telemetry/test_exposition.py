"""What Prometheus reads, read back by the library's own parser."""

from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.exposition import CONTENT_TYPE, exposition
from gateway.telemetry.histogram import observe
from gateway.telemetry.metrics import METRICS, place_of
from gateway.telemetry.slots import Slot, SlotReader, Slots


class Shown:
    """Two workers' slots, and what is read of them."""

    def __init__(self) -> None:
        self._slots = Slots()
        self.first, self.second = (Slot(self._slots.file, self._slots.take()) for _ in range(2))
        self._reader = SlotReader(self._slots.file)

    def text(self) -> str:
        self.first.write()
        self.second.write()
        return exposition(self._reader, "1.2.3").decode()

    def families(self) -> dict[str, Family]:
        return {family.name: family for family in text_string_to_metric_families(self.text())}

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """By label values, in the order of their names."""
        return {tuple(one.labels.values()): one.value for one in self.families()[name].samples}

    def close(self) -> None:
        for one in (self.first, self.second, self._reader, self._slots):
            one.close()


@pytest.fixture
def shown() -> Iterator[Shown]:
    made = Shown()
    yield made
    made.close()


def test_every_metric_is_there_with_its_help_and_kind(shown: Shown) -> None:
    families = shown.families()
    assert set(families) == {metric.name for metric in METRICS} | {"nqgate_info"}
    for metric in METRICS:
        family = families[metric.name]
        assert family.documentation == metric.help
        assert family.type == metric.kind.value.partition(",")[0]


def test_counters_and_gauges_are_summed_over_processes(shown: Shown) -> None:
    for slot, requests, open_now in ((shown.first, 3, 1), (shown.second, 4, 2)):
        slot.add(place_of("nqgate_requests", "GetObject", "2xx"), requests)
        slot.put(place_of("nqgate_connections"), open_now)
    assert shown.values("nqgate_requests") == {("2xx", "GetObject"): 7.0}
    assert shown.values("nqgate_connections") == {(): 3.0}


def test_the_least_is_of_workers_that_live(shown: Shown) -> None:
    shown.second.add(place_of("nqgate_sent_bytes", "download"), 1)  # of one that has ended
    shown.first.put(place_of("nqgate_worker_change"), 12)
    shown.first.put(place_of("nqgate_processes", "worker"), 1)
    assert shown.values("nqgate_worker_change") == {(): 12.0}
    shown.second.put(place_of("nqgate_worker_change"), 11)
    shown.second.put(place_of("nqgate_processes", "worker"), 1)
    assert shown.values("nqgate_worker_change") == {(): 11.0}


def test_the_most_is_not_summed(shown: Shown) -> None:
    shown.first.put(place_of("nqgate_started_at_seconds"), 1_700_000_000)
    shown.second.put(place_of("nqgate_started_at_seconds"), 1_700_000_005)
    assert shown.values("nqgate_started_at_seconds") == {(): 1_700_000_005.0}


def test_a_histogram_counts_upwards_to_all_that_there_are(shown: Shown) -> None:
    for slot, seconds in ((shown.first, 0.002), (shown.first, 0.03), (shown.second, 9.0)):
        observe(slot, "nqgate_loop_lag_seconds", seconds)
    samples = shown.families()["nqgate_loop_lag_seconds"].samples
    buckets = {one.labels["le"]: one.value for one in samples if one.name.endswith("_bucket")}
    assert (buckets["0.001"], buckets["0.005"], buckets["0.05"], buckets["5.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)
    assert {one.name.rpartition("_")[2]: one.value for one in samples if "le" not in one.labels} == {
        "count": 3,
        "sum": pytest.approx(9.032),
    }


def test_what_nobody_asked_for_yet_is_no_series(shown: Shown) -> None:
    assert shown.values("nqgate_requests") == {}
    assert shown.values("nqgate_refusals")[("signature",)] == 0.0
    assert len(shown.text()) < 20_000


def test_which_version_serves_is_a_label(shown: Shown) -> None:
    assert shown.values("nqgate_info") == {("1.2.3",): 1.0}


def test_the_type_of_the_text_is_the_one_every_prometheus_reads() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")

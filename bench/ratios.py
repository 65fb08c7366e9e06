"""From samples to ratios. Pure.

A ratio is taken within a round, between two runs that follow each other, so that what slows the whole machine for a
while slows both; the result is the median of the rounds.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

from bench.hashing import NAME as HASHING
from bench.measure import Sample
from bench.relay import NAME as RELAY
from bench.scenario import SCENARIOS, Scenario, Upload

QUANTITIES: Final = ("cpu_per_request_us", "requests_per_second", "p50_us", "p99_us")


class Ratio(NamedTuple):
    """The median of the rounds, and the lowest and highest round."""

    median: float
    low: float
    high: float


class Comparison(NamedTuple):
    """One contender in one scenario, beside the yardstick in the same, or beside itself in the scenario's `beside`.

    The figures are medians of bare values. `at_best` compares the cheapest rounds of the two in CPU per request: noise
    only ever adds to them. `beside_both`: of an upload, CPU per request / that of the yardstick and of the hash alone
    together. `beside_relay`: CPU per request / that of the blocking relay, and of the hash together where one is
    declared. What needs the CPU of processes that are not to be seen is missing, or None.
    """

    scenario: str
    contender: str
    ratios: dict[str, Ratio]
    at_best: float | None
    figures: dict[str, float]
    busy: float | None
    beside_both: Ratio | None = None
    beside_relay: Ratio | None = None


def spread(values: Sequence[float]) -> Ratio:
    """Raises statistics.StatisticsError (a ValueError) without values."""
    return Ratio(median(values), min(values), max(values))


def paired(samples: Sequence[Sample], yardstick: Sequence[Sample], quantity: str) -> list[float]:
    """contender / yardstick, round by round. Raises KeyError for a round without a yardstick."""
    measure = _by_round(yardstick, quantity)
    return [float(getattr(sample, quantity)) / measure[sample.round] for sample in samples]


def compare(samples: Iterable[Sample], yardstick: str, scenarios: Iterable[Scenario] = SCENARIOS) -> list[Comparison]:
    """One comparison per scenario and contender, the yardstick's own among them, in the order they were measured."""
    table = {scenario.name: scenario for scenario in scenarios}
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.scenario, sample.contender), []).append(sample)
    comparisons = []
    for (scenario, contender), group in groups.items():
        other = table[scenario].beside
        measure = groups[scenario, yardstick] if other is None else groups[other, contender]
        hashing, relaying = groups.get((scenario, HASHING)), groups.get((scenario, RELAY))
        declared = hashing if table[scenario].upload is Upload.SHA256 else None
        comparison = _compare(group, measure)._replace(
            beside_both=_beside_sum(group, measure, hashing) if hashing else None,
            beside_relay=_beside_sum(group, relaying, declared) if relaying else None,
        )
        comparisons.append(comparison)
    return comparisons


def _compare(group: Sequence[Sample], beside: Sequence[Sample]) -> Comparison:
    first = group[0]
    known = [name for name in QUANTITIES if getattr(first, name) is not None]
    seen = first.cpu_seconds is not None
    return Comparison(
        scenario=first.scenario,
        contender=first.contender,
        ratios={name: spread(paired(group, beside, name)) for name in known},
        at_best=_cheapest(group) / _cheapest(beside) if seen else None,
        figures={name: median(_by_round(group, name).values()) for name in known},
        busy=median(_by_round(group, "busy").values()) if seen else None,
    )


def _beside_sum(group: Sequence[Sample], *parts: Sequence[Sample] | None) -> Ratio | None:
    """CPU per request / that of these together, round by round; None where it is not known."""
    if group[0].cpu_seconds is None:
        return None
    costs = [_by_round(part, "cpu_per_request_us") for part in parts if part]
    own = _by_round(group, "cpu_per_request_us")
    return spread([cost / sum(other[number] for other in costs) for number, cost in own.items()])


def _by_round(samples: Sequence[Sample], quantity: str) -> dict[int, float]:
    return {sample.round: float(getattr(sample, quantity)) for sample in samples}


def _cheapest(samples: Sequence[Sample]) -> float:
    return min(_by_round(samples, "cpu_per_request_us").values())

"""From samples to ratios. Pure.

A ratio is taken within a round, between two runs that follow each other, so that what slows the whole machine for a
while slows both; the result is the median of the rounds.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

from bench.measure import Sample

QUANTITIES: Final = ("cpu_per_request_us", "requests_per_second", "p50_us", "p99_us")


class Ratio(NamedTuple):
    """The median of the rounds, and the lowest and highest round."""

    median: float
    low: float
    high: float


class Comparison(NamedTuple):
    """One contender beside the yardstick in one scenario; the figures are medians of bare values.

    `at_best` compares the cheapest rounds of the two in CPU per request: noise only ever adds to them.
    """

    scenario: str
    contender: str
    ratios: dict[str, Ratio]
    at_best: float
    figures: dict[str, float]
    busy: float


def spread(values: Sequence[float]) -> Ratio:
    """Raises statistics.StatisticsError (a ValueError) without values."""
    return Ratio(median(values), min(values), max(values))


def paired(samples: Sequence[Sample], yardstick: Sequence[Sample], quantity: str) -> list[float]:
    """contender / yardstick, round by round. Raises KeyError for a round without a yardstick."""
    measure = {sample.round: float(getattr(sample, quantity)) for sample in yardstick}
    return [float(getattr(sample, quantity)) / measure[sample.round] for sample in samples]


def compare(samples: Iterable[Sample], yardstick: str) -> list[Comparison]:
    """One comparison per scenario and contender, the yardstick's own among them, in the order they were measured."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.scenario, sample.contender), []).append(sample)
    return [
        Comparison(
            scenario=scenario,
            contender=contender,
            ratios={name: spread(paired(group, groups[scenario, yardstick], name)) for name in QUANTITIES},
            at_best=_cheapest(group) / _cheapest(groups[scenario, yardstick]),
            figures={name: median(float(getattr(sample, name)) for sample in group) for name in QUANTITIES},
            busy=median(sample.busy for sample in group),
        )
        for (scenario, contender), group in groups.items()
    ]


def _cheapest(samples: Sequence[Sample]) -> float:
    return min(sample.cpu_per_request_us for sample in samples)

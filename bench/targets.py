"""What was aimed at, as bounds on ratios within one run, and whether they held. What did not hold fails no run."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bench.contender import YARDSTICK
from bench.hashing import NAME as HASHING
from bench.measure import Sample
from bench.ratios import Ratio, spread
from bench.relay import NAME as RELAY
from bench.scenario import QUICK, SCENARIOS

CPU: Final = "cpu_per_request_us"
_GATEWAY, _TWO_WORKERS = "gateway", "gateway-2"


class Part(NamedTuple):
    contender: str
    scenario: str


class Target(NamedTuple):
    """`quantity` of `measured` / the sum of those it stands beside, in the same round, is to be `bound` at most."""

    name: str
    measured: Part
    beside: tuple[Part, ...]
    bound: float
    quantity: str = CPU


class Outcome(NamedTuple):
    target: Target
    ratio: Ratio

    @property
    def met(self) -> bool:
        return self.ratio.median <= self.target.bound


def _against(name: str, scenario: str, bound: float, *beside: str, quantity: str = CPU) -> Target:
    parts = tuple(Part(contender, scenario) for contender in beside)
    return Target(name, Part(_GATEWAY, scenario), parts, bound, quantity)


def _refused(scenario: str) -> Target:
    return Target(f"{scenario} / served", Part(_GATEWAY, scenario), (Part(_GATEWAY, QUICK),), 0.5)


TARGETS: Final = (
    _against("GET 1 KiB / nginx", "get-1k", 1.5, YARDSTICK),
    _against("GET 1 KiB at half load, p99 / nginx", "get-1k-half", 2.0, YARDSTICK, quantity="p99_us"),
    _against("GET 1 MiB / relay", "get-1m", 1.0, RELAY),
    _against("GET 1 MiB / nginx", "get-1m", 1.0, YARDSTICK),
    _against("GET 64 MiB / relay", "get-64m", 1.25, RELAY),
    _against("GET 64 MiB / nginx", "get-64m", 1.0, YARDSTICK),
    _against("PUT 1 MiB with its SHA-256 / relay and one pass", "put-1m", 1.15, RELAY, HASHING),
    _against("PUT 64 MiB with its SHA-256 / relay and one pass", "put-64m", 1.15, RELAY, HASHING),
    *(_refused(scenario.name) for scenario in SCENARIOS if scenario.refusal is not None),
    # as many requests per second of processor time as 0.9 of what one worker answers
    Target("GET 1 KiB, two workers / one", Part(_TWO_WORKERS, "get-1k"), (Part(_GATEWAY, "get-1k"),), 1 / 0.9),
)


def judge(samples: Sequence[Sample], targets: Iterable[Target] = TARGETS) -> list[Outcome]:
    """One outcome for each target of which everything was measured."""
    rounds: dict[Part, dict[int, Sample]] = {}
    for sample in samples:
        rounds.setdefault(Part(sample.contender, sample.scenario), {})[sample.round] = sample
    return [
        Outcome(target, _ratio(target, rounds))
        for target in targets
        if all(part in rounds for part in (target.measured, *target.beside))
    ]


def _ratio(target: Target, rounds: dict[Part, dict[int, Sample]]) -> Ratio:
    def cost(part: Part, number: int) -> float:
        return float(getattr(rounds[part][number], target.quantity))

    return spread(
        [
            cost(target.measured, number) / sum(cost(part, number) for part in target.beside)
            for number in rounds[target.measured]
        ]
    )

import pytest

from bench.contender import YARDSTICK
from bench.hashing import NAME as HASHING
from bench.measure import Sample
from bench.options import RIVALS
from bench.ratios import QUANTITIES, Ratio
from bench.scenario import SCENARIOS
from bench.targets import TARGETS, Part, Target, judge

ADDED = Target("PUT", Part("gateway", "put-1m"), (Part("relay", "put-1m"), Part("sha256", "put-1m")), 1.15)


def costs(contender: str, scenario: str, *cpu_us: int) -> list[Sample]:
    return [
        Sample(scenario, contender, number, 1_000_000, 1.0, float(cpu), 10 * cpu, 20 * cpu)
        for number, cpu in enumerate(cpu_us)
    ]


def test_a_target_is_the_median_of_the_rounds_beside_the_sum_of_its_parts() -> None:
    samples = costs("gateway", "put-1m", 24, 30, 90) + costs("relay", "put-1m", 10, 20, 10)
    [outcome] = judge(samples + costs("sha256", "put-1m", 10, 10, 50), [ADDED])
    assert outcome.ratio == pytest.approx(Ratio(1.2, 1.0, 1.5))
    assert not outcome.met
    assert outcome._replace(target=ADDED._replace(bound=1.25)).met


def test_what_was_not_measured_is_not_judged() -> None:
    assert judge(costs("gateway", "put-1m", 1) + costs("relay", "put-1m", 1), [ADDED]) == []


def test_latency_is_judged_where_latency_is_meant() -> None:
    half = Target("p99", Part("gateway", "get-1k-half"), (Part("nginx", "get-1k-half"),), 2.0, "p99_us")
    samples = costs("gateway", "get-1k-half", 30) + costs("nginx", "get-1k-half", 10)
    slow = [sample._replace(p99_us=800) for sample in samples[:1]] + samples[1:]
    assert [outcome.ratio.median for outcome in judge(slow, [half])] == [4.0]


def test_every_target_names_a_scenario_and_contenders_there_are() -> None:
    names = {scenario.name for scenario in SCENARIOS}
    for target in TARGETS:
        for part in (target.measured, *target.beside):
            assert part.scenario in names
            assert part.contender in {YARDSTICK, HASHING, *RIVALS}
        assert target.quantity in QUANTITIES
    assert len({target.name for target in TARGETS}) == len(TARGETS)

import pytest

from bench.measure import Sample
from bench.ratios import Ratio, compare, paired, spread

SAMPLE = Sample("get-1k", "nginx", 0, requests=1000, seconds=2.0, cpu_seconds=0.02, p50_us=100, p99_us=200)


def nginx(number: int, cpu_seconds: float) -> Sample:
    return SAMPLE._replace(round=number, cpu_seconds=cpu_seconds)


def gateway(number: int, cpu_seconds: float) -> Sample:
    return nginx(number, cpu_seconds)._replace(contender="gateway", p50_us=150)


def test_a_sample_knows_its_cost_its_pace_and_its_cores() -> None:
    assert SAMPLE.cpu_per_request_us == pytest.approx(20)
    assert SAMPLE.requests_per_second == pytest.approx(500)
    assert SAMPLE.busy == pytest.approx(0.01)


def test_spread_is_median_lowest_and_highest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Ratio(2.0, 1.0, 3.0)
    assert spread([4.0, 1.0]) == Ratio(2.5, 1.0, 4.0)


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError):
        spread([])


def test_a_ratio_is_taken_within_its_round_whatever_the_order() -> None:
    yardstick = [nginx(0, 0.02), nginx(1, 0.04)]
    measured = [gateway(1, 0.06), gateway(0, 0.02)]
    assert paired(measured, yardstick, "cpu_per_request_us") == pytest.approx([1.5, 1.0])


def test_a_round_without_a_yardstick_has_no_ratio() -> None:
    with pytest.raises(KeyError):
        paired([gateway(1, 0.06)], [nginx(0, 0.02)], "p50_us")


def test_what_slows_a_whole_round_does_not_move_the_ratio() -> None:
    samples = [nginx(0, 0.02), nginx(1, 0.08), nginx(2, 0.03), gateway(0, 0.03), gateway(1, 0.12), gateway(2, 0.045)]
    _, beside = compare(samples, "nginx")
    assert beside.ratios["cpu_per_request_us"] == pytest.approx(Ratio(1.5, 1.5, 1.5))


def test_the_cost_of_an_upload_stands_beside_relaying_and_hashing_together() -> None:
    hashing = [
        nginx(number, cpu)._replace(contender="sha256", p50_us=None, p99_us=None)
        for number, cpu in [(0, 0.01), (1, 0.08)]
    ]
    samples = [nginx(0, 0.02), nginx(1, 0.08), gateway(0, 0.045), gateway(1, 0.08), *hashing]
    relaying, beside, alone = compare(samples, "nginx")
    assert beside.beside_both == pytest.approx(Ratio(1.0, 0.5, 1.5))
    assert relaying.beside_both == pytest.approx(Ratio(7 / 12, 0.5, 2 / 3))
    assert alone.ratios["cpu_per_request_us"] == pytest.approx(Ratio(0.75, 0.5, 1.0))


def beside_relay(scenario: str) -> Ratio | None:
    """Of a gateway that takes 60 and 90 µs where a relay takes 20 and 40, and the hash of the same bytes 10 and 5."""
    costs = {"nginx": (1, 1), "relay": (20, 40), "gateway": (60, 90), "sha256": (10, 5)}
    samples = [
        SAMPLE._replace(scenario=scenario, contender=name, round=number, cpu_seconds=cost / 1000)
        for name, both in costs.items()
        for number, cost in enumerate(both)
    ]
    return {one.contender: one.beside_relay for one in compare(samples, "nginx")}["gateway"]


def test_a_download_stands_beside_the_relay_and_an_upload_beside_the_relay_and_the_hash_it_declares() -> None:
    assert beside_relay("get-1m") == pytest.approx(Ratio(2.625, 2.25, 3.0))
    assert beside_relay("put-1m") == pytest.approx(Ratio(2.0, 2.0, 2.0))
    assert beside_relay("put-1m-unsigned") == beside_relay("get-1m")


def test_without_a_relay_nothing_stands_beside_it() -> None:
    assert [one.beside_relay for one in compare([nginx(0, 0.02), gateway(0, 0.03)], "nginx")] == [None, None]


def test_a_refusal_stands_beside_the_same_contender_serving_in_the_same_round() -> None:
    refused = [
        gateway(0, 0.015)._replace(scenario="refused-scope"),
        gateway(1, 0.09)._replace(scenario="refused-scope"),
    ]
    samples = [nginx(0, 0.02), nginx(1, 0.04), gateway(0, 0.03), gateway(1, 0.12), *refused]
    *_, beside = compare(samples, "nginx")
    assert (beside.scenario, beside.contender) == ("refused-scope", "gateway")
    assert beside.ratios["cpu_per_request_us"] == pytest.approx(Ratio(0.625, 0.5, 0.75))
    assert beside.at_best == pytest.approx(0.5)


def test_without_a_hash_there_is_nothing_else_to_stand_beside() -> None:
    assert [one.beside_both for one in compare([nginx(0, 0.02), gateway(0, 0.03)], "nginx")] == [None, None]


def test_a_hash_answers_nobody_so_it_has_no_latency() -> None:
    hashing = nginx(0, 0.01)._replace(contender="sha256", p50_us=None, p99_us=None)
    _, alone = compare([nginx(0, 0.02), hashing], "nginx")
    assert set(alone.ratios) == set(alone.figures) == {"cpu_per_request_us", "requests_per_second"}


def test_at_best_compares_the_cheapest_rounds() -> None:
    samples = [nginx(0, 0.02), nginx(1, 0.08), gateway(0, 0.05), gateway(1, 0.03)]
    assert [comparison.at_best for comparison in compare(samples, "nginx")] == pytest.approx([1.0, 1.5])


def test_the_yardstick_beside_itself_is_one_and_each_scenario_has_its_own() -> None:
    other = [nginx(0, 0.5)._replace(scenario="get-1m"), gateway(0, 0.25)._replace(scenario="get-1m")]
    comparisons = compare([nginx(0, 0.02), gateway(0, 0.03), *other], "nginx")
    found = [(c.scenario, c.contender, c.ratios["cpu_per_request_us"].median) for c in comparisons]
    assert found == [
        ("get-1k", "nginx", 1.0),
        ("get-1k", "gateway", pytest.approx(1.5)),
        ("get-1m", "nginx", 1.0),
        ("get-1m", "gateway", 0.5),
    ]
    assert comparisons[1].ratios["p50_us"].median == 1.5
    assert comparisons[1].figures["cpu_per_request_us"] == pytest.approx(30)


def test_a_peer_whose_processes_are_not_seen_has_its_latency_and_throughput_only() -> None:
    unseen = nginx(0, 0.02)._replace(contender="peer", cpu_seconds=None, requests=500)
    relay = nginx(0, 0.02)._replace(contender="relay")
    *_, beside = compare([nginx(0, 0.02), relay, unseen], "nginx")
    assert set(beside.ratios) == {"requests_per_second", "p50_us", "p99_us"}
    assert beside.ratios["requests_per_second"].median == 0.5
    assert (beside.at_best, beside.busy, beside.beside_relay) == (None, None, None)

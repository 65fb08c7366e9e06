import json

import pytest

from bench.measure import Sample
from bench.ratios import Ratio, compare
from bench.report import figure_text, ratio_text, render_json, render_machine, render_table, render_targets
from bench.scenario import SCENARIOS, select
from bench.targets import judge

[GET, PUT] = select(["get-1k", "put-1m"])
YARDSTICK = Sample("get-1k", "nginx", 0, requests=60_000, seconds=2.0, cpu_seconds=2.0, p50_us=800, p99_us=1500)
GATEWAY = YARDSTICK._replace(contender="gateway", cpu_seconds=3.0, requests=45_000)


def test_the_table_gives_ratios_and_says_what_one_was() -> None:
    title, heading, nginx, gateway = render_table(GET, compare([YARDSTICK, GATEWAY], "nginx"), "nginx").split("\n")
    assert title == "GET 1 KiB, 32 connections"
    assert " ".join(heading.split()) == "CPU at best CPU per request throughput p50 p99 cores busy"
    assert nginx.split("  ")[1] == "nginx"
    assert "1.00 = 33.3 µs" in nginx
    assert "1.00 = 30,000/s" in nginx
    assert "2.00 (2.00–2.00)" in gateway
    assert "0.75 (0.75–0.75)" in gateway
    assert "µs" not in gateway


def test_columns_stand_below_their_headings() -> None:
    _, heading, nginx, gateway = render_table(GET, compare([YARDSTICK, GATEWAY], "nginx"), "nginx").split("\n")
    column = heading.index("throughput")
    assert nginx[column:].startswith("1.00 =")
    assert gateway[column:].startswith("0.75 (")


def test_an_upload_is_shown_beside_relaying_and_hashing_and_with_its_throughput() -> None:
    samples = [YARDSTICK, GATEWAY, YARDSTICK._replace(contender="sha256", cpu_seconds=2.0, p50_us=None, p99_us=None)]
    samples = [sample._replace(scenario="put-1m") for sample in samples]
    _, heading, nginx, gateway, hashing = render_table(PUT, compare(samples, "nginx"), "nginx").split("\n")
    assert heading.endswith("cores busy  CPU of both         MiB/s")
    assert nginx[heading.index("CPU of both") :] == "0.50 (0.50–0.50)    30,000"
    assert gateway[heading.index("CPU of both") :] == "1.00 (1.00–1.00)    22,500"
    assert hashing[heading.index("p50") :].startswith("–")


def test_what_a_relay_took_part_in_has_a_column_for_it() -> None:
    [large] = select(["get-1m"])
    samples = [YARDSTICK, GATEWAY, YARDSTICK._replace(contender="relay", cpu_seconds=1.5)]
    samples = [sample._replace(scenario="get-1m") for sample in samples]
    _, heading, _, gateway, relay = render_table(large, compare(samples, "nginx"), "nginx").split("\n")
    assert heading.endswith("cores busy  CPU of relay        MiB/s")
    assert gateway[heading.index("CPU of relay") :] == "2.67 (2.67–2.67)    22,500"
    assert relay[heading.index("CPU of relay") :].startswith("1.00 (1.00–1.00)")


def test_what_is_not_known_of_a_peer_is_a_dash() -> None:
    samples = [YARDSTICK, YARDSTICK._replace(contender="peer", cpu_seconds=None)]
    *_, peer = render_table(GET, compare(samples, "nginx"), "nginx").split("\n")
    assert peer.split() == ["peer", "–", "–", *["1.00", "(1.00–1.00)"] * 3, "–"]


def test_the_title_of_a_refusal_says_what_it_stands_beside() -> None:
    [_, refused] = select(["refused-revoked"])
    samples = [YARDSTICK, GATEWAY, GATEWAY._replace(scenario="refused-revoked", cpu_seconds=1.2)]
    title, _, gateway = render_table(refused, compare(samples, "nginx"), "nginx").split("\n")
    assert title.endswith("1.00 is get-1k of the same contender in the same round")
    assert gateway.split() == ["gateway", "0.40", *["0.40", "(0.40–0.40)"], *["1.00", "(1.00–1.00)"] * 3, "0.60"]


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        ("p50_us", 820.0, "820.0 µs"),
        ("p99_us", 1521.0, "1.52 ms"),
        ("cpu_per_request_us", 33.12, "33.1 µs"),
        ("requests_per_second", 38928.4, "38,928/s"),
        ("requests_per_second", 11.26, "11.3/s"),
    ],
)
def test_figures_have_units(quantity: str, value: float, text: str) -> None:
    assert figure_text(quantity, value) == text


def test_a_ratio_shows_its_spread() -> None:
    assert ratio_text(Ratio(1.314, 1.2, 1.406)) == "1.31 (1.20–1.41)"


def test_targets_are_listed_with_what_was_measured_and_whether_that_is_enough() -> None:
    _, heading, line = render_targets(judge([YARDSTICK, GATEWAY])).split("\n")
    assert " ".join(line.split()) == "GET 1 KiB / nginx 1.50 2.00 (2.00–2.00) not met"
    assert line.index("1.50") == heading.index("at most")
    cheap = GATEWAY._replace(cpu_seconds=2.25)
    assert render_targets(judge([YARDSTICK, cheap])).endswith("1.50 (1.50–1.50)    met")
    assert render_targets([]) == ""


def test_json_holds_every_run_and_every_ratio() -> None:
    samples = [YARDSTICK, GATEWAY]
    comparisons = compare(samples, "nginx")
    document = json.loads(render_json({"wrk": "4"}, {"rounds": 1}, SCENARIOS[:1], samples, comparisons, judge(samples)))
    assert document["machine"] == {"wrk": "4"}
    assert document["settings"] == {"rounds": 1}
    assert document["scenarios"][0]["name"] == "get-1k"
    assert document["comparisons"][1]["beside_both"] is None
    assert [(target["bound"], target["met"]) for target in document["targets"]] == [(1.5, False)]
    assert document["samples"][1]["cpu_seconds"] == 3.0
    assert document["comparisons"][1]["ratios"]["cpu_per_request_us"]["median"] == pytest.approx(2.0)


def test_the_machine_is_listed_line_by_line() -> None:
    assert render_machine({"wrk": "wrk 4", "nginx": "nginx 1"}).split() == ["wrk", "wrk", "4", "nginx", "nginx", "1"]

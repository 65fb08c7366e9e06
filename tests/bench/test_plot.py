import re
from xml.etree import ElementTree

import pytest

from bench.measure import Sample
from bench.plot import LABELS, SCALE, render_plot
from bench.run import Run

NGINX = Sample("get-1k", "nginx", 0, requests=100, seconds=2.0, cpu_seconds=1.0, p50_us=8, p99_us=15)
TAG = "{http://www.w3.org/2000/svg}"


def drawn(*costs: float) -> ElementTree.Element:
    """Of a gateway that took as much as this beside a yardstick that took 1, round by round."""
    samples = [NGINX._replace(round=number) for number in range(len(costs))]
    samples += [
        NGINX._replace(round=number, contender="gateway", cpu_seconds=cost) for number, cost in enumerate(costs)
    ]
    refused = NGINX._replace(scenario="refused-scope", contender="gateway")
    return ElementTree.fromstring(render_plot(Run({}, {"rounds": len(costs)}, [*samples, refused])))


def bars(root: ElementTree.Element) -> list[tuple[float, float]]:
    """Begin and end of each, without the legend's."""
    found = [(float(one.get("x", "")), float(one.get("width", ""))) for one in root.iter(f"{TAG}rect")]
    return [(start, start + width) for start, width in found if start >= LABELS]


def test_twice_as_much_and_half_as_much_are_as_long_and_begin_at_one() -> None:
    [(dear_start, dear_end)] = bars(drawn(2.0))
    [(cheap_start, cheap_end)] = bars(drawn(0.5))
    assert dear_start == cheap_end == LABELS + SCALE / 2
    assert dear_end - dear_start == pytest.approx(cheap_end - cheap_start) == SCALE / 2


def test_the_spread_reaches_from_the_lowest_to_the_highest_round_and_the_median_is_written() -> None:
    root = drawn(1.0, 2.0, 4.0)
    [spread] = [line for line in root.iter(f"{TAG}line") if line.get("class") == "spread"]
    [(start, end)] = bars(root)
    assert float(spread.get("x1", "")) == start < end < float(spread.get("x2", "")) <= LABELS + SCALE
    assert "2.00" in [text.text for text in root.iter(f"{TAG}text")]


def test_only_what_stands_beside_the_yardstick_is_drawn_and_named() -> None:
    texts = [text.text or "" for text in drawn(2.0).iter(f"{TAG}text")]
    assert "GET 1 KiB, 32 connections" in texts
    assert not [text for text in texts if "refused" in text]


def test_it_is_readable_on_a_dark_page_too_and_loads_nothing() -> None:
    text = render_plot(Run({}, {"rounds": 1}, [NGINX, NGINX._replace(contender="gateway")]))
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]

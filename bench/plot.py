"""The plot of a run as SVG: CPU per request beside the yardstick, a bar per scenario and contender, its spread a line.

The scale is logarithmic, so that half as much and twice as much are as long; a bar begins at 1.00. Colours and text are
readable on a light and on a dark page. Pure.
"""

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from jinja2 import Environment, StrictUndefined

from bench.contender import YARDSTICK
from bench.hashing import NAME as HASHING
from bench.ratios import Comparison, Ratio
from bench.run import Run

LABELS: Final = 345  # width, as all sizes here in the units of the drawing
SCALE: Final = 620
BAR: Final = 15
GAP: Final = 12
TOP: Final = 62
COLOURS: Final = ("#3b82f6", "#d97706", "#8b5cf6", "#10a37f", "#db4c77", "#808a94")

_TEMPLATE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" font-family="sans-serif" font-size="13">
<title>{{ title }}</title>
<style>
  text { fill: #57606a } .grid { stroke: #808080; stroke-opacity: .3 }
  .one { stroke: #57606a } .spread { stroke: #24292f }
  @media (prefers-color-scheme: dark) {
    text { fill: #9aa4af } .one { stroke: #9aa4af } .spread { stroke: #e6edf3 }
  }
</style>
<text x="8" y="18" font-weight="bold">{{ title }}</text>
{% for name, colour in legend %}
<rect x="{{ 8 + 130 * loop.index0 }}" y="30" width="12" height="12" fill="{{ colour }}"/>
<text x="{{ 25 + 130 * loop.index0 }}" y="41">{{ name }}</text>
{% endfor %}
{% for x, label in ticks %}
<line x1="{{ x }}" x2="{{ x }}" y1="{{ top }}" y2="{{ height - 24 }}" class="{{ 'one' if label == '1' else 'grid' }}"/>
<text x="{{ x }}" y="{{ height - 8 }}" text-anchor="middle">{{ label }}</text>
{% endfor %}
{% for group in groups %}
<text x="{{ labels - 8 }}" y="{{ group.middle }}" text-anchor="end">{{ group.title }}</text>
{% for bar in group.bars %}
<rect x="{{ bar.start }}" y="{{ bar.y }}" width="{{ bar.width }}" height="{{ thick }}" fill="{{ bar.colour }}"/>
<line x1="{{ bar.low }}" x2="{{ bar.high }}" y1="{{ bar.y + 6.5 }}" y2="{{ bar.y + 6.5 }}" class="spread"/>
<text x="{{ bar.label }}" y="{{ bar.y + 11 }}" font-size="11">{{ bar.text }}</text>
{% endfor %}
{% endfor %}
</svg>
"""


class Bar(NamedTuple):
    """Where it lies and what is written behind it."""

    start: float
    width: float
    y: float
    low: float
    high: float
    label: float
    text: str
    colour: str


class Group(NamedTuple):
    title: str
    middle: float
    bars: list[Bar]


def render_plot(run: Run) -> str:
    """What stands beside the yardstick, in table order: neither the yardstick itself, nor what refused or hashed."""
    titles = {scenario.name: scenario.title for scenario in run.scenarios if scenario.beside is None}
    comparisons = [
        comparison
        for name in titles
        for comparison in run.comparisons
        if comparison.scenario == name and _drawn(comparison)
    ]
    ratios = [comparison.ratios["cpu_per_request_us"] for comparison in comparisons]
    low, high = _bounds(ratios)
    names = list(dict.fromkeys(comparison.contender for comparison in comparisons))
    colours = {name: COLOURS[min(number, len(COLOURS) - 1)] for number, name in enumerate(names)}

    def place(value: float) -> float:
        return round(LABELS + SCALE * (math.log2(value) - low) / (high - low), 1)

    groups: list[Group] = []
    y = float(TOP + GAP)
    for name, together in groupby(comparisons, lambda comparison: comparison.scenario):
        bars = [
            _bar(place, comparison.ratios["cpu_per_request_us"], y + BAR * number, colours[comparison.contender])
            for number, comparison in enumerate(together)
        ]
        groups.append(Group(titles[name], y + BAR * len(bars) / 2 + 3, bars))
        y += BAR * len(bars) + GAP
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    ticks = [(place(2.0**power), f"{2.0**power:g}") for power in range(low, high + 1)]
    return environment.from_string(_TEMPLATE).render(
        title=f"CPU per request, {YARDSTICK} proxy_pass = 1, median and spread of {run.settings['rounds']} rounds",
        width=LABELS + SCALE + 60,
        height=y + 24,
        top=TOP,
        labels=LABELS,
        thick=BAR - 2,
        legend=list(colours.items()),
        ticks=ticks,
        groups=groups,
    )


def _drawn(comparison: Comparison) -> bool:
    return comparison.contender not in (YARDSTICK, HASHING) and "cpu_per_request_us" in comparison.ratios


def _bar(place: Callable[[float], float], ratio: Ratio, y: float, colour: str) -> Bar:
    one, end = place(1.0), place(ratio.median)
    low, high = place(ratio.low), place(ratio.high)
    width = round(abs(end - one), 1)
    return Bar(min(one, end), width, y, low, high, max(one, high) + 5, f"{ratio.median:.2f}", colour)


def _bounds(ratios: Sequence[Ratio]) -> tuple[int, int]:
    """Powers of two below and above everything, and 1.00 between them."""
    low = min((ratio.low for ratio in ratios), default=1.0)
    high = max((ratio.high for ratio in ratios), default=1.0)
    return min(-1, math.floor(math.log2(low))), max(1, math.ceil(math.log2(high)))

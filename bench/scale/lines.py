"""A plot of lines as SVG, readable on light and dark ground. Pure; knows nothing of what it draws."""

from collections.abc import Sequence
from html import escape
from math import floor, log10
from typing import Final

from bench.scale.series import Drawing, Series

WIDTH: Final = 720
HEIGHT: Final = 400
LEFT, RIGHT, TOP, BOTTOM = 64, 40, 40, 56
TICKS: Final = 5  # at each axis, about
COLOURS: Final = ("#2f6fde", "#d9480f", "#2b8a3e", "#9c36b5", "#0c8599", "#c92a2a")

# Medium tones stand out on either ground; words and axes follow the reader's setting.
_STYLE: Final = """\
text{font:13px system-ui,sans-serif;fill:#1c2024}.title{font-size:15px;font-weight:600}
.axis{stroke:#8b8d98;fill:none}.grid{stroke:#8b8d98;stroke-opacity:.25}
@media(prefers-color-scheme:dark){text{fill:#edeef0}}"""


def round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that some `TICKS` of them make `span`."""
    rough = span / TICKS
    power = 10.0 ** floor(log10(rough))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999))


def ticks(highest: float) -> list[float]:
    """From 0 to the first round number that is not below `highest`."""
    step = round_step(max(highest, 1e-9))
    count = 1
    while step * count < highest * 0.999:
        count += 1
    return [step * number for number in range(count + 1)]


def render_svg(drawing: Drawing) -> str:
    """Both axes begin at 0: growth is seen as large as it is."""
    xs = ticks(max(x for one in drawing.series for x, _ in one.points))
    ys = ticks(max(y for one in drawing.series for _, y in one.points))
    plot = _Plane(xs[-1], ys[-1])
    parts = [_text(LEFT, 22, drawing.title, "title")]
    parts += [plot.vertical(x) for x in xs] + [plot.horizontal(y) for y in ys]
    parts += [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, drawing.x, anchor="middle")]
    parts += [_text(WIDTH - RIGHT, 22, drawing.y, anchor="end")]
    for number, one in enumerate(drawing.series):
        parts += plot.line(one, COLOURS[number % len(COLOURS)], number)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    name = escape(drawing.title)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{name}">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


class _Plane:
    """Where a point lies in the picture."""

    def __init__(self, widest: float, highest: float) -> None:
        self._widest = widest
        self._highest = highest

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self._widest

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self._highest

    def vertical(self, value: float) -> str:
        at = f"{self.x(value):.1f}"
        line = f'<path class="grid" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>'
        return line + _text(self.x(value), HEIGHT - BOTTOM + 18, f"{value:,.10g}", anchor="middle")

    def horizontal(self, value: float) -> str:
        line = f'<path class="{"grid" if value else "axis"}" d="M{LEFT} {self.y(value):.1f}H{WIDTH - RIGHT}"/>'
        return line + _text(LEFT - 8, self.y(value) + 4, f"{value:,.10g}", anchor="end")

    def line(self, series: Series, colour: str, number: int) -> list[str]:
        """The line, its points, and its name in the legend."""
        places = [(f"{self.x(x):.1f}", f"{self.y(y):.1f}") for x, y in series.points]
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        legend = TOP + 16 + 18 * number
        return [
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places),
            f'<path d="M{LEFT + 12} {legend - 4}h18" stroke="{colour}" stroke-width="3"/>',
            _text(LEFT + 36, legend, series.name),
        ]


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def as_table(drawings: Sequence[Drawing]) -> str:
    """Markdown: every row of every drawing."""
    rows = [row for drawing in drawings for row in drawing.rows]
    lines = ["| what | measured | wanted |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.figure} | {row.wanted} |" for row in rows)])

"""What was measured, as it is drawn and told: series of points, the slope through them, rows of a table. Pure."""

from collections.abc import Iterable
from statistics import linear_regression
from typing import NamedTuple


class Series(NamedTuple):
    """A line of a plot: (x, y), x growing."""

    name: str
    points: tuple[tuple[float, float], ...]


class Row(NamedTuple):
    """A line of the table: what, the figure in words, and what was wanted ("" where nothing was)."""

    what: str
    figure: str
    wanted: str = ""


class Drawing(NamedTuple):
    """One plot. `name`: of its file; `x`, `y`: what stands at the axes. `rows`: what it says in figures."""

    name: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    rows: tuple[Row, ...]


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Growth of y with x, by least squares. Raises statistics.StatisticsError (a ValueError) for fewer than two."""
    xs, ys = zip(*points, strict=True)
    return linear_regression(xs, ys).slope

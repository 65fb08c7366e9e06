from xml.etree import ElementTree

import pytest

from bench.scale.lines import as_table, render_svg, round_step, ticks
from bench.scale.series import Drawing, Row, Series

DRAWING = Drawing(
    "idle",
    "Idle <connections>",
    "connections",
    "MiB",
    (Series("http", ((0, 0.0), (500, 1.0), (1000, 2.0))), Series("TLS & more", ((0, 0.0), (1000, 40.0)))),
    (Row("each", "2.0 KiB", "≤ 16 KiB"),),
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("span", "step"), [(10, 2), (1_000_000, 200_000), (46, 10), (0.4, 0.1), (23, 5)])
def test_steps_are_round_numbers(span: float, step: float) -> None:
    assert round_step(span) == pytest.approx(step)


def test_an_axis_begins_at_nothing_and_ends_beyond_the_highest() -> None:
    assert ticks(43) == [0, 10, 20, 30, 40, 50]
    assert ticks(0)[0] == 0


def test_a_plot_is_well_formed_and_says_what_it_shows() -> None:
    picture = ElementTree.fromstring(render_svg(DRAWING))
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Idle <connections>", "connections", "MiB", "http", "TLS & more", "1,000", "40"} <= set(words)
    assert len(list(picture.iter(f"{SVG}circle"))) == 5


def test_a_plot_is_readable_on_dark_ground_too() -> None:
    assert "prefers-color-scheme:dark" in render_svg(DRAWING)


def test_twice_as_much_is_drawn_twice_as_high() -> None:
    picture = ElementTree.fromstring(render_svg(DRAWING))
    heights = [float(dot.attrib["cy"]) for dot in picture.iter(f"{SVG}circle")][:3]
    assert heights[0] - heights[2] == pytest.approx(2 * (heights[0] - heights[1]), abs=0.2)


def test_the_table_has_every_row() -> None:
    assert as_table([DRAWING]).splitlines()[-1] == "| each | 2.0 KiB | ≤ 16 KiB |"

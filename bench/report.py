"""The result for people and for programs. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bench.measure import Sample
from bench.ratios import QUANTITIES, Comparison, Ratio
from bench.scenario import KIB, MIB, Scenario
from bench.targets import Outcome

WIDTHS: Final = (13, 20, 20, 20, 20, 12, 20, 20, 10)
_EXTRA: Final = {"beside_both": "CPU of both", "beside_relay": "CPU of relay"}  # of a Comparison
_HEADINGS: Final = dict(zip(QUANTITIES, ("CPU per request", "throughput", "p50", "p99"), strict=True))


def render_table(scenario: Scenario, comparisons: Iterable[Comparison], yardstick: str) -> str:
    """One scenario of these comparisons: a line per contender. The yardstick's says what 1.00 was, or else the title.

    An upload has a column more, beside relaying and hashing together; so has what a blocking relay took part in. What
    has a body of 64 KiB or more says how much of it passed, as it is.
    """
    shown = [comparison for comparison in comparisons if comparison.scenario == scenario.name]
    headings = ["CPU at best", *_HEADINGS.values(), "cores busy"]
    extra = [name for name in _EXTRA if any(getattr(comparison, name) for comparison in shown)]
    headings += [_EXTRA[name] for name in extra]
    paced = scenario.upload is not None or scenario.size >= 64 * KIB
    headings += ["MiB/s"] if paced else []
    title = scenario.title
    if scenario.beside is not None:
        title += f"; 1.00 is {scenario.beside} of the same contender in the same round"
    lines = [title, _line("", headings)]
    for comparison in shown:
        cells = [_cell(comparison, quantity, yardstick) for quantity in QUANTITIES]
        cells = [_figure(comparison.at_best), *cells, _figure(comparison.busy)]
        cells += ["–" if (ratio := getattr(comparison, name)) is None else ratio_text(ratio) for name in extra]
        if paced:
            cells.append(f"{comparison.figures['requests_per_second'] * scenario.size / MIB:,.0f}")
        lines.append(_line(comparison.contender, cells))
    return "\n".join(lines)


def render_targets(outcomes: Iterable[Outcome]) -> str:
    """A line per target; empty without one."""
    lines = []
    for outcome in outcomes:
        bound, met = outcome.target.bound, "met" if outcome.met else "not met"
        lines.append(f"  {outcome.target.name:<52}{bound:<10.2f}{ratio_text(outcome.ratio):<20}{met}")
    heading = f"Targets, CPU per request where nothing else is named\n  {'':<52}{'at most':<10}measured"
    return "\n".join([heading, *lines]) if lines else ""


def render_machine(machine: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<12}{value}" for name, value in machine.items())


def render_json(
    machine: Mapping[str, str],
    settings: Mapping[str, Any],
    scenarios: Sequence[Scenario],
    samples: Sequence[Sample],
    comparisons: Sequence[Comparison],
    outcomes: Sequence[Outcome] = (),
) -> str:
    """Everything that was measured, from which the table can be made again."""
    document = {
        "machine": dict(machine),
        "settings": dict(settings),
        "scenarios": [scenario._asdict() for scenario in scenarios],
        "comparisons": [_plain(comparison) for comparison in comparisons],
        "targets": [
            {**outcome.target._asdict(), "ratio": outcome.ratio._asdict(), "met": outcome.met} for outcome in outcomes
        ],
        "samples": [sample._asdict() for sample in samples],
    }
    return json.dumps(document, indent=2) + "\n"


def ratio_text(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def figure_text(quantity: str, value: float) -> str:
    match quantity:
        case "requests_per_second":
            return f"{value:,.0f}/s" if value >= 100 else f"{value:.1f}/s"
        case _ if value >= 1000:
            return f"{value / 1000:.2f} ms"
        case _:
            return f"{value:.1f} µs"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _cell(comparison: Comparison, quantity: str, yardstick: str) -> str:
    if quantity not in comparison.ratios:
        return "–"
    if comparison.contender == yardstick:
        return f"1.00 = {figure_text(quantity, comparison.figures[quantity])}"
    return ratio_text(comparison.ratios[quantity])


def _line(name: str, cells: Sequence[str]) -> str:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=False))
    return f"  {name:<10}{''.join(padded)}".rstrip()


def _plain(comparison: Comparison) -> dict[str, Any]:
    ratios = {quantity: ratio._asdict() for quantity, ratio in comparison.ratios.items()}
    extra = {name: None if (ratio := getattr(comparison, name)) is None else ratio._asdict() for name in _EXTRA}
    return {**comparison._asdict(), "ratios": ratios, **extra}

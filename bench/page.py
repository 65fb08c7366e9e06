"""docs/reference/benchmarks.md: a run as a page, ratios only, with the machine it is true of. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from bench.contender import YARDSTICK
from bench.hashing import NAME as HASHING
from bench.ratios import Comparison, Ratio
from bench.report import ratio_text
from bench.run import Run
from bench.scenario import Scenario
from bench.targets import Outcome

PLOT: Final = "docs/images/benchmarks.svg"
PAGE: Final = "docs/reference/benchmarks.md"

_HEAD: Final = """\
# Benchmarks

Written by `make bench BENCH="--full --docs"`. What is measured, how, and what it means:
[What it costs](../explanation/performance.md). Every figure is a ratio within one run to nginx `proxy_pass`, which
authenticates nobody: the median of {rounds} interleaved rounds of {seconds} s (lowest–highest). CPU is user + system of
all processes of a contender.

![CPU per request beside nginx](../images/benchmarks.svg)
"""
_TARGETS: Final = """\
## Targets

CPU per request where nothing else is named. The sum of what stands behind the stroke is 1.00.

| target | at most | measured | |
|---|---|---|---|
"""
_SCENARIOS: Final = """\
## Scenarios

Relay: blocking sockets, a thread per connection, 1 MiB buffers; of an upload with its SHA-256, the relay and one pass
of SHA-256 together.

| scenario | contender | CPU per request / nginx | CPU / relay | throughput | p50 | p99 |
|---|---|---|---|---|---|---|
"""
_REFUSALS: Final = """\
## Refusals

Beside the same GET served by the same contender.

| scenario | contender | CPU per request | throughput | p50 | p99 |
|---|---|---|---|---|---|
"""
_MACHINE: Final = """\
## Machine

| | |
|---|---|
"""


def render_page(run: Run) -> str:
    """The whole page."""
    titles = {scenario.name: scenario for scenario in run.scenarios}
    shown = [comparison for comparison in run.comparisons if comparison.contender not in (YARDSTICK, HASHING)]
    served = [comparison for comparison in shown if titles[comparison.scenario].beside is None]
    refused = [comparison for comparison in shown if titles[comparison.scenario].beside is not None]
    parts = [_HEAD.format(rounds=run.settings["rounds"], seconds=run.settings["seconds"])]
    if run.outcomes:
        parts.append(_TARGETS + _rows(map(_outcome, run.outcomes)))
    parts.append(_SCENARIOS + _rows(_served(titles[one.scenario], one) for one in served))
    if refused:
        parts.append(_REFUSALS + _rows(_refused(titles[one.scenario], one) for one in refused))
    parts.append(_MACHINE + _rows([name, value] for name, value in run.machine.items()))
    return "\n".join(parts)


def _outcome(outcome: Outcome) -> list[str]:
    target = outcome.target
    return [target.name, f"{target.bound:.2f}", ratio_text(outcome.ratio), "met" if outcome.met else "**not met**"]


def _served(scenario: Scenario, comparison: Comparison) -> list[str]:
    cpu, *others = _ratios(comparison)
    return [scenario.title, comparison.contender, cpu, _text(comparison.beside_relay), *others]


def _refused(scenario: Scenario, comparison: Comparison) -> list[str]:
    return [scenario.title, comparison.contender, *_ratios(comparison)]


def _ratios(comparison: Comparison) -> list[str]:
    quantities = ("cpu_per_request_us", "requests_per_second", "p50_us", "p99_us")
    return [_text(comparison.ratios.get(quantity)) for quantity in quantities]


def _text(ratio: Ratio | None) -> str:
    return "–" if ratio is None else ratio_text(ratio)


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)

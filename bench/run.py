"""A whole run: what was measured, where and how, and what follows from it. As JSON, and read from it again. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.contender import YARDSTICK
from bench.errors import BenchError
from bench.measure import Sample
from bench.ratios import Comparison, compare
from bench.report import render_json
from bench.scenario import SCENARIOS, Scenario
from bench.targets import Outcome, judge


class Run(NamedTuple):
    """`machine`: name → value, in the order to show them; `settings`: how it was run."""

    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    samples: Sequence[Sample]

    @property
    def scenarios(self) -> list[Scenario]:
        """Those measured, in table order."""
        measured = {sample.scenario for sample in self.samples}
        return [scenario for scenario in SCENARIOS if scenario.name in measured]

    @property
    def comparisons(self) -> list[Comparison]:
        return compare(self.samples, YARDSTICK)

    @property
    def outcomes(self) -> list[Outcome]:
        return judge(self.samples)

    def json(self) -> str:
        """Everything that was measured, from which all else can be made again."""
        return render_json(self.machine, self.settings, self.scenarios, self.samples, self.comparisons, self.outcomes)


def read_run(text: str) -> Run:
    """What `Run.json` wrote. Raises BenchError if it is not that."""
    try:
        document = json.loads(text)
        samples = [Sample(**sample) for sample in document["samples"]]
        return Run(document["machine"], document["settings"], samples)
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"this is not a run that --json wrote: {error!r}") from error

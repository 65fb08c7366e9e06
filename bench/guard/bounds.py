"""Whether what was counted is still what is known (`bounds.json`). Pure but for that file.

`ratios`: instructions of one request / those of one piece of reference work. `writes`: system calls that send, which no
ratio of ours would show. What is cheaper than it was is no failure, but ought to be written down: `--write`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).with_name("bounds.json")
# Times what is known: other builds of Python differ by up to 1.10 from each other, runs by 0.02.
ALLOWED: Final = 1.15
CHEAPER: Final = 0.95


class Counted(NamedTuple):
    """By the name of the act."""

    ratios: Mapping[str, float]
    writes: Mapping[str, float]


def read_bounds(text: str) -> Counted:
    fields = json.loads(text)
    return Counted(fields["ratios"], fields["writes"])


def render_bounds(counted: Counted) -> str:
    rounded = {name: round(ratio, 3) for name, ratio in counted.ratios.items()}
    return json.dumps({"ratios": rounded, "writes": dict(counted.writes)}, indent=2) + "\n"


def regressions(counted: Counted, known: Counted) -> list[str]:
    """In words; empty when nothing became dearer. What is not known is one: it must be written down."""
    found = []
    for name, ratio in counted.ratios.items():
        bound = known.ratios.get(name)
        if bound is None:
            found.append(f"{name} stands in no bounds: run `make guard GUARD=--write`")
        elif ratio > bound * ALLOWED:
            found.append(f"{name} takes {ratio / bound:.2f} times the instructions that are known of it")
    for name, writes in counted.writes.items():
        if writes > known.writes.get(name, 0.0):
            found.append(f"{name} takes {writes:g} writes to sockets, not {known.writes.get(name, 0.0):g}")
    return found


def cheaper(counted: Counted, known: Counted) -> list[str]:
    return [
        name for name, ratio in counted.ratios.items() if name in known.ratios and ratio < known.ratios[name] * CHEAPER
    ]


def table(counted: Counted, known: Counted) -> str:
    lines = [f"{'':20}{'ratio':>10}{'known':>10}{'writes':>10}"]
    for name, ratio in counted.ratios.items():
        lines.append(f"{name:20}{ratio:10.3f}{known.ratios.get(name, 0.0):10.3f}{counted.writes[name]:10g}")
    return "\n".join(lines)

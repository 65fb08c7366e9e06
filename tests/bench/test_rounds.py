from pathlib import Path
from typing import Any

import pytest

from bench import rounds
from bench.contender import Contender, Credential
from bench.measure import Sample
from bench.placement import Placement
from bench.rounds import Course, run_together, turns
from bench.scenario import Refusal, Scenario, select

NGINX, GATEWAY = Contender("nginx", 1, 1, ""), Contender("gateway", 2, 2, "", verifies=True)
CREDENTIALS = dict.fromkeys((None, *Refusal), Credential("NQAK0000000000000000", "s"))


def test_contenders_take_turns_and_every_second_round_goes_backwards() -> None:
    assert list(turns([NGINX, GATEWAY], 3)) == [
        (0, NGINX),
        (0, GATEWAY),
        (1, GATEWAY),
        (1, NGINX),
        (2, NGINX),
        (2, GATEWAY),
    ]


def test_a_refusal_is_measured_next_to_what_it_stands_beside_and_only_of_who_verifies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[tuple[int, str, str]] = []
    checked: set[tuple[str, str]] = set()

    def run(scenario: Scenario, contender: Contender, course: Course, seconds: int, number: int) -> Sample:
        assert (scenario.name, contender.name) in checked
        if seconds == course.seconds:
            done.append((number, contender.name, scenario.name))
        return Sample(scenario.name, contender.name, number, 1, 1.0, 1.0, None, None)

    def check(scenario: Scenario, contender: Contender, _: Any) -> None:
        checked.add((scenario.name, contender.name))

    monkeypatch.setattr(rounds, "_run", run)
    monkeypatch.setattr(rounds, "_check", check)
    course = Course([NGINX, GATEWAY], CREDENTIALS, tmp_path, tmp_path, 2, 5, Placement())
    samples = run_together(select(["refused-scope"]), course, lambda _: None)
    first = [(0, "nginx", "get-1k"), (0, "gateway", "get-1k"), (0, "gateway", "refused-scope")]
    assert done == first + [(1, *rest) for _, *rest in reversed(first)]
    assert [(sample.contender, sample.scenario, sample.round) for sample in samples] == [
        (contender, scenario, number) for _, contender, scenario in first for number in (0, 1)
    ]

from pathlib import Path
from typing import Any

import pytest

from bench import rounds
from bench.contender import Contender, Credential
from bench.measure import Sample
from bench.placement import Placement
from bench.rounds import Course, half_load, run_together, turns
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


def reached(contender: str, requests: int, number: int, scenario: str = "get-1k") -> Sample:
    return Sample(scenario, contender, number, requests, 2.0, 1.0, None, None)


def test_half_load_is_half_of_the_slowest_contenders_median() -> None:
    [full, half] = select(["get-1k-half"])
    samples = [reached("nginx", requests, number) for number, requests in enumerate([400, 90_000, 60_000])]
    samples += [reached("gateway", requests, number) for number, requests in enumerate([20_000, 24_000, 300])]
    samples += [reached("gateway", 2, 0, "get-1m"), reached("relay", 8, 0)]
    assert half_load(half, [NGINX, GATEWAY], samples) == 5_000
    assert half_load(half, [NGINX], samples) == 15_000
    assert half_load(full, [NGINX, GATEWAY], samples) is None


def test_every_contender_is_asked_at_the_same_pace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripts: list[str] = []

    def run(contender: Contender, scenario: Scenario, script: Path, *, number: int, **_: Any) -> Sample:
        scripts.append(script.read_text())
        return reached(contender.name, 1, number)

    monkeypatch.setattr(rounds, "_check", lambda *_: None)
    monkeypatch.setattr(rounds, "measure", run)
    [_, half] = select(["get-1k-half"])
    course = Course([NGINX, GATEWAY], CREDENTIALS, tmp_path, tmp_path, 1, 5, Placement(generator=(0, 1)), pace=4_000)
    run_together([half], course, lambda _: None)
    assert len(scripts) == 4
    assert all("if 0.500000 then" in script for script in scripts)


def test_a_peer_is_asked_with_its_own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripts: list[str] = []

    def run(contender: Contender, scenario: Scenario, script: Path, *, number: int, **_: Any) -> Sample:
        scripts.append(script.read_text())
        return reached(contender.name, 1, number)

    monkeypatch.setattr(rounds, "_check", lambda *_: None)
    monkeypatch.setattr(rounds, "measure", run)
    peer = NGINX._replace(name="peer", credentials={None: Credential("PEERS-OWN", "s")})
    course = Course([NGINX, peer], CREDENTIALS, tmp_path, tmp_path, 1, 5, Placement())
    run_together(select(["get-1k"]), course, lambda _: None)
    assert ["PEERS-OWN" in script for script in scripts] == [False, True, False, True]

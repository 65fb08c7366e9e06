"""The order of a bench: scenario by scenario, round by round, contender by contender."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.contender import Contender, Credential
from bench.measure import Sample, measure
from bench.objects import content, object_keys
from bench.preflight import check_answers
from bench.scenario import Scenario
from bench.signed import get_requests
from bench.wrk import render_script

WARM_UP_SECONDS: Final = 1


class Course(NamedTuple):
    """`folder` takes the load generator's scripts; they hold signatures, so it must be nobody else's."""

    contenders: Sequence[Contender]
    credential: Credential
    folder: Path
    rounds: int
    seconds: int
    generator: tuple[int, ...]


def turns(contenders: Sequence[Contender], rounds: int) -> Iterator[tuple[int, Contender]]:
    """Every second round goes backwards, so that no contender always follows the same one."""
    for number in range(rounds):
        order = contenders if number % 2 == 0 else reversed(contenders)
        yield from ((number, contender) for contender in order)


def run_scenario(scenario: Scenario, course: Course, progress: Callable[[str], None]) -> list[Sample]:
    """Check, warm up, then measure. Raises BenchError as soon as one answer is not what it should be."""
    for contender in course.contenders:
        progress(f"{scenario.title}: checking every answer of {contender.name}")
        check_answers(contender, _signed(scenario, contender, course), content(scenario.size))
        _run(0, scenario, contender, course, WARM_UP_SECONDS)
    samples = []
    for number, contender in turns(course.contenders, course.rounds):
        progress(f"{scenario.title}: round {number + 1} of {course.rounds}, {contender.name}")
        samples.append(_run(number, scenario, contender, course, course.seconds))
    return sorted(samples, key=lambda sample: (_position(course, sample), sample.round))


def _run(number: int, scenario: Scenario, contender: Contender, course: Course, seconds: int) -> Sample:
    script = course.folder / f"{contender.name}.lua"
    script.write_text(render_script(_signed(scenario, contender, course)))
    return measure(contender, scenario, script, number=number, seconds=seconds, cpus=course.generator)


def _signed(scenario: Scenario, contender: Contender, course: Course) -> list[bytes]:
    return get_requests(contender.origin, course.credential, object_keys(scenario.size))


def _position(course: Course, sample: Sample) -> int:
    return [contender.name for contender in course.contenders].index(sample.contender)

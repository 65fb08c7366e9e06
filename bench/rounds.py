"""The order of a bench: scenario by scenario, round by round, contender by contender."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from bench.contender import Contender, Credential
from bench.hashing import NAME as HASHING
from bench.hashing import measure_hashing
from bench.measure import Sample, measure
from bench.objects import KEPT, content, object_keys, upload_keys
from bench.placement import Placement
from bench.preflight import check_answers, check_upload
from bench.scenario import Scenario
from bench.signed import Requests, get_requests, put_requests
from bench.wrk import render_script

WARM_UP_SECONDS: Final = 1
Party = TypeVar("Party")


class Course(NamedTuple):
    """`folder` takes the load generator's scripts; they hold signatures, so it must be nobody else's.

    `kept`: where the upstream puts the uploads that are to be looked at.
    """

    contenders: Sequence[Contender]
    credential: Credential
    folder: Path
    kept: Path
    rounds: int
    seconds: int
    placement: Placement


def turns(parties: Sequence[Party], rounds: int) -> Iterator[tuple[int, Party]]:
    """Every second round goes backwards, so that no party always follows the same one."""
    for number in range(rounds):
        order = parties if number % 2 == 0 else reversed(parties)
        yield from ((number, party) for party in order)


def run_scenario(scenario: Scenario, course: Course, progress: Callable[[str], None]) -> list[Sample]:
    """Check, warm up, then measure. Raises BenchError as soon as one answer is not what it should be."""
    for contender in course.contenders:
        progress(f"{scenario.title}: checking every answer of {contender.name}")
        _check(scenario, contender, course)
        _run(scenario, contender, course, WARM_UP_SECONDS, 0)
    parties = _parties(scenario, course)
    samples = []
    for number, name in turns(list(parties), course.rounds):
        progress(f"{scenario.title}: round {number + 1} of {course.rounds}, {name}")
        samples.append(parties[name](number))
    order = list(parties)
    return sorted(samples, key=lambda sample: (order.index(sample.contender), sample.round))


def _parties(scenario: Scenario, course: Course) -> dict[str, Callable[[int], Sample]]:
    """Who takes part: the contenders and, of an upload, the hash alone. → one run of the round with this number."""
    parties: dict[str, Callable[[int], Sample]] = {
        contender.name: partial(_run, scenario, contender, course, course.seconds) for contender in course.contenders
    }
    if scenario.upload is not None:
        parties[HASHING] = lambda number: measure_hashing(scenario, number=number, cpus=course.placement.contender)
    return parties


def _check(scenario: Scenario, contender: Contender, course: Course) -> None:
    requests = _signed(scenario, contender, course)
    if scenario.upload is None:
        check_answers(contender, requests, content(scenario.size))
        return
    check_answers(contender, requests, b"")
    kept = _signed(scenario, contender, course, [f"{KEPT}/{scenario.name}"])
    check_upload(contender, kept, content(scenario.size), scenario.upload, course.kept)


def _run(scenario: Scenario, contender: Contender, course: Course, seconds: int, number: int) -> Sample:
    requests = _signed(scenario, contender, course)
    body_file = None
    if requests.body:
        body_file = course.folder / "body"
        body_file.write_bytes(requests.body)
    script = course.folder / f"{contender.name}.lua"
    script.write_text(render_script(requests.heads, body_file))
    seconds *= scenario.stretch
    return measure(contender, scenario, script, number=number, seconds=seconds, cpus=course.placement.generator)


def _signed(scenario: Scenario, contender: Contender, course: Course, names: Sequence[str] = ()) -> Requests:
    origin, credential = contender.origin, course.credential
    if scenario.upload is None:
        return get_requests(origin, credential, object_keys(scenario.size))
    names = names or upload_keys(scenario.size)
    return put_requests(origin, credential, names, content(scenario.size), scenario.upload)

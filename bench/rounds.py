"""The order of a bench: scenario by scenario, round by round, contender by contender.

Scenarios that stand beside another are measured in its rounds.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, TypeVar

from bench.contender import Contender, Credentials
from bench.hashing import NAME as HASHING
from bench.hashing import measure_hashing
from bench.measure import Sample, measure
from bench.objects import KEPT, content, listed_keys, object_keys, upload_keys
from bench.placement import Placement
from bench.preflight import check_answers, check_cipher, check_listed, check_refused, check_upload
from bench.scenario import Read, Refusal, Scenario
from bench.signed import Requests, falsely_signed, get_requests, put_requests
from bench.wrk import render_script, threads

WARM_UP_SECONDS: Final = 1
T = TypeVar("T")


class Course(NamedTuple):
    """`folder` takes the load generator's scripts; they hold signatures, so it must be nobody else's.

    `kept`: where the upstream puts the uploads that are to be looked at. `pace`: requests per second of a scenario that
    has one.
    """

    contenders: Sequence[Contender]
    credentials: Credentials
    folder: Path
    kept: Path
    rounds: int
    seconds: int
    placement: Placement
    pace: float | None = None


class Party(NamedTuple):
    """Who takes part in which scenario, and one run of the round with a number."""

    scenario: Scenario
    name: str
    run: Callable[[int], Sample]


def turns(parties: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Every second round goes backwards, so that no party always follows the same one."""
    for number in range(rounds):
        order = parties if number % 2 == 0 else reversed(parties)
        yield from ((number, party) for party in order)


def half_load(scenario: Scenario, contenders: Sequence[Contender], samples: Sequence[Sample]) -> float | None:
    """Requests per second: half of what the slowest who takes part here reached where none were given."""
    if scenario.half_of is None:
        return None
    reached = [
        median(one.requests_per_second for one in samples if (one.scenario, one.contender) == (scenario.half_of, name))
        for name in {contender.name for contender in contenders if contender.takes_part(scenario)}
    ]
    return min(reached) / 2


def run_together(scenarios: Sequence[Scenario], course: Course, progress: Callable[[str], None]) -> list[Sample]:
    """Check, warm up, then measure in the same rounds. → samples in the order of the contenders, then of the rounds.

    Raises BenchError as soon as one answer is not what it should be.
    """
    for contender, scenario in _pairs(scenarios, course.contenders):
        progress(f"{scenario.title}: checking every answer of {contender.name}")
        _check(scenario, contender, course)
        _run(scenario, contender, course, WARM_UP_SECONDS, 0)
    parties = _parties(scenarios, course)
    measured: dict[Party, list[Sample]] = {party: [] for party in parties}
    for number, party in turns(parties, course.rounds):
        progress(f"{party.scenario.title}: round {number + 1} of {course.rounds}, {party.name}")
        measured[party].append(party.run(number))
    return [sample for samples in measured.values() for sample in samples]


def _pairs(scenarios: Sequence[Scenario], contenders: Sequence[Contender]) -> list[tuple[Contender, Scenario]]:
    """Contender by contender, so that what stands beside each other is measured one after the other."""
    return [
        (contender, scenario) for contender in contenders for scenario in scenarios if contender.takes_part(scenario)
    ]


def _parties(scenarios: Sequence[Scenario], course: Course) -> list[Party]:
    """The contenders and, of an upload, the hash alone."""
    parties = [
        Party(scenario, contender.name, partial(_run, scenario, contender, course, course.seconds))
        for contender, scenario in _pairs(scenarios, course.contenders)
    ]
    hashed = (scenario for scenario in scenarios if scenario.upload is not None)
    return parties + [Party(scenario, HASHING, partial(_hash, scenario, course)) for scenario in hashed]


def _hash(scenario: Scenario, course: Course, number: int) -> Sample:
    return measure_hashing(scenario, number=number, cpus=course.placement.contender)


def _check(scenario: Scenario, contender: Contender, course: Course) -> None:
    check_cipher(contender)
    requests = _signed(scenario, contender, course)
    if scenario.read in (Read.LIST, Read.LIST_OWNERS):
        check_listed(contender, requests, listed_keys())
        return
    if scenario.refusal is not None:
        check_refused(contender, requests, scenario.refusal)
        return
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
    script = course.folder / "wrk.lua"
    each = 1000 * threads(scenario.connections, course.placement.generator)
    gap = None if course.pace is None else each / course.pace
    script.write_text(render_script(requests.heads, scenario.expected, scenario.reply_size, body_file, gap))
    seconds *= scenario.stretch
    return measure(contender, scenario, script, number=number, seconds=seconds, cpus=course.placement.generator)


def _signed(scenario: Scenario, contender: Contender, course: Course, names: Sequence[str] = ()) -> Requests:
    origin, credential = contender.origin, (contender.credentials or course.credentials)[scenario.refusal]
    if scenario.upload is None:
        requests = get_requests(origin, credential, object_keys(scenario.size), scenario.read)
        return falsely_signed(requests) if scenario.refusal is Refusal.SIGNATURE else requests
    names = names or upload_keys(scenario.size)
    return put_requests(origin, credential, names, content(scenario.size), scenario.upload)

"""What grows, stays open or waits is seen; what does not is let pass."""

from collections.abc import Sequence

import pytest

from bench.soak.verdict import GROWTH, MIB, PER_ACT, Row, as_table, eldest, judged
from bench.soak.watch import CONTROL, SUPERVISOR, WORKER, Held, Sample


def held(role: str, pid: int, **changed: int) -> Held:
    return Held(
        pid, role, rss=60 * MIB, pss=40 * MIB, descriptors=25, threads=2, spool=0, store_connections=0
    )._replace(**changed)


def sample(at: float, *, keystore: int = MIB, **changed: int) -> Sample:
    """Of a run in which the worker is as `changed` says."""
    others = held(SUPERVISOR, 1), held(CONTROL, 2)
    return Sample(at, (*others, held(WORKER, 3, **changed), held(WORKER, 100 + round(at))), keystore, 0)


def run(changed: Sequence[dict[str, int]]) -> list[Sample]:
    return [sample(float(number), **one) for number, one in enumerate(changed)]


def missed(samples: Sequence[Sample], rest: Sample, acts: int = 0) -> list[str]:
    return [row.name for row in judged(samples, rest, acts) if not row.held]


CALM = run([{}] * 12)


def test_a_calm_run_holds() -> None:
    assert missed(CALM, sample(99.0)) == []


def test_a_worker_that_grows_after_it_is_warm_does_not_hold_and_one_that_grows_before_does() -> None:
    leaking = run([{"rss": 60 * MIB + number * GROWTH // 3} for number in range(12)])
    warming = run([{"rss": (20 if number < 4 else 90) * MIB} for number in range(12)])
    assert missed(leaking, sample(99.0)) == ["worker: RSS"]
    assert missed(warming, sample(99.0)) == []


@pytest.mark.parametrize(
    ("left", "name"),
    [
        ({"descriptors": 40}, "worker: descriptors before, at most, at rest"),
        ({"threads": 9}, "worker: threads before, warm, at rest"),
        ({"spool": 1}, "spool files at rest"),
        ({"store_connections": 9}, "connections to the store at rest"),
    ],
)
def test_what_is_left_when_the_load_is_over_does_not_hold(left: dict[str, int], name: str) -> None:
    assert missed(CALM, sample(99.0, **left)) == [name]
    assert missed(CALM[:1] + run([left] * 12)[1:], sample(99.0)) == []  # it may be so under load


def test_a_keystore_may_grow_with_what_is_done_to_it() -> None:
    grown = sample(99.0, keystore=12 * MIB)
    assert missed(CALM, grown, acts=0) == ["keystore, 0 acts"]
    assert missed(CALM, grown, acts=4 * MIB // PER_ACT) == []


def test_only_who_lived_all_the_time_is_judged() -> None:
    assert {one.pid for one in eldest(CALM, WORKER)} == {3}
    died = [one._replace(held=tuple(process for process in one.held if process.pid != 3)) for one in CALM]
    assert "worker: lived all the time" in missed(died, sample(99.0))


def test_the_table_says_what_did_not_hold() -> None:
    table = as_table([Row("a", "1", "2", held=True), Row("b", "3", "2", held=False)])
    assert "| a | 1 | 2 | held |" in table
    assert "| b | 3 | 2 | **did not hold** |" in table

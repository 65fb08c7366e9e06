"""Requests around a revoke, round after round: none that left when it was durable may be accepted. And the same with
bugs put in on purpose, of which every one must be seen."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway
from tests.support.hammer import Hammer, Round, just_after, just_before, violations
from tests.support.house import recorded_store
from tests.support.recording_upstream import RecordingUpstream
from tests.support.seeded import BUGS
from tests.support.soak import TIMES

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("hammer")]

ROUNDS = 100 * TIMES
WITH_A_BUG = 40  # at most: one violation is enough


@contextmanager
def hammered(folder: Path, bug: str | None = None) -> Iterator[tuple[Hammer, RecordingUpstream]]:
    with RecordingUpstream() as upstream:
        workers = 2 if bug is None else 1  # a bug shows where the requests are
        gateway = Gateway(folder, recorded_store(upstream), {"workers": {"count": workers}})
        if bug is not None:
            gateway.server = (sys.executable, "-m", "tests.support.seeded", bug)
        with gateway, Hammer(gateway) as hammer:
            yield hammer, upstream


def test_no_request_that_leaves_after_a_revoke_is_durable_is_accepted(tmp_path: Path) -> None:
    with hammered(tmp_path) as (hammer, upstream):
        rounds = [hammer.round() for _ in range(ROUNDS)]
        assert violations(rounds, upstream) == []
    assert just_after(rounds) >= ROUNDS // 2, "a vacuous run: hardly anything left just after a return"
    assert just_before(rounds) >= 1, "a vacuous run: nothing was accepted before a return"
    assert all(one.confirmed == 1 for one in rounds)
    assert all(sent.status == 403 for one in rounds for sent in one.sent if sent.left > one.returned)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_was_put_in_is_seen(tmp_path: Path, bug: str) -> None:
    rounds: list[Round] = []
    with hammered(tmp_path, bug) as (hammer, upstream):
        for _ in range(WITH_A_BUG):
            rounds.append(hammer.round())
            if violations(rounds, upstream):
                return
    pytest.fail(f"{just_after(rounds)} requests left just after a return, and none was accepted in spite of {bug}")

"""What may fail, when, and what is a fault."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bench.soak.run import DISTURBED, Run


def answered(code: str) -> Any:
    def act() -> None:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    return act


def broken() -> None:
    raise ConnectionResetError


@pytest.fixture
def run() -> Run:
    nobody: Any = None
    made = Run(nobody, nobody)
    made.over.set()  # so that nothing waits
    return made


def test_an_error_is_a_fault_and_so_is_a_broken_connection(run: Run) -> None:
    assert run.ask("GET", answered("AccessDenied")) is None
    assert run.ask("GET", broken) is None
    assert run.ledger.fault_count == 2


def test_both_pass_beside_a_kill_and_not_long_after_it(run: Run) -> None:
    for ago, faults in ((1.0, 0), (DISTURBED + 1, 2)):
        run.killed_at = time.monotonic() - ago
        run.ask("GET", answered("ServiceUnavailable"))
        run.ask("GET", broken)
        assert run.ledger.fault_count == faults


def test_a_refusal_that_must_be_is_no_fault_and_its_absence_is_one(run: Run) -> None:
    run.ask("GET", answered("NoSuchKey"), refused="NoSuchKey")
    assert (run.ledger.fault_count, run.ledger.answers) == (0, {"GET: NoSuchKey": 1})
    run.ask("GET", lambda: 1, refused="NoSuchKey")
    assert run.ledger.fault_count == 1


def test_what_is_answered_is_given_back(run: Run) -> None:
    assert run.ask("GET", lambda: 7) == 7
    assert run.ledger.answers == {"GET": 1}

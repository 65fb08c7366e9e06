"""What is said of a key that was revoked while it was used."""

from typing import Any

from bench.soak.hostile import judge_use
from bench.soak.ledger import Ledger


class Run:
    def __init__(self) -> None:
        self.ledger = Ledger()


def faults(answers: list[tuple[float, int]]) -> list[str]:
    run: Any = Run()
    judge_use(run, answers, confirmed=10.0)
    return list(run.ledger.faults)


def test_served_before_the_confirmation_and_refused_after_it_is_right() -> None:
    assert faults([(1.0, 200), (9.9, 200), (9.95, 403), (10.1, 403)]) == []


def test_served_after_the_confirmation_is_a_fault() -> None:
    assert faults([(1.0, 200), (10.1, 200)]) == ["a revoked key was answered 200 after the confirmation"]


def test_any_other_answer_is_a_fault() -> None:
    assert faults([(1.0, 500), (10.1, 403)]) == ["a key that was being revoked was answered 500"]

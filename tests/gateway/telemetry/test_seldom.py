"""One line for many."""

import logging

import pytest

from gateway.telemetry.seldom import MAX_CAUSES, Seldom


@pytest.fixture
def seldom() -> Seldom:
    return Seldom(logging.getLogger("nqgate.test"), "requests fail")


def test_a_cause_is_said_at_once_then_once_a_minute_with_how_often(
    seldom: Seldom, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(150):
        seldom.say("the spool: No space left on device", float(second))
    seldom.say("keystore: gone", 150.0)
    assert caplog.messages == [
        "requests fail: the spool: No space left on device",
        "requests fail: the spool: No space left on device (and 59 times since this was last said)",
        "requests fail: the spool: No space left on device (and 59 times since this was last said)",
        "requests fail: keystore: gone",
    ]


def test_what_it_remembers_is_bounded(seldom: Seldom) -> None:
    for number in range(10 * MAX_CAUSES):
        seldom.say(f"cause {number}", 0.0)
    assert len(seldom._causes) <= MAX_CAUSES

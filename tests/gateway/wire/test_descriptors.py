"""Running out of descriptors is said once a minute, and so is the end of it."""

import errno
import os
from typing import Any

import pytest

from gateway.wire import descriptors
from gateway.wire.descriptors import Descriptors


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """`{"errno": …}` to fail with; 0 = there are some."""
    fails = {"errno": 0}
    real = os.open

    def opened(*arguments: Any) -> int:
        if fails["errno"]:
            raise OSError(fails["errno"], "Too many open files")
        return real(*arguments)

    monkeypatch.setattr(descriptors.os, "open", opened)
    return fails


def test_it_is_said_once_a_minute_and_when_it_is_over(
    failing: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    looked = Descriptors()
    looked.tick(0.0)
    failing["errno"] = errno.EMFILE
    for second in range(1, 121):
        looked.tick(float(second))
    assert looked.missing
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "ulimit -n" in caplog.text
    failing["errno"] = 0
    looked.tick(121.0)
    looked.tick(122.0)
    assert not looked.missing
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]
    failing["errno"] = errno.ENFILE
    looked.tick(123.0)
    assert len(caplog.records) == 4


def test_another_error_is_not_taken_for_it(failing: dict[str, int]) -> None:
    failing["errno"] = errno.EACCES
    with pytest.raises(OSError, match="Too many"):
        Descriptors().tick(0.0)


def test_no_descriptor_stays_open(failing: dict[str, int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    looked = Descriptors()
    for second in range(10):
        looked.tick(float(second))
    assert len(os.listdir("/proc/self/fd")) == before

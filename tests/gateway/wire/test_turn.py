"""What is read in one turn of the loop is served at its end."""

import asyncio
import logging

import pytest

from gateway.wire.turn import Turn


class Connection:
    def __init__(self, name: str, log: list[str], *, fails: bool = False) -> None:
        self._name = name
        self._log = log
        self._fails = fails

    def take_turn(self) -> None:
        self._log.append(self._name)
        if self._fails:
            raise RuntimeError("a bug")

    def give_up(self) -> None:
        self._log.append(f"{self._name} given up")


async def test_those_put_in_are_served_in_order_and_once() -> None:
    turn, log = Turn(), []
    for name in "abc":
        turn.put(Connection(name, log))
    assert log == []
    await asyncio.sleep(0)
    assert log == ["a", "b", "c"]
    turn.put(Connection("d", log))
    await asyncio.sleep(0)
    assert log == ["a", "b", "c", "d"]


async def test_a_bug_in_one_connection_resets_it_and_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    turn, log = Turn(), []
    turn.put(Connection("a", log, fails=True))
    turn.put(Connection("b", log))
    with caplog.at_level(logging.CRITICAL + 1):
        await asyncio.sleep(0)
    assert log == ["a", "a given up", "b"]

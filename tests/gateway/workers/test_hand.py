"""One place for a worker, with processes that are none; real workers: test_supervisor.py."""

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.config import SettingsError
from gateway.telemetry.slots import Slots
from gateway.workers import hand as hands
from gateway.workers.hand import Generation, Hand, House, inherited_environment
from gateway.workers.keeper import Keeper
from gateway.workers.link import Message
from keystore.errors import KeystoreUnavailable
from tests.support.plane import config_in


class Side:
    """`said`: what became of which number."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def begin(self, number: int) -> tuple[Message, list[int]]:
        self.said.append(("begin", number))
        return {}, []

    def begun(self, number: int) -> None:
        self.said.append(("begun", number))

    def heard(self, number: int, message: Message) -> None:
        pass

    def ended(self, number: int) -> None:
        self.said.append(("ended", number))

    def applied(self) -> int:
        return 0


class NoKeys:
    def store_keys(self) -> Message:
        return {}


def placed(folder: Path) -> Hand:
    return Hand(7, Generation(config_in(folder), cast("Keeper", NoKeys()), 1, shared=False), [])


def house(side: Side, failed: Message | None = None) -> House:
    def take(hand: Hand, message: Message) -> None:
        if "failed" in message:
            hand.failed = message

    return House(side, "00", Slots(), take, lambda: None)


def runs(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(hands, "COMMAND", [sys.executable, "-c", program])


async def test_one_that_ends_before_it_is_ready_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch, "")
    side = Side()
    hand = placed(tmp_path)
    hand.begin(house(side))
    with pytest.raises(KeystoreUnavailable, match="ended before it was ready"):
        await hand.started()
    assert side.said == [("begin", 7), ("begun", 7), ("ended", 7)]


async def test_what_it_said_of_its_settings_is_why_it_did_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(
        monkeypatch,
        "import socket, sys; from gateway.workers.link import encode;"
        " socket.socket(fileno=int(sys.argv[1])).sendall(encode({'failed': 'so it is', 'settings': True}))",
    )
    hand = placed(tmp_path)
    hand.begin(house(Side()))
    with pytest.raises(SettingsError, match="so it is"):
        await hand.started()


async def test_one_that_cannot_be_started_at_all_is_said_so_and_its_files_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "COMMAND", [str(tmp_path / "nothing")])
    side = Side()
    hand = placed(tmp_path)
    hand.begin(house(side))
    with pytest.raises(KeystoreUnavailable, match="no worker can be started"):
        await hand.started()
    assert side.said == [("begin", 7), ("begun", 7), ("ended", 7)]


async def test_one_that_cannot_be_started_for_the_moment_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place is never given up: whoever had no file for a moment has one again."""
    runs(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(hands, "PAUSES", (0.0, 0.05))
    spawn, tries = asyncio.create_subprocess_exec, 0

    async def no_files(*words: Any, **how: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries in (2, 3):
            raise OSError(24, "Too many open files")
        return await spawn(*words, **how)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_files)
    hand = placed(tmp_path)
    hand.begin(house(Side()))
    async with asyncio.timeout(20):
        while not hand.running:
            await asyncio.sleep(0.01)
        hand.is_ready()
        hand.signal(9)
        while tries < 4 or not hand.running:
            await asyncio.sleep(0.01)
    hand.retire()
    hand.signal(9)
    assert hand.living is not None
    await hand.living


async def test_one_that_is_retired_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, "import time; time.sleep(60)")
    hand = placed(tmp_path)
    hand.begin(house(Side()))
    while not hand.running:
        await asyncio.sleep(0.01)
    hand.retire()
    hand.signal(9)
    assert hand.living is not None
    async with asyncio.timeout(20):
        await hand.living
    assert not hand.running


def test_a_worker_inherits_no_secret_no_sockets_and_nobody_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NQGATE_KEYSTORE__URL", "PGPASSWORD", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("NQGATE_LOG__LEVEL", "debug")
    inherited = inherited_environment()
    assert inherited["NQGATE_LOG__LEVEL"] == "debug"
    assert not [name for name in inherited if name.startswith(("PG", "LISTEN", "NOTIFY", "WATCHDOG", "NQGATE_KEY"))]

"""What still runs on workers that drain, put into words. It hears numbers and operations, and no names."""

from collections.abc import Iterable
from typing import Final

from gateway.wire.draining import Underway
from gateway.workers.link import Message

MIB: Final = 1 << 20
SHOWN: Final = 6  # operations that are named; the rest is counted


class Remaining:
    """Of the workers of one supervisor."""

    def __init__(self) -> None:
        self._running: dict[int, list[Underway]] = {}
        self._cut: dict[int, list[Underway]] = {}

    def hear(self, number: int, message: Message) -> None:
        """`running`: what that worker has under way; `drained`: what it cut at its end."""
        if "running" in message:
            self._running[number] = [Underway(*one) for one in message["running"]]
        else:
            self._running.pop(number, None)
            self._cut[number] = [Underway(*one) for one in message["drained"]]

    def ended(self, number: int) -> None:
        """It is gone, whatever it had to say."""
        self._cut.setdefault(number, self._running.pop(number, []))

    def forget(self, number: int) -> list[Underway]:
        """→ what it cut."""
        self.ended(number)
        return self._cut.pop(number)

    @property
    def running(self) -> list[Underway]:
        return together(one for running in self._running.values() for one in running)

    @property
    def cut(self) -> list[Underway]:
        return together(one for cut in self._cut.values() for one in cut)

    @property
    def requests_cut(self) -> int:
        return sum(one.requests for one in self.cut)


def together(every: Iterable[Underway]) -> list[Underway]:
    """One for each operation, the oldest first."""
    found: dict[str, Underway] = {}
    for one in every:
        before = found.get(one.operation, Underway(one.operation, 0, 0.0, 0))
        found[one.operation] = Underway(
            one.operation,
            before.requests + one.requests,
            max(before.seconds, one.seconds),
            before.to_go + one.to_go,
        )
    return sorted(found.values(), key=lambda one: -one.seconds)


def said(underway: list[Underway]) -> str:
    """One line. "none" where nothing is."""
    shown = [
        f"{one.requests} {one.operation} (the oldest for {one.seconds:.0f} s, {_bytes(one.to_go)} to go)"
        for one in underway[:SHOWN]
    ]
    rest = sum(one.requests for one in underway[SHOWN:])
    return ", ".join([*shown, *([f"{rest} of other operations"] if rest else [])]) or "none"


def _bytes(number: int) -> str:
    return f"{number / MIB:.1f} MiB" if number >= MIB else f"{number} bytes"

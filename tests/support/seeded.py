"""A gateway whose workers have one bug put in on purpose: `python -m tests.support.seeded BUG [nqgate's words…]`.

The tests of revocation must see each of them; one that passes with a bug proves nothing without it.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from gateway.cli import main as command
from gateway.workers import hand, supervisor, worker
from keystore.directory import Directory
from keystore.remembered import Remembered


def _asked_once_a_tick() -> None:
    """What was committed is looked for every 20 ms, not with every request."""
    tick = Directory.tick

    def lenient(self: Any) -> None:
        self._header = self._wal_index.header
        tick(self)
        self._header = self._epoch

    Directory.tick = lenient  # type: ignore[method-assign]  # the bug


def _reference_after_the_read() -> None:
    """The epoch is read after the log: what was committed in between is taken for known."""

    def refresh(self: Any) -> None:
        self._epoch = b""
        self._follow_log()
        time.sleep(0.003)  # the window is there without it too, and seldom hit
        self._epoch = self._wal_index.epoch()
        self._tell()

    Directory._refresh = refresh  # type: ignore[method-assign]  # the bug


PINNED: list[Any] = []


def _unfinished_cursor() -> None:
    """A statement that was never read to its end pins the snapshot: a key is found, and stays as it was then."""
    look_up = Directory._look_up

    def leaving_one(self: Any, access_key_id: str) -> Any:
        held = look_up(self, access_key_id)
        cursor = self._connection.execute("SELECT 1 FROM store UNION ALL SELECT 2 FROM store")
        cursor.fetchone()
        PINNED.append(cursor)
        return held

    Directory._look_up = leaving_one  # type: ignore[method-assign]  # the bug


def _record_kept() -> None:
    """The change is read, and the record stays in memory."""
    Remembered.forget_key = lambda self, access_key_id: None  # type: ignore[method-assign]  # the bug


BUGS: dict[str, Callable[[], None]] = {
    "asked-once-a-tick": _asked_once_a_tick,
    "reference-after-the-read": _reference_after_the_read,
    "unfinished-cursor": _unfinished_cursor,
    "record-kept": _record_kept,
}

AS_WORKER = "as-worker"

if __name__ == "__main__":
    bug = sys.argv.pop(1)
    BUGS[bug]()
    if sys.argv[1] == AS_WORKER:
        del sys.argv[1]
        worker.main()
    else:
        supervisor.BEHIND = 3600.0  # type: ignore[misc]  # else it kills the worker that the bug leaves behind
        hand.COMMAND[:] = [sys.executable, "-m", "tests.support.seeded", bug, AS_WORKER]
        command.main()

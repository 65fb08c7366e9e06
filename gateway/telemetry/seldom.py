"""What goes wrong for many requests at once, said once a minute and counted between: a line for each would bury the
cause under its consequences. Nothing here redacts, as in `request_log`.
"""

import logging
from typing import Final

PAUSE: Final = 60.0  # seconds between two lines of the same cause
MAX_CAUSES: Final = 64  # known at once; they are few, but some name what a peer said


class Seldom:
    """Lines of level error. `what`: what these requests have in common."""

    __slots__ = ("_causes", "_log", "_what")

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._causes: dict[str, list[float]] = {}  # when it was said last, and how often it came since

    def say(self, cause: str, now: float) -> None:
        """`now`: monotonic seconds."""
        known = self._causes.get(cause)
        if known is None:
            if len(self._causes) >= MAX_CAUSES:
                self._causes.clear()
            self._causes[cause] = [now, 0]
            self._log.error("%s: %s", self._what, cause)
        elif now - known[0] < PAUSE:
            known[1] += 1
        else:
            self._log.error("%s: %s (and %d times since this was last said)", self._what, cause, known[1])
            known[0], known[1] = now, 0

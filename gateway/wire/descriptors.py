"""Are there file descriptors left? Asked once a second, said once a minute.

Where none is left libuv takes a connection with one that it keeps for this, and closes it at once: it neither spins nor
stops listening, and says nothing. So the operator would see clients fail and no reason.
"""

import errno
import logging
import os
from typing import Final

LOG: Final = logging.getLogger("nqgate.s3")
SAY_EVERY: Final = 60.0  # seconds


class Descriptors:
    """Of this process. `missing`: whether there was none at the last look."""

    __slots__ = ("_said_at", "missing")

    def __init__(self) -> None:
        self.missing = False
        self._said_at = float("-inf")

    def tick(self, now: float) -> None:
        """`now`: monotonic seconds."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._say(error, now)
                return
            raise
        if self.missing:
            self.missing = False
            self._said_at = float("-inf")
            LOG.warning("file descriptors can be opened again")

    def _say(self, error: OSError, now: float) -> None:
        self.missing = True
        if now - self._said_at >= SAY_EVERY:
            self._said_at = now
            LOG.error(
                "no file descriptor is left (%s): connections are closed as they come; raise the limit (ulimit -n, "
                "LimitNOFILE) or lower limits.connections",
                error.strerror,
            )

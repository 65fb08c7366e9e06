"""What /readyz tells: whether this gateway serves, since when its keystore is as it is, and what is not ready, in words
for whoever runs it. It knows no socket and no keystore; what it tells is looked at by a function that it is handed.

Ready is who serves and proves its keystore fresh. The store behind is told and decides nothing: one that is down must
not take every gateway in front of it out of service, for their 503 says more than a refused connection.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

LOOK_EVERY: Final = 1.0  # seconds: as exact is `keystore_since`, whether or not anybody asks
OK: Final = "ok"

_STALE_HERE: Final = (
    "keystore: it cannot prove that what it knows of access keys is still true, so every request is answered 503. Is "
    "its file where the configuration says, readable, and the disk not full? One that was moved, replaced or removed "
    "while the gateway ran is not read again, not even put back: restart the gateway then."
)
_STALE_AFAR: Final = (
    "keystore: its lease has run out, so every request is answered 503. Can the database be reached? The log says what "
    "went wrong. It goes on by itself once the database answers."
)
_DRAINING: Final = "listeners: the gateway is stopping; what runs is finished, nothing new is taken."


class Seen(NamedTuple):
    """`lease_left`: seconds for which the keystore of another machine is proven, 0 when it has run out; None
    for a file of this machine, which is proven with every request. `serving`: workers that serve and gave a sign of
    life just now, of `workers`. `whole_keystore`, `upstream`: in words, "ok" of a store without trouble."""

    fresh: bool
    lease_left: float | None
    serving: int
    workers: int
    draining: bool
    whole_keystore: str
    upstream: str


class Health:
    """`look`: at the moment. `clock`: Unix seconds."""

    def __init__(self, look: Callable[[], Seen], clock: Callable[[], float] = time.time) -> None:
        self._look = look
        self._clock = clock
        self._fresh: bool | None = None
        self._since = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._looked()
            await asyncio.sleep(LOOK_EVERY)

    def tell(self) -> dict[str, Any]:
        """The document of /readyz; its `ready` decides the status."""
        seen = self._looked()
        listening = seen.serving > 0 and not seen.draining
        told: dict[str, Any] = {
            "ready": seen.fresh and listening,
            "not_ready": list(_not_ready(seen)),
            "keystore": "fresh" if seen.fresh else "not answering",
            "keystore_since": datetime.fromtimestamp(self._since, UTC).isoformat(timespec="seconds"),
        }
        if seen.lease_left is not None:
            told["lease_left_seconds"] = round(seen.lease_left, 1)
        told |= {
            "listeners": "serving" if listening else "not serving",
            "workers": {"serving": seen.serving, "of": seen.workers},
            "whole_keystore": seen.whole_keystore,
            "upstream": seen.upstream,
        }
        return told

    def _looked(self) -> Seen:
        seen = self._look()
        if seen.fresh is not self._fresh:
            self._fresh, self._since = seen.fresh, self._clock()
        return seen


def _not_ready(seen: Seen) -> Iterator[str]:
    if not seen.fresh:
        yield _STALE_HERE if seen.lease_left is None else _STALE_AFAR
    if seen.draining:
        yield _DRAINING
    elif not seen.serving:
        yield (
            f"workers: none of {seen.workers} serves: they are starting, or have given no sign of life for some "
            "seconds. The log names those that end or stand still; each is replaced."
        )

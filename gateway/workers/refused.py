"""Why workers refused requests, as they tell it, gathered until it is written together for whoever asks later."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from gateway.refusals import Refusal
from gateway.workers.link import Message
from keystore.errors import KeystoreError
from keystore.refused import Refused

LOG: Final = logging.getLogger("nqgate")
PERIOD: Final = 1.0  # seconds between two writings; without news nothing is written
MAX_PENDING: Final = 1000  # refusals in one writing, 5 KB each at worst; more are lost
BATCH: Final = 100  # refusals in one message: 3 MiB at worst, with every character escaped

Write = Callable[[Sequence[Refused], float], Awaitable[None]]


def refused_messages(refusals: Sequence[Refusal]) -> Iterator[Message]:
    """What `Gathered.add` reads, each of a bounded length."""
    for start in range(0, len(refusals), BATCH):
        yield {"refusals": [list(one) for one in refusals[start : start + BATCH]]}


class Gathered:
    """`write`: one batch, and the Unix seconds of now."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._pending: list[Refusal] = []

    def add(self, message: Message) -> None:
        for row in message["refusals"]:
            if len(self._pending) < MAX_PENDING:
                self._pending.append(Refusal(*row))

    async def run(self) -> None:
        """Until cancelled; what is left then is for `write`."""
        while True:
            await asyncio.sleep(PERIOD)
            await self.write()

    async def write(self) -> None:
        """What cannot be written is lost."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        try:
            await self._write([_stored(one) for one in pending], time.time())
        except KeystoreError as error:
            LOG.warning("why requests were refused was not written: %s", error)


def _stored(refusal: Refusal) -> Refused:
    told = json.dumps(refusal._asdict(), ensure_ascii=False)
    return Refused(refusal.request_id, int(refusal.at), refusal.account, told)

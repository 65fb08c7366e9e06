"""When keys were last used and denied, as workers tell it, gathered until it is written together.

A date that cannot be written is lost: it is worth no failed request, and no gateway that does not end.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, TypeVar

from gateway.usage import MAX_TALLIED, PERIOD
from gateway.workers.link import Message
from keystore.errors import KeystoreError
from keystore.usage import Denied, Used

LOG: Final = logging.getLogger("nqgate")

T = TypeVar("T")
BATCH: Final = 1000  # keys in one message: 1 MiB at most, as long as their texts may be

Write = Callable[[dict[str, Used], dict[str, Denied]], Awaitable[None]]


def tallied_messages(used: dict[str, Used], denied: dict[str, Denied]) -> Iterator[Message]:
    """What `Tallied.add` reads, each of a bounded length."""
    for of_used in batched(used.items()):
        yield {"used": {access_key_id: list(one) for access_key_id, one in of_used}, "denied": {}}
    for of_denied in batched(denied.items()):
        yield {"used": {}, "denied": {access_key_id: list(one) for access_key_id, one in of_denied}}


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch


class Tallied:
    """`write`: one batch, by access key id."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._used: dict[str, Used] = {}
        self._denied: dict[str, Denied] = {}

    def add(self, message: Message) -> None:
        """Of each key the newest counts."""
        for access_key_id, one in message["used"].items():
            used = Used(*one)
            known = self._used.get(access_key_id)
            if (known is None or known.at <= used.at) and len(self._used) < MAX_TALLIED:
                self._used[access_key_id] = used
        for access_key_id, one in message["denied"].items():
            denied = Denied(*one)
            before = self._denied.get(access_key_id)
            if (before is None or before.at <= denied.at) and len(self._denied) < MAX_TALLIED:
                self._denied[access_key_id] = denied

    async def run(self) -> None:
        """Once a minute, until cancelled; what is left then is for `write`."""
        while True:
            await asyncio.sleep(PERIOD)
            await self.write()

    async def write(self) -> None:
        used, self._used = self._used, {}
        denied, self._denied = self._denied, {}
        if not used and not denied:
            return
        try:
            await self._write(used, denied)
        except KeystoreError as error:
            LOG.warning("when keys were last used was not written: %s", error)

"""The buckets that the store has, remembered for some seconds: a list costs the store more than a person's click."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.config import Config
from gateway.s3.listing import ListedBucket
from gateway.store_buckets import store_buckets

FRESH: Final = 5.0  # seconds


class StoreList:
    """`read`: all buckets, waiting for the store; raises SettingsError. `clock`: seconds that never go back."""

    def __init__(
        self,
        config: Config,
        read: Callable[[Config], list[ListedBucket]] = store_buckets,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._read = read
        self._clock = clock
        self._known: list[ListedBucket] = []
        self._until = clock()
        self._turn = asyncio.Lock()

    async def fresh(self) -> list[ListedBucket]:
        """Asked by many at once, the store is asked once. SettingsError when it does not answer."""
        async with self._turn:
            if self._clock() >= self._until:
                self._known = await asyncio.to_thread(self._read, self._config)
                self._until = self._clock() + FRESH
            return self._known

import asyncio
from pathlib import Path

import pytest

from gateway.config import Config, SettingsError
from gateway.console.store_list import FRESH, StoreList
from gateway.s3.listing import ListedBucket
from tests.support.plane import config_in

PHOTOS = ListedBucket("photos", "2026-01-01T00:00:00.000Z")


class Store:
    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def read(self, config: Config) -> list[ListedBucket]:
        self.asked += 1
        if self.down:
            raise SettingsError("the store does not answer")
        return [PHOTOS]


@pytest.fixture
def store() -> Store:
    return Store()


async def test_many_who_ask_at_once_cost_one_list(store: Store) -> None:
    lists = StoreList(config_in(Path("none")), store.read)
    assert await asyncio.gather(*(lists.fresh() for _ in range(10))) == [[PHOTOS]] * 10
    assert store.asked == 1


async def test_it_is_asked_again_when_some_seconds_are_over(store: Store) -> None:
    now = [100.0]
    lists = StoreList(config_in(Path("none")), store.read, lambda: now[0])
    for moment in (100.0, 100.0 + FRESH / 2, 100.0 + FRESH):
        now[0] = moment
        await lists.fresh()
    assert store.asked == 2


async def test_a_store_that_is_down_is_asked_again_at_once(store: Store) -> None:
    lists = StoreList(config_in(Path("none")), store.read)
    store.down = True
    for _ in range(2):
        with pytest.raises(SettingsError):
            await lists.fresh()
    store.down = False
    assert await lists.fresh() == [PHOTOS]

"""The mark while a gateway runs: raised as changes come, told when it cannot be, never in the gateway's way."""

import asyncio
import fcntl
import os
from typing import Any

import pytest

from keystore import mark_file
from keystore.errors import WentBack
from keystore.high_water import HighWater, kept
from keystore.mark import Mark
from keystore.mark_file import read_mark
from keystore.scope import AllBuckets
from keystore.sqlite import SqliteStore
from keystore.store import NewKey


def known(water: HighWater) -> Mark:
    mark = read_mark(water.path)
    assert mark is not None
    return mark


async def made(store: SqliteStore) -> None:
    await store.create_key(NewKey("default", "backup", AllBuckets()), "ann")


async def test_a_gateway_raises_it_while_changes_come_and_at_its_end(
    water: HighWater, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_file, "RAISE_EVERY", 0.01)
    water.meet()
    told: list[Any] = []
    met: list[int] = []
    meet = HighWater.meet
    monkeypatch.setattr(HighWater, "meet", lambda self: (met.append(1), meet(self))[1])
    async with kept(water, lambda: store.committed_seq, lambda *words: told.append(words)):
        assert known(water).seq == 1
        await asyncio.sleep(0.1)
        idle = len(met)
        await asyncio.sleep(0.1)
        assert len(met) == idle, "nothing came, nothing is read"
        await made(store)
        for _ in range(500):
            if known(water).seq == 2:
                break
            await asyncio.sleep(0.01)
        assert known(water).seq == 2
        monkeypatch.setattr(mark_file, "RAISE_EVERY", 60)
        await asyncio.sleep(0.05)
        await made(store)
    assert known(water).seq == 3
    assert told == []


async def test_a_gateway_does_not_start_on_a_keystore_that_went_back(water: HighWater) -> None:
    water.meet()
    water.file.write(known(water)._replace(seq=7))
    with pytest.raises(WentBack):
        async with kept(water, lambda: 1, print):
            raise AssertionError("started")


async def test_what_fails_while_a_gateway_runs_is_told_and_tried_again(
    water: HighWater, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_file, "RAISE_EVERY", 0.01)
    water.meet()
    told: list[Any] = []
    async with kept(water, lambda: store.committed_seq, lambda *words: told.append(words)):
        with monkeypatch.context() as broken:
            broken.setattr(mark_file, "PATIENCE", 0.01)
            lock = os.open(f"{water.path}.lock", os.O_RDWR)
            fcntl.flock(lock, fcntl.LOCK_EX)
            await made(store)
            for _ in range(500):
                if told:
                    break
                await asyncio.sleep(0.01)
            os.close(lock)
        for _ in range(500):
            if known(water).seq == 2:
                break
            await asyncio.sleep(0.01)
        assert told
        assert known(water).seq == 2

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keystore.sealing import KekRing, create_kek_file, load_kek_ring
from tests.support.contract import EVERY_STORE, STORES
from tests.support.iam import IamHouse, QuietActs, iam_house
from tests.support.postgres import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]  # fixtures: one server for all the tests of a process


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[IamHouse]:
    async with iam_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def ring(tmp_path: Path) -> KekRing:
    create_kek_file(tmp_path / "kek")
    return load_kek_ring(tmp_path / "kek")


@pytest.fixture(params=EVERY_STORE)
async def every_house(request: pytest.FixtureRequest, ring: KekRing) -> AsyncIterator[IamHouse]:
    """On each kind of keystore. Its own clock is that of the contract's tests."""
    async with STORES[request.param](request, ring)() as store:
        yield IamHouse(store, QuietActs(store))

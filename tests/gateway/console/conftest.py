from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.plane import Plane, Rest, plane_in


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with plane_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def rest(plane: Plane) -> AsyncIterator[Rest]:
    async with plane.served() as served:
        yield served

"""Keystores of both kinds, with a hand that writes what gateways write beside them: used by tests of either and of what
is built on them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from keystore.local_keystore import LocalKeystore, open_local_keystore
from keystore.postgres_refused import write_refused_postgres
from keystore.postgres_uploads import write_uploads_postgres
from keystore.postgres_usage import write_usage_postgres
from keystore.refused import Refused, write_refused
from keystore.remote_keystore import RemoteKeystore, open_remote_keystore
from keystore.sealing import KekRing, Secret
from keystore.uploads import Note, Upload, write_uploads
from keystore.usage import Denied, Used, write_usage
from tests.support.contract import EVERY_STORE, NOW
from tests.support.postgres import Postgres


class Gateways:
    """What they write. `database`: of a keystore here; `url`: of one on PostgreSQL."""

    def __init__(self, database: Path | None, url: Secret | None) -> None:
        self._database = database
        self._url = url

    async def write_usage(self, used: dict[str, Used], denied: dict[str, Denied]) -> None:
        if self._url is not None:
            await write_usage_postgres(self._url, used, denied)
        elif self._database is not None:
            await asyncio.to_thread(write_usage, self._database, used, denied)

    async def write_refused(self, refused: Sequence[Refused], now: float = NOW) -> None:
        if self._url is not None:
            await write_refused_postgres(self._url, refused, now)
        elif self._database is not None:
            await asyncio.to_thread(write_refused, self._database, refused, now)

    async def write_uploads(self, notes: Mapping[Upload, Note], now: float = NOW) -> None:
        if self._url is not None:
            await write_uploads_postgres(self._url, notes, now)
        elif self._database is not None:
            await asyncio.to_thread(write_uploads, self._database, notes, now)


class There(NamedTuple):
    keystore: LocalKeystore | RemoteKeystore
    gateways: Gateways


@asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, ring: KekRing) -> AsyncIterator[There]:
    """A new one, its clock at NOW."""
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        path = folder / "keystore.db"
        async with open_local_keystore(path, ring, create=True, clock=lambda: NOW + 0.5) as here:
            yield There(here, Gateways(path, None))
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = Secret(server.url(request.getfixturevalue("postgres_database")))
    async with open_remote_keystore(url, ring, create=True, clock=lambda: NOW + 0.5) as afar:
        yield There(afar, Gateways(None, url))


@pytest.fixture(params=EVERY_STORE)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def there(kind: str, request: pytest.FixtureRequest, ring: KekRing) -> AsyncIterator[There]:
    async with opened(kind, request, ring) as found:
        yield found

"""How the stores are opened that the contract is asked of: to add one, add it to STORES and EVERY_STORE."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from keystore.access_key import AccessKey
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.postgres import open_postgres_store
from keystore.scope import BucketGrant, Rights, Scope, SpecificBuckets
from keystore.sealing import KekRing
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey, Store
from tests.support.postgres import Postgres

NOW = 1_700_000_000
PHOTOS = SpecificBuckets((BucketGrant("photos"), BucketGrant("logs", Rights.READ_ONLY)))

Opener = Callable[[], AbstractAsyncContextManager[Store]]


def sqlite(request: pytest.FixtureRequest, ring: KekRing) -> Opener:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: open_sqlite_store(folder / "contract.db", ring, create=True, clock=lambda: NOW + 0.5)


def postgres(request: pytest.FixtureRequest, ring: KekRing) -> Opener:
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url(request.getfixturevalue("postgres_database"))
    return lambda: open_postgres_store(url, ring, create=True, clock=lambda: NOW + 0.5)


# Each opens the same place again for one test, and another for each test.
STORES: dict[str, Callable[[pytest.FixtureRequest, KekRing], Opener]] = {"sqlite": sqlite, "postgres": postgres}
EVERY_STORE = ["sqlite", pytest.param("postgres", marks=pytest.mark.server)]


@pytest.fixture(params=EVERY_STORE)
def opener(request: pytest.FixtureRequest, ring: KekRing) -> Opener:
    return STORES[request.param](request, ring)


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as opened:
        yield opened


def wish(
    label: str = "backup",
    scope: Scope = PHOTOS,
    account: str = DEFAULT_ACCOUNT,
    expires_at: int | None = None,
    not_before: int | None = None,
) -> NewKey:
    return NewKey(account, label, scope, expires_at, not_before)


async def made(store: Store, label: str = "backup", account: str = DEFAULT_ACCOUNT) -> AccessKey:
    access_key, _ = await store.create_key(wish(label, account=account), "ann")
    return access_key

"""How the stores are opened that the contract is asked of: to add one, add how it is opened to STORES."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from keystore.access_key import AccessKey
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.scope import BucketGrant, Rights, Scope, SpecificBuckets
from keystore.sealing import KekRing
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey, Store

NOW = 1_700_000_000
PHOTOS = SpecificBuckets((BucketGrant("photos"), BucketGrant("logs", Rights.READ_ONLY)))

Opener = Callable[[], AbstractAsyncContextManager[Store]]


def sqlite(folder: Path, ring: KekRing) -> Opener:
    return lambda: open_sqlite_store(folder / "contract.db", ring, create=True, clock=lambda: NOW + 0.5)


STORES: dict[str, Callable[[Path, KekRing], Opener]] = {"sqlite": sqlite}


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path, ring: KekRing) -> Opener:
    return STORES[request.param](tmp_path, ring)


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

"""A keystore of each kind, its audit, and a hand on its rows: of somebody who may write the database and has no KEK."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from keystore.postgres import open_postgres_store
from keystore.postgres_audit import audit_postgres
from keystore.sealing import KekRing, Secret
from keystore.sqlite import open_sqlite_store
from keystore.sqlite_audit import audit_keystore
from keystore.store import Store
from tests.support.contract import EVERY_STORE
from tests.support.postgres import Postgres

Found = list[tuple[str, str, str]]


class Place(NamedTuple):
    """A keystore, a hand on it, and its audit. In the hand's SQL `@` stands before names of the keystore's tables, and
    `#kept` is a table of the hand's own."""

    store: Store
    hand: Callable[[str], object]
    audited: Callable[[], Awaitable[Found]]
    octets: Callable[[str], str]  # an expression of text → of bytes
    text: Callable[[str], str]  # back


@pytest.fixture
async def sqlite_place(ring: KekRing, database: Path, hand: Callable[..., object]) -> AsyncIterator[Place]:
    async def audited() -> Found:
        return [tuple(finding) for finding in audit_keystore(database, ring).findings]

    async with open_sqlite_store(database, ring, create=False) as store:
        yield Place(
            store,
            lambda statement: hand(statement.replace("@", "").replace("#", "temp.")),
            audited,
            lambda told: f"CAST({told} AS BLOB)",
            lambda octets: f"CAST({octets} AS TEXT)",
        )


@pytest.fixture
async def postgres_place(
    ring: KekRing, postgres: Postgres, postgres_database: str, tmp_path: Path
) -> AsyncIterator[Place]:
    url = postgres.url(postgres_database)

    async def audited() -> Found:
        return [tuple(finding) for finding in (await audit_postgres(Secret(url), ring, tmp_path / "state")).findings]

    async with open_postgres_store(url, ring, create=True) as store:
        yield Place(
            store,
            lambda statement: postgres.sql(
                postgres_database, statement.replace("@", "nqgate.").replace("#", "public.")
            ),
            audited,
            lambda told: f"convert_to({told}, 'UTF8')",
            lambda octets: f"convert_from({octets}, 'UTF8')",
        )


@pytest.fixture(params=EVERY_STORE)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


async def findings(place: Place) -> Found:
    """All but those of a schema that the hand has changed."""
    return [(table, row_id, what) for table, row_id, what in await place.audited() if table != "schema"]

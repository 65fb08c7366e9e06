"""A PostgreSQL keystore read by itself, apart from any store that has it open: a connection, and a snapshot on it.

Nothing is made and nothing is brought up: what another version wrote is said, and not judged.
"""

import contextlib
from collections.abc import AsyncIterator

from keystore.errors import KeystoreUnavailable
from keystore.postgres_server import (
    BEGIN_READ,
    PostgresHand,
    answering,
    connect,
    migrations,
    schema_version,
    server_name,
)
from keystore.sealing import Secret


@contextlib.asynccontextmanager
async def connected(url: Secret) -> AsyncIterator[PostgresHand]:
    """A connection of its own. KeystoreUnavailable when it cannot be had, or what it is asked does not come."""
    where = server_name(url.expose())
    with answering(where):
        hand = await connect(url.expose(), where)
        try:
            yield hand
        finally:
            await hand.close()


@contextlib.asynccontextmanager
async def snapshot(url: Secret) -> AsyncIterator[PostgresHand]:
    """Within one transaction that can only read: all it reads is of one moment.

    KeystoreUnavailable as `connected`, where there is no keystore, and for another schema than this version's.
    """
    where = server_name(url.expose())
    async with connected(url) as hand:
        await hand.run(BEGIN_READ)
        version = await schema_version(hand, where)
        if version == 0:
            raise KeystoreUnavailable(f"there is no keystore on {where}: `nqgate serve` or `nqgate up` makes one")
        if version != len(migrations()):
            known = f"schema {version}, here {len(migrations())}"
            raise KeystoreUnavailable(f"{where} is no keystore of this version ({known}): `nqgate serve` upgrades it")
        yield hand
        await hand.run("COMMIT")

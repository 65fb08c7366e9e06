"""What a PostgreSQL server is like, as far as it matters to a keystore and does not keep it from working: for people.

What does keep it from working is refused wherever a connection is made: `keystore.postgres_server`.
"""

import asyncio
import secrets
from typing import Final, NamedTuple

from keystore.postgres_server import PostgresHand
from keystore.postgres_snapshot import connected
from keystore.sealing import Secret

HEARD_SECONDS: Final = 2.0  # for a notification to arrive; it takes a millisecond

_SERVER: Final = (
    "SELECT current_setting('server_version'), current_setting('synchronous_standby_names'),"
    " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), inet_server_addr() IS NULL"
    " OR inet_server_addr() = inet_client_addr()"
)


class Health(NamedTuple):
    """`standbys`: what COMMIT waits for, "" = nobody. `here`: no network lies between. `heard`: notifications arrive,
    so no pooler gives each transaction another session."""

    version: str
    standbys: str
    encrypted: bool
    here: bool
    heard: bool


async def examine(url: Secret) -> Health:
    """Raises KeystoreUnavailable."""
    async with connected(url) as hand, connected(url) as other:
        [[version, standbys, encrypted, here]] = await hand.fetch(_SERVER)
        heard = await _hears(hand, other)
        return Health(str(version), str(standbys), encrypted is True, here is True, heard)


async def _hears(hand: PostgresHand, other: PostgresHand) -> bool:
    channel = f"nqgate_{secrets.token_hex(8)}"
    heard = asyncio.Event()
    await hand.listen(channel, heard.set)
    await other.run("SET synchronous_commit = off")  # a standby that is away must not keep it back
    await other.run("SET synchronous_commit = off")  # a standby that is away must not keep it back
    await other.fetch("SELECT pg_notify($1, '')", channel)
    try:
        async with asyncio.timeout(HEARD_SECONDS):
            await heard.wait()
    except TimeoutError:
        return False
    return not hand.closed  # its loss is told in the same way

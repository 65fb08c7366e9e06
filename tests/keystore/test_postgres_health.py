"""What a server is like, for people: a real one, and one behind something that lets no notification through."""

import time

import pytest

from keystore import postgres_health
from keystore.errors import KeystoreUnavailable
from keystore.postgres_health import examine
from keystore.postgres_server import PostgresHand
from keystore.sealing import Secret
from tests.support.keystore_on_postgres import url
from tests.support.postgres import Postgres

__all__ = ["url"]  # a fixture
pytestmark = pytest.mark.server


async def test_a_server_on_this_machine_without_a_standby(url: str) -> None:
    health = await examine(Secret(url))
    assert health.version[:2].isdigit()
    assert health[1:] == ("", False, True, True)


async def test_whom_a_commit_waits_for_is_named_and_is_not_waited_for(url: str, postgres: Postgres) -> None:
    postgres.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
    try:
        postgres.sql("postgres", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while (health := await examine(Secret(url))).standbys != "ghost":
            assert time.monotonic() < deadline
        assert health.heard
    finally:
        postgres.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names")
        postgres.sql("postgres", "SELECT pg_reload_conf()")


async def test_notifications_that_do_not_arrive_are_noticed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def elsewhere(self: PostgresHand, channel: str, heard: object) -> None:
        """As behind a pooler: the session that listens is another one the next moment."""

    monkeypatch.setattr(PostgresHand, "listen", elsewhere)
    monkeypatch.setattr(postgres_health, "HEARD_SECONDS", 0.2)
    assert not (await examine(Secret(url))).heard


async def test_a_server_that_is_away_is_an_answer() -> None:
    with pytest.raises(KeystoreUnavailable):
        await examine(Secret("postgresql://a:b@127.0.0.1:1/x"))

"""Why requests were refused, in PostgreSQL, where many gateways write it: as on SQLite, and nobody waits."""

import asyncio

import pytest

from keystore import postgres_refused
from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_refused import NEWEST, NEWEST_OF, find_refused_postgres, write_refused_postgres
from keystore.refused import KEPT, Refused
from keystore.sealing import Secret
from tests.support.keystore_on_postgres import Sql, sql, store, url

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

NOW = 1_700_000_000
ONE, TWO = Refused("A" * 16, NOW, "default", '{"why": "ü"}'), Refused("B" * 16, NOW + 1, "", "{}")


@pytest.fixture
def at(url: str, store: PostgresStore) -> Secret:
    return Secret(url)


async def test_what_was_written_is_found_by_its_id(at: Secret) -> None:
    await write_refused_postgres(at, [], NOW)
    assert await find_refused_postgres(at, "A" * 16) is None
    await write_refused_postgres(at, [ONE, TWO], NOW)
    assert [await find_refused_postgres(at, one.request_id) for one in (ONE, TWO)] == [ONE, TWO]


async def test_what_is_old_or_one_too_many_goes(at: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_refused_postgres(at, [ONE], NOW)
    await write_refused_postgres(at, [TWO], NOW + KEPT + 1)
    assert await find_refused_postgres(at, ONE.request_id) is None
    monkeypatch.setattr(postgres_refused, "MAX_KEPT", 1)
    for number in range(4):
        await write_refused_postgres(at, [Refused(f"{number:016d}", NOW + 9 + number, "", "{}")], NOW)
    assert await find_refused_postgres(at, TWO.request_id) is None
    assert await find_refused_postgres(at, f"{3:016d}") is not None


async def test_the_newest_are_found_by_an_index(at: Secret, sql: Sql) -> None:
    rows = [Refused(f"{number:016d}", NOW + number, f"a{number % 50}", "{}") for number in range(5000)]
    await write_refused_postgres(at, rows, NOW)
    sql("ANALYZE nqgate.refused")
    of_one = NEWEST_OF.replace("$1", "10").replace("$2", "'a7'")
    for statement, index in ((NEWEST.replace("$1", "10"), "refused_at"), (of_one, "refused_of_account")):
        plan = "\n".join(line for [line] in sql(f"EXPLAIN {statement}"))
        assert f"using {index}" in plan, plan
        assert "Seq Scan" not in plan


async def test_many_gateways_write_at_once(at: Secret, sql: Sql) -> None:
    batches = [[Refused(f"{gateway}-{number}", NOW, "", "{}") for number in range(50)] for gateway in range(8)]
    await asyncio.gather(*(write_refused_postgres(at, batch, NOW) for batch in batches))
    assert sql("SELECT count(*) FROM nqgate.refused") == [["400"]]


async def test_a_database_that_is_away_is_an_answer() -> None:
    with pytest.raises(KeystoreUnavailable):
        await find_refused_postgres(Secret("postgresql://a:b@127.0.0.1:1/x"), "A" * 16)

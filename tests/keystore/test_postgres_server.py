"""What a server must be to keep a keystore, and that two who bring its schema up do it once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keystore import postgres_server
from keystore.errors import InvalidInput, KeystoreUnavailable
from keystore.postgres_server import (
    ANSWER_SECONDS,
    BEGIN_WRITE,
    IDLE_SECONDS,
    LOCK_SECONDS,
    STATEMENT_SECONDS,
    PostgresHand,
    answering,
    bring_schema_up,
    connect,
    migrations,
    schema_version,
    server_name,
)
from tests.support.keystore_on_postgres import Sql, sql, url
from tests.support.postgres import Postgres, running

__all__ = ["sql", "url"]  # fixtures
server = pytest.mark.server


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://ann:s3cr3t@db.example:5432/keys", "db.example:5432/keys"),
        ("postgres://ann:s3%2Fcr%403t@db/keys?sslmode=verify-full", "db/keys"),
        ("postgresql://db/keys", "db/keys"),
        ("postgresql://ann:s3cr3t@[::1]:5432/keys", "[::1]:5432/keys"),
        ("postgresql://ann:s3cr3t@a:1,b:2/keys?target_session_attrs=primary", "a:1,b:2/keys"),
        ("postgresql:///keys?host=/run/postgresql&password=s3cr3t", "its socket/keys"),
    ],
)
def test_a_server_is_named_without_user_and_password(url: str, named: str) -> None:
    assert server_name(url) == named


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3@cr3t@db/keys",
        "postgresql://ann:s3/cr3t@db/keys",
        "postgresql://ann:s3?cr3t@db/keys",
        "postgresql://ann:s3#cr3t@db/keys",
        "postgresql://ann:cr3t",
        "postgresql://ann:cr3t/keys",
        "postgresql://[cr3t/keys",
        "mysql://ann:cr3t@db/keys",
        "cr3t",
        "",
    ],
)
def test_a_url_that_might_show_a_piece_of_its_password_is_refused(url: str) -> None:
    with pytest.raises(KeystoreUnavailable, match="not understood") as caught:
        server_name(url)
    assert "cr3t" not in repr((caught.value, caught.value.__cause__))


def test_whoever_waits_longer_is_told_by_the_nearest() -> None:
    """A stopped writer's session ends before another gives up; the server speaks before we stop listening."""
    assert IDLE_SECONDS < LOCK_SECONDS < STATEMENT_SECONDS < ANSWER_SECONDS


def test_foreign_errors_end_at_the_border() -> None:
    for foreign in (OSError(111, "Connection refused"), TimeoutError(), EOFError()):
        expected = EOFError if isinstance(foreign, EOFError) else KeystoreUnavailable
        with pytest.raises(expected), answering("db/keys"):
            raise foreign


def test_migrations_have_numbers_without_a_gap() -> None:
    assert len(migrations()) == 6
    assert "nqgate.store" in migrations()[0]


# ---- a real server ----


@pytest.fixture
async def hand(url: str) -> AsyncIterator[PostgresHand]:
    opened = await connect(url, "tests")
    yield opened
    await opened.close()


async def brought_up(hand: PostgresHand) -> bool:
    await hand.run(BEGIN_WRITE)
    new = await bring_schema_up(hand, "tests")
    assert await hand.commit()
    return new


@server
async def test_the_schema_is_brought_up_once(hand: PostgresHand, sql: Sql) -> None:
    assert await schema_version(hand, "tests") == 0
    assert await brought_up(hand)
    assert not await brought_up(hand)
    assert await schema_version(hand, "tests") == len(migrations())
    assert sql("SELECT version FROM nqgate.schema_version ORDER BY 1") == [
        [str(number)] for number in range(1, len(migrations()) + 1)
    ]


@server
async def test_many_who_bring_the_schema_up_at_once_do_it_once(url: str) -> None:
    hands = await asyncio.gather(*[connect(url, "tests") for _ in range(6)])
    assert sorted(await asyncio.gather(*[brought_up(hand) for hand in hands])) == [False] * 5 + [True]
    await asyncio.gather(*[hand.close() for hand in hands])


@server
async def test_a_migration_that_fails_leaves_nothing(
    hand: PostgresHand, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_server, "migrations", lambda texts=migrations(): [*texts, "SELECT 1/0"])  # noqa: B008
    with pytest.raises(KeystoreUnavailable, match="division by zero"), answering("tests"):
        await brought_up(hand)
    await hand.run("ROLLBACK")
    assert sql("SELECT to_regnamespace('nqgate') IS NULL") == [["t"]]


@server
async def test_a_keystore_of_the_version_before_is_brought_up(
    hand: PostgresHand, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(postgres_server, "migrations", lambda texts=migrations(): texts[:1])  # noqa: B008
        assert await brought_up(hand)
    assert sql("SELECT to_regclass('nqgate.gateway') IS NULL") == [["t"]]
    assert not await brought_up(hand)
    assert sql("SELECT to_regclass('nqgate.gateway') IS NULL") == [["f"]]


@server
async def test_another_schema_of_that_name_and_a_newer_one_are_left_alone(hand: PostgresHand, sql: Sql) -> None:
    sql("CREATE SCHEMA nqgate; CREATE TABLE nqgate.store (x int)")
    with pytest.raises(KeystoreUnavailable, match="no keystore"):
        await schema_version(hand, "tests")
    sql("DROP SCHEMA nqgate CASCADE")
    await brought_up(hand)
    sql("INSERT INTO nqgate.schema_version VALUES (99)")
    with pytest.raises(KeystoreUnavailable, match="newer gateway"):
        await schema_version(hand, "tests")


@server
async def test_a_role_that_may_make_no_schema_uses_the_one_it_was_given(
    postgres: Postgres, postgres_database: str, sql: Sql
) -> None:
    role = f"role_{postgres_database}"
    sql(f"CREATE ROLE {role} LOGIN PASSWORD '{postgres.password}'; CREATE SCHEMA nqgate AUTHORIZATION {role}")
    hand = await connect(postgres.url(postgres_database).replace("//keeper:", f"//{role}:"), "tests")
    assert await brought_up(hand)
    await hand.close()
    sql(f"DROP SCHEMA nqgate CASCADE; DROP ROLE {role}")


@server
@pytest.mark.parametrize("value", ["a\x00", "\ud800", 2**63])
async def test_what_the_database_cannot_hold_is_an_invalid_input(hand: PostgresHand, value: object) -> None:
    kind = "bigint" if isinstance(value, int) else "text"
    with pytest.raises(InvalidInput), answering("tests"):
        await hand.fetch(f"SELECT $1::{kind}", value)


@server
async def test_a_warning_at_commit_is_no_proof(hand: PostgresHand) -> None:
    await hand.run(BEGIN_WRITE)
    assert await hand.commit()
    assert not await hand.commit()  # "there is no transaction in progress", a warning


@server
async def test_what_is_listened_for_is_heard_and_so_is_the_loss_of_the_connection(hand: PostgresHand, sql: Sql) -> None:
    heard = asyncio.Event()
    await hand.listen("news", heard.set)
    for deed in ("NOTIFY news", f"SELECT pg_terminate_backend({hand._connection.get_server_pid()})"):
        sql(deed)
        async with asyncio.timeout(5):
            await heard.wait()
        heard.clear()
    assert hand.closed


@server
async def test_a_commit_that_rolls_back_is_said_to_be_one(hand: PostgresHand) -> None:
    await hand.run(BEGIN_WRITE)
    with pytest.raises(KeystoreUnavailable), answering("tests"):
        await hand.fetch("SELECT 1/0")
    with pytest.raises(KeystoreUnavailable, match="nothing was done"):
        await hand.commit()


@server
async def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "OLDEST_POSTGRES", 990000)
    with pytest.raises(KeystoreUnavailable, match="too old: PostgreSQL 99"):
        await connect(url, "tests")


@server
async def test_a_database_of_another_encoding_is_refused(postgres: Postgres, postgres_database: str, sql: Sql) -> None:
    name = f"{postgres_database}_ascii"
    sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'")
    with pytest.raises(KeystoreUnavailable, match="encoding SQL_ASCII"):
        await connect(postgres.url(name), "tests")
    sql(f"DROP DATABASE {name} WITH (FORCE)")


@server
@pytest.mark.parametrize(
    ("settings", "standby", "refusal"), [(["fsync=off"], False, "fsync = off"), ([], True, "is a standby")]
)
async def test_a_server_that_loses_or_takes_no_writes_is_refused(
    settings: list[str], refusal: str, *, standby: bool
) -> None:
    with running(*settings, standby=standby) as other, pytest.raises(KeystoreUnavailable, match=refusal):
        await connect(other.url("postgres"), "tests")

"""A gateway's row on a real server, and when its place is given up."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from keystore.board import Cut
from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_gateways import RENEW_GATEWAY, Acknowledgement
from keystore.postgres_lease import Janitor, PlaceLost, PostgresLease, boottime_ms
from keystore.postgres_server import PostgresHand, connect
from tests.support.keystore_on_postgres import Sql, hand, sql, store, url

__all__ = ["hand", "sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

ROWS = "SELECT renewals, applied, cut_seq, fenced, left_at IS NOT NULL FROM nqgate.gateway ORDER BY name, renewals"
NOTHING = Acknowledgement(0, {}, [])


@pytest.fixture
async def lease(store: PostgresStore, hand: PostgresHand) -> PostgresLease:
    joined = PostgresLease("host")
    await joined.join(hand, "kek")
    return joined


def test_the_clock_counts_milliseconds() -> None:
    before = boottime_ms()
    assert 0 <= boottime_ms() - before < 1000


async def test_a_proof_is_counted_from_before_it_was_asked_for(lease: PostgresLease, hand: PostgresHand) -> None:
    clock: Iterator[int] = iter([5, 99])
    lease._clock_ms = lambda: next(clock)
    t0_ms, row = await lease.prove(hand, 1, 1000)
    assert (t0_ms, row.seq) == (5, 1)


async def test_each_proof_renews_and_says_what_is_applied(lease: PostgresLease, hand: PostgresHand, sql: Sql) -> None:
    for applied in (0, 1):
        await lease.prove(hand, applied, 1000)
    assert sql(ROWS) == [["2", "1", "0", "f", "f"]]


async def test_a_copy_of_an_incarnation_loses_its_place_with_the_second_renewal(
    lease: PostgresLease, hand: PostgresHand, sql: Sql
) -> None:
    copy = PostgresLease("host")
    copy._place = lease._place
    await lease.prove(hand, 1, 1000)
    with pytest.raises(PlaceLost):
        await copy.prove(hand, 1, 1000)
    await copy.join(hand, "kek")
    assert sql(ROWS) == [["0", "0", "0", "f", "f"], ["1", "1", "0", "f", "f"]]  # the row of the other one still stands
    await lease.prove(hand, 1, 1000)


@pytest.mark.parametrize("deed", ["fenced = true", "left_at = 5", "renewals = 7"])
async def test_who_lost_the_row_gets_no_proof(lease: PostgresLease, hand: PostgresHand, sql: Sql, deed: str) -> None:
    sql(f"UPDATE nqgate.gateway SET {deed}")
    with pytest.raises(PlaceLost):
        await lease.prove(hand, 1, 1000)
    assert not lease.joined
    with pytest.raises(PlaceLost):
        await lease.prove(hand, 1, 1000)


async def test_a_proof_that_is_late_gives_the_place_up(
    lease: PostgresLease, hand: PostgresHand, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: PostgresHand) -> bool:
        await asyncio.Event().wait()
        return True

    with monkeypatch.context() as patched:
        patched.setattr(PostgresHand, "commit", never)
        with pytest.raises(TimeoutError):
            await lease.prove(hand, 1, 50)
    assert not lease.joined
    await hand.run("ROLLBACK")
    await lease.join(hand, "kek")
    assert sorted(sql(ROWS)) == [["0", "0", "0", "f", "f"], ["0", "0", "0", "f", "t"]]  # the former one left
    await lease.join(hand, "kek")
    assert sorted(sql(ROWS)) == [["0", "0", "0", "f", "f"], ["0", "0", "0", "f", "t"]]  # and is forgotten by and by


async def test_a_row_whose_proof_may_have_been_had_is_not_marked_as_left(
    lease: PostgresLease, hand: PostgresHand, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell whose renewal it was: the janitors will."""
    commit = PostgresHand.commit

    async def lost(self: PostgresHand) -> bool:
        await commit(self)
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(PostgresHand, "commit", lost)
        with pytest.raises(ConnectionResetError):
            await lease.prove(hand, 1, 1000)
    await lease.join(hand, "kek")
    assert [row[0] for row in sql(ROWS)] == ["0", "1"]
    assert [row[3:] for row in sql(ROWS)] == [["f", "f"]] * 2


async def test_a_warning_at_commit_is_no_proof_and_no_place(
    lease: PostgresLease, hand: PostgresHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = PostgresHand.commit

    async def warned(self: PostgresHand) -> bool:
        await commit(self)
        return False

    monkeypatch.setattr(PostgresHand, "commit", warned)
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await lease.prove(hand, 1, 1000)
    assert not lease.joined
    with pytest.raises(KeystoreUnavailable, match="not proven"):
        await lease.join(hand, "kek")
    assert not lease.joined


async def test_what_was_acknowledged_is_not_written_again(lease: PostgresLease, hand: PostgresHand, sql: Sql) -> None:
    said = Acknowledgement(9, {3: Cut(1, 0, 0)}, [])
    await lease.acknowledge(hand, 4, said, "kek")
    assert sql(ROWS) == [["0", "4", "4", "f", "f"]]  # no more is taken than was handed out
    sql("UPDATE nqgate.gateway SET applied = 1")
    await lease.acknowledge(hand, 4, said, "kek")
    assert sql("SELECT applied FROM nqgate.gateway") == [["1"]]
    lease.doubt_acknowledged()
    await lease.acknowledge(hand, 4, said, "kek")
    assert sql("SELECT applied FROM nqgate.gateway") == [["4"]]


async def test_who_leaves_is_waited_for_no_more(lease: PostgresLease, hand: PostgresHand, sql: Sql) -> None:
    await lease.prove(hand, 1, 1000)
    await lease.leave(hand)
    assert sql(ROWS) == [["1", "1", "0", "f", "t"]]
    await lease.leave(hand)
    await lease.acknowledge(hand, 1, NOTHING, "kek")
    assert lease.gateway_id is None


# ---- the janitor ----


async def test_a_row_that_is_not_renewed_for_a_lease_is_fenced(
    lease: PostgresLease, hand: PostgresHand, sql: Sql
) -> None:
    now = 0
    janitor = Janitor(lambda: now)
    fenced = "SELECT fenced FROM nqgate.gateway"
    for now in (0, 500, 1000):  # noqa: B007  # the janitor reads it
        await janitor.look(hand, 1000, None)
        assert sql(fenced) == [["f"]]
    now = 1001
    await janitor.look(hand, 1000, lease.gateway_id)
    assert sql(fenced) == [["f"]]  # not one's own
    await janitor.look(hand, 1200, None)
    assert sql(fenced) == [["f"]]  # the lease was raised meanwhile
    await janitor.look(hand, 1000, None)
    assert sql(fenced) == [["t"]]


async def test_a_row_that_is_renewed_is_not_fenced(lease: PostgresLease, hand: PostgresHand, sql: Sql) -> None:
    now = 0
    janitor = Janitor(lambda: now)
    for now in range(0, 5000, 500):  # noqa: B007  # the janitor reads it
        await janitor.look(hand, 1000, None)
        await lease.prove(hand, 1, 1000)
    assert sql("SELECT fenced FROM nqgate.gateway") == [["f"]]


async def test_who_renews_between_the_look_and_the_fence_is_not_fenced(
    lease: PostgresLease, hand: PostgresHand, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0
    janitor = Janitor(lambda: now)
    await janitor.look(hand, 1000, None)
    now = 5000
    execute = PostgresHand.execute

    async def late(self: PostgresHand, statement: str, values: tuple[object, ...]) -> None:
        sql("UPDATE nqgate.gateway SET renewals = renewals + 1")
        await execute(self, statement, values)

    monkeypatch.setattr(PostgresHand, "execute", late)
    await janitor.look(hand, 1000, None)
    assert sql("SELECT fenced FROM nqgate.gateway") == [["f"]]


# ---- a row that somebody was cut off from in the middle of a proof ----


@pytest.fixture
async def cut_off(lease: PostgresLease, hand: PostgresHand, url: str) -> AsyncIterator[PostgresHand]:
    """It has renewed the row and will never commit."""
    other = await connect(url, "tests")
    await other.run("BEGIN")
    await other.fetch(RENEW_GATEWAY, lease.gateway_id, 0, 1)
    yield other
    await other.close()


async def test_the_janitor_waits_for_nobody_who_holds_the_row(
    lease: PostgresLease, hand: PostgresHand, cut_off: PostgresHand, sql: Sql
) -> None:
    now = 0
    janitor = Janitor(lambda: now)
    await janitor.look(hand, 1000, None)
    now = 2000
    async with asyncio.timeout(2):
        await janitor.look(hand, 1000, None)
    assert sql(ROWS) == [["0", "0", "0", "f", "f"]]
    await cut_off.run("ROLLBACK")
    await janitor.look(hand, 1000, None)
    assert sql(ROWS) == [["0", "0", "0", "t", "f"]]


async def test_a_new_incarnation_waits_for_nobody_who_holds_the_former_row(
    lease: PostgresLease, hand: PostgresHand, cut_off: PostgresHand, sql: Sql
) -> None:
    async with asyncio.timeout(2):
        await lease.join(hand, "kek")
    assert sql("SELECT count(*) FROM nqgate.gateway WHERE left_at IS NULL") == [["2"]]
    await cut_off.run("COMMIT")
    await lease.leave(hand)
    assert [row[4] for row in sql(ROWS)] == [
        "t",
        "f",
    ]  # the renewal came through: whoever it was, the janitors see to it

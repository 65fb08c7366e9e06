"""Who has taken a change, judged by rows that the test writes as gateways would; time is the test's own."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from keystore import postgres_confirmation
from keystore.board import Cut
from keystore.confirmation import Confirmation
from keystore.errors import KeystoreUnavailable
from keystore.postgres import PostgresStore
from keystore.postgres_confirmation import confirm_postgres
from keystore.postgres_gateways import ACKNOWLEDGE, ADD_GATEWAY, Acknowledgement, told_json
from keystore.postgres_server import PostgresHand
from keystore.sealing import KekRing, Secret
from tests.support.keystore_on_postgres import Sql, hand, made, sql, store, url

__all__ = ["hand", "sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server

Confirm = Callable[..., Any]
NOBODY = Acknowledgement(0, {}, [])


class Time:
    """Milliseconds that pass only while somebody sleeps; each sleep passes `step` of them. `then`: what happens."""

    def __init__(self) -> None:
        self.now = 5000
        self.step = 100
        self.slept: list[float] = []
        self.then: Callable[[int], object] = lambda sleeps: None

    def clock_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += self.step
        done = self.then(len(self.slept))
        if asyncio.iscoroutine(done):
            await done


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def confirm(store: PostgresStore, url: str, ring: KekRing, passing: Time) -> Confirm:
    async def ask(seq: int, **more: Any) -> Confirmation:
        means = {"clock_ms": passing.clock_ms, "sleep": passing.sleep, **more}
        async with asyncio.timeout(10):
            return await confirm_postgres(Secret(url), ring, seq, since=time.monotonic(), **means)

    return ask


async def gateway(hand: PostgresHand) -> UUID:
    one = uuid4()
    await hand.execute(ADD_GATEWAY, (one, f"host-{one}", "kek", 2))
    return one


async def say(hand: PostgresHand, one: UUID, applied: int, cut_seq: int, said: Acknowledgement = NOBODY) -> None:
    await hand.execute(ACKNOWLEDGE, (one, applied, cut_seq, told_json(said), "kek"))


async def test_nobody_is_waited_for_where_there_is_no_gateway(confirm: Confirm, passing: Time) -> None:
    told = await confirm(1)
    assert told[:7] == (0, 0, 0, (), 0, 0, ())
    assert told.proven
    assert passing.slept == []


async def test_who_has_applied_and_ended_it_has_confirmed(confirm: Confirm, hand: PostgresHand, passing: Time) -> None:
    one = await gateway(hand)
    for applied, cut_seq in ((0, 0), (1, 0), (0, 1), (1, 1)):
        passing.then = lambda sleeps: say(hand, one, 1, 1)
        passing.slept.clear()
        await say(hand, one, applied, cut_seq)
        told = await confirm(1)
        assert (told.gateways, told.confirmed, told.lapsed) == (1, 1, 0)
        assert len(passing.slept) == (0 if (applied, cut_seq) == (1, 1) else 1)


async def test_who_says_nothing_has_lapsed_when_the_lease_is_over_and_not_before(
    confirm: Confirm, hand: PostgresHand, passing: Time
) -> None:
    for _ in range(2):
        await gateway(hand)
    started = passing.now
    told = await confirm(1)
    assert (told.gateways, told.confirmed, told.lapsed, told.out_of_lease) == (2, 0, 2, 2)
    assert passing.now - started == 4100  # the lease is 4000, and both clocks were rounded
    assert told.proven
    assert passing.slept[0] == 0.002
    assert max(passing.slept) == 0.05


async def test_a_lease_that_the_caller_knows_to_have_been_longer_is_waited_for(
    confirm: Confirm, hand: PostgresHand, passing: Time
) -> None:
    await gateway(hand)
    started = passing.now
    await confirm(1, leases_ms=(9000,))
    assert passing.now - started == 9100


async def test_who_leaves_meanwhile_is_done_and_who_is_fenced_has_lapsed(
    confirm: Confirm, hand: PostgresHand, passing: Time, sql: Sql
) -> None:
    leaves, fenced, confirms = [await gateway(hand) for _ in range(3)]
    await say(hand, confirms, 1, 1)

    def then(sleeps: int) -> object:
        deed, one = ("left_at = 5", leaves) if sleeps == 1 else ("fenced = true", fenced)
        return sql(f"UPDATE nqgate.gateway SET {deed} WHERE id = '{one}'")

    passing.then = then
    told = await confirm(1)
    assert (told.gateways, told.confirmed, told.lapsed) == (3, 2, 1)
    assert len(passing.slept) == 2


async def test_a_row_that_is_taken_out_is_waited_for_like_any(
    confirm: Confirm, hand: PostgresHand, passing: Time, sql: Sql
) -> None:
    await gateway(hand)
    passing.then = lambda sleeps: sql("DELETE FROM nqgate.gateway")
    started = passing.now
    told = await confirm(1)
    assert (told.gateways, told.confirmed, told.lapsed) == (1, 0, 1)
    assert passing.now - started == 4100


async def test_who_joins_after_the_commit_is_not_waited_for(
    confirm: Confirm, hand: PostgresHand, passing: Time
) -> None:
    """It learns the change with its first proof."""
    one = await gateway(hand)

    async def then(sleeps: int) -> None:
        await gateway(hand)
        if sleeps == 3:
            await say(hand, one, 1, 1)

    passing.then = then
    told = await confirm(1)
    assert (told.gateways, told.confirmed, len(passing.slept)) == (1, 1, 3)


async def test_rows_that_had_ended_before_are_nobody(confirm: Confirm, hand: PostgresHand, sql: Sql) -> None:
    for deed in ("fenced = true", "left_at = 1"):
        sql(f"UPDATE nqgate.gateway SET {deed} WHERE id = '{await gateway(hand)}'")
    assert (await confirm(1)).gateways == 0


# ---- what was cut ----


async def test_what_was_cut_is_summed_and_what_lies_in_the_store_awaited(
    confirm: Confirm, hand: PostgresHand, passing: Time
) -> None:
    one, other = await gateway(hand), await gateway(hand)
    await say(hand, one, 1, 1, Acknowledgement(1, {1: Cut(2, 1, 0)}, [(1, "PUT a/b")]))
    await say(hand, other, 1, 1, Acknowledgement(1, {1: Cut(1, 2, 2)}, []))
    passing.then = lambda sleeps: say(hand, one, 1, 1, Acknowledgement(1, {1: Cut(2, 1, 1)}, []))
    told = await confirm(1)
    assert (told.transfers_cut, told.in_store_settled, told.in_store_unsettled) == (3, 3, ())
    assert len(passing.slept) == 1


async def test_what_the_store_does_not_answer_in_time_is_named(
    confirm: Confirm, hand: PostgresHand, passing: Time
) -> None:
    one = await gateway(hand)
    await say(hand, one, 1, 1, Acknowledgement(1, {1: Cut(0, 1, 0)}, [(1, "PUT a/b"), (9, "PUT c")]))
    told = await confirm(1, settle=0.0)
    assert (told.in_store_settled, told.in_store_unsettled) == (0, ("PUT a/b",))
    assert told.proven


# ---- what is not proven ----


async def test_a_change_that_is_gone_is_not_proven(
    confirm: Confirm, store: PostgresStore, hand: PostgresHand, passing: Time, sql: Sql
) -> None:
    await made(store)
    await gateway(hand)
    passing.then = lambda sleeps: sql("UPDATE nqgate.change SET mac = '\\x00' WHERE seq = 2")
    with pytest.raises(KeystoreUnavailable, match="gone again: not proven"):
        await confirm(2)
    with pytest.raises(KeystoreUnavailable, match="broken at row 2"):
        await confirm(2)
    with pytest.raises(KeystoreUnavailable, match="gone again: not proven"):
        await confirm(3)


async def test_a_store_row_that_somebody_edited_sets_no_lease(confirm: Confirm, hand: PostgresHand, sql: Sql) -> None:
    await gateway(hand)
    sql("UPDATE nqgate.store SET lease_ms = 1000")
    with pytest.raises(KeystoreUnavailable, match="store row fails its MAC"):
        await confirm(1)


async def test_a_connection_that_is_lost_makes_it_wait_for_the_whole_lease(
    confirm: Confirm, hand: PostgresHand, passing: Time, sql: Sql
) -> None:
    one = await gateway(hand)
    started = passing.now

    async def then(sleeps: int) -> None:
        if sleeps == 1:
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nqgate'"
                f" AND datname = current_database() AND pid <> {hand._connection.get_server_pid()}")  # fmt: skip
            await say(hand, one, 1, 1)

    passing.then = then
    told = await confirm(1)
    assert (told.confirmed, told.lapsed) == (1, 0)
    assert passing.now - started > 4000


async def test_where_nobody_can_be_asked_any_more_it_is_not_proven(
    ring: KekRing, passing: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_confirmation, "AFTERWARDS", 1.0)
    nowhere = Secret("postgresql://ann:s3cr3t@127.0.0.1:9/none")
    started = passing.now
    with pytest.raises(KeystoreUnavailable, match="not proven, run it again") as told:
        await confirm_postgres(nowhere, ring, 1, since=0, clock_ms=passing.clock_ms, sleep=passing.sleep)
    assert "s3cr3t" not in str(told.value)
    assert passing.now - started == 5100

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from keystore import postgres_gateways
from keystore.board import Cut
from keystore.chain import StoreRow
from keystore.errors import KeystoreUnavailable, RecordRefused
from keystore.found_rows import read_store
from keystore.lease import Row
from keystore.postgres_gateways import Acknowledgement, Gateway, read_gateway, read_gateways, told_json
from keystore.postgres_rows import PUT_STORE
from keystore.postgres_server import BEGIN_WRITE, PostgresHand, bring_schema_up, connect
from tests.support.keystore_on_postgres import url

__all__ = ["url"]  # a fixture
server = pytest.mark.server

STORE = StoreRow("store-1", 1, 3, b"head", 4000, "kek", 1, "kek", b"canary", b"mac")
ID = UUID(int=7)
SAID = Acknowledgement(4, {3: Cut(2, 1, 0), 4: Cut(0, 0, 0)}, [(3, "PUT photos/one")])


def row(told: str = "{}", **changed: object) -> tuple[object, ...]:
    plain = {"id": ID, "name": "host", "applied": 4, "cut_seq": 3, "told": told, "keks": "a b", "fenced": False}
    return tuple({**plain, "left_at": None, **changed}.values())


def test_what_the_workers_say_is_read_as_it_was_written() -> None:
    found = read_gateway(row(told_json(SAID)))
    assert found == Gateway(ID, "host", Row(4, 3, fenced=False, left=False), SAID.cuts, SAID.in_store, ("a", "b"))


def test_only_the_newest_changes_and_a_bounded_text_are_told() -> None:
    cuts = {seq: Cut(1, 1, 0) for seq in range(1000)}
    said = json.loads(told_json(Acknowledgement(1000, cuts, [(9, "x" * 5000)] * 100)))
    assert [seq for seq, *_ in said["cuts"]] == list(range(968, 1000))
    assert len(json.dumps(said)) < 5000


@pytest.mark.parametrize(
    "strange",
    [row("["), row("[]"), row('{"cuts": [[1]]}'), row('{"in_store": 3}'), row(applied="x"), row(id="none"), (1, 2)],
)
def test_a_row_that_no_gateway_writes_is_refused(strange: tuple[object, ...]) -> None:
    with pytest.raises(KeystoreUnavailable, match="nothing that can be understood"):
        read_gateway(strange)


@pytest.mark.parametrize("fenced", [True, None, "f"])
def test_what_is_not_surely_unfenced_counts_as_fenced(fenced: object) -> None:
    assert read_gateway(row(fenced=fenced)).row.fenced


@pytest.fixture
async def hand(url: str) -> AsyncIterator[PostgresHand]:
    opened = await connect(url, "tests")
    await opened.run(BEGIN_WRITE)
    await bring_schema_up(opened, "tests")
    await opened.execute(PUT_STORE, (1, *STORE))
    yield opened
    await opened.close()


async def live(hand: PostgresHand) -> list[Gateway]:
    return [read_gateway(found) for found in await hand.fetch(postgres_gateways.LIVE_GATEWAYS)]


@server
async def test_a_gateway_joins_renews_acknowledges_and_leaves(hand: PostgresHand) -> None:
    me, other = uuid4(), uuid4()
    for one in (me, other):
        await hand.execute(postgres_gateways.ADD_GATEWAY, (one, f"host-{one}", "kek", 2))
    assert read_store(await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 0, 3)) == STORE
    assert await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 0, 3) == []
    assert read_store(await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 1, 3)) == STORE
    await hand.execute(postgres_gateways.ACKNOWLEDGE, (me, 4, 3, told_json(SAID), "kek"))
    [mine] = [one for one in await live(hand) if one.id == me]
    assert (mine.row, mine.cuts) == (Row(4, 3, fenced=False, left=False), SAID.cuts)
    await hand.execute(postgres_gateways.LEAVE_GATEWAY, (me, 1, 1_700_000_000))
    assert len(await live(hand)) == 2  # somebody else renewed it: he may serve
    await hand.execute(postgres_gateways.LEAVE_GATEWAY, (me, 2, 1_700_000_000))
    assert [one.id for one in await live(hand)] == [other]
    assert await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 2, 3) == []


@server
async def test_a_fenced_gateway_renews_no_more_and_one_that_renewed_is_not_fenced(hand: PostgresHand) -> None:
    me = uuid4()
    await hand.execute(postgres_gateways.ADD_GATEWAY, (me, "host", "kek", 2))
    await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 0, 3)
    await hand.execute(postgres_gateways.FENCE_GATEWAY, (me, 0))
    assert len(await live(hand)) == 1
    await hand.execute(postgres_gateways.FENCE_GATEWAY, (me, 1))
    assert await live(hand) == []
    assert await hand.fetch(postgres_gateways.RENEW_GATEWAY, me, 1, 3) == []
    await hand.execute(postgres_gateways.ACKNOWLEDGE, (me, 9, 9, "{}", "kek"))
    assert await hand.fetch("SELECT renewals, applied, told FROM nqgate.gateway") == [(1, 3, "{}")]


@server
async def test_a_name_keeps_no_rows_that_have_ended(hand: PostgresHand) -> None:
    rows = [uuid4() for _ in range(3)]
    for one in rows:
        await hand.execute(postgres_gateways.ADD_GATEWAY, (one, "host", "kek", 2))
    await hand.execute(postgres_gateways.FENCE_GATEWAY, (rows[0], 0))
    await hand.execute(postgres_gateways.LEAVE_GATEWAY, (rows[1], 0, 5))
    await hand.execute(postgres_gateways.FORGET_GATEWAYS, ("another",))
    assert await hand.fetch("SELECT count(*) FROM nqgate.gateway") == [(3,)]
    await hand.execute(postgres_gateways.FORGET_GATEWAYS, ("host",))
    assert [one.id for one in await live(hand)] == [rows[2]]


@server
async def test_who_was_asked_is_shown_whatever_has_become_of_it(hand: PostgresHand) -> None:
    asked, live_one, gone = uuid4(), uuid4(), uuid4()
    for one in (asked, live_one, gone):
        await hand.execute(postgres_gateways.ADD_GATEWAY, (one, "host", "kek", 2))
    for one in (asked, gone):
        await hand.execute(postgres_gateways.FENCE_GATEWAY, (one, 0))
    seen = read_gateways(await hand.fetch(postgres_gateways.GATEWAYS_AFTER, f"{asked} {uuid4()}", 9))
    assert (seen.store, seen.mac, set(seen.gateways)) == (STORE, None, {asked, live_one})
    assert seen.gateways[asked].row.fenced
    await hand.run("DELETE FROM nqgate.gateway")
    assert read_gateways(await hand.fetch(postgres_gateways.GATEWAYS_AFTER, str(asked), 9)).gateways == {}
    await hand.run("DELETE FROM nqgate.store")
    with pytest.raises(RecordRefused, match="store row"):
        read_gateways(await hand.fetch(postgres_gateways.GATEWAYS_AFTER, "", 9))


@server
async def test_a_renewal_looks_at_the_fence_again_under_the_lock(hand: PostgresHand, url: str) -> None:
    """It began before the fence was committed, and waits for the row: what it saw then no longer counts."""
    me = uuid4()
    await hand.execute(postgres_gateways.ADD_GATEWAY, (me, "host", "kek", 2))
    assert await hand.commit()
    await hand.run("BEGIN")
    await hand.execute(postgres_gateways.FENCE_GATEWAY, (me, 0))
    other = await connect(url, "tests")
    renewing = asyncio.ensure_future(other.fetch(postgres_gateways.RENEW_GATEWAY, me, 0, 3))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    watching = await connect(url, "tests")
    async with asyncio.timeout(5):
        while await watching.fetch(waiting) != [(1,)]:
            await asyncio.sleep(0.01)
    await hand.run("COMMIT")
    assert await renewing == []
    await other.close()
    await watching.close()
    await hand.run("BEGIN")

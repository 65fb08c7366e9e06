"""What a keeper reads of the log, and what it makes of it for its workers."""

import pytest

from keystore import postgres_log
from keystore.access_key import RevokeReason
from keystore.admin_tokens import Role
from keystore.errors import KeystoreUnavailable, RecordRefused, WentBack, WrongKek
from keystore.found_rows import FOLLOW_AT_MOST
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_log import PostgresLog, ToldChange
from keystore.postgres_server import PostgresHand
from keystore.sealing import Kek, KekRing, Secret
from keystore.store import FIRST_PLACE, NewToken
from tests.support.keystore_on_postgres import Sql, hand, made, sql, store, url

__all__ = ["hand", "sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server


@pytest.fixture
async def log(store: PostgresStore, hand: PostgresHand, ring: KekRing) -> PostgresLog:
    begun = PostgresLog(ring)
    begun.take(await begun.begin(hand))
    return begun


async def told(log: PostgresLog, hand: PostgresHand) -> list[ToldChange]:
    news = await log.news(hand)
    log.take(news)
    return list(news.told)


async def test_the_first_reading_ends_where_the_log_does_and_stands_for_everything(
    store: PostgresStore, hand: PostgresHand, ring: KekRing
) -> None:
    await made(store)
    log = PostgresLog(ring)
    with pytest.raises(KeystoreUnavailable, match="not been read yet"):
        _ = log.rows
    news = await log.begin(hand)
    assert news.told == (ToldChange(2, "everything"),)
    assert log.position is None
    log.take(news)
    assert log.position is not None
    assert log.position.seq == 2
    assert await told(log, hand) == []


async def test_a_change_of_a_key_comes_with_its_record(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand
) -> None:
    access_key_id = await made(store)
    [change] = await told(log, hand)
    assert change[:3] == (2, "key", access_key_id)
    assert change.record is not None
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "ann")
    [change] = await told(log, hand)
    assert change.record is not None
    assert b"revoked" in change.record
    await store.delete_key(access_key_id, "ann")
    assert await told(log, hand) == [ToldChange(4, "key", access_key_id, None)]


async def test_a_record_is_never_older_than_its_change(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand
) -> None:
    access_key_id = await made(store)
    await store.revoke_key(access_key_id, RevokeReason.OTHER, "ann")
    first, second = await told(log, hand)
    assert (first.seq, second.seq) == (2, 3)
    assert first.record == second.record


async def test_what_a_change_names_is_told(log: PostgresLog, store: PostgresStore, hand: PostgresHand) -> None:
    await store.create_account("team", "ann")
    await store.set_upstream("team", "AKIAX", Secret("s"), "ann")
    await store.claim_bucket("photos", "team", "ann")
    await store.reseal(store._ring.newest.kek_id, FIRST_PLACE, 10, "ann")
    await store.adopt(0, "ann", {})
    changes = await told(log, hand)
    account, upstream, bucket, *_, adopted = changes
    assert account == ToldChange(2, "account", "team")
    assert upstream == ToldChange(3, "account", "team")
    assert bucket[:3] == (4, "bucket", "photos")
    assert b"team" in (bucket.record or b"")
    assert adopted == ToldChange(log.position.seq, "everything")  # type: ignore[union-attr]  # it was taken
    assert [change.seq for change in changes[:-1]] == list(range(2, log.position.seq + 1))  # type: ignore[union-attr]


async def test_of_a_token_nothing_is_told(log: PostgresLog, store: PostgresStore, hand: PostgresHand) -> None:
    token, _ = await store.create_token(NewToken(Role.OWNER, "ci", "default"), "ann")
    await store.revoke_token(token.token_id, "ann")
    assert await told(log, hand) == [ToldChange(2, "nothing"), ToldChange(3, "nothing")]


async def test_of_a_sign_in_nothing_is_told(log: PostgresLog, store: PostgresStore, hand: PostgresHand) -> None:
    assert await store.note_sign_in("0" * 32, "link:ann", "default", {})
    assert await told(log, hand) == [ToldChange(2, "nothing")]


async def test_a_record_that_does_not_verify_is_told_as_everything_and_stops_nobody(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, sql: Sql
) -> None:
    good, bad = await made(store), await made(store)
    await store.claim_bucket("photos", "default", "ann")
    sql(f"UPDATE nqgate.access_key SET mac = '\\x00' WHERE access_key_id = '{bad}'; DELETE FROM nqgate.bucket")
    told_good, *others = await told(log, hand)
    assert (told_good.name, told_good.record is not None) == (good, True)
    assert others == [ToldChange(3, "everything"), ToldChange(4, "everything")]


async def test_what_was_not_taken_is_read_again(log: PostgresLog, store: PostgresStore, hand: PostgresHand) -> None:
    await made(store)
    lost = await log.news(hand)
    assert await told(log, hand) == list(lost.told)


async def test_a_long_log_is_followed_to_its_end(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystore.postgres_log.FOLLOW_AT_MOST", 4)
    monkeypatch.setattr(postgres_log, "SELECT_LOG", postgres_log.SELECT_LOG.replace(str(FOLLOW_AT_MOST), "4"))
    for _ in range(9):
        await made(store)
    assert [change.seq for change in await told(log, hand)] == list(range(2, 11))


# ---- another log than the one that was known ----


async def test_a_log_that_ends_before_what_was_known_went_back(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, sql: Sql
) -> None:
    kept = sql("SELECT seq, head, mac, canary FROM nqgate.store")[0]
    await made(store)
    await told(log, hand)
    sql(f"DELETE FROM nqgate.change WHERE seq = 2; UPDATE nqgate.store SET seq = {kept[0]}, head = '{kept[1]}',"
        f" mac = '{kept[2]}'")  # fmt: skip
    for reading in (log.news, log.begin):
        with pytest.raises(WentBack, match="change 2 was known, it now ends at 1"):
            await reading(hand)


async def test_another_change_where_one_was_known_is_a_fork(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, sql: Sql, url: str, ring: KekRing
) -> None:
    before = sql("SELECT seq, head, mac FROM nqgate.store")[0]
    await made(store)
    await told(log, hand)
    sql(f"DELETE FROM nqgate.change WHERE seq = 2; DELETE FROM nqgate.access_key;"
        f" UPDATE nqgate.store SET seq = {before[0]}, head = '{before[1]}', mac = '{before[2]}'")  # fmt: skip
    async with open_postgres_store(url, ring, create=False) as other:
        await made(other)
        for reading in (log.news, log.begin):
            with pytest.raises(WentBack, match="another one stands there"):
                await reading(hand)
        await other.adopt(0, "ann", {})
        with pytest.raises(WentBack, match="another one"):
            await log.news(hand)
        log.take(await log.begin(hand))  # accepted by who holds the KEK, and everything is forgotten
        assert await told(log, hand) == []


async def test_a_log_that_was_edited_is_refused(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, sql: Sql
) -> None:
    await made(store)
    await made(store)
    sql("UPDATE nqgate.change SET actor = 'eve' WHERE seq = 2")
    with pytest.raises(RecordRefused, match="broken at row 2"):
        await log.news(hand)
    sql("DELETE FROM nqgate.change WHERE seq = 3")
    sql("UPDATE nqgate.change SET actor = 'ann' WHERE seq = 2")
    with pytest.raises(RecordRefused, match="ends at row 2"):
        await log.news(hand)
    sql("UPDATE nqgate.store SET lease_ms = 60000")
    for reading in (log.news, log.begin):
        with pytest.raises(RecordRefused, match="store row fails its MAC"):
            await reading(hand)


async def test_other_keks_are_used_only_where_they_verify(
    log: PostgresLog, store: PostgresStore, hand: PostgresHand, ring: KekRing
) -> None:
    other = Kek(b"o" * 32)
    with pytest.raises(WrongKek):
        log.use(KekRing((other,)))
    await made(store)
    assert len(await told(log, hand)) == 1
    log.use(KekRing((*ring.keks, other)))
    await made(store)
    assert len(await told(log, hand)) == 1

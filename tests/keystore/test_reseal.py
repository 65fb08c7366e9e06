"""Pages of a rotation: what is carried over, what is not, and when the older KEKs are retired."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from keystore.access_key import RevokeReason
from keystore.admin_tokens import Role
from keystore.errors import Conflict, RecordRefused
from keystore.kek_file import add_kek
from keystore.scope import AllBuckets
from keystore.sealing import KekRing, Secret, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.store import FIRST_PLACE, NewKey, NewToken, Place, Table

Hand = Callable[..., list[Any]]
TOKEN = NewToken(Role.OPERATOR, "ci")
KEKS = "SELECT kek_id, count(*) FROM {} GROUP BY kek_id"


@pytest.fixture
def newest(store: SqliteStore, kek_file: Path) -> str:
    """The id of a KEK that was added after the keystore was founded."""
    return add_kek(kek_file)


@pytest.fixture
async def rotating(database: Path, newest: str, kek_file: Path) -> AsyncIterator[SqliteStore]:
    """The store of a process that has both."""
    async with open_sqlite_store(database, load_kek_ring(kek_file), create=False) as opened:
        yield opened


async def made(store: SqliteStore, label: str = "backup") -> str:
    access_key, _ = await store.create_key(NewKey("default", label, AllBuckets()), "ann")
    return access_key.access_key_id


async def to_its_end(store: SqliteStore, newest: str) -> None:
    place: Place | None = FIRST_PLACE
    while place is not None:
        place = (await store.reseal(newest, place, 500, "bob")).following


def keks(hand: Hand, table: str = "access_key") -> dict[str, int]:
    return dict(hand(KEKS.format(table)))


async def test_an_added_kek_seals_nothing_before_a_rotation_begins(
    rotating: SqliteStore, store: SqliteStore, newest: str, ring: KekRing, hand: Hand
) -> None:
    """A gateway that has not loaded it yet must be able to read what others write."""
    access_key_id = await made(rotating)
    assert keks(hand) == {ring.newest.kek_id: 1}
    assert (await store.get_key(access_key_id)).access_key_id == access_key_id


async def test_pages_follow_each_other_through_all_tables_and_then_the_older_keks_are_retired(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand
) -> None:
    ids = sorted([await made(store) for _ in range(3)])
    await store.claim_bucket("photos", "default", "ann")
    token, _ = await store.create_token(TOKEN, "ann")
    places = [FIRST_PLACE]
    rows = []
    while True:
        resealed = await rotating.reseal(newest, places[-1], 2, "bob")
        rows.append(resealed.rows)
        if resealed.following is None:
            break
        places.append(resealed.following)
    assert rows == [1, 2, 1, 1, 1, 0]
    assert places[1:] == [
        Place(Table.ACCOUNT, "default"),
        Place(Table.ACCESS_KEY, ids[1]),
        Place(Table.ACCESS_KEY, ids[2]),
        Place(Table.BUCKET, "photos"),
        Place(Table.ADMIN_TOKEN, token.token_id),
    ]
    for table in ("access_key", "account", "bucket", "admin_token", "store"):
        assert set(keks(hand, table)) == {newest}
    assert hand("SELECT min_kek FROM store") == [(newest,)]
    told = hand("SELECT kind, actor, body FROM change ORDER BY seq DESC LIMIT 6")[::-1]
    assert [kind for kind, _, _ in told] == ["kek.reseal"] * 5 + ["kek.retire"]
    assert {actor for _, actor, _ in told} == {"bob"}
    assert json.loads(told[1][2]) == {"kek_id": newest, "table": "access_key", "rows": 2, "until": ids[1]}


async def test_records_keep_their_bytes_and_secrets_their_text(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand
) -> None:
    access_key, _ = await store.create_key(NewKey("default", "backup", AllBuckets()), "ann")
    await store.set_upstream("default", "STOREKEY", Secret("store-secret"), "ann")
    await store.claim_bucket("photos", "default", "ann")
    token, _ = await store.create_token(TOKEN, "ann")
    tables = ("access_key", "account", "bucket", "admin_token")
    before = [hand(f"SELECT record FROM {table}") for table in tables]
    seals = hand("SELECT secret_sealed FROM access_key"), hand("SELECT upstream_sealed FROM account")
    await to_its_end(rotating, newest)
    assert [hand(f"SELECT record FROM {table}") for table in tables] == before
    assert hand("SELECT secret_sealed FROM access_key") != seals[0]
    assert hand("SELECT upstream_sealed FROM account") != seals[1]
    assert await rotating.get_key(access_key.access_key_id) == access_key
    assert await rotating.find_token(token.token_id) == token
    assert [account.upstream for account in await rotating.list_accounts()] == ["STOREKEY"]


@pytest.mark.parametrize(
    ("table", "forgery"),
    [
        ("access_key", "record = zeroblob(9)"),
        ("access_key", "secret_sealed = zeroblob(85)"),
        ("access_key", "created_at = 5"),
        ("account", "record = zeroblob(9)"),
        ("account", "number = '999999999999'"),
        ("account", "upstream_sealed = zeroblob(57)"),
        ("bucket", "record = zeroblob(9)"),
        ("bucket", "account = 'another'"),
        ("admin_token", "record = zeroblob(9)"),
        ("admin_token", "account = 'default'"),
    ],
)
async def test_a_forged_row_is_not_made_a_true_one(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand, table: str, forgery: str
) -> None:
    """Who writes the file, but has no KEK, must not get a MAC from a rotation."""
    await made(store)
    await store.set_upstream("default", "STOREKEY", Secret("store-secret"), "ann")
    await store.claim_bucket("photos", "default", "ann")
    await store.create_token(TOKEN, "ann")
    hand(f"UPDATE {table} SET {forgery}")
    before = hand(f"SELECT * FROM {table}")
    with pytest.raises(RecordRefused):
        await to_its_end(rotating, newest)
    assert hand(f"SELECT * FROM {table}") == before
    assert hand("SELECT min_kek FROM store") != [(newest,)]


async def test_an_older_record_put_back_is_not_made_the_last_one(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand
) -> None:
    access_key_id = await made(store)
    [old] = hand("SELECT * FROM access_key")
    await store.revoke_key(access_key_id, RevokeReason.COMPROMISED, "ann")
    hand(f"REPLACE INTO access_key VALUES ({', '.join('?' * len(old))})", *old)
    await rotating.reseal(newest, FIRST_PLACE, 500, "bob")
    with pytest.raises(RecordRefused, match="older one"):
        await rotating.reseal(newest, FIRST_PLACE, 500, "bob")
    assert hand("SELECT min_kek FROM store") != [(newest,)]


async def test_an_older_record_of_a_token_is_not_made_the_last_one(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand
) -> None:
    token, _ = await store.create_token(TOKEN, "ann")
    [old] = hand("SELECT * FROM admin_token")
    await store.revoke_token(token.token_id, "ann")
    hand(f"REPLACE INTO admin_token VALUES ({', '.join('?' * len(old))})", *old)
    with pytest.raises(RecordRefused, match="older one"):
        await to_its_end(rotating, newest)
    assert hand("SELECT min_kek FROM store") != [(newest,)]


async def test_a_row_behind_a_place_that_was_passed_is_found_before_anything_is_retired(
    rotating: SqliteStore, store: SqliteStore, newest: str, hand: Hand
) -> None:
    await made(store)
    resealed = await rotating.reseal(newest, Place(Table.BUCKET, "zzz"), 500, "bob")
    assert resealed == (1, Place(Table.ACCOUNT, "default"))
    assert (await rotating.reseal(newest, Place(Table.BUCKET, "zzz"), 500, "bob")).rows == 1
    assert await rotating.reseal(newest, Place(Table.BUCKET, "zzz"), 500, "bob") == (0, None)
    assert set(keks(hand)) == {newest}


async def test_from_the_first_page_on_everybody_seals_under_the_newest(
    rotating: SqliteStore, newest: str, database: Path, kek_file: Path, hand: Hand
) -> None:
    await rotating.reseal(newest, FIRST_PLACE, 500, "bob")
    async with open_sqlite_store(database, load_kek_ring(kek_file), create=False) as other:
        await made(other)
    assert keks(hand) == {newest: 1}


async def test_a_key_revoked_between_two_pages_is_sealed_anew_as_it_is_now(
    rotating: SqliteStore, store: SqliteStore, newest: str, ring: KekRing, hand: Hand
) -> None:
    access_key_id = await made(store)
    await rotating.reseal(newest, FIRST_PLACE, 500, "bob")
    revoked = await rotating.revoke_key(access_key_id, RevokeReason.UNUSED, "ann")
    assert keks(hand) == {ring.newest.kek_id: 1}
    await to_its_end(rotating, newest)
    assert keks(hand) == {newest: 1}
    assert await rotating.get_key(access_key_id) == revoked


async def test_another_kek_than_the_newest_is_refused(
    rotating: SqliteStore, newest: str, ring: KekRing, hand: Hand
) -> None:
    before = hand("SELECT max(seq) FROM change")
    with pytest.raises(Conflict, match=newest):
        await rotating.reseal(ring.newest.kek_id, FIRST_PLACE, 500, "bob")
    assert hand("SELECT max(seq) FROM change") == before

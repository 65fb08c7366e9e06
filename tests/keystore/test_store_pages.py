"""The contract, asked of every implementation: keys page by page, and one as the control plane knows it."""

import asyncio
import hashlib
import hmac
from dataclasses import replace

import pytest

from keystore.access_key import AccessKey, RevokeReason
from keystore.errors import InvalidInput
from keystore.postgres import PostgresStore
from keystore.postgres_rows import PAGE_ACCESS_KEYS as POSTGRES_PAGE
from keystore.postgres_rows import PAGE_ACCESS_KEYS_OF as POSTGRES_PAGE_OF
from keystore.sealing import Secret
from keystore.sqlite import SqliteStore
from keystore.sqlite_rows import PAGE_ACCESS_KEYS, PAGE_ACCESS_KEYS_OF
from keystore.store import MAX_PAGE, KeyOrder, Store
from tests.support.contract import NOW, made, opener, store, wish

__all__ = ["opener", "store"]  # fixtures, in place of those of this folder

DATE = b"20250101"
MANY = 3000


def of(access_key: AccessKey) -> KeyOrder:
    return access_key.created_at, access_key.access_key_id


async def paged(store: Store, account: str | None, limit: int) -> list[list[AccessKey]]:
    pages = [await store.page_keys(account, None, limit)]
    while len(pages[-1]) == limit:
        pages.append(await store.page_keys(account, of(pages[-1][-1]), limit))
        assert pages[-1] != pages[-2], "it does not go on"
    return pages


async def test_pages_are_newest_first_and_miss_nothing(store: Store) -> None:
    await store.create_account("team", "ann")
    for account in ("default", "team", "default", "team", "default", "team", "team"):
        await made(store, account=account)
    gone, *rest = await store.list_keys("team")
    await store.revoke_key(rest[0].access_key_id, RevokeReason.UNUSED, "ann")
    await store.delete_key(gone.access_key_id, "ann")
    for account in (None, "default", "team", "nobody"):
        expected = sorted(await store.list_keys(account), key=of, reverse=True)
        for limit in (1, 2, 3, MAX_PAGE):
            pages = await paged(store, account, limit)
            assert [one for page in pages for one in page] == expected
            assert all(len(page) == limit for page in pages[:-1])


async def test_a_page_goes_on_behind_a_key_that_is_gone(store: Store) -> None:
    newest, middle, oldest = sorted([await made(store) for _ in range(3)], key=of, reverse=True)
    await store.delete_key(middle.access_key_id, "ann")
    assert await store.page_keys(None, of(middle), 9) == [oldest]
    assert await store.page_keys("default", of(newest), 9) == [oldest]


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
async def test_a_page_has_an_end(store: Store, limit: int) -> None:
    with pytest.raises(InvalidInput):
        await store.page_keys(None, None, limit)


@pytest.mark.parametrize("after", [(-1, "NQAKone"), (2**70, "NQAKone"), (NOW, ""), (NOW, "a\0b"), (NOW, "\ud800abc")])
async def test_a_place_that_no_key_can_have_is_refused(store: Store, after: KeyOrder) -> None:
    with pytest.raises(InvalidInput):
        await store.page_keys("default", after, 9)


# ---- thousands of keys ----


@pytest.fixture
async def many(store: Store) -> Store:
    """3000 keys of two accounts, made over a thousand seconds, three in each."""
    assert isinstance(store, SqliteStore | PostgresStore)
    await store.create_account("team", "ann")
    async with store._mutation() as mutation:
        for number in range(MANY):
            drafted = await store._granted(mutation, wish(f"key {number}"), f"NQAK{number * 7919 % MANY:05}", "ann")
            account = "team" if number % 5 == 0 else "default"
            await mutation.add_key(replace(drafted, account=account, created_at=NOW - number // 3))
        if isinstance(store, PostgresStore):  # as its autovacuum does by itself, a minute later
            await mutation.execute("ANALYZE nqgate.access_key, nqgate.change", ())
    return store


async def test_of_thousands_each_is_on_one_page(many: Store) -> None:
    for account, count in ((None, MANY), ("team", MANY // 5)):
        found = [one for page in await paged(many, account, 500) for one in page]
        assert len(found) == count
        assert found == sorted(found, key=of, reverse=True)
        assert len({one.access_key_id for one in found}) == count


async def test_a_page_costs_what_it_has(many: Store) -> None:
    """No statement sorts the table or reads all of it, from the first page on and in the middle."""
    assert isinstance(many, SqliteStore | PostgresStore)
    postgres = isinstance(many, PostgresStore)
    explain = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
    of_all, of_one = (POSTGRES_PAGE, POSTGRES_PAGE_OF) if postgres else (PAGE_ACCESS_KEYS, PAGE_ACCESS_KEYS_OF)
    asked: list[tuple[str, list[str]]] = [(of_all, []), (of_one, ["team"])]
    for created_at, access_key_id in ((2**63 - 1, ""), (NOW - 500, "NQAK01500")):
        for statement, more in asked:
            _, plan = await many._read(explain + statement, created_at, access_key_id, 50, *more)
            text = "\n".join(str(step[-1]) for step in plan)
            assert "access_key_made" in text or (more and "access_key_of_account" in text), text
            for whole in ("TEMP B-TREE", "SCAN", "Seq Scan", "Hash", "Sort"):
                assert whole not in text, text


# ---- as the control plane verifies by it ----


async def test_a_known_key_has_the_record_and_what_its_signatures_are_verified_by(store: Store) -> None:
    access_key, secret = await store.create_key(wish(), "ann")
    known = await store.known_key(access_key.access_key_id, DATE)
    assert known is not None
    assert known.access_key == access_key
    octets = secret.expose().encode()
    assert known.date_keys == {DATE: hmac.digest(b"AWS4" + octets, DATE, hashlib.sha256)}
    assert known.hmac_sha1(b"text") == hmac.digest(octets, b"text", hashlib.sha1)
    assert secret.expose() not in repr(known)


async def test_a_known_key_is_as_new_as_its_last_change(store: Store) -> None:
    access_key = await store.import_key(wish(), "AKIAtheirs", Secret("s" * 40), "ann")
    ended = await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "bob")
    known = await store.known_key("AKIAtheirs", DATE)
    assert known is not None
    assert known.access_key == ended
    await store.delete_key("AKIAtheirs", "bob")
    assert await store.known_key("AKIAtheirs", DATE) is None


@pytest.mark.parametrize("access_key_id", ["NQAKnobody", "", "a b", "a\0b", "\ud800abc", "x" * 200])
async def test_what_no_key_has_as_its_id_is_no_known_key(store: Store, access_key_id: str) -> None:
    assert await store.known_key(access_key_id, DATE) is None


async def test_known_keys_are_asked_for_beside_mutations(store: Store) -> None:
    access_key = await made(store)
    asked = [store.known_key(access_key.access_key_id, DATE) for _ in range(20)]
    written = [made(store) for _ in range(5)]
    known, _ = await asyncio.gather(asyncio.gather(*asked), asyncio.gather(*written))
    assert {one and one.access_key.access_key_id for one in known} == {access_key.access_key_id}

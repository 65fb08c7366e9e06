from collections.abc import Iterable

import pytest

from gateway.console import key_lists
from gateway.console.key_lists import KeyPage, WantedKeys, page_of_keys
from keystore.access_key import RevokeReason
from keystore.errors import InvalidInput
from keystore.scope import BucketGrant, SpecificBuckets
from keystore.usage import Used, write_usage
from tests.support.plane import Plane

DAY = 86_400


async def listed(plane: Plane, cursor: str | None = None, limit: int = 50, **wanted: object) -> KeyPage:
    return await page_of_keys(plane.keystore, WantedKeys(**wanted), cursor, limit, plane.now)  # type: ignore[arg-type]


def ids(page: KeyPage) -> list[str]:
    return [one["access_key_id"] for one in page.keys]


async def made(plane: Plane, labels: Iterable[str], **more: object) -> list[str]:
    """A second apart; their ids, the newest first."""
    found = []
    for label in labels:
        plane.now += 1
        found.append(await plane.key(label, **more))  # type: ignore[arg-type]
    return found[::-1]


async def test_the_newest_come_first_page_by_page_and_each_once(plane: Plane) -> None:
    plane.now += 1
    newest_first = [*(await made(plane, "bcdefg")), await plane.key("a")]
    seen: list[str] = []
    cursor = None
    while True:
        page = await listed(plane, cursor, limit=3)
        seen += ids(page)
        cursor = page.following
        if cursor is None:
            break
        assert len(page.keys) == 3
    assert sorted(seen) == sorted(newest_first)
    assert len(seen) == 7
    moments = [one["created_at"] for one in (await listed(plane)).keys]
    assert moments == sorted(moments, reverse=True)


async def test_a_page_that_ends_with_the_last_key_has_none_behind_it(plane: Plane) -> None:
    await made(plane, "abc")
    assert (await listed(plane, limit=3)).following is None
    assert (await listed(plane, limit=2)).following is not None


async def test_keys_made_meanwhile_move_no_page(plane: Plane) -> None:
    old = await made(plane, "abcd")
    first = await listed(plane, limit=2)
    await made(plane, "ef")
    assert ids(await listed(plane, first.following, limit=2)) == old[2:]


async def test_an_account_lists_its_own(plane: Plane) -> None:
    [theirs] = await made(plane, "a", account="acme")
    await made(plane, "b")
    assert ids(await listed(plane, account="acme")) == [theirs]
    assert len((await listed(plane)).keys) == 2


async def test_status_tells_active_from_ended_and_from_what_will_end(plane: Plane) -> None:
    [active] = await made(plane, "a")
    [revoked] = await made(plane, "b")
    await plane.keystore.store.revoke_key(revoked, RevokeReason.UNUSED, "test")
    [expired] = await made(plane, "c", expires_at=int(plane.now) + 10)
    [expiring] = await made(plane, "d", expires_at=int(plane.now) + 7 * DAY)
    plane.now += 10
    assert ids(await listed(plane, status="active")) == [expiring, active]
    assert ids(await listed(plane, status="revoked")) == [expired, revoked]
    assert ids(await listed(plane, status="expiring")) == [expiring]


async def test_a_bucket_finds_those_that_name_it_and_those_for_all(plane: Plane) -> None:
    scope = SpecificBuckets((BucketGrant("photos"), BucketGrant("films")))
    [named] = await made(plane, "a", scope=scope)
    [everywhere] = await made(plane, "b")
    await made(plane, "c", scope=SpecificBuckets((BucketGrant("other"),)))
    assert ids(await listed(plane, bucket="photos")) == [everywhere, named]
    assert ids(await listed(plane, all_buckets=True)) == [everywhere]


async def test_words_are_looked_for_in_labels_and_an_id_finds_its_key(plane: Plane) -> None:
    [camera] = await made(plane, ["Camera STRASSE"])
    await made(plane, ["other"])
    assert ids(await listed(plane, q="straße")) == [camera]
    assert ids(await listed(plane, q=camera)) == [camera]
    assert ids(await listed(plane, q=camera, account="acme")) == []
    assert ids(await listed(plane, q=camera, status="revoked")) == []
    assert ids(await listed(plane, q="NQAK0000000000000000")) == []


async def test_unused_counts_from_the_last_use_and_else_from_the_making(plane: Plane) -> None:
    used, never = await made(plane, "ab")
    plane.now += 100 * DAY
    recent = Used(int(plane.now) - 30 * DAY, "GetObject", "photos", "192.0.2.1", "us-east-1", "aws-cli")
    write_usage(plane.folder / "keys.db", {used: recent}, {})
    await made(plane, "c")
    assert ids(await listed(plane, unused_days=90)) == [never]
    assert ids(await listed(plane, unused_days=30)) == [used, never]
    assert ids(await listed(plane, older_than_days=90)) == [used, never]


async def test_a_page_that_had_to_look_at_many_ends_early_and_goes_on(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_lists, "LOOKED_AT", 4)
    monkeypatch.setattr(key_lists, "_ROWS", 2)
    [sought] = await made(plane, ["sought"])
    await made(plane, ["other"] * 6)
    first = await listed(plane, q="sought")
    assert first.keys == []
    assert first.following is not None
    assert ids(await listed(plane, first.following, q="sought")) == [sought]


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "MTIz", "YTpi", "A" * 400, "é"])
async def test_a_cursor_of_somebodys_own_making_is_refused(plane: Plane, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await listed(plane, cursor)


@pytest.mark.parametrize("limit", [0, -1, 201])
async def test_a_page_is_bounded(plane: Plane, limit: int) -> None:
    with pytest.raises(InvalidInput):
        await listed(plane, limit=limit)

from typing import Any

import pytest

from keystore.access_key import RevokeReason
from keystore.key_acts import Edit
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets
from tests.support.iam import NOW, PROVEN, IamHouse, Signing

BBB = SpecificBuckets((BucketGrant("bbb", Rights.READ_ONLY),))
SCOPE = SpecificBuckets((BucketGrant("aaa", Rights.READ_WRITE, "team/"), *BBB.buckets))


async def manager(house: IamHouse, scope: Scope = SCOPE, **limits: Any) -> Signing:
    return await house.issue("manager", scope, manage_keys=True, **limits)


async def scope_of(house: IamHouse, signing: Signing) -> Scope:
    return (await house.store.get_key(signing.access_key_id)).scope


async def test_users_are_the_names_of_the_account_s_keys(house: IamHouse) -> None:
    asking = await manager(house)
    await house.store.create_account("team", "ann")
    for label, account in (("my app", "default"), ("my-app", "default"), ("zoo", "default"), ("theirs", "team")):
        await house.issue(label, BBB, account=account)
    number = next(one.number for one in await house.store.list_accounts() if one.name == "default")
    first = await house.ask(asking, "ListUsers", MaxItems="2")
    assert (first.texts("UserName"), first.text("IsTruncated")) == (["manager", "my-app"], "true")
    assert first.texts("Arn")[1] == f"arn:aws:iam::{number}:user/my-app"
    assert set(first.texts("Path")) == {"/"}
    assert first.text("CreateDate") == "2026-09-21T14:13:20Z"
    second = await house.ask(asking, "ListUsers", Marker=first.text("Marker") or "")
    assert (second.texts("UserName"), second.text("IsTruncated")) == (["zoo"], "false")


async def test_a_user_is_shown_with_the_tags_of_its_newest_active_key(house: IamHouse) -> None:
    asking = await manager(house)
    await house.issue("app", SCOPE, expires_at=NOW + 60)
    shown = await house.ask(asking, "GetUser", UserName="app")
    tags = dict(zip(shown.texts("Key"), shown.texts("Value"), strict=True))
    assert tags == {
        "nq:label": "app",
        "nq:buckets": "aaa/team/:read_write bbb:read_only",
        "nq:expires": "2026-09-21T14:14:20Z",
    }
    listed = await house.ask(asking, "ListUserTags", UserName="app", MaxItems="2")
    assert (listed.texts("Key"), listed.text("IsTruncated")) == (["nq:buckets", "nq:expires"], "true")
    rest = await house.ask(asking, "ListUserTags", UserName="app", Marker=listed.text("Marker") or "")
    assert (rest.texts("Key"), rest.text("IsTruncated")) == (["nq:label"], "false")
    assert (await house.ask(asking, "GetUser")).text("UserName") == "manager"
    assert (await house.ask(asking, "ListUserTags")).code == "ValidationError"


async def test_a_tag_gives_a_key_its_buckets(house: IamHouse) -> None:
    asking = await manager(house)
    app = await house.issue("app", NoBuckets())
    answered = await house.ask(asking, "TagUser", {"nq:buckets": "aaa bbb"}, UserName="app")
    assert answered.status == 200
    assert answered.document.find("TagUserResult") is None
    assert await scope_of(house, app) == SCOPE
    assert house.acts.done == [("update", f"key:{asking.access_key_id}@192.0.2.7")]


async def test_all_active_keys_of_a_user_are_tagged_and_revoked_ones_left(house: IamHouse) -> None:
    asking = await manager(house)
    one, two, over = [await house.issue("app", NoBuckets()) for _ in range(3)]
    await house.store.revoke_key(over.access_key_id, RevokeReason.OTHER, "ann")
    assert (await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")).status == 200
    assert [await scope_of(house, signing) for signing in (one, two, over)] == [BBB, BBB, NoBuckets()]


async def test_a_user_whose_keys_are_all_revoked_is_not_tagged(house: IamHouse) -> None:
    asking, over = await manager(house), await house.issue("app", NoBuckets())
    await house.store.revoke_key(over.access_key_id, RevokeReason.OTHER, "ann")
    assert (await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")).code == "UnmodifiableEntity"


async def test_a_key_s_label_and_end_are_tags_too(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", NoBuckets())
    tags = {"nq:label": "my app", "nq:expires": "1h"}
    assert (await house.ask(asking, "TagUser", tags, UserName="app")).status == 200
    access_key = await house.store.get_key(app.access_key_id)
    assert (access_key.label, access_key.expires_at) == ("my app", NOW + 3600)
    assert (await house.ask(asking, "GetUser", UserName="my-app")).status == 200


@pytest.mark.parametrize(
    "tags",
    [
        {"nq:buckets": "ccc"},
        {"nq:buckets": "aaa bbb:full"},
        {"nq:buckets": "*"},
        {"nq:buckets": "aaa/"},
        {"nq:expires": "never"},
        {"nq:expires": "2h"},
    ],
)
async def test_a_tag_lends_no_key_what_the_caller_has_not(house: IamHouse, tags: dict[str, str]) -> None:
    asking = await manager(house, expires_at=NOW + 3600)
    app = await house.issue("app", NoBuckets(), expires_at=NOW + 60)
    before = await house.store.get_key(app.access_key_id)
    refused = await house.ask(asking, "TagUser", tags, UserName="app")
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert await house.store.get_key(app.access_key_id) == before
    assert house.acts.done == []


async def test_a_key_does_not_widen_itself(house: IamHouse) -> None:
    asking = await manager(house)
    for tags in ({"nq:buckets": "ccc"}, {"nq:buckets": "*"}, {"nq:buckets": "aaa:full"}):
        assert (await house.ask(asking, "TagUser", tags, UserName="manager")).code == "AccessDenied"
    assert await scope_of(house, asking) == SCOPE
    assert (await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="manager")).status == 200
    assert await scope_of(house, asking) == BBB


async def test_a_key_that_reaches_more_is_tagged_neither_alone_nor_beside_others(house: IamHouse) -> None:
    """Neither narrowed nor relabelled; and what shares its name is left alone with it."""
    asking = await manager(house)
    narrow, wide = await house.issue("app", NoBuckets()), await house.issue("app", AllBuckets())
    for tags in ({"nq:buckets": "bbb"}, {"nq:label": "App"}):
        refused = await house.ask(asking, "TagUser", tags, UserName="app")
        assert (refused.status, refused.code) == (403, "AccessDenied")
    assert (await scope_of(house, narrow), await scope_of(house, wide)) == (NoBuckets(), AllBuckets())
    assert house.acts.done == []


async def test_a_caller_that_is_revoked_between_two_keys_changes_no_more(house: IamHouse) -> None:
    asking = await manager(house)
    keys = [await house.issue("app", NoBuckets()) for _ in range(2)]

    async def end() -> None:
        await house.store.revoke_key(asking.access_key_id, RevokeReason.OTHER, "ann")

    house.acts.meanwhile = end
    refused = await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")
    assert refused.code == "InvalidClientTokenId"
    assert sorted([await scope_of(house, one) == BBB for one in keys]) == [False, True]


async def test_a_key_that_was_changed_meanwhile_is_not_changed_again(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", NoBuckets())

    async def relabel() -> None:
        await house.store.update_key(app.access_key_id, Edit(label="app", scope=AllBuckets()), "ann")

    house.acts.meanwhile = relabel
    refused = await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")
    assert (refused.status, refused.code) == (409, "ConcurrentModification")
    assert await scope_of(house, app) == AllBuckets()


async def test_at_most_ten_keys_are_tagged_at_once(house: IamHouse) -> None:
    asking = await manager(house)
    keys = [await house.issue("app", NoBuckets()) for _ in range(11)]
    refused = await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")
    assert (refused.status, refused.code) == (409, "LimitExceeded")
    await house.store.delete_key(keys[0].access_key_id, "ann")
    assert (await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")).status == 200


async def test_a_change_that_is_not_proven_is_said(house: IamHouse) -> None:
    asking, _ = await manager(house), await house.issue("app", NoBuckets())
    house.acts.confirmation = PROVEN._replace(confirmed=0, lapsed=1)
    assert (await house.ask(asking, "TagUser", {"nq:buckets": "bbb"}, UserName="app")).status == 503


async def test_a_tag_that_is_not_kept_changes_nothing(house: IamHouse) -> None:
    asking, _ = await manager(house), await house.issue("app", NoBuckets())
    for tags in ({}, {"team": "x"}, {"nq:buckets": ""}, {"nq:label": "a\nb"}, {"nq:buckets": "bbb", "team": "x"}):
        assert (await house.ask(asking, "TagUser", tags, UserName="app")).code == "ValidationError"
    assert house.acts.done == []

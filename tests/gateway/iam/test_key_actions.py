"""What a key that manages keys does to keys; each way in which one could reach more than itself is closed."""

import re
from typing import Any

import pytest

from keystore.access_key import RevokeReason, Status
from keystore.key_acts import Edit
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets
from keystore.usage import Usage, Used
from tests.support.iam import NOW, PROVEN, IamHouse, Signing, form

AAA = SpecificBuckets((BucketGrant("aaa", Rights.READ_WRITE, "team/"), BucketGrant("bbb", Rights.READ_ONLY)))
READ_BBB = SpecificBuckets((BucketGrant("bbb", Rights.READ_ONLY),))


async def manager(house: IamHouse, scope: Scope = AAA, label: str = "manager", **limits: Any) -> Signing:
    return await house.issue(label, scope, manage_keys=True, **limits)


# ---- CreateAccessKey ----


async def test_a_key_made_here_has_no_bucket_and_manages_nothing(house: IamHouse) -> None:
    made = await house.ask(await manager(house, AllBuckets()), "CreateAccessKey", UserName="app")
    assert made.status == 200
    assert (made.text("UserName"), made.text("Status"), made.text("CreateDate")) == (
        "app", "Active", "2026-09-21T14:13:20Z",
    )  # fmt: skip
    assert re.fullmatch(r"[0-9A-Za-z]{40}", made.text("SecretAccessKey") or "")
    assert made.headers[b"cache-control"] == b"no-store"
    access_key = await house.store.get_key(made.text("AccessKeyId") or "")
    assert (access_key.scope, access_key.manage_keys, access_key.label) == (NoBuckets(), False, "app")
    signs = Signing(access_key.access_key_id, made.text("SecretAccessKey") or "", "sts")
    assert (await house.ask(signs, "GetCallerIdentity")).status == 200


async def test_a_key_made_here_has_the_end_the_networks_and_the_account_of_its_maker(house: IamHouse) -> None:
    await house.store.create_account("team", "ann")
    maker = await manager(house, account="team", expires_at=NOW + 9, source_cidrs=("192.0.2.0/24",))
    made = await house.ask(maker, "CreateAccessKey", UserName="app")
    access_key = await house.store.get_key(made.text("AccessKeyId") or "")
    assert (access_key.account, access_key.expires_at, access_key.source_cidrs) == ("team", NOW + 9, ("192.0.2.0/24",))
    assert access_key.created_by == f"key:{maker.access_key_id}@192.0.2.7"


async def test_a_key_made_here_ends_when_the_longest_life_is_over_or_its_maker_s(house: IamHouse) -> None:
    house.acts.live_at_most(60)
    for ends, expected in ((None, NOW + 60), (NOW + 9, NOW + 9), (NOW + 99, NOW + 60)):
        made = await house.ask(await manager(house, expires_at=ends), "CreateAccessKey")
        assert (await house.store.get_key(made.text("AccessKeyId") or "")).expires_at == expected


async def test_without_a_user_name_it_is_another_key_of_the_caller_s_user(house: IamHouse) -> None:
    made = await house.ask(await manager(house, label="Büro 7"), "CreateAccessKey")
    assert made.text("UserName") == "Buro-7"
    assert (await house.store.get_key(made.text("AccessKeyId") or "")).label == "Büro 7"


async def test_a_request_that_is_sent_again_makes_no_second_key_and_shows_no_secret(house: IamHouse) -> None:
    asking = await manager(house)
    request = asking.request(form("CreateAccessKey", UserName="app"))
    made = await house.send(request)
    again = await house.send(request)
    assert (again.status, again.code) == (409, "EntityAlreadyExists")
    assert made.text("AccessKeyId") in again.message
    assert again.text("SecretAccessKey") is None
    assert len(await house.store.list_keys(None)) == 2
    await house.store.delete_key(made.text("AccessKeyId") or "", "ann")
    assert (await house.send(request)).status == 404
    later = asking.__class__(asking.access_key_id, asking.secret, now=NOW + 1)
    assert (await house.ask(later, "CreateAccessKey", UserName="app")).status == 200


async def test_tags_give_label_buckets_and_an_end(house: IamHouse) -> None:
    tags = {"nq:label": "my app", "nq:buckets": "aaa bbb", "nq:expires": "1h"}
    made = await house.ask(await manager(house), "CreateAccessKey", tags, UserName="my-app")
    assert made.text("UserName") == "my-app"
    access_key = await house.store.get_key(made.text("AccessKeyId") or "")
    assert (access_key.label, access_key.scope, access_key.expires_at) == ("my app", AAA, NOW + 3600)


async def test_a_label_that_belongs_to_another_user_makes_no_key(house: IamHouse) -> None:
    asking = await manager(house)
    refused = await house.ask(asking, "CreateAccessKey", {"nq:label": "my app"}, UserName="other")
    assert (refused.status, refused.code) == (400, "ValidationError")
    assert len(await house.store.list_keys(None)) == 1


@pytest.mark.parametrize(
    "tags",
    [
        {"nq:buckets": "ccc"},
        {"nq:buckets": "aaa ccc"},
        {"nq:buckets": "*"},
        {"nq:buckets": "*:read_only"},
        {"nq:buckets": "aaa:full"},
        {"nq:buckets": "bbb:write_only"},
        {"nq:buckets": "aaa/teams"},
        {"nq:buckets": "aaa/other"},
        {"nq:expires": "never"},
        {"nq:expires": "2h"},
    ],
)
async def test_a_key_makes_none_that_reaches_more_than_itself(house: IamHouse, tags: dict[str, str]) -> None:
    asking = await manager(house, expires_at=NOW + 3600)
    refused = await house.ask(asking, "CreateAccessKey", tags, UserName="app")
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert house.acts.done == []
    assert len(await house.store.list_keys(None)) == 1


async def test_the_whole_of_a_prefix_cannot_be_asked_for(house: IamHouse) -> None:
    """An empty prefix would be the whole bucket."""
    refused = await house.ask(await manager(house), "CreateAccessKey", {"nq:buckets": "aaa/"}, UserName="app")
    assert (refused.status, refused.code) == (403, "AccessDenied")


async def test_a_bucket_that_is_another_one_now_is_not_handed_on(house: IamHouse) -> None:
    """The maker's grant is dead: the name has gone to another account and come back since."""
    asking = await manager(house)
    await house.store.create_account("team", "ann")
    for account in ("team", "default"):
        await house.store.assign_bucket("bbb", account, "ann")
    refused = await house.ask(asking, "CreateAccessKey", {"nq:buckets": "bbb"}, UserName="app")
    assert (refused.status, refused.code) == (403, "AccessDenied")


async def test_a_bucket_that_changes_hands_while_the_key_is_made_takes_the_key_back(house: IamHouse) -> None:
    asking = await manager(house)
    await house.store.create_account("team", "ann")

    async def reassign() -> None:
        for account in ("team", "default"):
            await house.store.assign_bucket("bbb", account, "ann")

    house.acts.meanwhile = reassign
    refused = await house.ask(asking, "CreateAccessKey", {"nq:buckets": "bbb"}, UserName="app")
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert [act for act, _ in house.acts.done] == ["create", "delete"]
    assert [one.access_key_id for one in await house.store.list_keys(None)] == [asking.access_key_id]


@pytest.mark.parametrize("end", ["revoke", "delete", "narrow"])
async def test_a_maker_that_is_ended_meanwhile_leaves_no_key_behind(house: IamHouse, end: str) -> None:
    asking = await manager(house)

    async def ended() -> None:
        match end:
            case "revoke":
                await house.store.revoke_key(asking.access_key_id, RevokeReason.COMPROMISED, "ann")
            case "delete":
                await house.store.delete_key(asking.access_key_id, "ann")
            case _:
                await house.store.update_key(asking.access_key_id, Edit(scope=NoBuckets()), "ann")

    house.acts.meanwhile = ended
    refused = await house.ask(asking, "CreateAccessKey", {"nq:buckets": "bbb"}, UserName="app")
    assert refused.status == 403
    assert refused.text("SecretAccessKey") is None
    assert {one.access_key_id for one in await house.store.list_keys(None)} <= {asking.access_key_id}


# ---- who may ----


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("CreateAccessKey", {"UserName": "app"}),
        ("CreateAccessKey", {}),
        ("ListAccessKeys", {}),
        ("ListAccessKeys", {"UserName": "app"}),
        ("UpdateAccessKey", {"AccessKeyId": "NQAK0000000000000000", "Status": "Active"}),
        ("UpdateAccessKey", {"AccessKeyId": "NQAK0000000000000000", "Status": "Inactive"}),
        ("DeleteAccessKey", {"AccessKeyId": "NQAK0000000000000000"}),
        ("GetAccessKeyLastUsed", {"AccessKeyId": "NQAK0000000000000000"}),
        ("ListUsers", {}),
        ("GetUser", {}),
        ("GetUser", {"UserName": "app"}),
        ("ListUserTags", {"UserName": "app"}),
        ("TagUser", {"UserName": "app"}),
    ],
)
async def test_a_key_that_manages_none_is_denied_whether_or_not_there_is_what_it_names(
    house: IamHouse, action: str, parameters: dict[str, str]
) -> None:
    ordinary = await house.issue("plain", AllBuckets())
    other = await house.issue("app", NoBuckets())
    for access_key_id in ("NQAK0000000000000000", other.access_key_id):
        said = {**parameters, **({"AccessKeyId": access_key_id} if "AccessKeyId" in parameters else {})}
        refused = await house.ask(ordinary, action, **said)
        assert (refused.status, refused.code) == (403, "AccessDenied")
        assert "--manage-keys" in refused.message
    assert house.acts.done == []


async def test_keys_of_another_account_are_not_there(house: IamHouse) -> None:
    await house.store.create_account("team", "ann")
    theirs = await house.issue("app", NoBuckets(), account="team")
    asking = await manager(house, AllBuckets())
    for access_key_id in (theirs.access_key_id, "NQAK0000000000000000"):
        for action, more in (
            ("UpdateAccessKey", {"Status": "Inactive"}),
            ("UpdateAccessKey", {"Status": "Active"}),
            ("DeleteAccessKey", {}),
            ("GetAccessKeyLastUsed", {}),
        ):
            refused = await house.ask(asking, action, AccessKeyId=access_key_id, **more)
            assert (refused.status, refused.code) == (404, "NoSuchEntity")
            assert refused.message == f"The Access Key with id {access_key_id} cannot be found."
    for action in ("ListAccessKeys", "GetUser", "ListUserTags"):
        assert (await house.ask(asking, action, UserName="app")).code == "NoSuchEntity"
    assert house.acts.done == []


# ---- ListAccessKeys ----


async def test_keys_of_a_user_are_listed_by_the_page(house: IamHouse) -> None:
    asking = await manager(house)
    made = [(await house.issue("my app", READ_BBB)).access_key_id for _ in range(3)]
    await house.issue("other", READ_BBB)
    await house.store.revoke_key(sorted(made)[0], RevokeReason.OTHER, "ann")
    first = await house.ask(asking, "ListAccessKeys", UserName="my-app", MaxItems="2")
    assert first.texts("Status") == ["Inactive", "Active"]
    assert (first.text("IsTruncated"), set(first.texts("UserName"))) == ("true", {"my-app"})
    second = await house.ask(
        asking, "ListAccessKeys", UserName="my-app", MaxItems="2", Marker=first.text("Marker") or ""
    )
    assert (second.text("IsTruncated"), second.text("Marker")) == ("false", None)
    assert first.texts("AccessKeyId") + second.texts("AccessKeyId") == sorted(made)
    await house.store.delete_key(sorted(made)[1], "ann")
    again = await house.ask(asking, "ListAccessKeys", UserName="my-app", Marker=first.text("Marker") or "")
    assert again.texts("AccessKeyId") == sorted(made)[2:]


async def test_without_a_user_name_they_are_the_caller_s_own(house: IamHouse) -> None:
    asking = await manager(house)
    await house.issue("other", READ_BBB)
    assert (await house.ask(asking, "ListAccessKeys")).texts("AccessKeyId") == [asking.access_key_id]


@pytest.mark.parametrize(
    "page",
    [{"MaxItems": "0"}, {"MaxItems": "1001"}, {"MaxItems": "+5"}, {"MaxItems": ""}, {"Marker": ""}, {"Marker": "a b"}],
)
async def test_a_page_that_is_none_is_refused(house: IamHouse, page: dict[str, str]) -> None:
    assert (await house.ask(await manager(house), "ListAccessKeys", **page)).code == "ValidationError"


# ---- UpdateAccessKey ----


async def status_of(house: IamHouse, signing: Signing) -> Status:
    return (await house.store.get_key(signing.access_key_id)).status


async def test_a_key_is_made_inactive_and_active_again(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB)
    named = {"UserName": "app", "AccessKeyId": app.access_key_id}
    for status, stored in (("Inactive", Status.REVOKED), ("Active", Status.ACTIVE), ("Active", Status.ACTIVE)):
        answered = await house.ask(asking, "UpdateAccessKey", Status=status, **named)
        assert (answered.status, answered.document.find("UpdateAccessKeyResult")) == (200, None)
        assert await status_of(house, app) is stored
    assert house.acts.done == [(act, f"key:{asking.access_key_id}@192.0.2.7") for act in ("revoke", "restore")]


async def test_the_user_that_is_named_must_be_the_key_s(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB)
    refused = await house.ask(
        asking, "UpdateAccessKey", Status="Inactive", AccessKeyId=app.access_key_id, UserName="other"
    )
    assert refused.code == "NoSuchEntity"
    assert await status_of(house, app) is Status.ACTIVE


async def test_a_key_that_reaches_more_is_revoked_but_neither_restored_nor_deleted(house: IamHouse) -> None:
    asking, wide = await manager(house), await house.issue("wide", AllBuckets())
    assert (await house.ask(asking, "UpdateAccessKey", Status="Inactive", AccessKeyId=wide.access_key_id)).status == 200
    assert await status_of(house, wide) is Status.REVOKED
    for action, more in (("UpdateAccessKey", {"Status": "Active"}), ("DeleteAccessKey", {})):
        refused = await house.ask(asking, action, AccessKeyId=wide.access_key_id, **more)
        assert (refused.status, refused.code) == (403, "AccessDenied")
    assert await status_of(house, wide) is Status.REVOKED
    assert [act for act, _ in house.acts.done] == ["revoke"]


async def test_a_compromised_key_stays_inactive(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB)
    await house.store.revoke_key(app.access_key_id, RevokeReason.COMPROMISED, "ann")
    refused = await house.ask(asking, "UpdateAccessKey", Status="Active", AccessKeyId=app.access_key_id)
    assert (refused.status, refused.code) == (400, "UnmodifiableEntity")
    assert "compromised" in refused.message


async def test_an_expired_key_is_not_made_active(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB, expires_at=NOW + 9)
    said = asking.__class__(asking.access_key_id, asking.secret, now=NOW + 9).request(
        b"Action=UpdateAccessKey&Version=2010-05-08&Status=Active&AccessKeyId=" + app.access_key_id.encode()
    )
    refused = await house.send(said, NOW + 9)
    assert (refused.code, "expired" in refused.message) == ("UnmodifiableEntity", True)


@pytest.mark.parametrize("status", ["active", "Expired", ""])
async def test_a_status_is_active_or_inactive(house: IamHouse, status: str) -> None:
    asking = await manager(house)
    refused = await house.ask(asking, "UpdateAccessKey", Status=status, AccessKeyId=asking.access_key_id)
    assert refused.code == "ValidationError"


async def test_what_is_not_proven_is_said(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB)
    house.acts.confirmation = PROVEN._replace(confirmed=0, lapsed=1)
    for action, more in (("UpdateAccessKey", {"Status": "Inactive"}), ("DeleteAccessKey", {})):
        answered = await house.ask(asking, action, AccessKeyId=app.access_key_id, **more)
        assert (answered.status, answered.code, answered.text("Type")) == (503, "ServiceUnavailable", "Receiver")
        assert "committed" in answered.message


# ---- a key and itself ----


async def test_any_key_makes_itself_inactive_and_never_active(house: IamHouse) -> None:
    ordinary = await house.issue("plain", READ_BBB)
    refused = await house.ask(ordinary, "UpdateAccessKey", Status="Active", AccessKeyId=ordinary.access_key_id)
    assert refused.code == "AccessDenied"
    done = await house.ask(ordinary, "UpdateAccessKey", Status="Inactive", AccessKeyId=ordinary.access_key_id)
    assert done.status == 200
    assert await status_of(house, ordinary) is Status.REVOKED
    after = await house.ask(ordinary, "DeleteAccessKey", AccessKeyId=ordinary.access_key_id)
    assert (after.status, after.code) == (403, "InvalidClientTokenId")


async def test_any_key_deletes_itself(house: IamHouse) -> None:
    ordinary = await house.issue("plain", READ_BBB)
    answered = await house.ask(ordinary, "DeleteAccessKey", AccessKeyId=ordinary.access_key_id, UserName="plain")
    assert answered.status == 200
    assert await house.store.list_keys(None) == []


# ---- DeleteAccessKey, GetAccessKeyLastUsed ----


async def test_a_key_is_deleted_for_good(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("app", READ_BBB)
    assert (await house.ask(asking, "DeleteAccessKey", AccessKeyId=app.access_key_id)).status == 200
    assert (await house.ask(asking, "DeleteAccessKey", AccessKeyId=app.access_key_id)).code == "NoSuchEntity"


async def test_when_a_key_was_last_used(house: IamHouse) -> None:
    asking, app = await manager(house), await house.issue("my app", AllBuckets())
    never = await house.ask(asking, "GetAccessKeyLastUsed", AccessKeyId=app.access_key_id)
    assert (never.text("UserName"), never.text("LastUsedDate")) == ("my-app", None)
    assert (never.text("ServiceName"), never.text("Region")) == ("N/A", "N/A")
    used = Used(NOW, "GetObject", "aaa", "192.0.2.9", "eu-west-3", "aws-cli")
    house.acts.usage[app.access_key_id] = Usage(used, None)
    then = await house.ask(asking, "GetAccessKeyLastUsed", AccessKeyId=app.access_key_id)
    assert (then.text("LastUsedDate"), then.text("ServiceName"), then.text("Region")) == (
        "2026-09-21T14:13:20Z", "s3", "eu-west-3",
    )  # fmt: skip


async def test_asking_here_is_a_use_too(house: IamHouse) -> None:
    asking = await manager(house)
    told = await house.ask(asking, "GetAccessKeyLastUsed", AccessKeyId=asking.access_key_id)
    assert told.text("ServiceName") == "iam"
    used, _ = house.acts.usage[asking.access_key_id]
    assert used is not None
    assert (used.operation, used.bucket) == ("iam:GetAccessKeyLastUsed", "")

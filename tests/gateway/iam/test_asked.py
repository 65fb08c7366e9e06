"""What is asked of every action: parameters, and that what the caller may not see is not there."""

import pytest

from gateway.iam.asked import Asked, require_proof
from gateway.iam.claim import begin
from gateway.iam.errors import IamError
from gateway.iam.request import read_form
from gateway.iam.verify import proven
from keystore.access_key import RevokeReason
from keystore.scope import AllBuckets, NoBuckets
from tests.support.iam import NOW, PROVEN, IamHouse, Signing, form


async def asked(house: IamHouse, signing: Signing, **parameters: str) -> Asked:
    request = signing.request(form("Any", **parameters))
    begun = begin(request, NOW)
    known = await house.store.known_key(begun.claim.access_key_id, begun.claim.date)
    return Asked(proven(request, begun, known, NOW), read_form(request.body), house.acts, house.store, NOW)


async def test_the_log_names_the_key_and_the_address_and_the_account_bounds_what_is_seen(house: IamHouse) -> None:
    signing = await house.issue("app", NoBuckets())
    who = (await asked(house, signing)).who
    assert who.actor == f"key:{signing.access_key_id}@192.0.2.7"
    assert (who.account, who.sees("default"), who.sees("team")) == ("default", True, False)


async def test_a_parameter_that_is_needed_is_named(house: IamHouse) -> None:
    asking = await asked(house, await house.issue("app", NoBuckets()), AccessKeyId="")
    for get in (asking.access_key_id, lambda: asking.named("Status")):
        with pytest.raises(IamError, match="needs the parameter"):
            get()
    for wrong in ("NQ", "a b c", "x" * 129, "NQAK\n"):
        with pytest.raises(IamError, match="3 to 128"):
            (await asked(house, await house.issue("app", NoBuckets()), AccessKeyId=wrong)).access_key_id()


async def test_pages_join_without_a_gap(house: IamHouse) -> None:
    signing = await house.issue("app", NoBuckets())
    items = [(f"{number:03}", number) for number in range(7)]
    seen: list[int] = []
    marker: str | None = ""
    while marker is not None:
        more = {"Marker": marker} if marker else {}
        page, marker = (await asked(house, signing, MaxItems="3", **more)).page(items)
        seen += page
    assert seen == list(range(7))
    assert (await asked(house, signing)).page([]) == ([], None)


async def test_all_keys_are_read_by_the_page_oldest_first(house: IamHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.iam.asked.PAGE", 2)
    signings = [await house.issue("app", NoBuckets()) for _ in range(5)]
    await house.store.create_account("team", "ann")
    await house.issue("theirs", NoBuckets(), account="team")
    found = [one.access_key_id for one in await (await asked(house, signings[0])).keys()]
    assert found == sorted(signing.access_key_id for signing in signings)


async def test_the_caller_is_held_against_its_record_as_it_is_now(house: IamHouse) -> None:
    signing = await house.issue("manager", AllBuckets(), manage_keys=True)
    other = await house.store.get_key((await house.issue("app", NoBuckets())).access_key_id)
    asking = await asked(house, signing)
    await asking.require_within(other)
    await house.store.revoke_key(signing.access_key_id, RevokeReason.OTHER, "ann")
    with pytest.raises(IamError, match="revoked"):
        await asking.require_within(other)
    await house.store.delete_key(signing.access_key_id, "ann")
    with pytest.raises(IamError, match="deleted"):
        await asking.require_within(other)


async def test_what_manages_no_keys_covers_none(house: IamHouse) -> None:
    asking = await asked(house, await house.issue("plain", AllBuckets()))
    with pytest.raises(IamError, match="manage none"):
        await asking.require_within(asking.caller)


def test_a_confirmation_proves_or_is_told() -> None:
    require_proof(PROVEN, "it")
    require_proof(PROVEN._replace(lapsed=1, out_of_lease=1), "it")
    for unproven in (PROVEN._replace(lapsed=1), PROVEN._replace(elsewhere=(7,))):
        with pytest.raises(IamError, match="not proven yet"):
            require_proof(unproven, "it")

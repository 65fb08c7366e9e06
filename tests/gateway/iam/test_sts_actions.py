import re
from dataclasses import replace

from keystore.scope import AllBuckets, NoBuckets
from tests.support.iam import IamHouse


async def test_any_key_is_told_who_it_is(house: IamHouse) -> None:
    await house.store.create_account("team", "ann")
    signing = replace(await house.issue("Büro 7", NoBuckets(), account="team"), service="sts")
    told = await house.ask(signing, "GetCallerIdentity")
    number = next(one.number for one in await house.store.list_accounts() if one.name == "team")
    assert (told.text("Account"), told.text("Arn")) == (number, f"arn:aws:iam::{number}:user/Buro-7")
    assert re.fullmatch(r"NQUS[A-Z2-7]{16}", told.text("UserId") or "")
    assert re.fullmatch(r"[0-9]{12}", number)


async def test_the_account_of_a_key_is_told_to_itself_and_to_who_manages_it(house: IamHouse) -> None:
    await house.store.create_account("team", "ann")
    plain = replace(await house.issue("plain", AllBuckets()), service="sts")
    asking = replace(await house.issue("manager", NoBuckets(), manage_keys=True), service="sts")
    theirs = await house.issue("theirs", AllBuckets(), account="team")
    number = next(one.number for one in await house.store.list_accounts() if one.name == "default")
    for signing, access_key_id in ((plain, plain.access_key_id), (asking, plain.access_key_id)):
        assert (await house.ask(signing, "GetAccessKeyInfo", AccessKeyId=access_key_id)).text("Account") == number
    assert (await house.ask(plain, "GetAccessKeyInfo", AccessKeyId=asking.access_key_id)).code == "AccessDenied"
    for unseen in (theirs.access_key_id, "NQAK0000000000000000"):
        assert (await house.ask(asking, "GetAccessKeyInfo", AccessKeyId=unseen)).code == "NoSuchEntity"

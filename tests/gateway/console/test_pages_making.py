import logging
from typing import Any

import pytest

from gateway.console.site import SiteSettings
from keystore.errors import KeystoreUnavailable
from keystore.scope import AllBuckets, Rights
from tests.support.console import Browser, Shown, console

GOOD: dict[str, Any] = {
    "label": "web",
    "reach": "some",
    "bucket": ["photos", "logs"],
    "rights": "read_only",
    "rights_all": "full",
    "term": "never",
}


async def made(browser: Browser, **fields: Any) -> Shown:
    browser.acts.listed = [("photos", "default"), ("logs", "default"), ("films", "media")]
    return await browser.fill("/keys/new", {**GOOD, **fields})


async def test_specific_buckets_are_chosen_already_and_all_are_said_to_include_later_ones() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default"), ("films", "media")]
        page = await browser.get("/keys/new?bucket=photos")
        assert 'id="reach-some" value="some" checked' in page.text
        assert 'value="photos" checked' in page.text
        assert "also those made later" in page.words
        assert "films" not in page.text, "another account's"


async def test_the_secret_is_in_the_answer_to_the_form_and_kept_by_nobody() -> None:
    async with console() as browser:
        answer = await made(browser)
        (secret,) = browser.acts.secrets
        (key,) = browser.acts.keys.values()
        assert answer.status == 201
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.text.count(secret) == 1
        assert key.access_key_id in answer.text
        assert secret not in str(answer.headers)
        assert secret not in answer.text.split("</title>")[0]
        assert (key.label, list(key.grants or ())) == ("web", ["photos", "logs"])


async def test_the_programs_that_are_shown_hold_no_secret_of_their_own() -> None:
    async with console(SiteSettings(s3_endpoint="https://s3.example.org")) as browser:
        answer = await made(browser)
        programs = answer.text.split('id="programs"')[1]
        assert browser.acts.secrets[0] not in programs
        for said in ("no_check_bucket = true", "endpoint_url", "s3_use_path_style", "host_bucket", "boto3.client"):
            assert said in programs
        assert "https://s3.example.org" in programs


async def test_a_secret_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with console() as browser:
            await made(browser)
    assert browser.acts.secrets[0] not in caplog.text


async def test_a_form_that_is_sent_twice_makes_one_key_and_shows_no_secret_again() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default"), ("logs", "default")]
        fields = {**(await browser.get("/keys/new")).fields, **GOOD, "bucket": "photos"}
        first, second = await browser.post("/keys/new", fields), await browser.post("/keys/new", fields)
        (secret,) = browser.acts.secrets
        assert (first.status, second.status) == (201, 200)
        assert len(browser.acts.keys) == 1
        assert secret not in second.text
        assert "made already" in second.words


async def test_two_forms_make_two_keys_and_the_second_is_told_of_its_twin() -> None:
    async with console() as browser:
        assert "too" not in (await made(browser)).text.split("sentence")[0].split("lead")[-1]
        assert "is labelled 'web' too" in (await made(browser)).words
        assert len(browser.acts.keys) == 2


async def test_a_form_id_of_another_session_is_another_one() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default")]
        fields = {**(await browser.get("/keys/new")).fields, **GOOD, "bucket": "photos"}
        await browser.post("/keys/new", fields)
        await browser.fill("/sign-out", form="/keys")
        await browser.enter()
        again = {**fields, "csrf": (await browser.get("/keys/new")).fields["csrf"]}
        assert (await browser.post("/keys/new", again)).status == 201


async def test_all_buckets_is_made_with_its_own_rights() -> None:
    async with console() as browser:
        await made(browser, reach="all", rights_all="read_only")
        (key,) = browser.acts.keys.values()
        assert key.scope == AllBuckets(Rights.READ_ONLY)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label": " "}, "label"),
        ({"label": "x" * 65}, "label"),
        ({"reach": ""}, "All Buckets or Specific Buckets"),
        ({"bucket": []}, "at least one bucket"),
        ({"bucket": "films"}, "no bucket 'films'"),
        ({"sources": "everywhere"}, "network"),
        ({"prefix": "/a"}, "prefix"),
        ({"term": "custom", "day": "2001-01-01"}, "over"),
    ],
)
async def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_made(fields: dict[str, Any], said: str) -> None:
    async with console() as browser:
        answer = await made(browser, **fields)
        assert answer.status == 422
        assert said in answer.words
        assert 'class="fault"' in answer.text
        assert not browser.acts.keys


async def test_what_was_typed_is_there_still_when_something_was_wrong() -> None:
    async with console() as browser:
        answer = await made(browser, label="<web>", sources="x", prefix="team/")
        assert 'value="&lt;web&gt;"' in answer.text
        assert 'value="photos" checked' in answer.text
        assert 'value="team/"' in answer.text


async def test_where_the_store_is_silent_names_can_be_typed() -> None:
    async with console() as browser:
        browser.acts.broken = KeystoreUnavailable("silent")
        page = await browser.get("/keys/new?account=default")
        assert 'name="bucket_names"' in page.text


async def test_a_longest_life_is_part_of_the_form() -> None:
    async with console(SiteSettings(max_lifetime=30)) as browser:
        page = await browser.get("/keys/new")
        assert 'value="never"' not in page.text
        assert 'value="90"' not in page.text
        assert (await made(browser, term="never")).status == 422


async def test_an_operator_of_many_accounts_says_whose_key_it_is() -> None:
    async with console() as browser:
        browser.acts.names = ["default", "media"]
        assert "Whose key will it be?" in (await browser.get("/keys/new")).words
        browser.acts.listed = [("films", "media")]
        page = await browser.get("/keys/new?account=media")
        assert "films" in page.text
        await browser.fill("/keys/new", {**GOOD, "bucket": "films"}, form="/keys/new?account=media")
        (key,) = browser.acts.keys.values()
        assert key.account == "media"


async def test_an_owner_makes_keys_for_their_account_whatever_the_form_says() -> None:
    async with console(token="owner") as browser:
        browser.acts.listed = [("photos", "default"), ("films", "media")]
        page = await browser.get("/keys/new?account=media")
        assert "films" not in page.text
        await browser.post("/keys/new", {**page.fields, **GOOD, "bucket": "photos", "account": "media"})
        (key,) = browser.acts.keys.values()
        assert key.account == "default"


async def test_a_roll_shows_the_successor_s_secret_once() -> None:
    async with console() as browser:
        old = browser.acts.add("web")
        at = f"/keys/{old.access_key_id}/roll"
        fields = {**(await browser.get(at)).fields, "overlap": "24h"}
        answer = await browser.post(at, fields)
        (secret,) = browser.acts.secrets
        successor = browser.acts.keys[browser.acts.keys[old.access_key_id].replaced_by or ""]
        assert answer.status == 201
        assert secret in answer.text
        assert successor.access_key_id in answer.text
        assert "works on until" in answer.words
        again = await browser.post(at, fields)
        assert (again.status, secret in again.text) == (409, False)
        assert len(browser.acts.keys) == 2


async def test_a_roll_without_overlap_revokes_the_old_key_and_says_who_confirmed() -> None:
    async with console() as browser:
        old = browser.acts.add("web")
        answer = await browser.fill(f"/keys/{old.access_key_id}/roll", {"overlap": "0"})
        assert "is revoked: confirmed by 3 of 3 gateways" in answer.words
        assert (await browser.fill("/keys/new", GOOD, form="/keys")).status != 201


async def test_an_overlap_that_is_none_rolls_nothing() -> None:
    async with console() as browser:
        old = browser.acts.add("web")
        answer = await browser.fill(f"/keys/{old.access_key_id}/roll", {"overlap": "99y"})
        assert answer.status == 422
        assert list(browser.acts.keys) == [old.access_key_id]


async def test_a_key_that_was_replaced_leads_to_its_successor() -> None:
    async with console() as browser:
        old = browser.acts.add("web", replaced_by="NQAK0000000000000001")
        page = await browser.get(f"/keys/{old.access_key_id}/roll")
        assert "/keys/NQAK0000000000000001" in page.text
        assert 'id="roll-form"' not in page.text

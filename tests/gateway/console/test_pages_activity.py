from typing import Any

import pytest

from gateway.config import SettingsError
from gateway.refusals import Refusal
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.console import NOW, console

CANONICAL = "GET\n/photos/a%2520b\n\nhost:s3.internal\n\nhost\nUNSIGNED-PAYLOAD"


def refused(request_id: str = "9B7E4C0D5A61F238", account: str = "default", **fields: Any) -> Refusal:
    told = Refusal(
        request_id,
        NOW - 60,
        "SignatureDoesNotMatch",
        "signature",
        "the signature does not match",
        "NQAK0123456789abcdef",
        account,
        "photos",
        "GET",
        "/photos/a%2520b",
        "10.0.4.7",
        CANONICAL,
    )
    return told._replace(**fields)


async def test_each_bucket_says_which_keys_reach_it() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default"), ("logs", "default")]
        for number in range(6):
            browser.acts.add(f"k{number}", SpecificBuckets((BucketGrant("photos"),)))
        page = await browser.get("/buckets")
        row = page.text.split('data-bucket="photos"')[1].split("</tr>")[0]
        assert "k0" in row
        assert "+2" in row
        assert "bucket=photos" in row
        assert "None" in page.text.split('data-bucket="logs"')[1].split("</tr>")[0]


async def test_buckets_are_found_by_name_and_nothing_found_is_said() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default"), ("logs", "default")]
        assert 'data-bucket="logs"' not in (await browser.get("/buckets?q=PHO")).text
        assert 'id="nothing-found"' in (await browser.get("/buckets?q=zzz")).text


async def test_no_buckets_yet_is_a_page_of_its_own() -> None:
    async with console() as browser:
        assert 'id="empty"' in (await browser.get("/buckets")).text


async def test_a_store_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*asked: object) -> None:
        raise SettingsError("the store at http://10.0.0.1:8333 refuses the connection")

    async with console() as browser:
        monkeypatch.setattr(browser.acts, "buckets", silent)
        page = await browser.get("/buckets")
        assert page.status == 503
        assert "10.0.0.1" not in page.text
        assert 'name="bucket_names"' in (await browser.get("/keys/new")).text


async def test_refused_requests_are_listed_with_why() -> None:
    async with console() as browser:
        browser.acts.told = [refused(), refused("AB", reason="<b>scope</b>", account="")]
        page = await browser.get("/activity")
        assert "The signature does not match." in page.words
        assert "<b>scope</b>" in page.words
        assert "<b>scope" not in page.text
        assert 'href="/activity/9B7E4C0D5A61F238"' in page.text
        assert page.text.count('href="/keys/NQAK0123456789abcdef"') == 1, "an id that is nobody's leads nowhere"


async def test_nothing_refused_is_good_news() -> None:
    async with console() as browser:
        assert "Nothing was refused" in (await browser.get("/activity")).words


async def test_one_refusal_is_explained_with_its_causes_and_canonical_request() -> None:
    async with console() as browser:
        browser.acts.told = [refused()]
        page = await browser.get("/activity/9B7E4C0D5A61F238")
        assert "The path came encoded twice" in page.words
        assert "host:s3.internal" in page.words
        assert "at the step: signature" in page.words


async def test_a_request_id_that_is_pasted_leads_to_its_page() -> None:
    async with console() as browser:
        assert (await browser.get("/activity?id=+9B7E4C0D5A61F238+")).location == "/activity/9B7E4C0D5A61F238"
        assert (await browser.get("/activity?id=//evil.example.com")).status == 200
        assert (await browser.get("/activity/NOTKNOWN")).status == 404


async def test_an_owner_sees_the_refusals_of_one_account() -> None:
    async with console(token="owner") as browser:
        browser.acts.told = [refused("MINE"), refused("THEIRS", "media")]
        page = await browser.get("/activity")
        assert ("MINE" in page.text, "THEIRS" in page.text) == (True, False)
        assert (await browser.get("/activity/THEIRS")).status == 404

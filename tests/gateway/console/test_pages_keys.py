from typing import Any

import pytest

from gateway.console.key_lists import KeyPage
from gateway.console.pages_keys import PER_PAGE, Listing
from keystore.access_key import RevokeReason, Status
from keystore.scope import AllBuckets, BucketGrant, SpecificBuckets
from keystore.usage import Usage, Used
from tests.support.console import NOW, Browser, console

DAY = 86_400


def some(*names: str) -> SpecificBuckets:
    return SpecificBuckets(tuple(BucketGrant(name) for name in names))


def used(days_ago: int) -> Usage:
    return Usage(Used(int(NOW) - days_ago * DAY, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2.31"), None)


async def labels(browser: Browser, path: str) -> list[str]:
    text = (await browser.get(path)).text
    return [one.split("<")[0] for one in text.split('dir="auto">')[1:]]


async def test_a_list_without_keys_says_what_a_key_is_and_offers_one() -> None:
    async with console() as browser:
        page = await browser.get("/keys")
        assert 'id="empty"' in page.text
        assert "No access keys yet" in page.words
        assert 'href="/keys/new"' in page.text


async def test_a_row_says_all_that_was_asked_for() -> None:
    async with console() as browser:
        made = browser.acts.add("web", some("photos", "logs", "backups", "site"), created_at=int(NOW) - 100 * DAY)
        browser.acts.usage[made.access_key_id] = used(2)
        words = (await browser.get("/keys")).words
        for said in ("web", made.access_key_id, "photos", "logs", "+2", "Active", "100 days", "2 days ago", "Never"):
            assert said in words
        assert "Roll due" in words


async def test_all_buckets_and_revoked_are_said_in_words() -> None:
    async with console() as browser:
        reason = {"revoked_at": int(NOW), "revoked_by": "ana", "revoked_reason": RevokeReason.COMPROMISED}
        made = browser.acts.add("web", AllBuckets(), status=Status.REVOKED, **reason)
        page = await browser.get("/keys")
        assert "All Buckets" in page.words
        assert "Revoked" in page.words
        assert f"/keys/{made.access_key_id}/revoke" not in page.text
        assert f"/keys/{made.access_key_id}/restore" not in page.text, "compromised is final"


async def test_labels_are_other_people_s_text() -> None:
    async with console() as browser:
        label = "<img src=x onerror=alert(1)> \"' {{ 7 * 7 }}"
        made = browser.acts.add(label)
        for path in ("/keys", f"/keys/{made.access_key_id}", *(f"/keys/{made.access_key_id}/{act}" for act in ACTS)):
            page = await browser.get(path)
            assert page.status == 200
            assert "<img src=x" not in page.text
            assert "{{ 7 * 7 }}" in page.text
            assert 'onerror=alert(1)> "' not in page.text


ACTS = ("revoke", "delete", "roll", "edit", "restore")


async def test_views_narrow_the_list() -> None:
    async with console() as browser:
        browser.acts.add("old", some("photos"), created_at=int(NOW) - 200 * DAY)
        browser.acts.add("soon", some("photos"), expires_at=int(NOW) + DAY)
        browser.acts.add("wide", AllBuckets())
        browser.acts.add("over", some("photos"), expires_at=int(NOW) - DAY)
        assert await labels(browser, "/keys?view=active") == ["wide", "soon", "old"]
        assert await labels(browser, "/keys?view=revoked") == ["over"]
        assert await labels(browser, "/keys?view=expiring") == ["soon"]
        assert await labels(browser, "/keys?view=unused") == ["old"]
        assert await labels(browser, "/keys?view=everywhere") == ["wide"]
        assert len(await labels(browser, "/keys?view=nonsense")) == 4
        assert await labels(browser, "/keys?bucket=photos&view=active") == ["wide", "soon", "old"]


async def test_search_finds_a_label_or_a_pasted_id() -> None:
    async with console() as browser:
        made = browser.acts.add("web of ana")
        browser.acts.add("other")
        assert await labels(browser, "/keys?q=ANA") == ["web of ana"]
        assert await labels(browser, f"/keys?q=+{made.access_key_id}+") == ["web of ana"]


async def test_nothing_found_is_not_the_same_as_nothing_there() -> None:
    async with console() as browser:
        browser.acts.add("web")
        page = await browser.get("/keys?q=%3Cb%3Ezzz")
        assert 'id="nothing-found"' in page.text
        assert "“<b>zzz”" in page.words
        assert "<b>zzz" not in page.text


async def test_columns_sort_both_ways_and_what_has_no_date_comes_last() -> None:
    async with console() as browser:
        first = browser.acts.add("b", created_at=int(NOW) - 3 * DAY)
        browser.acts.add("C", created_at=int(NOW) - 1 * DAY, expires_at=int(NOW) + DAY)
        last = browser.acts.add("a", created_at=int(NOW) - 2 * DAY)
        browser.acts.usage = {first.access_key_id: used(5), last.access_key_id: used(1)}
        assert await labels(browser, "/keys?sort=label") == ["a", "b", "C"]
        assert await labels(browser, "/keys?sort=label&falling=1") == ["C", "b", "a"]
        assert await labels(browser, "/keys?sort=created") == ["b", "a", "C"]
        assert await labels(browser, "/keys?sort=used") == ["b", "a", "C"]
        assert await labels(browser, "/keys?sort=used&falling=1") == ["a", "b", "C"]
        assert (await labels(browser, "/keys?sort=expires"))[0] == "C"
        assert 'aria-sort="descending"' in (await browser.get("/keys?sort=label&falling=1")).text


async def test_pages_follow_one_another_sorted_or_not() -> None:
    async with console() as browser:
        for number in range(PER_PAGE + 3):
            browser.acts.add(f"k{number:03}")
        for path in ("/keys", "/keys?sort=label"):
            page = await browser.get(path)
            following = page.text.split('id="next-page" href="')[1].split('"')[0].replace("&amp;", "&")
            rest = await labels(browser, following)
            assert len(rest) == 3
            assert not set(rest) & set(await labels(browser, path))
        assert (await browser.get("/keys?sort=label&at=zzz")).status == 200
        assert (await browser.get("/keys?sort=label&at=99999")).status == 200


def test_a_view_begins_at_its_first_page() -> None:
    listing = Listing("active", "a b", "photos", "label", True, "cursor")
    assert listing.url(view="revoked") == "/keys?view=revoked&q=a+b&bucket=photos&sort=label&falling=1"
    assert listing.url(at="next").endswith("at=next")
    assert Listing("all", "", "", "", False, "").url() == "/keys"


async def test_one_key_is_shown_with_its_history_and_what_it_may() -> None:
    async with console() as browser:
        made = browser.acts.add("web", some("photos"))
        browser.acts.usage[made.access_key_id] = used(0)
        at = f"/keys/{made.access_key_id}"
        words = (await browser.get(at)).words
        assert "It can read, write and delete in photos." in words
        assert "by aws-cli" in words
        assert "create just now by operator@test" in words
        assert "Yes : bucket photos." in (await browser.get(f"{at}?operation=GetObject&place=photos/a")).words
        assert "No :" in (await browser.get(f"{at}?operation=GetObject&place=s3://logs/a")).words
        assert "is not an S3 operation" in (await browser.get(f"{at}?operation=Nonsense&place=logs/a")).words


async def test_a_key_of_another_account_is_not_there() -> None:
    async with console(token="owner") as browser:
        theirs = browser.acts.add("theirs", account="media")
        nobody_s = await browser.get("/keys/NQAK0000000000000000")
        for path in ("", "/revoke", "/delete", "/roll", "/edit", "/restore"):
            page = await browser.get(f"/keys/{theirs.access_key_id}{path}")
            assert page.status == 404
            assert "theirs" not in page.text
        assert (await browser.get(f"/keys/{theirs.access_key_id}")).words == nobody_s.words


async def test_no_page_that_is_asked_for_holds_a_secret() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default")]
        fields: dict[str, Any] = {"label": "web", "reach": "some", "bucket": "photos", "term": "never"}
        assert (await browser.fill("/keys/new", fields)).status == 201
        (secret,) = browser.acts.secrets
        (access_key_id,) = browser.acts.keys
        for path in ("/keys", "/buckets", "/activity", f"/keys/{access_key_id}", f"/keys?made={access_key_id}"):
            assert secret not in (await browser.get(path)).text


async def test_a_page_that_came_short_is_filled_up_and_one_that_stays_empty_leads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with console() as browser:
        for number in range(PER_PAGE):
            browser.acts.add(f"k{number:03}")
        whole = browser.acts.page

        async def short(caller: Any, wanted: Any, cursor: str | None, limit: int) -> KeyPage:
            return await whole(caller, wanted, cursor, min(limit, 3))

        async def empty(*asked: Any) -> KeyPage:
            return KeyPage([], "further")

        monkeypatch.setattr(browser.acts, "page", short)
        assert len(await labels(browser, "/keys")) == PER_PAGE
        monkeypatch.setattr(browser.acts, "page", empty)
        page = await browser.get("/keys?view=unused")
        assert "at=further" in page.text
        assert 'id="nothing-found"' not in page.text

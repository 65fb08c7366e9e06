import pytest

from gateway.console.sessions import PROVED_FOR
from keystore.access_key import RevokeReason, Status
from keystore.confirmation import Confirmation
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, SpecificBuckets
from keystore.usage import Usage, Used
from tests.support.console import NOW, console

PHOTOS = SpecificBuckets((BucketGrant("photos"),))


async def test_a_revoke_says_what_follows_and_who_would_miss_the_key() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        used = Used(int(NOW) - 120, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2.31.1")
        browser.acts.usage[made.access_key_id] = Usage(used, None)
        words = (await browser.get(f"/keys/{made.access_key_id}/revoke")).words
        assert "403 Forbidden" in words
        assert "Last used 2 min ago from 10.0.4.7 by aws-cli" in words
        assert browser.acts.keys[made.access_key_id] == made, "asking does nothing"


async def test_a_revoke_is_done_and_says_who_confirmed_it() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        answer = await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "unused"})
        key = browser.acts.keys[made.access_key_id]
        assert (answer.status, answer.location) == (303, "/keys")
        assert (key.status, key.revoked_reason, key.drains) == (Status.REVOKED, RevokeReason.UNUSED, False)
        page = await browser.get("/keys")
        assert "is revoked: confirmed by 3 of 3 gateways in 14 ms, 2 transfers cut." in page.words
        assert 'id="notice"' not in (await browser.get("/keys")).text, "told once"


async def test_what_no_gateway_confirmed_is_a_warning() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        browser.acts.confirmation = Confirmation(3, 2, 1, (), 0, 0, (), 5000)
        await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "unused"})
        page = await browser.get("/keys")
        assert 'class="notice warning" role="alert"' in page.text
        assert "Not proven" in page.words


async def test_what_runs_may_finish_but_not_of_a_key_that_leaked() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}/revoke"
        assert (await browser.fill(at, {"reason": "compromised", "drain": "yes"})).status == 422
        assert browser.acts.keys[made.access_key_id] == made
        await browser.fill(at, {"reason": "rotation", "drain": "yes"})
        assert browser.acts.keys[made.access_key_id].drains


async def test_a_reason_that_is_none_revokes_nothing() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        assert (await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "mood"})).status == 422
        assert browser.acts.keys[made.access_key_id] == made


async def test_a_revoked_key_is_let_in_again() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}"
        await browser.fill(f"{at}/revoke", {"reason": "other"})
        answer = await browser.fill(f"{at}/restore")
        assert answer.location == at
        assert browser.acts.keys[made.access_key_id].status is Status.ACTIVE
        assert "is restored: confirmed" in (await browser.get(at)).words


async def test_compromised_is_final() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}"
        await browser.fill(f"{at}/revoke", {"reason": "compromised"})
        page = await browser.get(f"{at}/restore")
        assert "final" in page.words
        assert (await browser.post(f"{at}/restore", page.fields)).status == 409
        assert browser.acts.keys[made.access_key_id].status is Status.REVOKED


async def test_an_active_key_is_offered_to_be_revoked_before_it_is_deleted() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}"
        assert 'id="revoke-first"' in (await browser.get(f"{at}/delete")).text
        await browser.fill(f"{at}/revoke", {"reason": "other"})
        assert 'id="revoke-first"' not in (await browser.get(f"{at}/delete")).text


@pytest.mark.parametrize("typed", ["", "Web", "web 2", "we"])
async def test_a_key_is_not_deleted_unless_its_label_is_typed(typed: str) -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        answer = await browser.fill(f"/keys/{made.access_key_id}/delete", {"label": typed})
        assert answer.status == 422
        assert "nothing was deleted" in answer.words
        assert browser.acts.keys


async def test_a_key_is_deleted_when_its_label_is_typed() -> None:
    async with console() as browser:
        made = browser.acts.add("web 写真")
        answer = await browser.fill(f"/keys/{made.access_key_id}/delete", {"label": " web 写真 "})
        assert answer.location == "/keys"
        assert not browser.acts.keys
        assert "is deleted" in (await browser.get("/keys")).words
        assert (await browser.get(f"/keys/{made.access_key_id}")).status == 404


@pytest.mark.parametrize("act", ["revoke", "delete", "roll", "restore"])
async def test_enter_in_a_field_presses_a_button_that_does_nothing(act: str) -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        if act == "restore":
            await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "other"})
        form = (await browser.get(f"/keys/{made.access_key_id}/{act}")).text.split(f'id="{act}-form"')[1]
        assert form.split("<button")[1].startswith(' type="submit" disabled hidden>')


async def test_an_edit_changes_what_differs() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default"), ("logs", "default")]
        made = browser.acts.add("web", PHOTOS)
        at = f"/keys/{made.access_key_id}/edit"
        fields = {"label": "web 2", "reach": "some", "bucket": ["photos", "logs"], "rights": "read_only", "term": "30"}
        answer = await browser.fill(at, fields)
        key = browser.acts.keys[made.access_key_id]
        assert answer.location == f"/keys/{made.access_key_id}"
        assert (key.label, key.expires_at) == ("web 2", int(NOW) + 30 * 86_400)
        grants = (BucketGrant("photos", Rights.READ_ONLY), BucketGrant("logs", Rights.READ_ONLY))
        assert key.scope == SpecificBuckets(grants)


async def test_an_edit_of_nothing_is_said() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default")]
        made = browser.acts.add("web", PHOTOS)
        fields = {"label": "web", "reach": "some", "bucket": "photos", "rights": "read_write", "term": "kept"}
        answer = await browser.fill(f"/keys/{made.access_key_id}/edit", fields)
        assert (answer.status, "Nothing was changed" in answer.words) == (422, True)


async def test_an_edit_does_not_undo_what_somebody_else_did_meanwhile() -> None:
    async with console() as browser:
        made = browser.acts.add("web", AllBuckets())
        at = f"/keys/{made.access_key_id}/edit"
        fields = {**(await browser.get(at)).fields, "reach": "all", "rights_all": "full", "term": "kept"}
        assert (await browser.post(at, {**fields, "label": "mine"})).status == 303
        assert (await browser.post(at, {**fields, "label": "theirs"})).status == 409
        assert browser.acts.keys[made.access_key_id].label == "mine"


async def test_a_wider_scope_asks_for_the_token_again_and_a_label_does_not() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default")]
        made = browser.acts.add("web", PHOTOS)
        at = f"/keys/{made.access_key_id}/edit"
        same = {"reach": "some", "bucket": "photos", "rights": "read_write", "rights_all": "full", "term": "kept"}
        browser.clock.now += PROVED_FOR + 1
        wide = await browser.fill(at, {**same, "label": "web", "reach": "all"})
        assert (wide.status, 'id="proof"' in wide.text) == (403, True)
        assert browser.acts.keys[made.access_key_id].scope == PHOTOS
        assert (await browser.fill(at, {**same, "label": "web 2"})).status == 303
        assert (await browser.fill(at, {**same, "label": "web", "reach": "all", "proof": "operator"})).status == 303
        assert browser.acts.keys[made.access_key_id].scope == AllBuckets()


async def test_of_a_revoked_key_the_label_can_change() -> None:
    async with console() as browser:
        made = browser.acts.add("web", PHOTOS)
        await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "other"})
        at = f"/keys/{made.access_key_id}/edit"
        assert 'name="reach"' not in (await browser.get(at)).text
        assert (await browser.fill(at, {"label": "web, ended"})).status == 303
        assert browser.acts.keys[made.access_key_id].label == "web, ended"


async def test_a_scope_that_the_form_cannot_say_is_left_alone() -> None:
    async with console() as browser:
        mixed = SpecificBuckets((BucketGrant("photos", Rights.FULL), BucketGrant("logs", Rights.READ_ONLY)))
        made = browser.acts.add("web", mixed)
        at = f"/keys/{made.access_key_id}/edit"
        assert 'id="mixed-scope"' in (await browser.get(at)).text
        assert (await browser.fill(at, {"label": "web 2", "reach": "all", "term": "kept"})).status == 303
        assert browser.acts.keys[made.access_key_id].scope == mixed


async def test_whoever_acts_is_named_as_they_signed_in() -> None:
    async with console(token="owner") as browser:
        made = browser.acts.add("web")
        await browser.fill(f"/keys/{made.access_key_id}/revoke", {"reason": "other"})
        assert browser.acts.keys[made.access_key_id].revoked_by == "owner w1 from 127.0.0.1"


async def test_a_key_without_a_bucket_is_shown_and_may_be_given_one() -> None:
    async with console() as browser:
        browser.acts.listed = [("photos", "default")]
        made = browser.acts.add("terraform", NoBuckets())
        at = f"/keys/{made.access_key_id}"
        assert "None yet" in (await browser.get("/keys")).words
        assert "It can reach no bucket yet." in (await browser.get(at)).words
        fields = {"label": "terraform 2", "reach": "some", "rights": "read_write", "term": "kept"}
        assert (await browser.fill(f"{at}/edit", fields)).status == 303
        assert browser.acts.keys[made.access_key_id].scope == NoBuckets()
        assert (await browser.fill(f"{at}/edit", {**fields, "bucket": "photos"})).status == 303
        assert browser.acts.keys[made.access_key_id].scope == PHOTOS
        assert (await browser.fill(f"{at}/roll", {"overlap": "0"})).status == 201

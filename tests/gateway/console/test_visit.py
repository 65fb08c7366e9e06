"""What holds for every page: who gets it, what is refused before it, what it is sent with."""

import logging

import pytest

from gateway.console.browser_safety import CSP
from gateway.console.sessions import IDLE, PROVED_FOR
from gateway.console.site import SiteSettings
from gateway.console.visit import MAX_FORM
from keystore.errors import KeystoreUnavailable, RecordRefused
from tests.support.console import FORM, OPERATOR, SAME, Browser, console

PAGES = ["/sign-in", "/link", "/keys", "/keys/new?account=default", "/buckets", "/activity", "/keys/NQAKnone", "/"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_kept_by_nobody_and_framed_by_nobody(path: str) -> None:
    async with console() as browser:
        headers = (await browser.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"] == CSP
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "path", ["/keys", "/keys/new", "/keys/NQAKnone", "/keys/NQAKnone/revoke", "/buckets", "/activity"]
)
async def test_a_page_without_a_session_is_the_way_to_sign_in(path: str) -> None:
    async with console(token="") as browser:
        answer = await browser.get(path)
        assert (answer.status, answer.location) == (303, f"/sign-in?then={path}")


async def test_an_act_without_a_session_is_not_done_and_said() -> None:
    async with console(token="") as browser:
        made = browser.acts.add("web")
        answer = await browser.post(f"/keys/{made.access_key_id}/revoke", {"reason": "other"})
        assert answer.location == "/sign-in?ended=1"
        assert browser.acts.keys[made.access_key_id] == made
        assert "nothing was done" in (await browser.get(answer.location)).words


async def test_a_revoked_token_opens_nothing() -> None:
    async with console() as browser:
        assert (await browser.get("/keys")).status == 200
        browser.door.ended.add(OPERATOR.token_id)
        assert (await browser.get("/keys")).status == 303
        browser.door.ended.clear()
        assert (await browser.get("/keys")).status == 303, "the session is over, not asleep"


async def test_a_session_that_was_idle_is_over() -> None:
    async with console() as browser:
        browser.clock.now += IDLE + 1
        assert (await browser.get("/keys")).status == 303


async def test_another_name_for_this_machine_is_not_answered() -> None:
    async with console() as browser:
        answer = await browser.get("/keys", Host="evil.example.com")
        assert answer.status == 421
        assert "Access" not in answer.text
        assert (
            await browser.post("/sign-in", {"token": "operator"}, {**SAME, "Host": "evil.example.com"})
        ).status == 421


async def test_the_public_name_is_answered() -> None:
    async with console(SiteSettings(public_url="https://keys.example.com")) as browser:
        answer = await browser.get("/sign-in", Host="keys.example.com")
        assert answer.status == 200
        assert "max-age" in answer.headers["Strict-Transport-Security"]


async def test_a_page_that_another_site_asks_for_is_refused() -> None:
    async with console() as browser:
        answer = await browser.get("/keys", **{"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 403
        assert "keys" not in answer.text.lower()


async def test_a_link_on_another_site_may_lead_to_the_door() -> None:
    async with console(token="") as browser:
        for path in ("/", "/sign-in", "/link"):
            assert (await browser.get(path, **{"Sec-Fetch-Site": "cross-site"})).status in {200, 303}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_site_s_page_does_nothing(headers: dict[str, str]) -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}/revoke"
        fields = {**(await browser.get(at)).fields, "reason": "other"}
        assert (await browser.post(at, fields, headers)).status == 403
        assert browser.acts.keys[made.access_key_id] == made
        assert (await browser.post("/sign-in", {"token": "operator"}, headers)).status == 403


@pytest.mark.parametrize("csrf", ["", "x", None])
async def test_a_form_without_the_session_s_token_does_nothing(csrf: str | None) -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        fields = {"reason": "other"} if csrf is None else {"reason": "other", "csrf": csrf}
        answer = await browser.post(f"/keys/{made.access_key_id}/revoke", fields)
        assert answer.status == 403
        assert browser.acts.keys[made.access_key_id] == made


async def test_a_form_of_another_session_does_nothing() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}/revoke"
        old = (await browser.get(at)).fields
        await browser.fill("/sign-out", form="/keys")
        await browser.enter()
        assert (await browser.post(at, {**old, "reason": "other"})).status == 403
        assert browser.acts.keys[made.access_key_id] == made


async def test_a_body_that_is_no_form_or_too_much_of_one_is_not_read() -> None:
    async with console() as browser:
        csrf = (await browser.get("/keys")).fields["csrf"]
        form = {**SAME, "Content-Type": FORM}
        assert (await browser.post("/keys/new", f"csrf={csrf}&label={'x' * MAX_FORM}", form)).status == 413
        assert (await browser.post("/keys/new", "&".join(["a=1"] * 1200), form)).status == 413
        assert (await browser.post("/keys/new", b"csrf=%ff\xff", form)).status == 413
        json = {**SAME, "Content-Type": "application/json"}
        assert (await browser.post("/keys/new", f"csrf={csrf}", json)).status == 413
        assert (await browser.get("/keys")).status == 200


async def test_a_keystore_that_does_not_answer_is_said_and_names_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with console() as browser:
        browser.acts.broken = KeystoreUnavailable("the database at /srv/keys is locked")
        answer = await browser.get("/keys")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "/srv/keys" not in answer.text
        assert "/srv/keys" in caplog.text


async def test_a_record_that_does_not_hold_is_never_shown() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        browser.acts.broken = RecordRefused("the record of NQAK fails its MAC")
        assert (await browser.get(f"/keys/{made.access_key_id}")).status == 503


async def test_what_fails_unforeseen_tells_the_log_and_not_the_reader(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with console() as browser:
        monkeypatch.setattr(browser.acts, "page", None)
        with caplog.at_level(logging.ERROR):
            answer = await browser.get("/keys?q=whatsearched")
        assert answer.status == 500
        assert answer.headers["Cache-Control"] == "no-store"
        assert "NoneType" not in answer.text
        assert "NoneType" in caplog.text
        assert "whatsearched" not in caplog.text


async def asked_for_proof(browser: Browser, path: str, fields: dict[str, str]) -> bool:
    answer = await browser.fill(path, fields)
    return answer.status == 403 and "Show your token again" in answer.words


@pytest.mark.parametrize("act", ["new", "roll", "delete"])
async def test_five_minutes_later_create_roll_and_delete_ask_for_the_token_again(act: str) -> None:
    async with console(token="owner") as browser:
        made = browser.acts.add("web")
        browser.acts.listed = [("photos", "default")]
        path = "/keys/new" if act == "new" else f"/keys/{made.access_key_id}/{act}"
        fields = {"label": "web", "reach": "all", "rights_all": "full", "term": "never", "overlap": "24h"}
        browser.clock.now += PROVED_FOR + 1
        assert 'id="proof"' in (await browser.get(path)).text
        assert await asked_for_proof(browser, path, fields)
        wrong = await browser.fill(path, {**fields, "proof": "nqat_wrong"})
        assert (wrong.status, "opens nothing" in wrong.words) == (403, True)
        other = await browser.fill(path, {**fields, "proof": "operator"})
        assert (other.status, "somebody else" in other.words) == (403, True)
        assert browser.acts.keys == {made.access_key_id: made}
        assert (await browser.fill(path, {**fields, "proof": "owner"})).status in {201, 303}
        assert list(browser.acts.keys) != [made.access_key_id]
        assert 'id="proof"' not in (await browser.get("/keys/new")).text, "five minutes begin anew"


async def test_a_new_link_proves_as_well_and_once() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        at = f"/keys/{made.access_key_id}/delete"
        browser.door.links["ABC"] = OPERATOR
        browser.clock.now += PROVED_FOR + 1
        proof = {"label": "web", "proof": "https://keys.example.com/link#ABC"}
        assert (await browser.fill(at, proof)).status == 303
        assert not browser.acts.keys
        assert not browser.door.links


async def test_what_was_typed_as_a_proof_is_not_shown_again() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        browser.clock.now += PROVED_FOR + 1
        answer = await browser.fill(f"/keys/{made.access_key_id}/delete", {"label": "web", "proof": "nqat_almost"})
        assert "nqat_almost" not in answer.text


async def test_proofs_are_limited_as_signing_in_is() -> None:
    async with console() as browser:
        made = browser.acts.add("web")
        browser.clock.now += PROVED_FOR + 1
        at = f"/keys/{made.access_key_id}/delete"
        answers = [await browser.fill(at, {"label": "web", "proof": "nqat_no"}) for _ in range(12)]
        assert "Too many attempts" in answers[-1].words
        assert len(browser.door.asked) < 12

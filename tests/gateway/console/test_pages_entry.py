import pytest

from gateway.console.attempts import PER_ADDRESS
from gateway.console.pages_entry import own_path
from gateway.console.site import SiteSettings
from gateway.console.visit import Visit
from gateway.source import read_trusted
from tests.support.console import OPERATOR, SAME, console


async def test_the_root_leads_to_the_keys_or_to_the_door() -> None:
    async with console(token="") as browser:
        assert (await browser.get("/")).location == "/sign-in"
        await browser.enter()
        assert (await browser.get("/")).location == "/keys"


async def test_a_token_opens_a_session_and_stands_nowhere() -> None:
    async with console(token="") as browser:
        answer = await browser.fill("/sign-in", {"token": " operator "})
        cookie = answer.cookies["nqgate-loopback"]
        assert (answer.status, answer.location) == (303, "/keys")
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert "operator" not in cookie.value + answer.text
        assert browser.door.asked == ["127.0.0.1"]


async def test_over_tls_the_cookie_is_bound_to_its_host_and_to_tls() -> None:
    async with console(SiteSettings(public_url="https://keys.example.com"), token="") as browser:
        told = {"Origin": "https://keys.example.com", "Host": "keys.example.com"}
        cookie = (await browser.post("/sign-in", {"token": "operator"}, told)).cookies["__Host-nqgate"]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Strict")
        assert (cookie["path"], cookie["domain"]) == ("/", "")


async def test_a_wrong_token_is_refused_and_not_shown_again() -> None:
    async with console(token="") as browser:
        answer = await browser.fill("/sign-in", {"token": "nqat_wrongwrong"})
        assert answer.status == 403
        assert "opens nothing" in answer.words
        assert "nqat_wrongwrong" not in answer.text
        assert not answer.cookies


async def test_signing_in_makes_a_new_id_and_ends_the_old_session() -> None:
    async with console(token="") as browser:
        first = (await browser.fill("/sign-in", {"token": "operator"})).cookies["nqgate-loopback"].value
        second = (await browser.post("/sign-in", {"token": "operator"})).cookies["nqgate-loopback"].value
        assert first != second
        browser.client.session.cookie_jar.clear()
        assert (await browser.get("/keys", Cookie=f"nqgate-loopback={first}")).status == 303
        assert (await browser.get("/keys", Cookie=f"nqgate-loopback={second}")).status == 200


async def test_an_id_that_somebody_else_chose_is_never_a_session() -> None:
    async with console(token="") as browser:
        answer = await browser.post("/sign-in", {"token": "operator"}, {**SAME, "Cookie": "nqgate-loopback=chosen"})
        assert answer.cookies["nqgate-loopback"].value != "chosen"
        browser.client.session.cookie_jar.clear()
        assert (await browser.get("/keys", Cookie="nqgate-loopback=chosen")).status == 303


async def test_whoever_guesses_is_slowed_down_and_nobody_is_asked_any_more() -> None:
    async with console(token="") as browser:
        answers = [await browser.post("/sign-in", {"token": f"nqat_{number}"}) for number in range(PER_ADDRESS[0] + 5)]
        assert "Too many attempts" in answers[-1].words
        assert len(browser.door.asked) == PER_ADDRESS[0]
        assert (await browser.post("/sign-in", {"token": "operator"})).status == 403
        browser.clock.now += PER_ADDRESS[1]
        assert (await browser.post("/sign-in", {"token": "operator"})).status == 303


async def test_without_tls_a_token_is_taken_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Visit, "peer", property(lambda visit: "192.0.2.7"))
    async with console(token="") as browser:
        page = await browser.get("/sign-in")
        assert "not encrypted" in page.words
        assert 'name="token"' not in page.text
        answer = await browser.post("/sign-in", {"token": "operator"})
        assert answer.status == 403
        assert not browser.door.asked
        assert 'name="link"' not in (await browser.get("/link")).text
        assert (await browser.post("/link", {"link": "ABC"})).status == 403


async def test_a_proxy_on_this_machine_must_have_tls_in_front_of_it() -> None:
    for scheme, status in (("https", 303), ("http", 403)):
        async with console(SiteSettings(public_url=f"{scheme}://keys.example.com"), token="") as browser:
            told = {"Origin": f"{scheme}://keys.example.com", "Host": "keys.example.com"}
            assert (await browser.post("/sign-in", {"token": "operator"}, told)).status == status


async def test_whoever_asks_is_who_a_trusted_proxy_says_and_nobody_else_s_word_counts() -> None:
    guess = {"token": "nqat_guess"}
    async with console(SiteSettings(trusted=read_trusted(("127.0.0.0/8",))), token="") as browser:
        for _ in range(PER_ADDRESS[0] + 2):
            await browser.post("/sign-in", guess, {**SAME, "X-Forwarded-For": "10.9.9.9, 192.0.2.7"})
        assert browser.door.asked == ["192.0.2.7"] * PER_ADDRESS[0]
        right = await browser.post("/sign-in", {"token": "operator"}, {**SAME, "X-Forwarded-For": "192.0.2.8"})
        assert right.status == 303, "one who guesses locks nobody else out"
    async with console(token="") as browser:
        await browser.post("/sign-in", guess, {**SAME, "X-Forwarded-For": "192.0.2.7"})
        assert browser.door.asked == ["127.0.0.1"]


async def test_a_link_opens_once_whether_whole_or_the_end_of_it() -> None:
    async with console(token="") as browser:
        browser.door.links = {"ABC": OPERATOR, "DEF": OPERATOR}
        assert (await browser.post("/link", {"link": "https://keys.example.com/link#ABC"})).location == "/keys"
        assert (await browser.post("/link", {"link": "ABC"})).status == 403
        assert (await browser.post("/link", {"link": " DEF "})).location == "/keys"


async def test_to_look_at_a_link_uses_nothing_up() -> None:
    async with console(token="") as browser:
        browser.door.links = {"ABC": OPERATOR}
        await browser.get("/link")
        assert browser.door.links
        assert not browser.door.asked


async def test_signing_out_ends_the_session_for_whoever_kept_the_cookie() -> None:
    async with console(token="") as browser:
        kept = (await browser.fill("/sign-in", {"token": "operator"})).cookies["nqgate-loopback"].value
        answer = await browser.fill("/sign-out", form="/keys")
        assert answer.location == "/sign-in"
        assert answer.headers["Clear-Site-Data"] == '"cache"'
        browser.client.session.cookie_jar.clear()
        assert (await browser.get("/keys", Cookie=f"nqgate-loopback={kept}")).status == 303


async def test_after_signing_in_the_page_that_was_wanted_is_shown() -> None:
    async with console(token="") as browser:
        wanted = (await browser.get("/keys/NQAK0123456789abcdef")).location
        answer = await browser.fill("/sign-in", {"token": "operator"}, form=wanted)
        assert answer.location == "/keys/NQAK0123456789abcdef"


@pytest.mark.parametrize(
    "path",
    ["https://evil.example.com", "//evil.example.com", "/\\evil", "/sign-out", "/keys/../x", "/keys\r\nX:y", ""],
)
def test_nobody_is_led_elsewhere_after_signing_in(path: str) -> None:
    assert own_path(path) == "/keys"


async def test_an_operator_chooses_an_account_and_sees_that_one() -> None:
    async with console() as browser:
        browser.acts.names = ["default", "media"]
        browser.acts.add("ours")
        browser.acts.add("theirs", account="media")
        assert "theirs" in (await browser.get("/keys")).text
        answer = await browser.fill("/account", {"account": "media", "then": "/buckets"}, form="/keys")
        page = await browser.get("/keys")
        assert answer.status == 303
        assert ("theirs" in page.text, "ours" in page.text) == (True, False)
        await browser.fill("/account", {"account": ""}, form="/keys")
        assert "ours" in (await browser.get("/keys")).text


async def test_an_owner_has_one_account_whatever_they_choose() -> None:
    async with console(token="owner") as browser:
        browser.acts.names = ["default", "media"]
        browser.acts.add("ours")
        browser.acts.add("theirs", account="media")
        page = await browser.get("/keys")
        assert 'id="account-choice"' not in page.text
        await browser.fill("/account", {"account": "media"}, form="/keys")
        page = await browser.get("/keys")
        assert ("theirs" in page.text, "ours" in page.text) == (False, True)

"""Two owners and an operator at one console: each sees its own, and what is another's is not there."""

import secrets
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ONE_BROWSER, Tab
from tests.support.console_walk import Console, done, revealed, row
from tests.support.gateway_process import IssuedKey

pytestmark = ON_ONE_BROWSER


class Owner(NamedTuple):
    account: str
    token: str
    label: str
    bucket: str
    access_key: IssuedKey

    @property
    def marks(self) -> list[str]:
        return [self.account, self.label, self.bucket, self.access_key.access_key_id, self.access_key.secret_access_key]


@pytest.fixture(scope="module")
def owners(console: Console) -> tuple[Owner, Owner]:
    return _owner(console), _owner(console)


def _owner(console: Console) -> Owner:
    account, token = console.account()
    bucket, label = console.bucket(account), f"of {account} {secrets.token_hex(4)}"
    return Owner(account, token, label, bucket, console.key(label, [bucket], account))


def _foreign(page: Page, other: Owner, asked: str = "") -> list[str]:
    content = page.content().replace(asked, "") if asked else page.content()
    return [mark for mark in other.marks if mark in content]


def test_lists_searches_and_pages_have_nothing_of_the_other(
    tab: Tab, console: Console, owners: tuple[Owner, Owner]
) -> None:
    for mine, other in (owners, owners[::-1]):
        page = console.sign_in(tab, mine.token)
        expect(row(page, mine.access_key.access_key_id)).to_contain_text(mine.label)
        paths = ["/keys", "/keys?view=active", "/buckets", "/activity", "/keys/new"]
        for path in paths:
            page.goto(console.address + path)
            assert not _foreign(page, other), path
        for path, asked in (("/keys?q=", other.access_key.access_key_id), ("/keys?bucket=", other.bucket)):
            page.goto(console.address + path + asked)
            assert page.locator("#keys").count() == 0 or asked not in page.locator("#keys").inner_text()
            assert not _foreign(page, other, asked)
        page.goto(f"{console.address}/keys/new?account={other.account}&bucket={other.bucket}")
        assert page.locator(f'#create-form [name="account"][value="{other.account}"]').count() == 0


def test_the_other_ones_key_is_not_there_and_nothing_can_be_done_to_it(
    tab: Tab, console: Console, owners: tuple[Owner, Owner]
) -> None:
    mine, other = owners
    page = console.sign_in(tab, mine.token)
    for path in ("", "/edit", "/revoke", "/restore", "/roll", "/delete"):
        theirs = page.goto(f"{console.address}/keys/{other.access_key.access_key_id}{path}")
        assert theirs is not None
        assert theirs.status == 404
        assert not _foreign(page, other, other.access_key.access_key_id)
        told = page.locator("main").inner_text()
        page.goto(f"{console.address}/keys/NQAK{'0' * 16}{path}")
        assert page.locator("main").inner_text() == told, "it can be told apart from none"
    for act, fields in {
        "revoke": {"reason": "unused"},
        "roll": {"overlap": "0"},
        "delete": {"label": other.label},
    }.items():
        page.goto(f"{console.address}/keys/{mine.access_key.access_key_id}")
        status = page.evaluate(
            """async ([path, fields]) => {
              const csrf = document.querySelector('[name="csrf"]').value
              return (await fetch(path, {method: 'POST', body: new URLSearchParams({csrf, ...fields})})).status
            }""",
            [f"/keys/{other.access_key.access_key_id}/{act}", fields],
        )
        assert status == 404
    tab.excuse("status of 404")
    assert console.status(other.access_key.access_key_id) == "active"
    assert console.rest.done("GET", f"/keys/{other.access_key.access_key_id}")["replaced_by"] is None


def test_a_form_that_names_the_other_account_makes_nothing_there(
    tab: Tab, console: Console, owners: tuple[Owner, Owner]
) -> None:
    mine, other = owners
    page = console.sign_in(tab, mine.token)
    page.goto(f"{console.address}/keys/new")
    page.get_by_label("Label").fill("whose is it")
    page.locator("#reach-all").check()
    page.locator('#create-form [name="account"]').evaluate("(field, value) => { field.value = value }", other.account)
    page.locator("#confirm-create").click()
    page.wait_for_load_state()
    tab.problems.clear()
    assert not [one for one in _keys(console, other) if one["label"] == "whose is it"]
    if page.locator("#saved").count():
        page.locator("#saved").check()


def _keys(console: Console, owner: Owner) -> list[dict[str, str]]:
    found: list[dict[str, str]] = console.rest.done("GET", f"/keys?account={owner.account}")["keys"]
    return found


def test_an_operator_sees_both_and_makes_a_key_where_it_chooses(
    open_tab: OpenTab, console: Console, owners: tuple[Owner, Owner]
) -> None:
    page = console.sign_in(open_tab(), console.operator)
    for owner in owners:
        page.goto(f"{console.address}/keys?q={owner.access_key.access_key_id}")
        expect(row(page, owner.access_key.access_key_id)).to_contain_text(owner.account)
    mine, other = owners
    page.goto(f"{console.address}/keys/new")
    page.locator("#choose-account #account").select_option(other.account)
    page.locator("#choose-account").get_by_role("button").click()
    expect(page.locator(f'#bucket-list input[value="{other.bucket}"]')).to_be_visible()
    assert page.locator(f'#bucket-list input[value="{mine.bucket}"]').count() == 0
    page.get_by_label("Label").fill("by the operator")
    page.locator("#reach-all").check()
    page.locator("#confirm-create").click()
    issued = revealed(page)
    done(page)
    assert issued.access_key_id in {one["access_key_id"] for one in _keys(console, other)}
    page.locator("#account-choice").select_option(mine.account)
    page.locator("#account-form").get_by_role("button", name="Show").click()
    expect(row(page, issued.access_key_id)).to_have_count(0)
    expect(row(page, mine.access_key.access_key_id)).to_be_visible()

"""A key from its making to its end, by mouse: what the page says is what clients get."""

import secrets

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.support.browser import ON_ONE_BROWSER
from tests.support.console_walk import CLIPBOARD, Console, confirm, done, fill_in, row
from tests.support.gateway_process import IssuedKey
from tests.support.house import House

pytestmark = ON_ONE_BROWSER


def test_made_copied_used_revoked_and_deleted(open_tab: OpenTab, console: Console, house: House) -> None:
    bucket, label = f"life-{secrets.token_hex(4)}", f"the life of a key {secrets.token_hex(4)}"
    house.fronted("seaweedfs").s3.create_bucket(Bucket=bucket)
    page = console.sign_in(open_tab(permissions=CLIPBOARD))

    fill_in(page, label, bucket)
    expect(page.locator("#sentence")).to_contain_text(f"read, write and delete objects in {bucket}")
    page.locator("#confirm-create").click()
    page.locator("#copy-id").click()
    expect(page.locator("#said")).to_have_text("Id copied")
    access_key_id = page.evaluate("navigator.clipboard.readText()")
    page.locator("#copy-secret").click()
    expect(page.locator("#said")).to_have_text("Secret copied")
    issued = IssuedKey(access_key_id, page.evaluate("navigator.clipboard.readText()"))
    done(page)
    shown = row(page, access_key_id)
    expect(shown).to_contain_text(label)
    expect(shown).to_contain_text(bucket)
    expect(shown).to_contain_text("Active")

    with console.gateway.boto3(issued) as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"of the browser")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"of the browser"
        shown.get_by_role("link", name=f"Revoke {label}").click()
        page.locator("#dialog #reason").select_option("rotation")
        assert "1 of 1 gateway" in confirm(page, "revoke")
        expect(row(page, access_key_id)).to_contain_text("Revoked")
        with pytest.raises(ClientError) as refused:
            client.get_object(Bucket=bucket, Key="k")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    row(page, access_key_id).get_by_role("link", name=f"Delete {label}").click()
    expect(page.locator("#confirm-delete")).to_be_disabled()
    page.locator("#typed-label").fill(label)
    confirm(page, "delete")
    expect(row(page, access_key_id)).to_have_count(0)
    assert console.status(access_key_id) == "none"

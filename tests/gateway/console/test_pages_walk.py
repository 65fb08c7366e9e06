"""The console on a real keystore: what it shows is what was done, and a secret that it showed stands nowhere after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from gateway.console.app import Door, build_app
from gateway.console.key_lists import WantedKeys
from gateway.console.links import make_link
from gateway.s3.listing import ListedBucket
from keystore.access_key import Status
from keystore.errors import NotFound
from keystore.scope import BucketGrant, Rights, SpecificBuckets
from tests.support.console import Browser, Clock
from tests.support.plane import OPERATOR, Plane


@asynccontextmanager
async def browsing(plane: Plane, account: str | None = None) -> AsyncIterator[Browser]:
    plane.buckets = [
        ListedBucket("photos", "2026-05-04T09:00:00.000Z"),
        ListedBucket("logs", "2026-05-04T09:00:00.000Z"),
    ]
    door = Door(plane.config, plane.acts, plane.keystore.store, plane.ready, lambda: plane.ring, lambda: plane.now)
    async with TestClient(TestServer(build_app(door)), cookie_jar=CookieJar(unsafe=True)) as client:
        browser: Any = Browser(client, plane.acts, None, Clock())  # type: ignore[arg-type]
        await browser.enter(await plane.token(account))
        yield browser


async def test_the_whole_life_of_a_key(plane: Plane) -> None:
    async with browsing(plane, "acme") as browser:
        for name in ("photos", "logs"):
            await plane.keystore.store.assign_bucket(name, "acme", "test")
        assert "No access keys yet" in (await browser.get("/keys")).words
        fields = {"label": "web-3", "reach": "some", "bucket": "photos", "rights": "read_only", "term": "90"}
        made = await browser.fill("/keys/new", fields)
        assert made.status == 201
        [shown] = (await plane.acts.page(OPERATOR, WantedKeys(), None, 10)).keys
        access_key_id = shown["access_key_id"]
        at = f"/keys/{access_key_id}"
        secret = made.text.split('class="secret">')[1].split("<")[0]
        assert len(secret) == 40
        known = await plane.acts.access_key(OPERATOR, access_key_id)
        assert known.scope == SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY, generation=1),))
        for path in ("/keys", at, "/buckets", "/activity", f"{at}/revoke", f"{at}/delete", f"{at}/edit"):
            page = await browser.get(path)
            assert page.status == 200, page.words
            assert secret not in page.text
        await browser.fill(f"{at}/revoke", {"reason": "rotation"})
        assert "is revoked: no gateway is running." in (await browser.get("/keys")).words
        assert (await plane.acts.access_key(OPERATOR, access_key_id)).status is Status.REVOKED
        await browser.fill(f"{at}/restore")
        await browser.fill(f"{at}/delete", {"label": "web-3"})
        assert (await browser.get(at)).status == 404
        with pytest.raises(NotFound):
            await plane.acts.access_key(OPERATOR, access_key_id)


async def test_a_form_that_is_sent_twice_makes_one_key_in_the_keystore(plane: Plane) -> None:
    async with browsing(plane, "acme") as browser:
        page = await browser.get("/keys/new")
        fields = {**page.fields, "label": "web", "reach": "all", "rights_all": "full", "term": "never"}
        first, second = await browser.post("/keys/new", fields), await browser.post("/keys/new", fields)
        changed = await browser.post("/keys/new", {**fields, "label": "another"})
        assert (first.status, second.status, changed.status) == (201, 200, 409)
        assert "made already" in second.words
        assert len((await plane.acts.page(OPERATOR, WantedKeys(), None, 10)).keys) == 1


async def test_a_roll_and_an_edit_are_what_the_history_tells(plane: Plane) -> None:
    access_key_id = await plane.key("web", "acme")
    async with browsing(plane, "acme") as browser:
        at = f"/keys/{access_key_id}"
        edited = await browser.fill(
            f"{at}/edit", {"label": "web-3", "reach": "all", "rights_all": "full", "term": "kept"}
        )
        rolled = await browser.fill(f"{at}/roll", {"overlap": "24h"})
        assert (edited.status, rolled.status) == (303, 201), rolled.words
        page = await browser.get(at)
        assert page.text.index("<strong>roll") < page.text.index("<strong>update") < page.text.index("<strong>create")
        assert "Replaced by" in page.words
        fields = {**(await browser.get(f"{at}/edit")).fields, "version": "1", "label": "x", "term": "kept"}
        stale = await browser.post(f"{at}/edit", {**fields, "reach": "all", "rights_all": "full"})
        assert stale.status == 409


async def test_a_link_opens_once_and_a_token_that_is_revoked_ends_its_session(plane: Plane) -> None:
    async with browsing(plane) as browser:
        assert (await browser.get("/keys")).status == 200
        [token] = await plane.keystore.store.list_tokens()
        await plane.keystore.store.revoke_token(token.token_id, "test")
        assert (await browser.get("/keys")).status == 303
        link = make_link(plane.ring, "acme", plane.now)
        assert (await browser.post("/link", {"link": f"http://127.0.0.1/link#{link}"})).location == "/keys"
        assert (await browser.post("/link", {"link": link})).status == 403
        assert "acme" in (await browser.get("/keys")).text


async def test_an_owner_sees_nothing_of_another_account(plane: Plane) -> None:
    theirs = await plane.key("theirs", "default")
    async with browsing(plane, "acme") as browser:
        for path in ("/keys", "/keys?q=theirs", f"/keys?q={theirs}", "/keys/new", "/buckets", "/activity"):
            page = await browser.get(path)
            assert page.status == 200, page.words
            assert "theirs" not in page.text.replace("q=theirs", "").replace("“theirs”", "").replace('"theirs"', "")
        for act in ("", "/revoke", "/restore", "/roll", "/edit", "/delete"):
            assert (await browser.get(f"/keys/{theirs}{act}")).status == 404
        csrf = (await browser.get("/keys")).fields["csrf"]
        told = {"csrf": csrf, "reason": "other", "label": "theirs", "overlap": "0", "term": "never"}
        for act in ("revoke", "restore", "roll", "edit", "delete"):
            assert (await browser.post(f"/keys/{theirs}/{act}", told)).status == 404
        assert (await plane.acts.access_key(OPERATOR, theirs)).version == 1

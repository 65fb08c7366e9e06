"""The keeper hands out keys of days, and nothing that opens or outlives them."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.workers.asking import days_keys, handed_macs, read_claimed
from gateway.workers.keeper import Keeper, answer
from gateway.workers.link import Message
from keystore.access_key import RevokeReason
from keystore.derived import UpstreamCredential
from keystore.directory import Directory, open_directory
from keystore.errors import InvalidInput, NotFound, WrongKek
from keystore.scope import AllBuckets
from keystore.sealing import KekRing, Secret, create_kek_file, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.store import NewKey
from keystore.verified_rows import enter_verified

NOON = 1_790_000_000.0  # 2026-09-21
TODAY = "20260921"
OWN = UpstreamCredential("AKIASTORE", "the store's secret")


class House(NamedTuple):
    keeper: Keeper
    store: SqliteStore
    directory: Directory
    ring: KekRing
    access_key_id: str
    secret: str


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    create_kek_file(tmp_path / "kek")
    ring = load_kek_ring(tmp_path / "kek")
    async with open_sqlite_store(tmp_path / "keys.db", ring, create=True) as store:
        access_key, secret = await store.create_key(NewKey("default", "a", AllBuckets()), "ann")
        directory = open_directory(tmp_path / "keys.db", ring)
        keeper = Keeper(directory, store, OWN, b"eu", lambda: NOON)
        yield House(keeper, store, directory, ring, access_key.access_key_id, secret.expose())
        directory.close()


def about(house: House, ask: str, **more: Any) -> Message:
    return {"ask": ask, "access_key_id": house.access_key_id, "secret_version": 1, **more}


def test_a_date_key_is_that_of_the_sealed_secret(house: House) -> None:
    octets = house.keeper.derived(about(house, "date_key", date=TODAY))["octets"]
    assert octets == hmac.digest(b"AWS4" + house.secret.encode(), TODAY.encode(), "sha256").hex()


@pytest.mark.parametrize("day", ["20260913", "20260920", "20260922"])
def test_a_day_that_a_request_may_be_signed_for_is_derived(house: House, day: str) -> None:
    assert len(house.keeper.derived(about(house, "date_key", date=day))["octets"]) == 64


@pytest.mark.parametrize("day", ["20260912", "20260923", "20270921", "", "00000000", "2026-9-1", "ab", "20260921 "])
def test_no_other_day_is(house: House, day: str) -> None:
    with pytest.raises(InvalidInput):
        house.keeper.derived(about(house, "date_key", date=day))


def test_a_sigv2_signature_is_computed_here(house: House) -> None:
    octets = house.keeper.derived(about(house, "sha1", text=b"text".hex()))["octets"]
    assert octets == hmac.new(house.secret.encode(), b"text", hashlib.sha1).hexdigest()


@pytest.mark.parametrize("more", [{"access_key_id": "NQAKnobody"}, {"secret_version": 2}])
@pytest.mark.parametrize("ask", ["date_key", "sha1"])
def test_a_key_that_is_not_there_or_has_another_secret_has_no_answer(
    house: House, ask: str, more: dict[str, Any]
) -> None:
    with pytest.raises(NotFound):
        house.keeper.derived({**about(house, ask, date=TODAY, text=""), **more})


async def test_a_deleted_key_has_none_at_once_and_a_revoked_one_has_so_that_its_holder_is_told(house: House) -> None:
    await house.store.revoke_key(house.access_key_id, RevokeReason.OTHER, "bob")
    assert house.keeper.derived(about(house, "date_key", date=TODAY))
    await house.store.delete_key(house.access_key_id, "bob")
    with pytest.raises(NotFound):
        house.keeper.derived(about(house, "date_key", date=TODAY))


async def test_the_credential_of_an_account_is_handed_as_keys_of_three_days(house: House) -> None:
    with pytest.raises(NotFound):
        house.keeper.derived({"ask": "credential", "account": "default"})
    await house.store.set_upstream("default", "AKIAOWN", Secret("own secret"), "ann")
    credential = house.keeper.derived({"ask": "credential", "account": "default"})["credential"]
    assert list(credential["signing_keys"]) == ["20260920", "20260921", "20260922"]
    own = UpstreamCredential("AKIAOWN", "own secret")
    assert days_keys(credential, b"eu").signing_key(TODAY.encode(), b"eu") == own.signing_key(TODAY.encode(), b"eu")


def test_what_every_worker_is_told_verifies_the_keystore_and_opens_nothing(house: House) -> None:
    told = house.keeper.macs(house.ring)
    assert enter_verified(handed_macs(told), house.directory.store_row).store_id == told["store_id"]
    with pytest.raises(WrongKek):
        enter_verified(handed_macs({**told, "macs": []}), house.directory.store_row)
    keys = days_keys(house.keeper.store_keys(), b"eu")
    assert keys.signing_key(TODAY.encode(), b"eu") == OWN.signing_key(TODAY.encode(), b"eu")
    text = json.dumps([told, house.keeper.store_keys()])
    assert house.secret not in text
    assert "the store's secret" not in text
    assert house.ring.newest._octets.hex() not in text


async def answered(house: House, **question: Any) -> Message:
    got: list[Message] = []
    await answer(house.keeper, {"number": 7, **question}, got.append)
    [message] = got
    assert message.pop("number") == 7
    return message


async def test_buckets_are_claimed_undone_and_released(house: House) -> None:
    asked = {"ask": "claim_bucket", "name": "photos", "account": "default", "actor": "key:k"}
    message = await answered(house, **asked)
    made = read_claimed(message)
    assert (made.claim.name, made.claim.changed_by, made.before) == ("photos", "key:k", None)
    assert await answered(house, ask="undo_claim", **message, actor="key:k") == {}
    again = read_claimed(await answered(house, **asked))
    release = {"ask": "release_bucket", "name": "photos", "version": again.claim.version, "actor": "key:k"}
    assert await answered(house, **release) == {}
    assert (await answered(house, **release))["error"] == "Conflict"
    assert not (await house.store.list_claims(None))["photos"].held


async def test_what_a_worker_may_not_ask_is_refused(house: House) -> None:
    for ask in ("secret", "record", "revoke_key", "use", None):
        assert (await answered(house, ask=ask))["error"] == "InvalidInput"


async def test_a_bug_is_answered_and_raised(house: House) -> None:
    got: list[Message] = []
    with pytest.raises(KeyError):
        await answer(house.keeper, {"number": 7, "ask": "date_key"}, got.append)
    assert [one["error"] for one in got] == ["bug"]
    await asyncio.sleep(0)

"""What counts as a use of a key, and what as a denial."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway import usage
from gateway.pipeline import Lookups, admit
from gateway.s3.errors import Code, S3Error
from gateway.usage import Tally, keep_written, write_out
from keystore.access_key import KnownKey
from keystore.bucket_claims import Tenure
from keystore.scope import BucketGrant, SpecificBuckets
from keystore.usage import Denied, read_usage, usage_path
from tests.gateway.test_pipeline import ROAD
from tests.support.admitted import lookups_of
from tests.support.requests import NOW, header_head, known_key

DATE = b"20260921"


def lookups(known: KnownKey | None) -> Lookups:
    return lookups_of(lambda access_key_id, date: known)


def refusal(asking: Lookups, head: Any = None) -> S3Error:
    with pytest.raises(S3Error) as caught:
        admit(head or header_head(), asking, NOW, ROAD)
    return caught.value


def test_an_admitted_request_is_remembered_once_per_key() -> None:
    tally = Tally()
    authorized = admit(header_head(), lookups(known_key(DATE)), NOW, ROAD, "192.0.2.9")
    tally.used(authorized, NOW)
    tally.used(authorized, NOW + 5.9)
    used, denied = tally.take()
    [(access_key_id, one)] = used.items()
    assert access_key_id == authorized.access_key.access_key_id
    assert (one.at, one.operation, one.bucket, one.source) == (int(NOW) + 5, "GetObject", "bucket", "192.0.2.9")
    assert one.region == "us-east-1"
    assert denied == {}
    assert tally.take() == ({}, {})


def test_a_refusal_behind_a_good_signature_is_a_denial() -> None:
    elsewhere = known_key(DATE, scope=SpecificBuckets((BucketGrant("other"),)))
    tally = Tally()
    tally.denied(refusal(lookups(elsewhere)), NOW)
    _, denied = tally.take()
    [(access_key_id, one)] = denied.items()
    assert access_key_id == elsewhere.access_key.access_key_id
    assert one == Denied(int(NOW), f"GetObject is outside the grants of {access_key_id}", "bucket")


def test_a_bucket_of_another_account_is_a_denial_too() -> None:
    asking = lookups_of(lambda access_key_id, date: known_key(DATE), lambda bucket: Tenure("tenant", 1))
    assert refusal(asking).holder


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_a_key_that_ended_is_denied_where_its_holder_signed(ended: str) -> None:
    from dataclasses import replace

    from keystore.access_key import Status

    known = known_key(DATE)
    change: dict[str, Any] = {"status": Status.REVOKED} if ended == "revoked" else {"expires_at": int(NOW)}
    known.access_key = replace(known.access_key, **change)
    error = refusal(lookups(known))
    assert (error.code, error.holder, error.bucket) == (
        Code.INVALID_ACCESS_KEY_ID,
        known.access_key.access_key_id,
        "bucket",
    )


def test_whoever_cannot_sign_leaves_no_trace_on_a_key() -> None:
    other = known_key(DATE)
    other.date_keys[DATE] = b"x" * 32
    for asking in (lookups(None), lookups(other)):
        error = refusal(asking)
        tally = Tally()
        tally.denied(error, NOW)
        assert error.holder == ""
        assert tally.take() == ({}, {})


def test_the_tally_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MAX_TALLIED", 3)
    tally = Tally()
    for number in range(9):
        error = S3Error(Code.ACCESS_DENIED, "no")
        error.holder = f"NQAK{number}"
        tally.denied(error, NOW)
    _, denied = tally.take()
    assert list(denied) == ["NQAK6", "NQAK7", "NQAK8"]


def used_once(tally: Tally) -> str:
    authorized = admit(header_head(), lookups(known_key(DATE)), NOW, ROAD)
    tally.used(authorized, NOW)
    return authorized.access_key.access_key_id


async def test_it_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "PERIOD", 0.01)
    database, tally = tmp_path / "keystore.db", Tally()
    access_key_id = used_once(tally)
    writing = asyncio.create_task(keep_written(tally, database))
    for _ in range(500):
        await asyncio.sleep(0.01)
        if usage_path(database).exists() and read_usage(database):
            break
    writing.cancel()
    assert list(read_usage(database)) == [access_key_id]


def test_what_cannot_be_written_is_said_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    used_once(tally)
    with caplog.at_level(logging.WARNING):
        write_out(tally, tmp_path / "missing" / "keystore.db")
    assert "was not written" in caplog.text
    write_out(tally, tmp_path / "missing" / "keystore.db")
    assert len(caplog.records) == 1

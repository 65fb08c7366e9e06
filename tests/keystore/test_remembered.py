from dataclasses import replace

import pytest

from keystore import remembered
from keystore.accounts import Account
from keystore.bucket_claims import UNCLAIMED
from keystore.record import AccessKeyRow, AccountRow
from keystore.remembered import GRANT_BYTES, KEY_BYTES, Held, Remembered
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.admitted import access_key


def held(access_key_id: str, buckets: int = 1) -> Held:
    scope = SpecificBuckets(tuple(BucketGrant(f"bucket-{number}") for number in range(buckets)))
    row = AccessKeyRow(access_key_id, "default", 1, 0, b"", b"", "", b"")
    return Held(replace(access_key(scope), access_key_id=access_key_id), row, lambda text: text)


def test_records_are_bounded_by_the_buckets_they_name_and_the_oldest_go_first() -> None:
    kept = Remembered(max_known=3 * (KEY_BYTES + GRANT_BYTES))
    for number in range(5):
        kept.keep(held(f"key-{number}"))
    assert list(kept.known) == ["key-2", "key-3", "key-4"]
    kept.keep(held("wide", buckets=2 * KEY_BYTES // GRANT_BYTES))
    assert list(kept.known) == ["wide"]


def test_what_is_forgotten_gives_its_room_back() -> None:
    kept = Remembered(max_known=2 * KEY_BYTES + 4 * GRANT_BYTES)
    kept.keep(held("a", buckets=2))
    kept.keep(held("b", buckets=2))
    kept.forget_key("a")
    kept.forget_key("nobody")
    kept.keep(held("c", buckets=2))
    assert list(kept.known) == ["b", "c"]
    kept.forget_all()
    kept.keep(held("d", buckets=1 + KEY_BYTES // GRANT_BYTES))
    assert list(kept.known) == ["d"]


def test_everything_is_forgotten_at_once_and_the_objects_stay_the_same() -> None:
    kept = Remembered()
    seen = kept.known, kept.absent, kept.tenures, kept.accounts
    kept.keep(held("a"))
    kept.keep_absent("b")
    kept.keep_tenure("c", UNCLAIMED)
    kept.keep_account(AccountRow("d", "1", 1, 0, b"", "", b"", None), Account("d", "123456789012", 0, "ann"))
    assert all(seen)
    kept.forget_all()
    assert not any(seen)
    assert (kept.known, kept.absent, kept.tenures, kept.accounts) == seen


@pytest.mark.interpreted  # it reaches inside
def test_names_are_bounded_each_in_their_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MAX_ABSENT", 2)
    monkeypatch.setattr(remembered, "MAX_TENURES", 3)
    kept = Remembered()
    for number in range(9):
        kept.keep_absent(f"{number}")
        kept.keep_tenure(f"{number}", UNCLAIMED)
    assert list(kept.absent) == ["7", "8"]
    assert list(kept.tenures) == ["6", "7", "8"]

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.access_key import (
    ACCESS_KEY_ID,
    LATEST,
    AccessKey,
    KnownKey,
    RevokeReason,
    Status,
    TenureOf,
    access_key_json,
    check_lifetime,
    check_times,
    clean_label,
    revoked,
    shown_status,
)
from keystore.bucket_claims import UNCLAIMED, BucketClaim, ClaimState, Tenure
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Permission, Rights, SpecificBuckets

KEY = AccessKey("NQAK8f7x9k2m1pq0abcd", "default", "backup", AllBuckets(), Status.ACTIVE, 1_700_000_000, "ann")
SPECIFIC = replace(KEY, scope=SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY),)))


@pytest.mark.parametrize(
    "label", ["a", "x" * 64, "Büro 東京", "👩‍👩‍👧 family", "a/b=c;<i>'\"", "عربي", "no\u00a0break"]
)
def test_labels_hold_any_writing(label: str) -> None:
    assert clean_label(label) == label


def test_labels_are_trimmed_before_they_are_counted() -> None:
    assert clean_label("  \t" + "x" * 64 + "\n ") == "x" * 64


@pytest.mark.parametrize(
    "label", ["", "   ", "x" * 65, "a\nb", "a\tb", "a\x00b", "a\x1b[31m", "a\x85b", "a\u2028b", "a\ud800b"]
)
def test_labels_hold_no_control_characters(label: str) -> None:
    with pytest.raises(InvalidInput):
        clean_label(label)


@pytest.mark.parametrize("character", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_labels_never_turn_the_reading_direction(character: str) -> None:
    with pytest.raises(InvalidInput):
        clean_label(f"a{character}b")


@given(st.text())
def test_a_label_is_clean_or_refused(text: str) -> None:
    try:
        label = clean_label(text)
    except InvalidInput:
        return
    assert clean_label(label) == label
    assert 1 <= len(label) <= 64
    label.encode()


@pytest.mark.parametrize(
    ("not_before", "expires_at"), [(None, 999), (None, 1000), (3000, 2000), (2000, 2000), (-1, None), (None, 10**12)]
)
def test_times_that_never_come_are_refused(not_before: int | None, expires_at: int | None) -> None:
    with pytest.raises(InvalidInput):
        check_times(not_before, expires_at, 1000)


@pytest.mark.parametrize(("not_before", "expires_at"), [(None, None), (None, 1001), (5, None), (1500, 1501)])
def test_times_ahead_are_accepted(not_before: int | None, expires_at: int | None) -> None:
    check_times(not_before, expires_at, 1000)


def test_revoking_says_when_by_whom_and_why() -> None:
    ended = revoked(KEY, 5, "bob", RevokeReason.UNUSED)
    assert (ended.status, ended.revoked_at, ended.revoked_by) == (Status.REVOKED, 5, "bob")
    assert ended.revoked_reason is RevokeReason.UNUSED
    assert ended.version == KEY.version + 1


def test_revoking_again_is_a_new_version_that_keeps_when_it_ended() -> None:
    ended = revoked(revoked(KEY, 5, "bob", RevokeReason.UNUSED), 9, "eve", RevokeReason.ROTATION)
    assert (ended.revoked_at, ended.revoked_by, ended.revoked_reason) == (5, "bob", RevokeReason.ROTATION)
    assert ended.version == KEY.version + 2


def test_compromised_is_final() -> None:
    ended = revoked(revoked(KEY, 5, "bob", RevokeReason.COMPROMISED), 9, "eve", RevokeReason.UNUSED)
    assert ended.revoked_reason is RevokeReason.COMPROMISED


def test_a_key_drains_until_it_is_revoked_without_it() -> None:
    draining = revoked(KEY, 5, "bob", RevokeReason.UNUSED, drain=True)
    assert (draining.status, draining.drains, KEY.drains) == (Status.REVOKED, True, False)
    assert not revoked(draining, 9, "eve", RevokeReason.UNUSED).drains


def test_a_compromised_key_never_drains() -> None:
    ended = revoked(KEY, 5, "bob", RevokeReason.COMPROMISED)
    for access_key, reason in ((KEY, RevokeReason.COMPROMISED), (ended, RevokeReason.UNUSED)):
        with pytest.raises(InvalidInput, match="--drain"):
            revoked(access_key, 9, "eve", reason, drain=True)


def test_expired_begins_with_its_second_and_revoked_wins() -> None:
    ends = replace(KEY, expires_at=100)
    assert [shown_status(ends, now) for now in (99.9, 100.0)] == ["active", "expired"]
    assert shown_status(revoked(ends, 5, "bob", RevokeReason.UNUSED), 200.0) == "revoked"


def test_the_json_of_an_all_buckets_key() -> None:
    assert access_key_json(KEY, 0.0, {}) == {
        "access_key_id": "NQAK8f7x9k2m1pq0abcd",
        "account": "default",
        "label": "backup",
        "scope": {"type": "all", "rights": "full"},
        "buckets": "*",
        "unreachable_buckets": {},
        "status": "active",
        "created_at": "2023-11-14T22:13:20Z",
        "created_by": "ann",
        "expires_at": None,
        "not_before": None,
        "source_cidrs": [],
        "manage_keys": False,
        "revoked_at": None,
        "revoked_by": None,
        "revoked_reason": None,
        "replaces": None,
        "replaced_by": None,
        "version": 1,
    }


def test_the_json_of_a_revoked_key_for_specific_buckets() -> None:
    shown = access_key_json(revoked(SPECIFIC, 0, "bob", RevokeReason.OTHER), 0.0, {})
    assert shown["buckets"] == ["photos"]
    assert shown["scope"] == {"type": "buckets", "buckets": [{"name": "photos", "rights": "read_only"}]}
    assert (shown["status"], shown["revoked_at"], shown["revoked_reason"]) == (
        "revoked",
        "1970-01-01T00:00:00Z",
        "other",
    )
    json.dumps(shown)


def test_the_json_says_what_a_key_replaces_and_what_replaced_it() -> None:
    shown = access_key_json(replace(KEY, replaces="NQAKbefore", replaced_by="NQAKafter"), 0.0, {})
    assert (shown["replaces"], shown["replaced_by"]) == ("NQAKbefore", "NQAKafter")


def test_a_key_that_manages_keys_reaches_what_it_reaches_without() -> None:
    manages = replace(KEY, scope=NoBuckets(), manage_keys=True)
    assert not manages.permissions("photos", unclaimed)
    assert not manages.granted("photos")
    shown = access_key_json(manages, 0.0, {})
    assert (shown["scope"], shown["buckets"], shown["manage_keys"]) == ({"type": "none"}, [], True)


@pytest.mark.parametrize(("expires_at", "longest"), [(None, None), (LATEST, None), (100 + 60, 60), (100, 60), (101, 1)])
def test_a_life_within_the_setting_is_accepted(expires_at: int | None, longest: int | None) -> None:
    check_lifetime(100, expires_at, longest)


@pytest.mark.parametrize(("expires_at", "longest"), [(None, 60), (161, 60), (LATEST, 60), (None, LATEST)])
def test_a_longer_life_and_one_without_an_end_are_refused_with_the_setting(
    expires_at: int | None, longest: int
) -> None:
    with pytest.raises(InvalidInput, match=r"keys\.max_lifetime"):
        check_lifetime(100, expires_at, longest)


def test_permissions_are_denied_by_default() -> None:
    assert SPECIFIC.permissions("photos", unclaimed) == {Permission.PROBE, Permission.READ}
    for other in ("photo", "photos2", "Photos", "photos ", ""):
        assert not SPECIFIC.permissions(other, unclaimed)


def unclaimed(bucket: str) -> Tenure:
    return UNCLAIMED


def owned(account: str, generation: int = 0) -> TenureOf:
    return lambda _: Tenure(account, generation)


def test_a_key_reaches_the_buckets_of_its_account_only() -> None:
    tenant, named = replace(KEY, account="tenant"), replace(SPECIFIC, account="tenant")
    assert KEY.permissions("any-bucket", unclaimed)
    assert not tenant.permissions("any-bucket", unclaimed)
    assert not named.permissions("photos", unclaimed)
    assert tenant.permissions("any-bucket", owned("tenant", 3))
    assert named.permissions("photos", owned("tenant"))
    assert not KEY.permissions("any-bucket", owned("tenant"))
    assert not SPECIFIC.permissions("photos", owned("tenant"))


@pytest.mark.parametrize("generation", [1, 2, 4])
def test_a_name_grants_only_in_the_generation_it_was_granted_in(generation: int) -> None:
    scope = SpecificBuckets((BucketGrant("photos", generation=3),))
    granted = replace(SPECIFIC, scope=scope)
    assert granted.permissions("photos", owned("default", 3))
    assert not granted.permissions("photos", owned("default", generation))


def test_all_buckets_grants_in_every_generation() -> None:
    assert KEY.permissions("photos", owned("default", 7))


def test_the_owner_of_what_is_not_granted_is_not_asked_for() -> None:
    def never(bucket: str) -> Tenure:
        raise AssertionError(bucket)

    assert not SPECIFIC.permissions("others", never)


def claim(account: str, generation: int, state: ClaimState = ClaimState.HELD) -> BucketClaim:
    return BucketClaim("photos", account, generation, state, 1, "ann")


@pytest.mark.parametrize(
    ("account", "generation", "found", "why"),
    [
        ("default", 0, None, None),
        ("default", 0, claim("default", 0), None),
        ("default", 0, claim("default", 0, ClaimState.RELEASED), "deleted"),
        ("default", 0, claim("tenant", 1), "other"),
        ("default", 0, claim("default", 2), "other"),
        ("tenant", 1, claim("tenant", 1), None),
        ("tenant", 1, claim("tenant", 1, ClaimState.RELEASED), "deleted"),
        ("tenant", 1, claim("tenant", 3), "other"),
        ("tenant", 1, None, "other"),
    ],
)
def test_buckets_a_key_does_not_reach_are_told_with_the_reason(
    account: str, generation: int, found: BucketClaim | None, why: str | None
) -> None:
    key = replace(SPECIFIC, account=account, scope=SpecificBuckets((BucketGrant("photos", generation=generation),)))
    told = access_key_json(key, 0.0, {} if found is None else {"photos": found})["unreachable_buckets"]
    assert told == ({} if why is None else {"photos": why})


@pytest.mark.parametrize("text", ["ab", "a" * 129, "a b", "a/b", "ä" * 5, "abc\n", ""])
def test_what_no_client_sends_is_no_access_key_id(text: str) -> None:
    assert not ACCESS_KEY_ID.match(text)


def test_a_known_key_prints_no_derived_key() -> None:
    known = KnownKey(KEY, {b"20250101": b"derived"}, lambda _: b"")
    assert repr(known) == "KnownKey(NQAK8f7x9k2m1pq0abcd, <hidden>)"

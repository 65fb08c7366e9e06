from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.access_key import TRANSITIONS, AccessKey, Act, RevokeReason, Status, revoked, shown_status
from keystore.bucket_claims import BucketClaim, ClaimState, tenure
from keystore.errors import Conflict, InvalidInput
from keystore.key_acts import MAX_OVERLAP, Edit, Kept, edit_json, restored, rolled, updated
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets

NOW = 1_700_000_000
HOUR = 3600
NAMES = ("photos", "logs", "films")
PHOTOS = SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY, "team/", 3), BucketGrant("logs")))
KEY = AccessKey(
    "NQAKold", "team", "backup", PHOTOS, Status.ACTIVE, NOW - HOUR, "ann", NOW + 9 * HOUR, NOW - 9, version=4,
    secret_version=2, source_cidrs=("10.0.0.0/8",),
)  # fmt: skip
FOREVER = replace(KEY, expires_at=None)


def ended(reason: RevokeReason = RevokeReason.UNUSED, of: AccessKey = KEY) -> AccessKey:
    return revoked(of, NOW - 5, "bob", reason)


names = st.sampled_from(NAMES)
accounts = st.sampled_from(["team", "default", "other"])
generations = st.integers(0, 3)
grants = st.builds(BucketGrant, names, st.sampled_from(Rights), st.sampled_from(["", "team/"]), generations)
scopes: st.SearchStrategy[Scope] = (
    st.just(NoBuckets())
    | st.builds(AllBuckets, st.sampled_from(Rights))
    | st.lists(grants, min_size=1, max_size=3, unique_by=lambda grant: grant.name).map(
        lambda named: SpecificBuckets(tuple(named))
    )
)
claims = st.dictionaries(
    names,
    st.tuples(accounts, generations, st.sampled_from(ClaimState)),
).map(lambda found: {name: BucketClaim(name, *of, NOW, "ann") for name, of in found.items()})


def reached(access_key: AccessKey, owned: dict[str, BucketClaim]) -> object:
    """All that its scope decides, whoever owns what."""
    return [
        (name, access_key.permissions(name, lambda bucket: tenure(owned.get(bucket))), access_key.prefixes.get(name))
        for name in (*NAMES, "unheard-of")
    ]


# ---- restore ----


@pytest.mark.parametrize("reason", [RevokeReason.ROTATION, RevokeReason.UNUSED, RevokeReason.OTHER])
def test_a_restored_key_is_what_it_was_before_the_revoke(reason: RevokeReason) -> None:
    assert restored(ended(reason)) == replace(KEY, version=KEY.version + 2)


def test_a_compromised_key_is_never_restored() -> None:
    with pytest.raises(Conflict, match="compromised"):
        restored(ended(RevokeReason.COMPROMISED))
    with pytest.raises(Conflict, match="compromised"):
        restored(revoked(ended(RevokeReason.COMPROMISED), NOW, "bob", RevokeReason.UNUSED))


def test_what_is_not_revoked_is_not_restored() -> None:
    with pytest.raises(Conflict, match="active"):
        restored(KEY)
    with pytest.raises(Conflict, match="active"):
        restored(replace(KEY, expires_at=NOW - 1))


def test_an_expired_key_is_restored_and_stays_expired() -> None:
    back = restored(ended(of=replace(KEY, expires_at=NOW - 1)))
    assert (back.status, shown_status(back, NOW)) == (Status.ACTIVE, "expired")


# ---- roll ----


def test_a_successor_has_label_scope_and_limits_of_the_old_key() -> None:
    successor, old = rolled(KEY, "NQAKnew", HOUR, NOW, "bob")
    assert successor == AccessKey(
        "NQAKnew", "team", "backup", PHOTOS, Status.ACTIVE, NOW, "bob", KEY.expires_at, KEY.not_before,
        source_cidrs=KEY.source_cidrs, replaces="NQAKold",
    )  # fmt: skip
    assert old == replace(KEY, expires_at=NOW + HOUR, replaced_by="NQAKnew", version=KEY.version + 1)


def test_a_successor_of_a_key_that_manages_keys_manages_keys_too() -> None:
    successor, old = rolled(replace(KEY, manage_keys=True), "NQAKnew", HOUR, NOW, "bob")
    assert (successor.manage_keys, old.manage_keys) == (True, True)


def test_without_an_overlap_the_old_key_is_revoked_for_rotation() -> None:
    successor, old = rolled(KEY, "NQAKnew", 0, NOW, "bob")
    assert old == replace(revoked(KEY, NOW, "bob", RevokeReason.ROTATION), replaced_by="NQAKnew")
    assert (old.expires_at, old.version) == (KEY.expires_at, KEY.version + 1)
    assert successor.status is Status.ACTIVE


@given(st.integers(1, MAX_OVERLAP), st.none() | st.integers(NOW + 1, NOW + 2 * MAX_OVERLAP))
def test_the_old_key_never_lasts_longer_than_it_would_have(overlap: int, expires_at: int | None) -> None:
    successor, old = rolled(replace(KEY, expires_at=expires_at), "NQAKnew", overlap, NOW, "bob")
    assert old.expires_at == min(NOW + overlap, expires_at or NOW + overlap)
    assert successor.expires_at == expires_at


@given(scopes, claims, st.sampled_from([0, HOUR]))
def test_a_successor_reaches_exactly_what_the_old_key_reached_whoever_owns_what(
    scope: Scope, owned: dict[str, BucketClaim], overlap: int
) -> None:
    old = replace(KEY, scope=scope)
    successor, after = rolled(old, "NQAKnew", overlap, NOW, "bob")
    assert reached(successor, owned) == reached(old, owned) == reached(after, owned)


def test_a_lost_bucket_is_lost_to_the_successor_too() -> None:
    lost = {"photos": BucketClaim("photos", "team", 5, ClaimState.HELD, NOW, "ann")}
    assert not KEY.permissions("photos", lambda bucket: tenure(lost.get(bucket)))
    successor, _ = rolled(KEY, "NQAKnew", HOUR, NOW, "bob")
    assert successor.generations == {"photos": 3}
    assert not successor.permissions("photos", lambda bucket: tenure(lost.get(bucket)))


@pytest.mark.parametrize("overlap", [-1, MAX_OVERLAP + 1])
def test_an_overlap_has_bounds(overlap: int) -> None:
    with pytest.raises(InvalidInput):
        rolled(KEY, "NQAKnew", overlap, NOW, "bob")
    assert rolled(FOREVER, "NQAKnew", MAX_OVERLAP, NOW, "bob").ended.expires_at == NOW + MAX_OVERLAP


@pytest.mark.parametrize(
    ("access_key", "why"),
    [
        (ended(), "revoked"),
        (ended(RevokeReason.COMPROMISED), "revoked"),
        (replace(KEY, expires_at=NOW), "expired"),
        (replace(KEY, replaced_by="NQAKnext"), "replaced by NQAKnext"),
    ],
)
def test_only_an_active_key_that_was_never_rolled_is_rolled(access_key: AccessKey, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        rolled(access_key, "NQAKnew", HOUR, NOW, "bob")


def test_a_successor_can_be_rolled_and_a_key_of_the_last_second_too() -> None:
    successor, _ = rolled(KEY, "NQAKnew", HOUR, NOW, "bob")
    third, second = rolled(successor, "NQAKthird", HOUR, NOW, "bob")
    assert (second.replaces, second.replaced_by) == ("NQAKold", "NQAKthird")
    assert (third.replaces, third.replaced_by) == ("NQAKnew", None)
    assert rolled(replace(KEY, expires_at=NOW + 1), "NQAKnew", HOUR, NOW, "bob").ended.expires_at == NOW + 1


# ---- update ----


@pytest.mark.parametrize("access_key", [KEY, FOREVER, ended(), ended(RevokeReason.COMPROMISED)])
def test_a_label_is_changed_in_any_state_and_nothing_else_with_it(access_key: AccessKey) -> None:
    after = updated(access_key, Edit(label="  Büro "), {}, NOW)
    assert after == replace(access_key, label="Büro", version=access_key.version + 1)


@pytest.mark.parametrize("expires_at", [NOW + 1, NOW + 99 * HOUR, None])
def test_an_expiry_is_set_moved_and_taken_away(expires_at: int | None) -> None:
    for access_key in (KEY, FOREVER):
        after = updated(access_key, Edit(expires_at=expires_at), {}, NOW)
        assert after == replace(access_key, expires_at=expires_at, version=access_key.version + 1)


def test_an_expired_key_is_extended_and_active_again() -> None:
    over = replace(KEY, expires_at=NOW - 1)
    assert shown_status(over, NOW) == "expired"
    assert shown_status(updated(over, Edit(expires_at=NOW + 1), {}, NOW), NOW) == "active"


@pytest.mark.parametrize("expires_at", [NOW, NOW - 1, -1, 10**12])
def test_an_expiry_that_is_over_is_refused(expires_at: int) -> None:
    with pytest.raises(InvalidInput):
        updated(KEY, Edit(expires_at=expires_at), {}, NOW)


def test_an_expiry_before_the_key_begins_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not_before"):
        updated(replace(FOREVER, not_before=NOW + HOUR), Edit(expires_at=NOW + HOUR), {}, NOW)


@pytest.mark.parametrize("edit", [Edit(expires_at=None), Edit(expires_at=NOW + 9), Edit(scope=PHOTOS), Edit("x", None)])
def test_a_revoked_key_is_not_extended_and_not_widened(edit: Edit) -> None:
    with pytest.raises(Conflict, match="revoked"):
        updated(ended(), edit, {}, NOW)


@pytest.mark.parametrize("label", ["", "x" * 65, "a\u202eb"])
def test_a_label_that_is_none_is_refused(label: str) -> None:
    with pytest.raises(InvalidInput):
        updated(KEY, Edit(label=label), {}, NOW)


def test_an_edit_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput):
        updated(KEY, Edit(), {}, NOW)


edits_without_scope = st.builds(
    Edit,
    st.none() | st.just("another"),
    st.just(Kept.KEPT) | st.none() | st.integers(NOW + 1, NOW + 99),
).filter(lambda edit: edit != Edit())


@given(scopes, claims, edits_without_scope)
def test_an_edit_of_label_or_expiry_never_changes_what_is_reached(
    scope: Scope, owned: dict[str, BucketClaim], edit: Edit
) -> None:
    before = replace(KEY, scope=scope)
    after = updated(before, edit, owned, NOW)
    assert after.scope == scope
    assert reached(after, owned) == reached(before, owned)


@given(scopes, scopes, claims)
def test_a_scope_that_is_given_reaches_what_a_new_key_of_it_would(
    had: Scope, given_scope: Scope, owned: dict[str, BucketClaim]
) -> None:
    after = updated(replace(KEY, scope=had), Edit(scope=given_scope), owned, NOW)
    for name in after.grants or ():
        owner = tenure(owned.get(name))
        reaches = after.permissions(name, lambda bucket: tenure(owned.get(bucket)))
        assert bool(reaches) == (owner.account == KEY.account)
    assert set(after.grants or ()) == set(Edit(scope=given_scope).buckets)


def test_naming_a_lost_bucket_again_grants_it_as_it_is_owned_now() -> None:
    owned = {"photos": BucketClaim("photos", "team", 5, ClaimState.HELD, NOW, "ann")}
    after = updated(KEY, Edit(scope=SpecificBuckets((BucketGrant("photos"),))), owned, NOW)
    assert after.generations == {"photos": 5}
    assert after.grants is not None
    assert set(after.grants) == {"photos"}


def test_the_log_is_told_what_an_edit_says_and_no_more() -> None:
    assert edit_json(Edit(label=" x ")) == {"label": "x"}
    assert edit_json(Edit(expires_at=None)) == {"expires_at": None}
    assert edit_json(Edit("x", NOW, AllBuckets())) == {
        "label": "x",
        "expires_at": NOW,
        "scope": {"type": "all", "rights": "full"},
    }


# ---- all of them ----


ACTS: dict[str, Callable[[AccessKey, int], AccessKey]] = {
    "revoke": lambda known, now: revoked(known, now, "bob", RevokeReason.UNUSED),
    "compromise": lambda known, now: revoked(known, now, "bob", RevokeReason.COMPROMISED),
    "restore": lambda known, now: restored(known),
    "roll": lambda known, now: rolled(known, f"NQAK{now}", HOUR, now, "bob").ended,
    "roll at once": lambda known, now: rolled(known, f"NQAK{now}", 0, now, "bob").ended,
    "relabel": lambda known, now: updated(known, Edit(label="another"), {}, now),
    "extend": lambda known, now: updated(known, Edit(expires_at=now + HOUR), {}, now),
}


@given(st.lists(st.sampled_from(list(ACTS)), max_size=8))
def test_whatever_is_done_a_compromised_key_stays_revoked_and_versions_only_grow(acts: list[str]) -> None:
    access_key, now = KEY, NOW
    for act in acts:
        before = access_key
        now += 1
        try:
            access_key = ACTS[act](before, now)
        except Conflict:
            continue
        assert access_key.version == before.version + 1
        assert (access_key.scope, access_key.account, access_key.secret_version) == (KEY.scope, "team", 2)
        if before.revoked_reason is RevokeReason.COMPROMISED:
            assert (access_key.status, access_key.revoked_reason) == (Status.REVOKED, RevokeReason.COMPROMISED)


def test_every_state_and_act_has_an_answer_and_only_restore_leaves_revoked() -> None:
    back = {act for (state, act), after in TRANSITIONS.items() if (state, after) == (Status.REVOKED, Status.ACTIVE)}
    assert back == {Act.RESTORE}
    assert (Status.REVOKED, Act.ROLL) not in TRANSITIONS

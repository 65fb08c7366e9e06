"""Child within parent: each way of reaching more on its own; then, that what is within grants nothing new."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.iam.reach import beyond
from keystore.access_key import AccessKey, Status
from keystore.bucket_claims import BucketClaim, ClaimState, tenure
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets

SCOPE = SpecificBuckets((BucketGrant("aaa", Rights.READ_WRITE, "team/", 2), BucketGrant("bbb", Rights.READ_ONLY)))
PARENT = AccessKey(
    "NQAKparent", "default", "parent", SCOPE, Status.ACTIVE, 1, "ann", expires_at=100, source_cidrs=("10.0.0.0/8",),
    manage_keys=True,
)  # fmt: skip
CHILD = replace(PARENT, access_key_id="NQAKchild", manage_keys=False)


def only(*grants: BucketGrant) -> SpecificBuckets:
    return SpecificBuckets(grants)


def test_a_key_reaches_no_more_than_itself() -> None:
    assert beyond(PARENT, PARENT) == ""
    assert beyond(CHILD, PARENT) == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"account": "team"}, "belongs to another account"),
        ({"expires_at": 101}, "lives longer"),
        ({"expires_at": None}, "lives longer"),
        ({"source_cidrs": ()}, "more networks"),
        ({"source_cidrs": ("10.0.0.0/7",)}, "more networks"),
        ({"source_cidrs": ("10.1.0.0/16", "192.0.2.1/32")}, "more networks"),
        ({"source_cidrs": ("::/0",)}, "more networks"),
        ({"scope": AllBuckets(Rights.READ_ONLY)}, "all buckets"),
        ({"scope": only(BucketGrant("ccc", Rights.READ_ONLY))}, "ccc"),
        ({"scope": only(BucketGrant("aaa", Rights.FULL, "team/", 2))}, "aaa"),
        ({"scope": only(BucketGrant("aaa", Rights.READ_ONLY, "", 2))}, "aaa"),
        ({"scope": only(BucketGrant("aaa", Rights.READ_ONLY, "tea/", 2))}, "aaa"),
        ({"scope": only(BucketGrant("aaa", Rights.READ_ONLY, "teams/", 2))}, "aaa"),
        ({"scope": only(BucketGrant("aaa", Rights.READ_ONLY, "team/", 1))}, "aaa"),
        ({"scope": only(BucketGrant("aaa", Rights.READ_ONLY, "team/", 3))}, "aaa"),
        ({"scope": only(BucketGrant("bbb", Rights.WRITE_ONLY))}, "bbb"),
        ({"scope": only(BucketGrant("bbb", Rights.READ_WRITE), BucketGrant("ddd"))}, "bbb, ddd"),
    ],
)
def test_each_way_of_reaching_more_is_named(changed: dict[str, object], why: str) -> None:
    assert why in beyond(replace(CHILD, **changed), PARENT)  # type: ignore[arg-type]  # names and values above


@pytest.mark.parametrize(
    "changed",
    [
        {"expires_at": 100},
        {"expires_at": 1},
        {"source_cidrs": ("10.1.0.0/16", "10.2.0.7/32")},
        {"scope": NoBuckets()},
        {"scope": only(BucketGrant("aaa", Rights.WRITE_ONLY, "team/a/", 2))},
        {"scope": only(BucketGrant("bbb", Rights.READ_ONLY, "x/"))},
    ],
)
def test_narrower_is_within(changed: dict[str, object]) -> None:
    assert beyond(replace(CHILD, **changed), PARENT) == ""  # type: ignore[arg-type]  # names and values above


def test_only_who_manages_keys_covers_one_that_does() -> None:
    assert beyond(PARENT, CHILD) == "manages keys"


@pytest.mark.parametrize("rights", Rights)
def test_all_buckets_covers_its_own_rights_in_every_generation(rights: Rights) -> None:
    parent = replace(PARENT, scope=AllBuckets(rights), expires_at=None, source_cidrs=())
    for other in Rights:
        child = replace(CHILD, scope=only(BucketGrant("ccc", other, "", 7)))
        everything = replace(CHILD, scope=AllBuckets(other))
        within = other is rights or rights is Rights.FULL or (rights is Rights.READ_WRITE and other is not Rights.FULL)
        assert (beyond(child, parent) == "") is within
        assert (beyond(everything, parent) == "") is within


def test_nothing_covers_nothing_only() -> None:
    parent = replace(PARENT, scope=NoBuckets())
    assert beyond(replace(CHILD, scope=NoBuckets()), parent) == ""
    assert beyond(replace(CHILD, scope=only(BucketGrant("bbb", Rights.READ_ONLY))), parent)
    assert beyond(replace(CHILD, scope=AllBuckets(Rights.READ_ONLY)), parent)


names = st.sampled_from(["aaa", "bbb", "ccc"])
prefixes = st.sampled_from(["", "team/", "team/a/", "other/"])
grants = st.builds(BucketGrant, names, st.sampled_from(Rights), prefixes, st.integers(0, 2))
scopes: st.SearchStrategy[Scope] = st.one_of(
    st.just(NoBuckets()),
    st.builds(AllBuckets, st.sampled_from(Rights)),
    st.lists(grants, min_size=1, max_size=3, unique_by=lambda grant: grant.name).map(lambda some: only(*some)),
)
claims = st.dictionaries(
    names, st.tuples(st.sampled_from(["default", "team"]), st.integers(0, 2), st.sampled_from(ClaimState))
).map(lambda found: {name: BucketClaim(name, *of, 1, "ann") for name, of in found.items()})
objects = st.sampled_from([b"", b"k", b"team/", b"team/a/k", b"team/b", b"other/k"])


@given(scopes, scopes, claims, objects)
def test_a_key_within_another_may_nothing_there_that_the_other_may_not(
    child_scope: Scope, parent_scope: Scope, owned: dict[str, BucketClaim], object_key: bytes
) -> None:
    child, parent = replace(CHILD, scope=child_scope), replace(PARENT, scope=parent_scope)
    if beyond(child, parent):
        return
    for bucket in ("aaa", "bbb", "ccc", "ddd"):
        of_child = child.permissions(bucket, lambda name: tenure(owned.get(name)))
        of_parent = parent.permissions(bucket, lambda name: tenure(owned.get(name)))
        assert of_child <= of_parent
        assert child.granted(bucket) <= parent.granted(bucket)
        if of_child and child.reaches(bucket, object_key):
            assert parent.reaches(bucket, object_key)

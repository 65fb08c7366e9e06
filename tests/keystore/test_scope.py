import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.errors import InvalidInput
from keystore.scope import (
    GRANTS,
    AllBuckets,
    BucketGrant,
    NoBuckets,
    Permission,
    Rights,
    Scope,
    SpecificBuckets,
    clean_prefix,
    generations_by_bucket,
    granted_in,
    grants_of,
    permissions_by_bucket,
    prefixes_by_bucket,
    read_scope,
    scope_json,
    stored_scope,
)

bucket_names = st.from_regex(r"[a-z0-9]{3,20}", fullmatch=True)
prefixes = st.lists(st.from_regex(r"[a-zü ]{1,5}", fullmatch=True), max_size=3).map("/".join).map(clean_prefix)
grants = st.builds(BucketGrant, bucket_names, st.sampled_from(Rights), prefixes, st.integers(0, 3))
scopes: st.SearchStrategy[Scope] = st.one_of(
    st.just(NoBuckets()),
    st.builds(AllBuckets, st.sampled_from(Rights)),
    st.lists(grants, min_size=1, max_size=5, unique_by=lambda grant: grant.name).map(
        lambda listed: SpecificBuckets(tuple(listed))
    ),
)


@given(scopes)
def test_a_scope_reads_back_as_it_was_written(scope: Scope) -> None:
    assert read_scope(stored_scope(scope)) == scope


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "all",
        {},
        {"type": "any"},
        {"type": "none", "buckets": []},
        {"type": "none", "rights": "full"},
        {"type": None},
        {"type": "all", "buckets": []},
        {"type": "all", "rights": "everything"},
        {"type": "all", "prefix": "a/"},
        {"type": "buckets"},
        {"type": "buckets", "buckets": []},
        {"type": "buckets", "buckets": None},
        {"type": "buckets", "buckets": ["photos"]},
        {"type": "buckets", "buckets": [{"rights": "full"}]},
        {"type": "buckets", "buckets": [{"name": "photos", "prefix": ""}]},
        {"type": "buckets", "buckets": [{"name": "photos", "prefix": None}]},
        {"type": "buckets", "buckets": [{"name": "photos", "prefix": "/a"}]},
        {"type": "buckets", "buckets": [{"name": "photos", "prefix": "a/", "limit": 1}]},
        {"type": "buckets", "buckets": [{"name": "photos"}], "rights": "full"},
        {"type": "buckets", "buckets": [{"name": "photos", "generation": -1}]},
        {"type": "buckets", "buckets": [{"name": "photos", "generation": "1"}]},
        {"type": "buckets", "buckets": [{"name": "photos", "generation": True}]},
        {"type": "buckets", "buckets": [{"name": "photos", "generation": None}]},
        {"type": "all", "generation": 1},
    ],
)
def test_what_is_not_a_scope_is_refused_and_never_means_all(value: object) -> None:
    with pytest.raises(InvalidInput):
        read_scope(value)


def test_absent_rights_mean_full_for_all_and_read_write_for_specific() -> None:
    assert read_scope({"type": "all"}) == AllBuckets(Rights.FULL)
    assert read_scope({"type": "buckets", "buckets": [{"name": "photos"}]}) == SpecificBuckets(
        (BucketGrant("photos", Rights.READ_WRITE),)
    )


@pytest.mark.parametrize("name", ["ab", "A-b", "a_b", "a..b", "1.2.3.4", "-ab", "ab-", "a" * 64, "abc\n", "a/b", ""])
def test_what_is_no_bucket_name_grants_nothing(name: str) -> None:
    with pytest.raises(InvalidInput):
        BucketGrant(name)


def test_a_bucket_is_named_once() -> None:
    with pytest.raises(InvalidInput):
        SpecificBuckets((BucketGrant("photos"), BucketGrant("photos", Rights.FULL)))


def test_a_thousand_buckets_are_the_most() -> None:
    SpecificBuckets(tuple(BucketGrant(f"bucket-{number}") for number in range(1000)))
    with pytest.raises(InvalidInput):
        SpecificBuckets(tuple(BucketGrant(f"bucket-{number}") for number in range(1001)))


def test_full_rights_in_specific_buckets_never_create_a_bucket() -> None:
    granted = permissions_by_bucket(SpecificBuckets((BucketGrant("photos", Rights.FULL),)))
    assert granted == {"photos": GRANTS[Rights.FULL] - {Permission.CREATE_BUCKET}}


@pytest.mark.parametrize("rights", Rights)
def test_write_only_reads_and_deletes_nothing_and_everybody_may_probe(rights: Rights) -> None:
    assert Permission.PROBE in GRANTS[rights]
    assert not GRANTS[Rights.WRITE_ONLY] & {Permission.READ, Permission.DELETE, Permission.CONFIGURE}


# ---- prefixes ----


@pytest.mark.parametrize(("given", "stored"), [("", ""), ("a", "a/"), ("a/", "a/"), ("a/b c", "a/b c/"), ("ü", "ü/")])
def test_a_prefix_is_stored_with_a_slash_at_its_end(given: str, stored: str) -> None:
    assert clean_prefix(given) == clean_prefix(stored) == stored


@pytest.mark.parametrize(
    "text", ["/", "//", "/a", "a//", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0b", "\ud800", "a" * 1023]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        clean_prefix(text)


def test_a_prefix_that_is_not_in_its_stored_form_is_no_grant() -> None:
    with pytest.raises(InvalidInput):
        BucketGrant("photos", Rights.READ_WRITE, "a")


def test_a_scope_without_prefixes_is_written_as_ever() -> None:
    assert scope_json(SpecificBuckets((BucketGrant("photos"),))) == {
        "type": "buckets",
        "buckets": [{"name": "photos", "rights": "read_write"}],
    }


def test_only_buckets_with_a_prefix_have_one() -> None:
    scope = SpecificBuckets((BucketGrant("photos", prefix="a/"), BucketGrant("logs")))
    assert prefixes_by_bucket(scope) == {"photos": b"a/"}
    assert prefixes_by_bucket(AllBuckets()) == {}


# ---- generations ----


@given(scopes)
def test_people_are_never_shown_a_generation(scope: Scope) -> None:
    assert "generation" not in str(scope_json(scope))
    assert read_scope(scope_json(scope)) == granted_in(scope, lambda _: 0)


def test_a_scope_of_generation_zero_is_stored_as_before_there_were_any() -> None:
    scope = SpecificBuckets((BucketGrant("photos", prefix="a/"), BucketGrant("logs", generation=2)))
    assert stored_scope(scope) == {
        "type": "buckets",
        "buckets": [
            {"name": "photos", "rights": "read_write", "prefix": "a/"},
            {"name": "logs", "rights": "read_write", "generation": 2},
        ],
    }
    assert generations_by_bucket(scope) == {"logs": 2}


def test_each_bucket_is_granted_in_the_generation_it_has() -> None:
    scope = SpecificBuckets((BucketGrant("photos", Rights.FULL, "a/", 9), BucketGrant("logs", generation=2)))
    granted = granted_in(scope, {"photos": 4, "logs": 0}.__getitem__)
    assert granted == SpecificBuckets((BucketGrant("photos", Rights.FULL, "a/", 4), BucketGrant("logs")))
    assert granted_in(AllBuckets(), lambda _: 4) == AllBuckets()


def test_no_buckets_grants_nothing_and_is_not_all() -> None:
    assert permissions_by_bucket(NoBuckets()) == {}
    assert (prefixes_by_bucket(NoBuckets()), generations_by_bucket(NoBuckets())) == ({}, {})
    assert grants_of(NoBuckets()) == grants_of(AllBuckets()) == ()
    assert scope_json(NoBuckets()) == stored_scope(NoBuckets()) == {"type": "none"}
    assert granted_in(NoBuckets(), lambda _: 3) == NoBuckets()

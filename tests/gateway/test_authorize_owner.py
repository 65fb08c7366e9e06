"""Whose a bucket is decides before what is granted in it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import SERVICE, still_granted
from gateway.s3.errors import Code, S3Error
from keystore.bucket_claims import Tenure
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets
from tests.support.admitted import admit

NAMES = ("aaa", "bbb")
ACCOUNTS = ("default", "tenant")
tenures = st.fixed_dictionaries(
    {name: st.builds(Tenure, st.sampled_from(ACCOUNTS), st.integers(0, 2)) for name in NAMES}
)
grants = st.builds(BucketGrant, st.sampled_from(NAMES), st.sampled_from(Rights), st.just(""), st.integers(0, 2))
scopes: st.SearchStrategy[Scope] = st.one_of(
    st.builds(AllBuckets, st.sampled_from(Rights)),
    st.lists(grants, min_size=1, max_size=2, unique_by=lambda grant: grant.name).map(
        lambda found: SpecificBuckets(tuple(found))
    ),
)
requests = st.sampled_from(
    [
        ("GET", "/aaa/k", {}),
        ("PUT", "/aaa/k", {}),
        ("PUT", "/aaa/k", {"x-amz-copy-source": "/bbb/k"}),
        ("PUT", "/aaa/k?partNumber=1&uploadId=u", {"x-amz-copy-source": "/bbb/k"}),
        ("DELETE", "/aaa/k", {}),
        ("GET", "/aaa?list-type=2", {}),
        ("HEAD", "/aaa", {}),
        ("GET", "/aaa?location", {}),
        ("DELETE", "/aaa", {}),
        ("GET", "/aaa?versioning", {}),
    ]
)


def owners(found: dict[str, Tenure]) -> Callable[[str], Tenure]:
    return lambda bucket: found[bucket]


@given(tenures, scopes, st.sampled_from(ACCOUNTS), requests)
def test_what_is_allowed_is_in_buckets_of_the_keys_account_and_of_the_generation_it_was_granted_in(
    found: dict[str, Tenure], scope: Scope, account: str, request_: tuple[str, str, dict[str, str]]
) -> None:
    try:
        authorized = admit(*request_, scope=scope, account=account, tenure_of=owners(found))
    except S3Error as error:
        assert error.code is Code.ACCESS_DENIED  # noqa: PT017 – both outcomes are looked at
        return
    generations = {} if isinstance(scope, AllBuckets) else {grant.name: grant.generation for grant in scope.buckets}
    for demand in authorized.asked:
        assert found[demand.bucket].account == account
        assert isinstance(scope, AllBuckets) or found[demand.bucket].generation == generations[demand.bucket]
    assert still_granted(authorized, owners(found))


@given(tenures, tenures, scopes, requests)
def test_what_is_granted_still_is_what_would_be_granted_now(
    before: dict[str, Tenure], now: dict[str, Tenure], scope: Scope, request_: tuple[str, str, dict[str, str]]
) -> None:
    try:
        authorized = admit(*request_, scope=scope, tenure_of=owners(before))
    except S3Error:
        return
    try:
        admit(*request_, scope=scope, tenure_of=owners(now))
    except S3Error:
        assert not still_granted(authorized, owners(now))
    else:
        assert still_granted(authorized, owners(now))


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_bucket_is_made_by_who_may_make_any_and_its_claim_decides(account: str) -> None:
    authorized = admit("PUT", "/aaa", account=account, tenure_of=lambda _: Tenure("somebody", 4))
    assert authorized.only_probes is False


def test_a_key_of_another_account_does_not_even_ask_for_a_bucket_by_making_it() -> None:
    with pytest.raises(S3Error) as caught:
        admit("PUT", "/aaa", scope=AllBuckets(Rights.READ_WRITE), tenure_of=lambda _: Tenure("somebody", 4))
    assert caught.value.code is Code.ACCESS_DENIED


@pytest.mark.parametrize(("owner", "code"), [("default", Code.NOT_IMPLEMENTED), ("somebody", Code.ACCESS_DENIED)])
def test_what_is_not_offered_is_501_in_ones_own_buckets_only(owner: str, code: Code) -> None:
    with pytest.raises(S3Error) as caught:
        admit("GET", "/aaa?acl", tenure_of=lambda _: Tenure(owner, 0))
    assert caught.value.code is code


def test_what_may_only_be_probed_is_decided_again_each_time() -> None:
    authorized = admit("PUT", "/aaa", scope=AllBuckets(Rights.READ_WRITE))
    assert authorized.only_probes
    assert not still_granted(authorized, lambda _: Tenure("default", 0))


def test_the_owner_is_not_asked_for_where_no_bucket_is_named() -> None:
    def never(bucket: str) -> Tenure:
        raise AssertionError(bucket)

    authorized = admit("GET", "/", tenure_of=never)
    assert [demand.bucket for demand in authorized.asked] == [SERVICE]
    assert still_granted(authorized, never)

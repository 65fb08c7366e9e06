import pytest

from gateway.cli.options import read_scope
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, SpecificBuckets


def test_rights_default_to_full_for_all_and_read_write_for_named() -> None:
    assert read_scope([], None, None, everything=True) == AllBuckets(Rights.FULL)
    assert read_scope(["photos"], None, None, everything=False) == SpecificBuckets(
        (BucketGrant("photos", Rights.READ_WRITE),)
    )
    assert read_scope(["photos"], Rights.READ_ONLY, None, everything=False) == SpecificBuckets(
        (BucketGrant("photos", Rights.READ_ONLY),)
    )


def test_a_prefix_is_for_every_bucket_named_and_never_for_all() -> None:
    assert read_scope(["aaa", "bbb"], None, "team", everything=False) == SpecificBuckets(
        (BucketGrant("aaa", prefix="team/"), BucketGrant("bbb", prefix="team/"))
    )
    for buckets, prefix in (([], "team"), (["aaa"], "")):
        with pytest.raises(InvalidInput):
            read_scope(buckets, None, prefix, everything=not buckets)


def test_no_bucket_is_said_and_never_assumed() -> None:
    assert read_scope([], None, None, everything=False, nothing=True) == NoBuckets()
    for buckets, everything, nothing in (([], False, False), (["aaa"], False, True), ([], True, True)):
        with pytest.raises(InvalidInput, match="--no-buckets"):
            read_scope(buckets, None, None, everything=everything, nothing=nothing)
    with pytest.raises(InvalidInput, match=r"one of --all-buckets and"):
        read_scope([], None, None, everything=False)
    for rights, prefix in ((Rights.FULL, None), (None, "team")):
        with pytest.raises(InvalidInput):
            read_scope([], rights, prefix, everything=False, nothing=True)

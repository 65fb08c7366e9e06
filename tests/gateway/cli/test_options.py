import pytest

from gateway.cli.options import read_moment, read_scope, read_span
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, Rights, SpecificBuckets


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, None),
        ("30d", 1_000_000 + 30 * 86400),
        ("1h", 1_003_600),
        ("1970-01-02", 86400),
        ("1970-01-02T00:00:00Z", 86400),
        ("1970-01-02T01:00:00+01:00", 86400),
    ],
)
def test_times_are_spans_dates_or_rfc_3339(text: str | None, moment: int | None) -> None:
    assert read_moment(text, 1_000_000.5) == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "30", "-1d", "٣d", "1.5h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(text, 0)


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


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("2s", 2), ("1h", 3600), ("24h", 86400), ("7d", 604800)])
def test_a_span_is_nothing_or_a_number_with_its_unit(text: str, seconds: int) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "00", "-1h", "1.5h", "never", "2027-01-31", "٣d", "1h "])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_span(text)

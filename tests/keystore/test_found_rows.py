"""What a database hands out is taken for what it should be only where it is that."""

from collections.abc import Callable

import pytest

from keystore.chain import GENESIS, Change, StoreRow
from keystore.errors import RecordRefused
from keystore.found_rows import (
    columns,
    read_found_account,
    read_found_admin_token,
    read_found_bucket,
    read_found_key,
    read_log,
    read_log_end,
)
from keystore.record import AccessKeyRow, AccountRow, AdminTokenRow, BucketRow

STORE = StoreRow("store-1", 1, 2, b"head", 4000, "kek", 1, "kek", b"canary", b"mac")
FIRST = Change(1, "r1", "key.create", "default", "NQAKone", "ann", 1, b"{}", b"", "kek", b"mac1")
SECOND = FIRST._replace(seq=2, request_id="r2", mac=b"mac2")
KEY = AccessKeyRow("NQAKone", "default", 1, 5, b"{}", b"sealed", "kek", b"mac")
ACCOUNT = AccountRow("default", "123456789012", 1, 5, b"{}", "kek", b"mac")
BUCKET = BucketRow("photos", "default", 1, b"{}", "kek", b"mac")
TOKEN = AdminTokenRow("abc123def456", "", 1, 5, b"{}", "kek", b"mac")
NO_CHANGE = (None,) * len(Change._fields)


def test_columns_are_named_in_the_order_of_the_fields() -> None:
    assert columns("b", BucketRow._fields) == "b.name, b.account, b.version, b.record, b.kek_id, b.mac"


def test_a_record_is_read_with_its_last_change_and_the_mac_before_that() -> None:
    for row, read in (
        (KEY, read_found_key),
        (ACCOUNT, read_found_account),
        (BUCKET, read_found_bucket),
        (TOKEN, read_found_admin_token),
    ):
        assert read((*row, *SECOND, b"mac1")) == (row, (SECOND, b"mac1"))
        assert read((*row, *NO_CHANGE, None)) == (row, None)
        assert read((*row, *FIRST, None)) == (row, (FIRST, GENESIS))
        with pytest.raises(RecordRefused, match="no row 1"):
            read((*row, *SECOND, None))


def test_a_change_may_stand_without_its_record() -> None:
    for fields, read in (
        (AccessKeyRow._fields, read_found_key),
        (BucketRow._fields, read_found_bucket),
        (AdminTokenRow._fields, read_found_admin_token),
    ):
        assert read((*(None,) * len(fields), *SECOND, b"mac1")) == (None, (SECOND, b"mac1"))


@pytest.mark.parametrize(
    ("row", "read"),
    [
        (KEY, read_found_key),
        (ACCOUNT, read_found_account),
        (BUCKET, read_found_bucket),
        (TOKEN, read_found_admin_token),
        (STORE, lambda found: read_log_end([found])),
    ],
)
def test_no_field_is_of_another_type(row: tuple[object, ...], read: Callable[[tuple[object, ...]], object]) -> None:
    for at, field in enumerate(row):
        with pytest.raises(RecordRefused, match="wrong type"):
            read((*row[:at], [field], *row[at + 1 :], *FIRST, None))


def test_the_log_comes_with_the_store_row_or_is_refused() -> None:
    assert read_log([(*STORE, *FIRST), (*STORE, *SECOND)]) == (STORE, [FIRST, SECOND])
    assert read_log([(*STORE, *NO_CHANGE)]) == (STORE, [])
    assert read_log_end([(*STORE, *NO_CHANGE, None)]) == (STORE, None)
    for read in (read_log, read_log_end):
        with pytest.raises(RecordRefused, match="store row"):
            read([])

"""Dates of use: written in batches, exact to a minute, lost without harm."""

import sqlite3
from pathlib import Path

import pytest

from keystore.errors import KeystoreUnavailable
from keystore.usage import (
    AT_MOST,
    MAX_TEXT,
    NEVER,
    Denied,
    Usage,
    Used,
    forget_usage,
    read_usage,
    usage_json,
    usage_path,
    write_usage,
)

USED = Used(1_700_000_000, "GetObject", "photos", "10.0.4.7", "us-east-1", "aws-cli/2")
DENIED = Denied(1_700_000_100, "GetObject is outside the grants", "secret")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


def test_before_anything_was_used_there_is_nothing(database: Path) -> None:
    assert read_usage(database) == {}
    forget_usage(database, "NQAKone")
    assert not usage_path(database).exists()


def test_what_was_written_is_read(database: Path) -> None:
    write_usage(database, {"NQAKone": USED, "NQAKtwo": USED}, {"NQAKtwo": DENIED, "NQAKthree": DENIED})
    assert read_usage(database) == {
        "NQAKone": Usage(USED, None),
        "NQAKtwo": Usage(USED, DENIED),
        "NQAKthree": Usage(None, DENIED),
    }
    assert read_usage(database, ["NQAKtwo", "NQAKnobody"]) == {"NQAKtwo": Usage(USED, DENIED)}
    assert read_usage(database, ["NQAKnobody"]) == {}
    assert usage_path(database).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("later", "stands"), [(AT_MOST - 1, False), (AT_MOST, True), (-1000, False)])
def test_a_date_is_written_again_when_it_is_a_minute_newer(database: Path, later: int, *, stands: bool) -> None:
    used, denied = USED._replace(at=USED.at + later, bucket="b"), DENIED._replace(at=DENIED.at + later, reason="r")
    write_usage(database, {"NQAKone": USED}, {"NQAKone": DENIED})
    write_usage(database, {"NQAKone": used}, {"NQAKone": denied})
    assert read_usage(database)["NQAKone"] == (Usage(used, denied) if stands else Usage(USED, DENIED))


def test_one_date_does_not_touch_the_other(database: Path) -> None:
    write_usage(database, {"NQAKone": USED}, {})
    write_usage(database, {}, {"NQAKone": DENIED})
    assert read_usage(database)["NQAKone"] == Usage(USED, DENIED)


def test_long_texts_are_cut(database: Path) -> None:
    write_usage(database, {"NQAKone": USED._replace(user_agent="x" * 5000)}, {})
    used = read_usage(database)["NQAKone"].used
    assert used is not None
    assert used.user_agent == "x" * MAX_TEXT


def test_a_deleted_key_leaves_no_trace(database: Path) -> None:
    write_usage(database, {"NQAKone": USED, "NQAKtwo": USED}, {})
    forget_usage(database, "NQAKone")
    assert list(read_usage(database)) == ["NQAKtwo"]


def test_a_file_that_is_something_else_is_said_and_an_empty_one_is_nothing(database: Path) -> None:
    usage_path(database).touch()
    assert read_usage(database) == {}
    usage_path(database).write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(KeystoreUnavailable):
        read_usage(database)
    with pytest.raises(KeystoreUnavailable):
        write_usage(database, {"NQAKone": USED}, {})


def test_readers_and_writers_do_not_wait_for_each_other(database: Path) -> None:
    write_usage(database, {"NQAKone": USED}, {})
    reader = sqlite3.connect(usage_path(database), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM usage").fetchall()
    write_usage(database, {"NQAKtwo": USED}, {})
    assert len(read_usage(database)) == 2
    reader.close()


def test_the_json_says_null_where_there_was_nothing() -> None:
    assert usage_json(NEVER) == {"last_used": None, "last_denied": None}
    shown = usage_json(Usage(USED, DENIED))
    assert shown["last_used"] == {
        "at": "2023-11-14T22:13:20Z",
        "operation": "GetObject",
        "bucket": "photos",
        "source": "10.0.4.7",
        "region": "us-east-1",
        "user_agent": "aws-cli/2",
    }
    assert shown["last_denied"] == {
        "at": "2023-11-14T22:15:00Z",
        "reason": "GetObject is outside the grants",
        "bucket": "secret",
    }

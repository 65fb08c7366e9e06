"""Why requests were refused: kept for a week, bounded, lost without harm."""

from pathlib import Path

import pytest

from keystore import refused as refused_module
from keystore.errors import KeystoreUnavailable
from keystore.refused import KEPT, MAX_TOLD, NEWEST, NEWEST_OF, Refused, find_refused, list_refused, write_refused
from keystore.usage import Used, open_usage, read_usage, usage_path, write_usage

NOW = 1_700_000_000
ONE, TWO = Refused("A" * 16, NOW, "default", '{"why": "ü"}'), Refused("B" * 16, NOW + 1, "", "{}")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


def test_what_was_written_is_found_by_its_id(database: Path) -> None:
    assert find_refused(database, "A" * 16) is None
    write_refused(database, [ONE, TWO], NOW)
    assert [find_refused(database, one.request_id) for one in (ONE, TWO)] == [ONE, TWO]
    assert find_refused(database, "C" * 16) is None
    assert usage_path(database).stat().st_mode & 0o777 == 0o600


def test_the_dates_of_use_stand_beside_it(database: Path) -> None:
    used = Used(NOW, "GetObject", "photos", "10.0.0.1", "eu", "aws-cli")
    write_usage(database, {"NQAKone": used}, {})
    assert find_refused(database, "A" * 16) is None
    write_refused(database, [ONE], NOW)
    assert read_usage(database)["NQAKone"].used == used


def test_an_id_that_comes_twice_keeps_what_was_first(database: Path) -> None:
    write_refused(database, [ONE], NOW)
    write_refused(database, [TWO._replace(request_id=ONE.request_id)], NOW)
    assert find_refused(database, ONE.request_id) == ONE


def test_what_is_old_goes(database: Path) -> None:
    write_refused(database, [ONE], NOW)
    write_refused(database, [TWO], NOW + KEPT + 1)
    assert find_refused(database, ONE.request_id) is None
    assert find_refused(database, TWO.request_id) == TWO


def test_of_many_the_newest_stay(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_module, "MAX_KEPT", 10)
    for number in range(30):
        write_refused(database, [Refused(f"{number:016d}", NOW + number, "", "{}")], NOW)
    there = [number for number in range(30) if find_refused(database, f"{number:016d}")]
    assert there[-1] == 29
    assert 10 <= len(there) <= 11


@pytest.mark.parametrize(("statement", "index"), [(NEWEST, "refused_at"), (NEWEST_OF, "refused_of_account")])
def test_the_newest_are_found_by_an_index(database: Path, statement: str, index: str) -> None:
    write_refused(database, [ONE, TWO], NOW)
    values = (10, "default")[: statement.count("?")]
    with open_usage(usage_path(database), "ro") as connection:
        [(*_, plan)] = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    assert f"USING INDEX {index}" in plan


def test_a_file_of_the_version_before_is_listed_and_gets_its_index(database: Path) -> None:
    write_refused(database, [ONE, TWO], NOW)
    with open_usage(usage_path(database), "rw") as connection:
        connection.execute("DROP INDEX refused_of_account")
    assert list_refused(database, "default", 10) == [ONE]
    write_refused(database, [], NOW)
    with open_usage(usage_path(database), "ro") as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'refused_of_account'").fetchall()


def test_what_is_too_long_is_not_kept(database: Path) -> None:
    write_refused(database, [ONE._replace(told="ü" * (MAX_TOLD // 2 + 1)), TWO], NOW)
    assert find_refused(database, ONE.request_id) is None
    assert find_refused(database, TWO.request_id) == TWO


def test_a_file_that_is_no_database_is_an_answer(database: Path) -> None:
    usage_path(database).write_bytes(b"x" * 5000)
    with pytest.raises(KeystoreUnavailable):
        find_refused(database, "A" * 16)
    with pytest.raises(KeystoreUnavailable):
        write_refused(database, [ONE], NOW)

"""Rows as any database hands them out, judged: what is of a wrong type or out of time is a finding, not an end."""

from pathlib import Path

import pytest

from keystore.audit import Audit, Report
from keystore.audited_rows import (
    access_key_page,
    account_page,
    bucket_page,
    change_page,
    entered,
    judge_time,
    judged_store,
    known_mark,
    listed_changes,
)
from keystore.chain import GENESIS, START, Change, Position, StoreRow
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.mark import Mark
from keystore.sealed_rows import SealedRows, found_store
from keystore.sealing import Kek, KekRing

RING = KekRing((Kek(b"k" * 32),))
Founded = tuple[SealedRows, StoreRow, list[Change]]


@pytest.fixture
def founded() -> Founded:
    """A keystore of two changes that name nothing."""
    rows, store = found_store(RING, "s" * 32)
    at, changes = START, []
    for number in (1, 2):
        draft = Change(0, f"r{number}", "x", "", None, "ann", 1, b"{}", b"", "", b"")
        changes.append(rows.change(at, draft))
        at = Position(changes[-1].seq, changes[-1].mac)
    return rows, rows.store_row(store, at), changes


def paged(rows: list[Change]) -> list[tuple[object, ...]]:
    return [(row.seq, *row) for row in rows]


def test_pages_that_hold_leave_no_finding(founded: Founded) -> None:
    _, store, changes = founded
    report = Report()
    audit = Audit(entered(RING, store, report), report)
    for page in (paged(changes[:1]), paged(changes[1:]), []):
        change_page(audit, page)
    for judge in (access_key_page, account_page, bucket_page):
        judge(audit, [])
    audit.end(store)
    assert (report.found, report.changes) == (0, 2)


def test_a_value_of_a_wrong_type_is_a_finding_at_its_row_and_the_next_is_judged(founded: Founded) -> None:
    _, store, changes = founded
    report = Report()
    audit = Audit(entered(RING, store, report), report)
    bad = (1, *changes[0]._replace(actor=7))  # type: ignore[arg-type]  # what a changed schema can hand out
    change_page(audit, [bad, *paged(changes[1:])])
    assert [finding[:2] for finding in report.findings] == [("change", "1"), ("change", "1")]
    assert "wrong type" in report.findings[0].what
    assert "taken out" in report.findings[1].what


def test_a_missing_store_row_ends_the_audit_and_an_edited_one_does_not(founded: Founded) -> None:
    _, store, _ = founded
    report = Report()
    assert judged_store([], report) is None
    assert report.findings[0].what == "the store row was taken out"
    edited = judged_store([tuple(store._replace(lease_ms=1))], report)
    assert edited is not None
    entered(RING, edited, report)
    assert report.findings[1].what == "the store row fails its MAC"


def test_another_kek_and_a_newer_protocol_end_it(founded: Founded) -> None:
    rows, store, _ = founded
    with pytest.raises(WrongKek):
        entered(KekRing((Kek(b"o" * 32),)), store, Report())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("keystore.sealed_rows.PROTOCOL", 99)
        newer = rows.store_row(store, Position(store.seq, store.head))
    with pytest.raises(KeystoreUnavailable, match="upgrade it"):
        entered(RING, newer, Report())


def test_the_mark_is_held_against_the_store_row(founded: Founded) -> None:
    _, store, _ = founded
    report = Report()
    judge_time(store, None, None, report)
    judge_time(store, Mark(store.store_id, 1, 2, store.head, ()), store.head, report)
    assert report.found == 0
    judge_time(store, Mark(store.store_id, 1, 3, b"x", ()), None, report)
    assert "change 3 was known, it ends at 2" in report.findings[0].what


def test_a_damaged_mark_is_a_finding_and_a_missing_one_is_none(tmp_path: Path) -> None:
    report = Report()
    assert known_mark(tmp_path / "none", report) is None
    assert report.found == 0
    (tmp_path / "mark").write_text("{")
    assert known_mark(tmp_path / "mark", report) is None
    assert report.findings[0].table == "state"


def test_listed_changes_come_newest_last_and_say_which_hold(founded: Founded) -> None:
    rows, _, [first, second] = founded
    found: list[tuple[object, ...]] = [(*second._replace(actor="eve"), first.mac), (*first, None)]
    assert [(one.change.seq, one.verified) for one in listed_changes(rows, found)] == [(1, True), (2, False)]
    assert [one.verified for one in listed_changes(rows, [(*second, None)])] == [False]
    assert rows.follow(Position(0, GENESIS), [first]).seq == 1

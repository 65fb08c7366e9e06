"""The ledger knows half an object, a lost one and one that should not be."""

from bench.soak.ledger import ABSENT, MAX_TOLD, Ledger, Version

OLD, NEW, HALF = Version(10, "a" * 64), Version(20, "b" * 64), Version(10, "b" * 64)


def test_what_was_confirmed_must_be_there_as_it_was_confirmed() -> None:
    for found, faults in (({"k": NEW}, 0), ({"k": HALF}, 1), ({"k": OLD}, 1), ({}, 1)):
        ledger = Ledger()
        ledger.begin("k", NEW)
        ledger.confirmed("k", NEW)
        assert ledger.hold_against(found) == 1
        assert ledger.fault_count == faults


def test_what_was_not_answered_may_be_old_or_new_and_never_half() -> None:
    for found, faults in (({"k": OLD}, 0), ({"k": NEW}, 0), ({"k": HALF}, 1), ({}, 1)):
        ledger = Ledger()
        ledger.confirmed("k", OLD)
        ledger.begin("k", NEW)
        assert ledger.certain("k") is None
        ledger.hold_against(found)
        assert ledger.fault_count == faults


def test_what_was_deleted_or_never_written_must_not_be_there() -> None:
    ledger = Ledger()
    ledger.confirmed("gone", OLD)
    ledger.begin("gone", ABSENT)
    ledger.confirmed("gone", ABSENT)
    assert (ledger.certain("gone"), ledger.certain("never")) == (ABSENT, ABSENT)
    assert ledger.hold_against({"gone": OLD, "never": HALF}) == 2
    assert ledger.fault_count == 2
    assert "gone" in ledger.faults[0]
    assert "never" in ledger.faults[1]


def test_faults_are_all_counted_and_some_of_them_told() -> None:
    ledger = Ledger()
    for number in range(2 * MAX_TOLD):
        ledger.fault(str(number))
        ledger.count("GET")
    assert (ledger.fault_count, len(ledger.faults), ledger.total) == (2 * MAX_TOLD, MAX_TOLD, 2 * MAX_TOLD)

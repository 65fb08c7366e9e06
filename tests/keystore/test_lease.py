"""The arithmetic of the lease, rule by rule; that the rules suffice together is shown by the model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import lease
from keystore.errors import InvalidInput
from keystore.lease import Proof, Row, Standing

EXPIRY, SEQ = 90_000, 5
WORD = lease.pack(EXPIRY, SEQ)
times = st.integers(0, 2**44 - 1)
seqs = st.integers(0, 2**40)


# ---- lengths ----


def test_three_quarters_are_served_and_a_proof_is_asked_for_every_quarter() -> None:
    assert lease.serve_ms(4000) == 3000
    assert lease.proof_every_ms(4000) == 1000
    assert lease.proof_timeout_ms(4000) == 800
    assert lease.wait_ms([4000]) == 4000


def test_a_gateway_whose_proof_was_given_up_has_had_two_more_before_its_lease_is_over() -> None:
    for length in range(lease.MIN_LEASE_MS, lease.MAX_LEASE_MS, 7):
        third = 2 * lease.proof_every_ms(length) + lease.proof_timeout_ms(length)
        assert third < lease.serve_ms(length)


@pytest.mark.parametrize("length", [lease.MIN_LEASE_MS, lease.DEFAULT_LEASE_MS, lease.MAX_LEASE_MS])
def test_a_lease_within_its_bounds_stands(length: int) -> None:
    assert lease.checked_lease(length) == length


@pytest.mark.parametrize("length", [0, -1, lease.MIN_LEASE_MS - 1, lease.MAX_LEASE_MS + 1])
def test_a_lease_outside_its_bounds_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput):
        lease.checked_lease(length)


def test_the_largest_lease_is_waited_for() -> None:
    assert lease.wait_ms([4000, 8000]) == lease.wait_ms([8000, 4000]) == 8000


def test_clocks_read_in_whole_milliseconds_and_a_third_apart_leave_no_gap() -> None:
    """Step by step, in each of which 3 twelfths of a millisecond pass on the gateway's clock and 4 on the revoker's,
    from every phase of both."""
    length = 8
    for phase in range(12):
        for other in range(12):
            first = next(at for at in range(60) if lease.over(other // 12, (other + 4 * at) // 12, length))
            t0 = phase // 12
            served = [at for at in range(60) if (phase + 3 * at) // 12 < lease.expiry_after(t0, length)]
            assert max(served) < first, f"phases {phase} and {other}"


# ---- the word ----


@given(times, seqs)
def test_the_word_gives_back_what_went_in_and_has_64_bits(expiry: int, seq: int) -> None:
    word = lease.pack(expiry, seq)
    assert (lease.expiry_of(word), lease.seq_of(word)) == (expiry, seq % 2**20)
    assert word < 2**64


@given(times, seqs, seqs, times)
def test_a_word_is_fresh_for_who_applied_its_change_and_until_its_expiry(
    expiry: int, seq: int, applied: int, now: int
) -> None:
    expected = seq % 2**20 == applied % 2**20 and now < expiry
    assert lease.fresh(lease.pack(expiry, seq), applied, now) is expected


@pytest.mark.parametrize(
    ("applied", "now", "expected"),
    [
        (SEQ, EXPIRY - 1, True),
        (SEQ, EXPIRY, False),
        (SEQ - 1, EXPIRY - 1, False),
        (SEQ + 1, EXPIRY - 1, False),
        (SEQ + 2**20, EXPIRY - 1, True),
    ],
)
def test_fresh_to_the_last_millisecond(applied: int, now: int, expected: bool) -> None:
    assert lease.fresh(WORD, applied, now) is expected


@given(seqs, times)
def test_never_is_never_fresh(applied: int, now: int) -> None:
    assert not lease.fresh(lease.NEVER, applied, now)


def test_a_change_that_was_heard_of_moves_no_expiry() -> None:
    word = lease.told(WORD, SEQ + 1)
    assert (lease.expiry_of(word), lease.seq_of(word)) == (EXPIRY, SEQ + 1)


def test_a_proof_counts_from_when_it_was_asked_for() -> None:
    word = lease.extended(WORD, Proof(100_000, SEQ, 4000), SEQ)
    assert (lease.expiry_of(word), lease.seq_of(word)) == (103_000, SEQ)


def test_a_proof_of_a_change_that_is_not_in_the_ring_extends_nothing() -> None:
    assert lease.extended(WORD, Proof(100_000, SEQ + 1, 4000), SEQ) == WORD


def test_a_proof_that_is_behind_the_ring_takes_no_change_back() -> None:
    word = lease.extended(WORD, Proof(100_000, SEQ, 4000), SEQ + 1)
    assert (lease.expiry_of(word), lease.seq_of(word)) == (103_000, SEQ + 1)


def test_a_shorter_lease_holds_from_its_first_proof() -> None:
    word = lease.pack(lease.expiry_after(100_000, 8000), SEQ)
    assert lease.expiry_of(lease.extended(word, Proof(101_000, SEQ, 2000), SEQ)) == 102_500


# ---- who waits ----


@pytest.mark.parametrize(
    ("row", "waited", "expected"),
    [
        (Row(SEQ, SEQ, fenced=False, left=False), 0, Standing.CONFIRMED),
        (Row(SEQ + 1, SEQ + 1, fenced=False, left=False), 0, Standing.CONFIRMED),
        (Row(SEQ, SEQ, fenced=False, left=False), 4001, Standing.CONFIRMED),
        (Row(SEQ, SEQ - 1, fenced=False, left=False), 0, Standing.WAITED_FOR),
        (Row(SEQ - 1, SEQ, fenced=False, left=False), 0, Standing.WAITED_FOR),
        (Row(0, 0, fenced=False, left=False), 4000, Standing.WAITED_FOR),
        (Row(0, 0, fenced=False, left=False), 4001, Standing.LAPSED),
        (Row(SEQ, SEQ - 1, fenced=False, left=False), 4001, Standing.LAPSED),
        (Row(0, 0, fenced=True, left=False), 0, Standing.GONE),
        (Row(0, 0, fenced=False, left=True), 0, Standing.GONE),
        (Row(SEQ, SEQ, fenced=True, left=False), 0, Standing.GONE),
    ],
)
def test_a_gateway_is_confirmed_or_gone_or_waited_for_until_it_lapses(
    row: Row, waited: int, expected: Standing
) -> None:
    found = lease.standing(row, SEQ, since_ms=1000, now_ms=1000 + waited, waited_ms=4000)
    assert found is expected


def test_a_row_is_fenced_only_after_a_whole_lease() -> None:
    assert not lease.may_fence(1000, 1000, 4000)
    assert not lease.may_fence(1000, 5000, 4000)
    assert lease.may_fence(1000, 5001, 4000)

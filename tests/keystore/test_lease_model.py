"""The lease in every order of events: no request is accepted whose head was sent after the revoke returned. And each
rule broken, of which every one must lead to such a request."""

from collections.abc import Callable

import pytest

from keystore import lease
from tests.support.lease_model import JOINED, NOW, RETURNED, WAITING, Bug, Model, State, Variant, search

# (gateway's clock, everybody else's) in one tick, and a lease that is a whole number of ticks on the latter, less one:
# a wait is over only when more than all of it has passed. Within the bound: 11:9, 12:10, 4:3 and their inverses.
NINE_TO_ELEVEN = Variant(rates=[(9, 11)], leases=[43])

WITHIN = {
    "equal": Variant(rates=[(1, 1)], leases=[3]),
    "9:11": NINE_TO_ELEVEN,
    "11:9": Variant(rates=[(11, 9)], leases=[43]),
    "10:12": Variant(rates=[(10, 12)], leases=[47]),
}
WITHIN_AT_LENGTH = {
    "9:11, finer": Variant(rates=[(9, 11)], leases=[76]),
    "10:12, finer": Variant(rates=[(10, 12)], leases=[71]),
    "3:4": Variant(rates=[(3, 4)], leases=[31]),
    "4:3": Variant(rates=[(4, 3)], leases=[31]),
    "9:11 and 11:9 by turns": Variant(rates=[(9, 11), (11, 9)], leases=[32]),
    "3:4, 4:3 and 1:1 by turns": Variant(rates=[(3, 4), (4, 3), (1, 1)], leases=[11]),
    "the lease was raised before": Variant(rates=[(9, 11)], leases=[21, 43]),
    "the lease was lowered before": Variant(rates=[(9, 11)], leases=[43, 21]),
}
OUTSIDE = {
    "1:2": Variant(rates=[(1, 2)], leases=[15]),
    "2:3": Variant(rates=[(2, 3)], leases=[23]),
    "5:7": Variant(rates=[(5, 7)], leases=[69]),
}
WRONG_LENGTHS = {
    "wait three quarters": Variant([(9, 11)], [43], waited=lambda leases: max(leases) * 3 // 4),
    "serve 95 %": Variant([(9, 11)], [43], overtime=lambda length: length * 95 // 100 - lease.serve_ms(length)),
    "serve it all": Variant([(9, 11)], [43], overtime=lambda length: length - lease.serve_ms(length)),
    "serve a longer lease of its own": Variant([(9, 11)], [43], overtime=lambda length: 20),
    "wait as the lease was before it was raised": Variant([(9, 11)], [21, 43], waited=lambda leases: leases[0]),
    "wait as the lease is since it was lowered": Variant([(9, 11)], [43, 21], waited=lambda leases: leases[-1]),
}


def _named(variants: dict[str, Variant]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("variant", variants.values(), ids=variants)


@_named(WITHIN)
def test_no_request_sent_after_the_return_is_accepted(variant: Variant) -> None:
    searched = search(variant)
    assert not searched.path, "\n".join(map(str, searched.path))
    assert searched.states > 10_000, "hardly anything was reached"


@pytest.mark.server  # takes long
@_named(WITHIN_AT_LENGTH)
def test_nor_in_finer_steps_nor_with_clocks_that_change_their_rates_nor_with_another_lease(variant: Variant) -> None:
    searched = search(variant)
    assert not searched.path, "\n".join(map(str, searched.path))
    assert searched.states > 60_000, "hardly anything was reached"


@pytest.mark.parametrize("bug", Bug, ids=[bug.name for bug in Bug])
def test_a_broken_step_is_seen(bug: Bug) -> None:
    assert search(Variant(NINE_TO_ELEVEN.rates, NINE_TO_ELEVEN.leases, bug)).path


@_named(WRONG_LENGTHS)
def test_a_wrong_length_is_seen(variant: Variant) -> None:
    assert search(variant).path


@_named(OUTSIDE)
def test_clocks_outside_the_bound_break_the_promise(variant: Variant) -> None:
    assert search(variant).path


def _serves(state: State) -> bool:
    return lease.fresh(state.word, state.applied, NOW)


REACHED: dict[str, Callable[[Model, State], bool]] = {
    "serves while the revoker waits": lambda _, state: state.revoke == WAITING and _serves(state) and not state.applied,
    "returns because the change was confirmed": lambda model, state: (
        state.revoke == RETURNED and _serves(state) and state.row.cut_seq == model.revocation
    ),
    "returns because the lease lapsed": lambda _, state: (
        state.revoke == RETURNED and state.joined == JOINED and not state.applied and not state.row.fenced
    ),
    "returns because the row was fenced": lambda _, state: (
        state.revoke == RETURNED and state.joined == JOINED and not state.applied and state.row.fenced
    ),
    "joins while the revoker waits, and serves": lambda model, state: (
        state.revoke == WAITING and _serves(state) and state.row.applied < model.revocation == state.applied
    ),
}


@pytest.mark.parametrize("wanted", REACHED.values(), ids=REACHED)
def test_what_should_happen_does(wanted: Callable[[Model, State], bool]) -> None:
    assert search(NINE_TO_ELEVEN, wanted).path

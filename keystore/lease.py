"""How long a gateway may serve what it has read of a keystore on another machine, and how long a revoke waits for it.

Pure: clocks are read elsewhere and handed in as whole milliseconds, rounded down. A time of one machine is compared
with times of the same machine only; what makes the two sides meet is that both count the same lease, and that their
clocks run at rates within 4:3 of each other while it lasts. A gateway serves three quarters of the lease, counted from
before it asked for it; a revoke waits for the whole, counted from after its commit:

- a proof that does not know the change was answered from a snapshot older than the commit, so it was asked for earlier;
- so on any one clock it ends before the wait does: 3/4 of the lease on the slower clock last no longer than all of it
  on a clock that is faster by a third. A margin of 5 % would not do: chrony alone may slew a clock by 8.3 %.

tests/keystore/test_lease_model.py tries every order of events, and each of these rules broken.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from keystore.errors import InvalidInput

DEFAULT_LEASE_MS: Final = 4000
MIN_LEASE_MS: Final = 1000  # a proof has a fifth of it: 200 ms, for a database in another building
MAX_LEASE_MS: Final = 60_000  # what a revoke may have to wait for one dead gateway

SEQ_BITS: Final = 20
SEQ_MASK: Final = (1 << SEQ_BITS) - 1
NEVER: Final = 0  # the word that is fresh for nobody, at no time


def checked_lease(lease_ms: int) -> int:
    """The lease itself. InvalidInput outside MIN_LEASE_MS to MAX_LEASE_MS."""
    if not MIN_LEASE_MS <= lease_ms <= MAX_LEASE_MS:
        raise InvalidInput(f"a lease is {MIN_LEASE_MS} to {MAX_LEASE_MS} milliseconds")
    return lease_ms


def serve_ms(lease_ms: int) -> int:
    """How long a gateway serves on one proof."""
    return lease_ms * 3 // 4


def proof_every_ms(lease_ms: int) -> int:
    """From one proof being asked for to the next: two may be lost before the third comes too late."""
    return lease_ms // 4


def proof_timeout_ms(lease_ms: int) -> int:
    """After which a proof is given up and its answer, should it come, is not used."""
    return lease_ms // 5


# ---- the gateway's word ----


def pack(expiry_ms: int, seq: int) -> int:
    """Both in one number of 64 bits, which one store writes and one load reads: until when, and up to which change.

    It must be one: a reader that takes the number of the change, then stands still while its gateway's lease runs out
    and is had again, would take the new expiry for that of the old change. `expiry_ms` lasts for 557 years. `seq` is
    kept modulo 2**20: who falls behind by exactly that many changes has lost the ring, and starts anew, long before.
    """
    return expiry_ms << SEQ_BITS | (seq & SEQ_MASK)


def expiry_of(word: int) -> int:
    return word >> SEQ_BITS


def seq_of(word: int) -> int:
    """Modulo 2**20."""
    return word & SEQ_MASK


def fresh(word: int, applied: int, now_ms: int) -> bool:
    """Whether who has applied every change up to `applied` may serve from memory. `now_ms`: read after the word."""
    return word & SEQ_MASK == applied & SEQ_MASK and now_ms < word >> SEQ_BITS


def told(word: int, seq: int) -> int:
    """The word when every change up to `seq` lies in the ring: the same expiry. A hint moves no time."""
    return pack(expiry_of(word), seq)


class Proof(NamedTuple):
    """The database's answer: every change up to `seq` was committed when it looked.

    `t0_ms`: the clock before the question was sent; at the answer it would count the way here as time still to serve.
    `lease_ms`: what the keystore says, never the gateway's own configuration.
    """

    t0_ms: int
    seq: int
    lease_ms: int


def expiry_after(t0_ms: int, lease_ms: int) -> int:
    """When what was proven at `t0_ms` may no longer be served: at this millisecond it is over."""
    return t0_ms + serve_ms(lease_ms)


def extended(word: int, proof: Proof, ringed: int) -> int:
    """The word after a proof, given that every change up to `ringed` is verified and lies in the ring.

    The same word while the proof knows a change that the ring does not: the lease would be extended over it.
    """
    if ringed < proof.seq:
        return word
    return pack(expiry_after(proof.t0_ms, proof.lease_ms), ringed)


# ---- who waits for it ----


class Row(NamedTuple):
    """A gateway as its row says. `applied`: the change its word holds; `cut_seq`: the one that every worker of it has
    applied, having ended what it ends."""

    applied: int
    cut_seq: int
    fenced: bool
    left: bool


class Standing(Enum):
    """Of one gateway before one change. A revoke is over when none is waited for any more."""

    GONE = "gone"  # fenced, or left: it has no lease and gets none
    CONFIRMED = "confirmed"
    WAITED_FOR = "waited for"
    LAPSED = "lapsed"  # inferred from time, not confirmed


def wait_ms(leases_ms: Iterable[int]) -> int:
    """How long a change waits for a gateway that does not answer: the largest lease under which a proof may stand that
    does not know the change. That is the one read in its own transaction, the one read with the gateways' rows, and of
    a lease that was lowered the old one too, until it has been waited for in full."""
    return max(leases_ms)


def over(since_ms: int, now_ms: int, length_ms: int) -> bool:
    """Whether all of `length_ms` has passed. Both times may have been rounded, by nearly one each: hence not `>=`."""
    return now_ms - since_ms > length_ms


def standing(row: Row, seq: int, *, since_ms: int, now_ms: int, waited_ms: int) -> Standing:
    """`row`: from a snapshot taken on the primary after the change `seq` was committed, so that who is not in it yet
    learns the change with its first proof. `since_ms`: the clock after the commit was answered. `waited_ms`: `wait_ms`.
    """
    if row.fenced or row.left:
        return Standing.GONE
    if row.applied >= seq and row.cut_seq >= seq:
        return Standing.CONFIRMED
    return Standing.LAPSED if over(since_ms, now_ms, waited_ms) else Standing.WAITED_FOR


def may_fence(noted_ms: int, now_ms: int, waited_ms: int) -> bool:
    """Whether a row whose `renewals` were seen, and still are the same, belongs to nobody who holds a lease.

    `noted_ms`: the clock after they were seen. The row is fenced only where they have not moved since, in the same
    statement; a fenced row gets no proof.
    """
    return over(noted_ms, now_ms, waited_ms)

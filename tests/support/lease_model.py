"""A gateway, a database, a revoker and a janitor as one small automaton, searched through in every order of events.

Each event is one atomic step of one of them; a message under way is a state of its own, so anything may happen between
sending and arriving, and whoever takes no step is stopped, slow or cut off. Time is no horizon: what is kept is how
long ago something was, on the clock that measures it, up to where it makes no difference any more. One gateway
suffices, for a revoke waits for each by itself; its word and one of its workers stand for all of them.

The rules are those of keystore.lease, called and not copied. A `Variant` may break one of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from keystore import lease

NOW = 1 << 12  # what every clock shows, always: the past is moved instead
REGISTERED, READ_FIRST, JOINED = 1, 2, 3  # READ_FIRST: only with a bug
SENT, LOOKED, ANSWERED = 1, 2, 3
COMMITTED, WAITING, RETURNED = 1, 2, 3
LISTED_NOBODY, CLOCK_READ = 4, 5  # only with a bug
UNSEEN = -1


class Bug(Enum):
    T0_AT_REPLY = "the lease is counted from the answer"
    PROOF_BEFORE_REGISTERING = "a gateway proves before its row is there"
    TABLE_READ_BEFORE_COMMIT = "the revoker lists the gateways before its commit"
    CLOCK_READ_BEFORE_COMMIT = "the revoker waits from before its commit"
    EXTEND_BEFORE_APPLY = "a proof that knows the change extends the lease before the change is in the ring"
    ACK_BEFORE_APPLY = "a change is acknowledged before the word holds it"
    FENCE_IGNORED = "a fenced row still gets proofs"
    JANITOR_IN_A_HURRY = "a row is fenced as soon as it was seen"
    JANITOR_NOTES_FIRST = "the janitor reads its clock before it looks at the row"
    SEQ_BEFORE_VALIDITY = "a worker reads the change of the word first, and its expiry later"


@dataclass(frozen=True)
class Variant:
    """`leases`: what the store row says after change 0, 1, …; the revoke is the one behind the last. `rates`: by how
    much the gateway's clock and everybody else's advance in one tick; each tick takes one of them. `overtime`: how much
    longer than the rule a gateway serves under a lease."""

    rates: Sequence[tuple[int, int]]
    leases: Sequence[int]
    bug: Bug | None = None
    overtime: Callable[[int], int] = lambda length: 0
    waited: Callable[[Sequence[int]], int] = lease.wait_ms


class State(NamedTuple):
    """Of the gateway: `word`, `ringed` (its ring), `applied` (its worker), `joined`, the `proof` under way, its `t0`
    and what it has `proven`. Of the database: `seq`, and the gateway's row. Of the revoker: `revoke`, `since`. Of the
    janitor: `noted`.
    """

    word: int = lease.NEVER
    ringed: int = 0
    applied: int = 0
    joined: int = 0
    proof: int = 0
    t0: int = 0
    proven: int = 0
    seq: int = 0
    row: lease.Row = lease.Row(0, 0, fenced=False, left=False)
    revoke: int = 0
    since: int = 0
    noted: int = UNSEEN
    unlooked: bool = False  # with a bug: what is noted was not looked at yet
    seen: bool = False  # with a bug: a head that was sent after the return has seen the word's change only


class Model:
    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.bug = variant.bug
        self.revocation = len(variant.leases)
        self.waited = variant.waited(variant.leases)
        self.forgotten = NOW - 2 * max(variant.leases)  # of a proof so old that its answer is of no use
        self.past = NOW - self.waited - 1  # since then a wait is over

    def violated(self, state: State) -> bool:
        """A head that was sent now, behind the return of the revoke, would be accepted."""
        if state.revoke != RETURNED or state.applied >= self.revocation:
            return False
        if self.bug is Bug.SEQ_BEFORE_VALIDITY:
            return state.seen and lease.expiry_of(state.word) > NOW
        return lease.fresh(state.word, state.applied, NOW)

    def following(self, state: State) -> Iterator[State]:
        yield from self._clocks(state)
        yield from self._keeper(state)
        yield from self._proof(state)
        yield from self._worker(state)
        yield from self._revoker(state)
        yield from self._janitor(state)

    # ---- time ----

    def _clocks(self, state: State) -> Iterator[State]:
        for gateway, others in self.variant.rates:
            expiry = lease.expiry_of(state.word) - gateway
            yield state._replace(
                word=lease.pack(expiry if expiry > NOW else 0, lease.seq_of(state.word)),
                t0=max(state.t0 - gateway, self.forgotten) if state.proof else 0,
                since=max(state.since - others, self.past) if state.revoke in (WAITING, CLOCK_READ) else 0,
                noted=max(state.noted - others, self.past) if state.noted != UNSEEN else UNSEEN,
            )

    # ---- the gateway ----

    def _keeper(self, state: State) -> Iterator[State]:
        if not state.joined:
            yield from self._joining(state)
            return
        yield State(seq=state.seq, revoke=state.revoke, since=state.since)  # starts anew
        if state.joined == REGISTERED:
            yield self._read(state, JOINED)
            return
        if state.joined == READ_FIRST:
            yield state._replace(joined=JOINED)
        if state.ringed < state.seq:
            yield state._replace(ringed=state.seq)
        if lease.seq_of(state.word) != state.ringed:
            yield state._replace(word=lease.told(state.word, state.ringed))
        held = state.ringed if self.bug is Bug.ACK_BEFORE_APPLY else lease.seq_of(state.word)
        cut = state.ringed if self.bug is Bug.ACK_BEFORE_APPLY else state.applied
        if held != state.row.applied or cut != state.row.cut_seq:
            yield state._replace(row=state.row._replace(applied=held, cut_seq=cut))

    def _joining(self, state: State) -> Iterator[State]:
        if self.bug is Bug.PROOF_BEFORE_REGISTERING:
            yield self._read(state, READ_FIRST)
        else:
            yield state._replace(joined=REGISTERED)

    def _read(self, state: State, joined: int) -> State:
        word = lease.told(lease.NEVER, state.seq)
        return state._replace(joined=joined, word=word, ringed=state.seq, applied=state.seq)

    def _proof(self, state: State) -> Iterator[State]:
        if state.joined < READ_FIRST:
            return
        if state.proof == 0:
            yield state._replace(proof=SENT, t0=NOW)
            return
        yield state._replace(proof=0, t0=0, proven=0)  # lost, or given up
        if state.proof == SENT:
            yield state._replace(proof=LOOKED, proven=state.seq)
        elif state.proof == LOOKED:
            if not state.row.fenced or self.bug is Bug.FENCE_IGNORED:
                yield state._replace(proof=ANSWERED, noted=state.noted if state.unlooked else UNSEEN)  # renewals moved
        else:
            yield state._replace(word=self._extended(state), proof=0, t0=0, proven=0)

    def _extended(self, state: State) -> int:
        length = self.variant.leases[min(state.proven, self.revocation - 1)]
        t0 = NOW if self.bug is Bug.T0_AT_REPLY else state.t0
        proven = state.ringed if self.bug is Bug.EXTEND_BEFORE_APPLY else state.proven
        word = lease.extended(state.word, lease.Proof(t0 + self.variant.overtime(length), proven, length), state.ringed)
        return word if lease.expiry_of(word) > NOW else lease.pack(0, lease.seq_of(word))

    def _worker(self, state: State) -> Iterator[State]:
        if state.joined < READ_FIRST:
            return
        if state.applied != lease.seq_of(state.word) and not state.seen:
            yield state._replace(applied=lease.seq_of(state.word))
        if self.bug is Bug.SEQ_BEFORE_VALIDITY and state.revoke == RETURNED and not state.seen:
            yield state._replace(seen=state.applied == lease.seq_of(state.word))

    # ---- who waits ----

    def _revoker(self, state: State) -> Iterator[State]:
        if state.seq < self.revocation - 1:  # a change of the lease comes first
            yield state._replace(seq=state.seq + 1)
        elif state.revoke == 0:
            yield state._replace(revoke=COMMITTED, seq=self.revocation)
            if self.bug is Bug.TABLE_READ_BEFORE_COMMIT and not self._in_table(state):
                yield state._replace(revoke=LISTED_NOBODY)
            if self.bug is Bug.CLOCK_READ_BEFORE_COMMIT:
                yield state._replace(revoke=CLOCK_READ, since=NOW)
        elif state.revoke == LISTED_NOBODY:
            yield state._replace(revoke=RETURNED, seq=self.revocation)
        elif state.revoke == CLOCK_READ:
            yield state._replace(revoke=WAITING, seq=self.revocation)
        elif state.revoke == COMMITTED:
            yield state._replace(revoke=WAITING, since=NOW)
        elif state.revoke == WAITING and not self._waited_for(state):
            yield state._replace(revoke=RETURNED, since=0)

    def _in_table(self, state: State) -> bool:
        return state.joined in (REGISTERED, JOINED)

    def _waited_for(self, state: State) -> bool:
        if not self._in_table(state):
            return False
        found = lease.standing(state.row, self.revocation, since_ms=state.since, now_ms=NOW, waited_ms=self.waited)
        return found is lease.Standing.WAITED_FOR

    def _janitor(self, state: State) -> Iterator[State]:
        if not self._in_table(state) or state.row.fenced:
            return
        if state.noted == UNSEEN:
            yield state._replace(noted=NOW, unlooked=self.bug is Bug.JANITOR_NOTES_FIRST)
        elif state.unlooked:
            yield state._replace(unlooked=False)
        elif self.bug is Bug.JANITOR_IN_A_HURRY or lease.may_fence(state.noted, NOW, self.waited):
            yield state._replace(row=state.row._replace(fenced=True), noted=UNSEEN)


class Searched(NamedTuple):
    """`states`: how many were visited. `path`: the shortest way to what was looked for, empty when there is none."""

    states: int
    path: list[State]


def search(variant: Variant, wanted: Callable[[Model, State], bool] = Model.violated) -> Searched:
    """Breadth first through everything that can be reached, until one state is `wanted`."""
    model = Model(variant)
    start = State()
    before: dict[State, State | None] = {start: None}
    edge = [start]
    while edge:
        reached: list[State] = []
        for state in edge:
            for one in model.following(state):
                if one in before:
                    continue
                before[one] = state
                if wanted(model, one):
                    return Searched(len(before), _path(before, one))
                reached.append(one)
        edge = reached
    return Searched(len(before), [])


def _path(before: dict[State, State | None], last: State) -> list[State]:
    path: list[State] = []
    at: State | None = last
    while at is not None:
        path.append(at)
        at = before[at]
    return path[::-1]

"""Whether every gateway of this machine has taken a change: asked after its commit, before anybody is told of success.

A gateway has confirmed when it has applied the change and ended what the change ended, or when it is dead. One that
does neither in time makes the answer "not proven": its next request would still be refused, for the commit is in the
database, but what it had under way may go on.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from keystore.board import IDENTITY_PERIOD, NOTHING_CUT, Identity, Slot, Watcher
from keystore.sqlite_file import shm_path
from keystore.wal_index import identity_of

PATIENCE: Final = 5.0  # seconds for all gateways to apply it; they do within 0.02, unless stopped or stuck
SETTLE: Final = 2.0  # seconds for the store to answer what could not be cut
POLL: Final = 0.001


class Confirmation(NamedTuple):
    """`gateways`: of which a worker was alive when the change was committed. `lapsed`: of which one did not confirm it
    in time.

    `elsewhere`: processes that have another file open than the one at the path. `in_store_unsettled`: requests of the
    key that were with the store already and have not been answered. `took_ms`: all of it, waiting included.
    `out_of_lease`: of the lapsed, those on other machines that refuse every new request since their lease is over, and
    release nothing more of old ones. That was inferred from time, and not confirmed.
    """

    gateways: int
    confirmed: int
    lapsed: int
    elsewhere: tuple[int, ...]
    transfers_cut: int
    in_store_settled: int
    in_store_unsettled: tuple[str, ...]
    took_ms: int
    out_of_lease: int = 0

    @property
    def proven(self) -> bool:
        """That no gateway accepts a request whose head is sent from now on."""
        return self.lapsed == self.out_of_lease and not self.elsewhere


def confirmation_json(confirmation: Confirmation) -> dict[str, object]:
    """Beside the key's own fields. `elsewhere` counts as lapsed: nobody knows what that gateway does."""
    return {
        "gateways": confirmation.gateways,
        "confirmed": confirmation.confirmed,
        "lapsed": confirmation.lapsed,
        "out_of_lease": confirmation.out_of_lease,
        "transfers_cut": confirmation.transfers_cut,
        "in_store_settled": confirmation.in_store_settled,
        "in_store_unsettled": list(confirmation.in_store_unsettled),
        "took_ms": confirmation.took_ms,
    }


def confirm(
    database: Path,
    seq: int,
    *,
    since: float,
    patience: float = PATIENCE,
    settle: float = SETTLE,
    sleep: Callable[[float], None] = time.sleep,
) -> Confirmation:
    """Wait until every gateway has taken the change `seq`, which is committed. `since`: time.monotonic() before it was.

    Raises KeystoreUnavailable when the board cannot be used.
    """
    watcher = Watcher(database)
    try:
        if watcher.made:  # gateways whose board was deleted look for it once in a period
            sleep(2 * IDENTITY_PERIOD)
        waited_for = watcher.taken()
        left = _wait(lambda: [slot for slot in waited_for if not _has_taken(watcher, slot, seq)], patience, sleep)
        shown = {slot: watcher.read(slot) for slot in waited_for}
        here = Identity(*_at(database), *_at(shm_path(database)))
        elsewhere = {slot for slot, seen in shown.items() if seen and seen.identity != here and watcher.alive(slot)}
        confirmed = [slot for slot in waited_for if slot not in left and slot not in elsewhere]
        _wait(lambda: [slot for slot in confirmed if _unsettled(watcher.read(slot), seq)], settle, sleep)
        seen = [watcher.read(slot) for slot in confirmed if watcher.alive(slot)]
        cuts = [one.cuts.get(seq, NOTHING_CUT) for one in seen if one is not None]
        names = [what for one in seen if one is not None for at, what in one.in_store if at == seq]
        lapsed = {_gateway(shown[slot]) for slot in waited_for if slot not in confirmed}
        gateways = {_gateway(shown[slot]) for slot in waited_for}
        return Confirmation(
            gateways=len(gateways),
            confirmed=len(gateways - lapsed),
            lapsed=len(lapsed),
            elsewhere=tuple(sorted({_gateway(shown[slot]) for slot in elsewhere})),
            transfers_cut=sum(cut.cut for cut in cuts),
            in_store_settled=sum(cut.settled for cut in cuts),
            in_store_unsettled=tuple(names),
            took_ms=round((time.monotonic() - since) * 1000),
        )
    finally:
        watcher.close()


def _gateway(slot: Slot | None) -> int:
    """One gateway may have several workers; it has confirmed when all of them have."""
    return 0 if slot is None else slot.gateway


def _at(path: Path) -> tuple[int, int]:
    """Device and inode; zeros, which nothing has, where nothing is."""
    try:
        return identity_of(path)
    except OSError:
        return 0, 0


def _has_taken(watcher: Watcher, slot: int, seq: int) -> bool:
    seen = watcher.read(slot)
    return seen is None or seen.applied >= seq or not watcher.alive(slot)


def _unsettled(seen: Slot | None, seq: int) -> bool:
    cut = NOTHING_CUT if seen is None else seen.cuts.get(seq, NOTHING_CUT)
    return cut.settled < cut.in_store


def _wait(left: Callable[[], list[int]], seconds: float, sleep: Callable[[float], None]) -> list[int]:
    """What is still left when nothing is, or the time is over."""
    deadline = time.monotonic() + seconds
    while (found := left()) and time.monotonic() < deadline:
        sleep(POLL)
    return found

"""What can happen to one of several gateways, in any order, while requests go on, and a judge of all that was answered.

The judge knows three things: a request that left after a revoke was true is neither answered 200 nor seen by the
store; a key that nobody revoked is never refused with 403; and what stood still, was cut off or was killed serves
again once it is whole.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from tests.support.fleet import GATEWAYS, Fleet
from tests.support.gateway_process import IssuedKey
from tests.support.hammer import Requests, names_seen
from tests.support.raw_client import RawConnection

PATIENCE: Final = 3.0  # seconds a client waits for an answer


def _stand_still(fleet: Fleet, number: int, chance: random.Random) -> None:
    fleet.gateways[number].signal_all(signal.SIGSTOP)


def _supervisor_stands_still(fleet: Fleet, number: int, chance: random.Random) -> None:
    os.kill(fleet.gateways[number].process.pid, signal.SIGSTOP)


def _worker_stands_still(fleet: Fleet, number: int, chance: random.Random) -> None:
    _signal_worker(fleet, number, chance, signal.SIGSTOP)


def _worker_dies(fleet: Fleet, number: int, chance: random.Random) -> None:
    _signal_worker(fleet, number, chance, signal.SIGKILL)


def _signal_worker(fleet: Fleet, number: int, chance: random.Random, what: signal.Signals) -> None:
    workers = fleet.gateways[number].workers()
    if workers:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), what)


def _all_dies(fleet: Fleet, number: int, chance: random.Random) -> None:
    fleet.gateways[number].signal_all(signal.SIGKILL)
    fleet.gateways[number].process.wait(10)


Fault = Callable[[Fleet, int, random.Random], None]

FAULTS: Final[dict[str, Fault]] = {
    "cut off": lambda fleet, number, _: fleet.cables[number].cut(),
    "nothing gets to the database": lambda fleet, number, _: fleet.cables[number].cut(back=False),
    "nothing comes back from the database": lambda fleet, number, _: fleet.cables[number].cut(there=False),
    "connections reset": lambda fleet, number, _: fleet.cables[number].reset(),
    "stands still": _stand_still,
    "supervisor stands still": _supervisor_stands_still,
    "a worker stands still": _worker_stands_still,
    "a worker dies": _worker_dies,
    "dies": _all_dies,
}


class Answer(NamedTuple):
    """`left`: ns, before the first byte. `status`: 0 where none came."""

    name: str
    access_key_id: str
    gateway: int
    left: int
    status: int


class Traffic:
    """A client beside each gateway that asks for an object of its own with one of `keys`, again and again."""

    def __init__(self, fleet: Fleet, keys: list[IssuedKey], seed: int) -> None:
        self.answers: list[Answer] = []
        self._fleet = fleet
        self._keys = keys
        self._seed = seed
        self._done = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(GATEWAYS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join()

    def _ask(self, gateway: int) -> None:
        chance = random.Random(f"{self._seed}-{gateway}")
        host = self._fleet.gateways[gateway].host
        requests = [(issued.access_key_id, Requests(host, issued)) for issued in self._keys]
        connection: RawConnection | None = None
        number = 0
        while not self._done.is_set():
            access_key_id, made = chance.choice(requests)
            name = f"{access_key_id}-{gateway}-{number}"
            number += 1
            head, left, status = made.head(name), time.monotonic_ns(), 0
            try:
                if connection is None:
                    connection = self._fleet.gateways[gateway].connect(timeout=PATIENCE)
                connection.send(head)
                status = connection.reply().status
            except (OSError, EOFError):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.02)
            self.answers.append(Answer(name, access_key_id, gateway, left, status))
            time.sleep(0.005)
        if connection is not None:
            connection.close()


def wrongs(traffic: Traffic, revoked: dict[str, int], fleet: Fleet) -> list[str]:
    """`revoked`: access key id → ns, when its revoke was true. What of all that was answered must never be."""
    seen = names_seen(fleet.upstream)
    found = []
    for answer in traffic.answers:
        returned = revoked.get(answer.access_key_id)
        if returned is None and answer.status not in (200, 503, 0):
            found.append(f"gateway {answer.gateway} answered a key that nobody revoked with {answer.status}")
        elif returned is not None and answer.left > returned and (answer.status == 200 or answer.name in seen):
            found.append(
                f"{answer.name} left {(answer.left - returned) / 1e6:.3f} ms after the revoke was true, got "
                f"{answer.status}, and the store {'saw' if answer.name in seen else 'did not see'} it"
            )
    return found

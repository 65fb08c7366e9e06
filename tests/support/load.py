"""Clients by the hundred, one that asks honestly beside them, and what a gateway holds of them."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.gateway_process import Gateway
from tests.support.raw_client import FromAddress, Signer
from tests.support.sockets import family

ATTACKER = "127.0.3.1"  # every address of 127.0.0.0/8 is this machine
HONEST = "127.0.3.2"


@contextlib.contextmanager
def many(port: int, number: int, source: str = ATTACKER) -> Iterator[list[FromAddress]]:
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(FromAddress(port, source)) for _ in range(number)]


def descriptors(gateway: Gateway) -> int:
    """Open in all of its processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(gateway.process.pid))


@dataclass(slots=True)
class Honest:
    """Asks again and again, on a new connection each time or on one. `answers`: status and S3 code of each."""

    port: int
    signer: Signer
    kept: bool
    answers: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator["Honest"]:
        thread = threading.Thread(target=self._ask_on, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(60)
            assert not thread.is_alive(), "an honest client was not answered within 60 s"

    def _ask_on(self) -> None:
        while not self._over.is_set():
            try:
                with FromAddress(self.port, HONEST) as connection:
                    while not self._over.wait(0.02):
                        began = time.monotonic()
                        connection.send(self.signer.head("GET", "/aaa/k"))
                        reply = connection.reply()
                        self.slowest = max(self.slowest, time.monotonic() - began)
                        self.answers.append(f"{reply.status} {reply.code}".strip())
                        if not self.kept:
                            break
            except (OSError, EOFError) as error:
                self.answers.append(repr(error))


def assert_served(honest: Honest, least: int = 5) -> None:
    """Every one of its requests, and there were some."""
    assert len(honest.answers) >= least
    assert set(honest.answers) == {"200"}, {answer: honest.answers.count(answer) for answer in set(honest.answers)}


def settles(gateway: Gateway, before: int, *, more: int = 2, seconds: float = 30.0) -> None:
    """AssertionError when the gateway holds more descriptors than `before` and a few, however long one waits."""
    until = time.monotonic() + seconds
    while (now := descriptors(gateway)) > before + more:
        assert time.monotonic() < until, f"{now} descriptors, {before} before"
        time.sleep(0.1)

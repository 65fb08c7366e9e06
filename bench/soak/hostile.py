"""Whoever makes it hard: forgers, slow readers, uploads broken off, heads that do not end, workers killed, keys revoked
while they are used. Each says what it must get, and anything else is a fault."""

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Final

from bench.soak.ledger import Version
from bench.soak.run import BROKEN, BUCKET, Run
from tests.support.gateway_process import IssuedKey
from tests.support.raw_client import UNSIGNED_PAYLOAD, FromAddress, RawReply

KIB: Final = 1024
MIB: Final = 1 << 20
FORGERS: Final = 8  # addresses
FORGED_A_SECOND: Final = 200
SLOW_BLOCK: Final = 64 * KIB
UPLOAD: Final = 3 * MIB
DRIPPING: Final = 10  # connections
USE_SECONDS: Final = 2.0  # of a key, before it is revoked and after


@contextmanager
def tolerated(run: Run, kind: str) -> Iterator[None]:
    """A connection that breaks beside a kill, or at the very end, is none of the gateway's faults."""
    began = time.monotonic()
    try:
        yield
    except BROKEN as error:
        if not run.over.is_set() and not run.passing(began, f"{kind}: broken off"):
            run.ledger.fault(f"{kind} was broken off, and no worker had been killed: {error!r}")
            run.pause(1.0)


def forge(run: Run) -> None:
    """Bad signatures from many addresses: 403 each, or SlowDown; and never anything else."""
    signer = replace(run.gateway.signer(run.access_key), secret_access_key="s" * 40)
    while not run.over.is_set():
        with tolerated(run, "a forged request"), ExitStack() as stack:
            port = run.gateway.port
            forgers = [stack.enter_context(FromAddress(port, f"127.0.1.{n + 1}")) for n in range(FORGERS)]
            for _ in range(FORGED_A_SECOND * 30 // FORGERS):
                head = signer.head("GET", f"/{BUCKET}/large")
                for forger in forgers:
                    forger.send(head)
                for forger in forgers:
                    _told(run, "forged", forger.reply(), {"SignatureDoesNotMatch", "SlowDown"})
                if run.pause(FORGERS / FORGED_A_SECOND):
                    return


def read_slowly(run: Run, large: Version) -> None:
    """A large object at 256 KiB a second, whole each time but every third, when the reader leaves in the middle."""
    signer = run.gateway.signer(run.access_key)
    for number in range(1 << 30):
        if run.over.is_set():
            return
        with (
            tolerated(run, "a slow reader"),
            FromAddress(run.gateway.port, "127.0.2.1", receive_buffer=SLOW_BLOCK) as reader,
        ):
            reader.send(signer.head("GET", f"/{BUCKET}/large", [("Connection", "close")]))
            left, digest = large.size, hashlib.sha256()
            while reader.read(1) != b"\n" or reader.read(2) != b"\r\n":  # the end of the head
                pass
            while left and not (number % 3 == 2 and left < large.size // 2):
                block = reader.read(min(left, SLOW_BLOCK))
                left -= len(block)
                digest.update(block)
                if run.pause(SLOW_BLOCK / (256 * KIB)):
                    return
            if not left and digest.hexdigest() != large.sha256:
                run.ledger.fault("a slow reader got other bytes than were written")
            run.ledger.count("slow reader: whole" if not left else "slow reader: left")


def break_off(run: Run, seed: int) -> None:
    """Uploads that end before their end. They stand in no ledger: nothing of them may ever be in the store."""
    signer, chance = run.gateway.signer(run.access_key), random.Random(seed)
    number = 0
    while not run.pause(0.3):
        number += 1
        with tolerated(run, "a broken upload"), FromAddress(run.gateway.port, "127.0.2.2") as client:
            length = [("Content-Length", str(UPLOAD))]
            client.send(signer.head("PUT", f"/{BUCKET}/never/{number}", length, sha256=UNSIGNED_PAYLOAD))
            client.send(chance.randbytes(chance.randrange(1, UPLOAD - 1)))
            if chance.random() < 0.5:
                client.end_sending()
                _told(run, "broken upload", client.reply(), {"IncompleteBody"})
            else:
                run.ledger.count("broken upload: left")


def drip(run: Run) -> None:
    """Heads, a byte a second: each is told that it took too long."""
    while not run.over.is_set():
        with tolerated(run, "a dripping head"), ExitStack() as stack:
            made = [stack.enter_context(FromAddress(run.gateway.port, "127.0.2.3")) for _ in range(DRIPPING)]
            until = time.monotonic() + 15
            while time.monotonic() < until and not run.pause(1.0):
                for connection in made:
                    with suppress(BrokenPipeError, ConnectionResetError):
                        connection.send(b"G")
            if run.over.is_set():
                return
            for connection in made:
                told = connection.read_to_end()
                if b"<Code>RequestTimeout</Code>" in told:
                    run.ledger.count("dripping head: RequestTimeout")
                elif not run.passing(until - 15, "a dripping head"):
                    run.ledger.fault(f"a dripping head was answered {told[:60]!r}")


def kill_workers(run: Run, every: float) -> None:
    """SIGKILL to the younger one each time; the eldest lives, and its memory is what is judged."""
    eldest = run.gateway.workers()[0]
    while not run.pause(every):
        others = [pid for pid in run.gateway.workers() if pid != eldest]
        for pid in others[:1]:
            run.killed_at = time.monotonic()
            run.kills += 1
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def revoke_used_keys(run: Run, every: float) -> None:
    """A key is made, used, and revoked while it is used: what is asked after the confirmation is refused."""
    while not run.over.is_set():
        access_key = run.gateway.create_key(BUCKET)
        use = Use(run, access_key)
        run.pause(USE_SECONDS)
        run.gateway.revoke(access_key)
        confirmed = time.monotonic()
        time.sleep(USE_SECONDS / 2)
        use.stop()
        run.acts += 2
        judge_use(run, use.answers, confirmed)
        run.pause(every)


def judge_use(run: Run, answers: Sequence[tuple[float, int]], confirmed: float) -> None:
    """`answers`: (when it was asked, the status)."""
    after = [status for began, status in answers if began > confirmed]
    for status in after:
        if status != 403:
            run.ledger.fault(f"a revoked key was answered {status} after the confirmation")
    for status in {status for _, status in answers} - {200, 403}:
        run.ledger.fault(f"a key that was being revoked was answered {status}")
    run.ledger.count(f"revoked: {'refused after the confirmation' if after else 'not asked after it'}")


class Use:
    """Of one key, without a pause, until `stop`. `answers`: when each was asked, and its status."""

    def __init__(self, run: Run, access_key: IssuedKey) -> None:
        self._run = run
        self._head = run.gateway.signer(access_key).head("GET", f"/{BUCKET}/small")
        self._over = threading.Event()
        self.answers: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._use, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _use(self) -> None:
        while not self._over.is_set():
            with suppress(*BROKEN), FromAddress(self._run.gateway.port, "127.0.2.4") as client:  # a cut is a reset
                while not self._over.wait(0.005):
                    began = time.monotonic()
                    client.send(self._head)
                    self.answers.append((began, client.reply().status))


def _told(run: Run, kind: str, reply: RawReply, wanted: set[str]) -> None:
    if reply.code in wanted:
        run.ledger.count(f"{kind}: {reply.code}")
    else:
        run.ledger.fault(f"{kind} was answered {reply.status} {reply.code}")

"""Many requests of a key around the moment its revoke returns, and a judge of what happened, on one clock.

Every request has an object key of its own and its time of departure, taken before its first byte is sent. The revoke
runs in another process, which says when its change was durable and when every gateway had confirmed it. Of a keystore
on this machine the judge takes the first: from then on the key must be refused, also if whoever revokes dies there. Of
one on PostgreSQL the second. CLOCK_MONOTONIC is one for all processes of the machine.
"""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential
from tests.support.gateway_process import Gateway
from tests.support.recording_upstream import RecordingUpstream

EMPTY: Final = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
JUST: Final = 5_000_000  # ns: what lies within this of a return says something of the return
THREADS: Final = 4

REVOKING = """
import asyncio, sys, time
from pathlib import Path
from keystore.access_key import RevokeReason
from keystore.confirmation import confirm
from keystore.scope import AllBuckets
from keystore.sealing import load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey

async def act(database, kek_file):
    async with open_sqlite_store(database, load_kek_ring(Path(kek_file)), create=False) as store:
        for number, line in enumerate(sys.stdin):
            if line == "create\\n":
                access_key, secret = await store.create_key(NewKey("default", "hammered", AllBuckets()), "hammer")
                print(access_key.access_key_id, secret.expose(), flush=True)
            else:
                since = time.monotonic()
                await store.create_account(f"noise-{number}", "hammer")
                await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "hammer")
                returned = time.monotonic_ns()
                found = confirm(Path(database), store.committed_seq, since=since)
                print(returned, found.confirmed, flush=True)

asyncio.run(act(*sys.argv[1:]))
"""

REVOKING_AFAR = """
import asyncio, sys, time
from pathlib import Path
from keystore.access_key import RevokeReason
from keystore.postgres import open_postgres_store
from keystore.postgres_confirmation import confirm_postgres
from keystore.scope import AllBuckets
from keystore.sealing import Secret, load_kek_ring
from keystore.store import NewKey

async def act(kek_file):
    url = sys.stdin.readline().strip()
    ring = load_kek_ring(Path(kek_file))
    async with open_postgres_store(url, ring, create=False) as store:
        for number, line in enumerate(sys.stdin):
            if line == "create\\n":
                access_key, secret = await store.create_key(NewKey("default", "hammered", AllBuckets()), "hammer")
                await confirm_postgres(Secret(url), ring, store.committed_seq, since=0.0)
                print(access_key.access_key_id, secret.expose(), flush=True)
            else:
                since = time.monotonic()
                await store.revoke_key(access_key.access_key_id, RevokeReason.UNUSED, "hammer")
                found = await confirm_postgres(Secret(url), ring, store.committed_seq, since=since)
                print(time.monotonic_ns(), found.confirmed, flush=True)

asyncio.run(act(*sys.argv[1:]))
"""


class Sent(NamedTuple):
    """`left`: ns, before its first byte. `status`: of the answer."""

    name: str
    left: int
    status: int


@dataclass(slots=True)
class Round:
    """`returned`: ns, when the change was durable. `confirmed`: by how many gateways. `sent`: every request."""

    returned: int = 0
    confirmed: int = 0
    sent: list[Sent] = field(default_factory=list)


class Hammer:
    """Use as a context manager; `round` as often as wanted. `url`: of the PostgreSQL that the gateways share."""

    def __init__(self, *gateways: Gateway, url: str | None = None) -> None:
        self._gateways = gateways
        self._url = url

    def __enter__(self) -> Self:
        first = self._gateways[0]
        kek_file = str(first.folder / "kek")
        here = [sys.executable, "-c", REVOKING, str(first.keystore), kek_file]
        command = here if self._url is None else [sys.executable, "-c", REVOKING_AFAR, kek_file]
        self._revoker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if self._url is not None:  # not on the command line, which others can read
            assert self._revoker.stdin is not None
            self._revoker.stdin.write(f"{self._url}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._revoker.communicate(timeout=20)

    def _tell(self, word: str) -> str:
        assert self._revoker.stdin is not None
        assert self._revoker.stdout is not None
        self._revoker.stdin.write(f"{word}\n")
        return self._revoker.stdout.readline()

    def round(self, seconds: float = 0.05) -> Round:
        """A new key, requests from several connections, a revoke in the middle, and requests for a while after."""
        access_key_id, secret = self._tell("create").split()
        done, found = threading.Event(), Round()
        threads = [
            threading.Thread(target=self._send, args=(access_key_id, secret, number, done, found), daemon=True)
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        returned, confirmed = self._tell("revoke").split()
        found.returned, found.confirmed = int(returned), int(confirmed)
        time.sleep(seconds / 2)
        done.set()
        for thread in threads:
            thread.join()
        return found

    def _send(self, access_key_id: str, secret: str, thread: int, done: threading.Event, found: Round) -> None:
        signer = UpstreamSigner(UpstreamCredential(access_key_id, secret), b"us-east-1")
        gateway = self._gateways[thread % len(self._gateways)]
        host = gateway.host.encode()
        number = 0
        with gateway.connect() as connection:
            while not done.is_set():
                name = f"{access_key_id}-{thread}-{number}"
                number += 1
                path = f"/aaa/{name}".encode()
                lines = signer.sign(b"GET", path, b"", host, [], EMPTY, time.time())
                head = b"GET %b HTTP/1.1\r\n%b\r\n" % (path, lines)
                left = time.monotonic_ns()
                connection.send(head)
                found.sent.append(Sent(name, left, connection.reply().status))


def violations(rounds: list[Round], upstream: RecordingUpstream) -> list[str]:
    """Requests that left after the revoke had returned, and were answered 200 or seen by the store."""
    seen = {request.line.split(b" ")[1].rpartition(b"/")[2].decode() for request in upstream.requests}
    return [
        f"{sent.name} left {(sent.left - one.returned) / 1e6:.3f} ms after the return and got {sent.status}"
        for one in rounds
        for sent in one.sent
        if sent.left > one.returned and (sent.status == 200 or sent.name in seen)
    ]


def just_after(rounds: list[Round]) -> int:
    """How many left so soon after a return that a late gateway would have let them through."""
    return sum(0 < sent.left - one.returned <= JUST for one in rounds for sent in one.sent)


def just_before(rounds: list[Round]) -> int:
    """How many were accepted so shortly before a return that it was the revoke that ended it."""
    return sum(sent.status == 200 and 0 < one.returned - sent.left <= 10 * JUST for one in rounds for sent in one.sent)

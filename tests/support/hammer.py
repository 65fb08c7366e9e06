"""Many requests of a key around the moment its revoke returns, and a judge of what happened, on one clock.

Every request has an object key of its own and its time of departure, taken before its first byte is sent.
"""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.recording_upstream import RecordingUpstream
from tests.support.revoker import Revoker

EMPTY: Final = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
JUST: Final = 5_000_000  # ns: what lies within this of a return says something of the return
THREADS: Final = 4


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
        self._revoker = Revoker(gateways[0], url)

    def __enter__(self) -> Self:
        self._revoker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._revoker.__exit__(kind, error, trace)

    def round(self, seconds: float = 0.05) -> Round:
        """A new key, requests from several connections, a revoke in the middle, and requests for a while after."""
        issued = self._revoker.create()
        done, found = threading.Event(), Round()
        threads = [
            threading.Thread(target=self._send, args=(issued, number, done, found), daemon=True)
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        found.returned, found.confirmed = self._revoker.revoke(issued.access_key_id)
        time.sleep(seconds / 2)
        done.set()
        for thread in threads:
            thread.join()
        return found

    def _send(self, issued: IssuedKey, thread: int, done: threading.Event, found: Round) -> None:
        gateway = self._gateways[thread % len(self._gateways)]
        requests = Requests(gateway.host, issued)
        number = 0
        with gateway.connect() as connection:
            while not done.is_set():
                name = f"{issued.access_key_id}-{thread}-{number}"
                number += 1
                head = requests.head(name)
                left = time.monotonic_ns()
                connection.send(head)
                found.sent.append(Sent(name, left, connection.reply().status))


class Requests:
    """Of one key. Signed as the gateway signs towards its store, which is fast."""

    def __init__(self, host: str, issued: IssuedKey) -> None:
        self._host = host.encode()
        self._signer = UpstreamSigner(UpstreamCredential(issued.access_key_id, issued.secret_access_key), b"us-east-1")

    def head(self, name: str) -> bytes:
        path = f"/aaa/{name}".encode()
        lines = self._signer.sign(b"GET", path, b"", self._host, [], EMPTY, time.time())
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, lines)


def names_seen(upstream: RecordingUpstream) -> set[str]:
    """The names of the objects that the store was asked for."""
    return {request.line.split(b" ")[1].rpartition(b"/")[2].decode() for request in upstream.requests}


def violations(rounds: list[Round], upstream: RecordingUpstream) -> list[str]:
    """Requests that left after the revoke had returned, and were answered 200 or seen by the store."""
    seen = names_seen(upstream)
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

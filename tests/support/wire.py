"""The engine on a loopback socket, in this process: the real road and the real wire, a directory of one made-up key.

What stands in for the keystore is one dict, so that a test can revoke between two bytes.
"""

import asyncio
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from gateway.authorize import Policy
from gateway.config import LimitsSettings
from gateway.forward import UpstreamTarget
from gateway.pipeline import Rules
from gateway.respond import ReplyRules
from gateway.s3.addressing import Addressing
from gateway.s3.profile import PROFILES
from gateway.sigv4.claim import ClaimRules
from gateway.sigv4.signing import UpstreamSigner
from gateway.source import read_trusted
from gateway.telemetry.request_log import RequestLog
from gateway.wire.draining import Leaving, drain
from gateway.wire.endpoints import Endpoint
from gateway.wire.engine import Engine
from gateway.wire.limits import Limits
from gateway.wire.server import ClientConnection
from keystore.access_key import NO_DATE, AccessKey, KnownKey, Status
from keystore.bucket_claims import BucketClaim, Tenure, claimed, released, tenure, undone
from keystore.derived import StoreCredential, UpstreamCredential
from keystore.errors import KeystoreUnavailable
from keystore.scope import AllBuckets, Scope
from keystore.store import Claimed
from tests.support.raw_client import RawConnection, Signer, UnixConnection

T = TypeVar("T")

ACCESS_KEY_ID = "NQAK0123456789abcdef"
SECRET = "s3cr3tOfTheTestKey00000000000000000000AB"


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """AssertionError when it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


class OneKey:
    """Has what the engine uses of keystore.directory.Directory, and of the store that writes claims."""

    def __init__(self, scope: Scope) -> None:
        self.held: AccessKey | None = AccessKey(
            access_key_id=ACCESS_KEY_ID,
            account="default",
            label="test",
            scope=scope,
            status=Status.ACTIVE,
            created_at=1,
            created_by="test",
        )
        self.broken = False
        self.claims: dict[str, BucketClaim] = {}
        self.credentials: dict[str, StoreCredential] = {}

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        if self.broken:
            raise KeystoreUnavailable("the test broke it")
        if self.held is None or access_key_id != ACCESS_KEY_ID:
            return None
        date_key = hmac.digest(b"AWS4" + SECRET.encode(), date, hashlib.sha256)
        return KnownKey(self.held, {date: date_key}, lambda text: hmac.digest(SECRET.encode(), text, hashlib.sha1))

    def record(self, access_key_id: str) -> AccessKey | None:
        known = self.find(access_key_id, NO_DATE)
        return None if known is None else known.access_key

    def tenure(self, bucket: str) -> Tenure:
        return tenure(self.claim(bucket))

    def claim(self, bucket: str) -> BucketClaim | None:
        if self.broken:
            raise KeystoreUnavailable("the test broke it")
        return self.claims.get(bucket)

    def learn_tenures(self, buckets: list[str]) -> None:
        pass

    def store_credential(self, account: str) -> StoreCredential | None:
        return self.credentials.get(account)

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed:
        before = self.claims.get(name)
        self.claims[name] = claimed(before, name, account, 1, actor)
        return Claimed(self.claims[name], before)

    async def undo_claim(self, made: Claimed, actor: str) -> None:
        self.claims[made.claim.name] = undone(made.claim, made.before, 1, actor)

    async def release_bucket(self, name: str, version: int, actor: str) -> None:
        self.claims[name] = released(self.claims.get(name), name, 1, actor)

    def revoke(self, *, drain: bool = False) -> None:
        assert self.held is not None
        self.held = replace(self.held, status=Status.REVOKED, drains=drain)

    def tick(self) -> None:
        pass


class Board:
    """What was told of changes, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, list[str]]] = []
        self.answered: list[tuple[int, str]] = []

    def tell(self, seq: int, cut: int, in_store: list[str]) -> None:
        self.told.append((seq, cut, in_store))

    def settled(self, seq: int, what: str) -> None:
        self.answered.append((seq, what))

    def tick(self) -> None:
        pass


class RunningEngine:
    """An engine in front of `upstream_port` on loopback, in a thread with a loop of its own. A context manager.

    `upstream_path`: of the store's Unix socket instead. `path`: where it listens on one beside its port.
    """

    def __init__(
        self,
        upstream_port: int,
        *,
        scope: Scope | None = None,
        profile: str = "generic",
        tls: ssl.SSLContext | None = None,
        upstream_tls: ssl.SSLContext | None = None,
        trailers: bool = False,
        upstream_path: Path | None = None,
        path: Path | None = None,
        trusted: Sequence[str] = (),
        endpoints: Sequence[Endpoint] = (),
        **changed: Any,
    ) -> None:
        self.directory = OneKey(scope or AllBuckets())
        self.limits = Limits(**(LimitsSettings().model_dump() | {"refusals_per_address": 0} | changed))
        self.port = 0
        self.said: list[str] = []  # of requests, in the log
        self.board = Board()
        self.engine: Engine
        self._upstream_port = upstream_port
        self._profile = PROFILES[profile]
        self._tls = tls
        self._upstream_tls = upstream_tls
        self._trailers = trailers
        self._upstream_path = None if upstream_path is None else str(upstream_path)
        self._path = path
        self._trusted = read_trusted(trusted)
        self._endpoints = endpoints  # several, instead of `upstream_port`
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def connect(self, **settings: Any) -> RawConnection:
        return RawConnection("127.0.0.1", self.port, **settings)

    def connect_here(self) -> UnixConnection:
        """Over its Unix socket."""
        assert self._path is not None
        return UnixConnection(self._path)

    @property
    def signer(self) -> Signer:
        return Signer(f"127.0.0.1:{self.port}", ACCESS_KEY_ID, SECRET)

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the engine's loop."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def drain(self) -> int:
        """→ how many connections were cut."""
        leaving = Leaving(0.0, self.limits.drain_timeout, self._loop.time())
        draining = drain(self.engine, leaving, lambda running: None)
        return sum(one.requests for one in asyncio.run_coroutine_threadsafe(draining, self._loop).result(20))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        port = self._upstream_port
        self.engine = engine = Engine(
            limits=self.limits,
            rules=Rules(
                addressing=Addressing((), self._profile.reserved, dot_segments=False),
                claim=ClaimRules(None, sigv2_presigned=True, reported_region=b"us-east-1", echo=False),
                policy=Policy(self._profile, frozenset(), dot_segments=False),
                dummy_date_key=b"d" * 32,
                trusted_proxies=self._trusted,
            ),
            reply_rules=ReplyRules(reported_region=b"us-east-1"),
            directory=self.directory,  # type: ignore[arg-type]
            endpoints=self._endpoints
            or [Endpoint("127.0.0.1", port, self._upstream_tls, "127.0.0.1", self._upstream_path)],
            target=UpstreamTarget(b"127.0.0.1:%d" % port, b"", b"us-east-1", self._trailers),
            signer=UpstreamSigner(UpstreamCredential("upstream", "upstream-secret"), b"us-east-1"),
            writer=self.directory,
            request_log=RequestLog(self.said.append),
            board=self.board,
        )
        server = await self._loop.create_server(lambda: ClientConnection(engine), "127.0.0.1", 0, ssl=self._tls)
        here = None
        if self._path is not None:
            here = await self._loop.create_unix_server(lambda: ClientConnection(engine), str(self._path))
        ticking = self._loop.create_task(engine.run())
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        ticking.cancel()
        server.close()
        if here is not None:
            here.close()
        for client in list(engine._connections):
            client.transport.abort()
        await engine.upstream.pool.close()
        await asyncio.sleep(0.01)

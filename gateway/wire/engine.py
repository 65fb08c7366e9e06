"""What all connections of one event loop share: the rules, the directory, pool, buffers, budgets, clock.

It owns no socket and decides no request; it is where an exchange asks.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from gateway.authorize import Authorized
from gateway.forward import SentBody, UpstreamRequest, UpstreamTarget, plan, plan_list_buckets
from gateway.pipeline import Rules, admit, admit_again
from gateway.post_form import AdmittedForm, FormRequest, admit_form, open_form
from gateway.respond import ReplyRules, error_reply
from gateway.s3.errors import S3Error
from gateway.s3.request import RequestHead
from gateway.sigv4.signing import UpstreamSigner
from gateway.spool import Budget, SpoolRoom
from gateway.wire.buffers import ReadBuffers
from gateway.wire.limits import Limits
from gateway.wire.pool import Endpoint, UpstreamPool
from gateway.wire.turn import Turn
from keystore.directory import Directory

LOG: Final = logging.getLogger("nqgate.s3")
TICK: Final = 1.0  # seconds between two looks at the waits; every time limit is exact to this
WATCH: Final = 0.02  # seconds between two looks whether the keystore's file is still the one that was opened
_ID_STEP: Final = 0x9E3779B97F4A7C15  # odd, so that 2**64 request ids pass before one returns
_ID_MASK: Final = (1 << 64) - 1


class Client(Protocol):
    """What the engine needs of a client connection."""

    transport: asyncio.Transport

    @property
    def idle(self) -> bool: ...
    def check(self, now: float) -> None: ...
    def close(self) -> None: ...


class Upstream:
    """The store: where it is, how requests to it are signed, and the connections to it."""

    __slots__ = ("pool", "signer", "target")

    def __init__(self, target: UpstreamTarget, signer: UpstreamSigner, pool: UpstreamPool) -> None:
        self.target = target
        self.signer = signer
        self.pool = pool

    def plan(
        self,
        authorized: Authorized,
        body: SentBody | None,
    ) -> UpstreamRequest:
        return plan(authorized, self.target, self.signer, time.time(), body)

    def plan_list_buckets(self, continuation_token: str | None) -> UpstreamRequest:
        return plan_list_buckets(self.target, self.signer, time.time(), continuation_token)


class Engine:
    """One per event loop. `clock`: monotonic seconds, renewed every tick; `draining`: no reply keeps its connection."""

    def __init__(
        self,
        *,
        limits: Limits,
        rules: Rules,
        reply_rules: ReplyRules,
        directory: Directory,
        endpoint: Endpoint,
        target: UpstreamTarget,
        signer: UpstreamSigner,
    ) -> None:
        self.limits = limits
        self.rules = rules
        self.reply_rules = reply_rules
        self.read_ahead = max(limits.head_bytes, limits.pipelined_bytes)  # of one client, before reading pauses
        self.buffers = ReadBuffers(limits.read_buffer)
        self.turn = Turn()
        self.upstream = Upstream(target, signer, UpstreamPool(endpoint, self.buffers, self.turn, limits))
        self.memory = Budget(limits.buffer_total, "the memory for bodies")
        self.spool_room = SpoolRoom(self.memory, Budget(limits.spool_total, "the spool"), limits.spool_dir)
        self.draining = False
        self._directory = directory
        self._find = directory.find
        self._connections: set[Client] = set()
        self._request_id = secrets.randbits(64)
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time()
        self._on_drained: Callable[[], None] | None = None

    # ---- the road ----

    def admit(self, head: RequestHead, peer: str) -> Authorized:
        return admit(head, self._find, time.time(), self.rules, peer)

    def open_form(self, head: RequestHead, peer: str) -> FormRequest | None:
        return open_form(head, self.rules, peer)

    def admit_form(self, form: FormRequest, fields: Mapping[bytes, bytes], filename: bytes | None) -> AdmittedForm:
        return admit_form(form, fields, filename, self._find, time.time(), self.rules)

    def admit_again(self, authorized: Authorized) -> Authorized:
        return admit_again(authorized, self._find, self.rules)

    def next_request_id(self) -> bytes:
        """16 upper-case hex digits, unique within the process and random across processes."""
        self._request_id = (self._request_id + _ID_STEP) & _ID_MASK
        return b"%016X" % self._request_id

    def early_error(self, error: S3Error) -> bytes:
        """The whole reply to a head that could not be read; the connection is closed after it."""
        request_id = self.next_request_id()
        LOG.info("%s refused: %s", request_id.decode(), error.reason)
        head, body = error_reply(error, request_id, head_request=False, resource="/")
        return head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body

    # ---- connections and time ----

    def adopt(self, client: Client) -> bool:
        """Whether one more client connection may stay."""
        self._connections.add(client)
        return len(self._connections) <= self.limits.connections and not self.draining

    def forget(self, client: Client) -> None:
        self._connections.discard(client)
        if self._on_drained is not None and not self._connections:
            self._on_drained()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def tick(self) -> None:
        """Every time limit. One that fails is logged and the others are looked at: none may die of another's bug."""
        self.clock = now = self._loop.time()
        for check in (self.upstream.pool.tick, *[client.check for client in self._connections]):
            try:
                check(now)
            except Exception:
                LOG.exception("a time limit failed")

    async def run(self) -> None:
        """Watch the keystore and tick, until cancelled."""
        while True:
            for _ in range(round(TICK / WATCH)):
                await asyncio.sleep(WATCH)
                try:
                    self._directory.tick()
                except Exception:
                    LOG.exception("watching the keystore failed")
            self.tick()

    async def drain(self) -> int:
        """Let running requests finish, at most `drain_timeout`; returns how many had to be cut."""
        self.draining = True
        drained = asyncio.Event()
        self._on_drained = drained.set
        for client in list(self._connections):
            if client.idle:
                client.close()
        if self._connections:
            try:
                async with asyncio.timeout(self.limits.drain_timeout):
                    await drained.wait()
            except TimeoutError:
                pass
        cut = len(self._connections)
        for client in list(self._connections):
            client.transport.abort()
        await self.upstream.pool.close()
        return cut

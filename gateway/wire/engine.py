"""What all connections of one event loop share: the rules, the directory, pool, buffers, budgets, clock.

It owns no socket and decides no request; it is where an exchange asks.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from gateway.authorize import Authorized
from gateway.forward import SentBody, UpstreamRequest, UpstreamTarget, plan, plan_head_bucket, plan_list_buckets
from gateway.iam.request import IamRequest
from gateway.pipeline import Lookups, Rules, admit, admit_again, passed_on
from gateway.post_form import AdmittedForm, FormRequest, admit_form, open_form
from gateway.refusals import Refusals
from gateway.respond import ReplyRules, error_reply, reachable_buckets
from gateway.s3.errors import S3Error
from gateway.s3.listing import ListedBucket
from gateway.s3.request import RequestHead
from gateway.sigv4.signing import UpstreamSigner
from gateway.source import source_address
from gateway.spool import Budget, SpoolRoom
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.request_record import OnEnded, RequestRecord
from gateway.usage import Tally
from gateway.wire.buffers import ReadBuffers
from gateway.wire.limits import Limits
from gateway.wire.pool import Endpoint, UpstreamPool
from gateway.wire.roles import Board, ControlPlane, Directory, Running
from gateway.wire.turn import Turn
from keystore.access_key import KnownKey
from keystore.bucket_claims import BucketClaim, Tenure
from keystore.derived import StoreCredential
from keystore.errors import KeystoreError
from keystore.store import Claimed

T = TypeVar("T")

LOG: Final = logging.getLogger("nqgate.s3")
TICK: Final = 1.0  # seconds between two looks at the waits; every time limit is exact to this
WATCH: Final = 0.02  # seconds between two looks whether the keystore's file is still the one that was opened
MAX_SIGNERS: Final = 10_000  # accounts with a credential of their own; then all begin anew, which costs 20 µs each
_ID_STEP: Final = 0x9E3779B97F4A7C15  # odd, so that 2**64 request ids pass before one returns
_ID_MASK: Final = (1 << 64) - 1


class Client(Protocol):
    """What the engine needs of a client connection."""

    transport: asyncio.Transport

    @property
    def exchange(self) -> Running | None: ...
    @property
    def idle(self) -> bool: ...
    def check(self, now: float) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


class Failing(Protocol):
    """An exchange, as far as work beside it can end it."""

    def failed(self, error: Exception) -> None: ...


class Signers:
    """Who signs for an account: the gateway's own credential, or one that the account brought."""

    __slots__ = ("_credential_of", "_gateways", "_own", "_region")

    def __init__(
        self,
        gateways: UpstreamSigner,
        credential_of: Callable[[str], StoreCredential | None],
        region: bytes,
    ) -> None:
        self._gateways = gateways
        self._credential_of = credential_of
        self._region = region
        self._own: dict[str, tuple[StoreCredential, UpstreamSigner]] = {}

    def of(self, account: str) -> UpstreamSigner:
        """S3Error SERVICE_UNAVAILABLE when the keystore cannot answer; NotKnownYet."""
        try:
            own = self._credential_of(account)
        except KeystoreError as error:
            raise passed_on(error) from None
        if own is None:
            return self._gateways
        kept = self._own.get(account)
        if kept is not None and kept[0] is own:
            return kept[1]
        return self._remember(account, own)

    def own_id_of(self, account: str) -> str:
        """The access key id of the credential it brought, as it was last used; "" for the gateway's."""
        kept = self._own.get(account)
        return "" if kept is None else kept[0].access_key_id

    def _remember(self, account: str, own: StoreCredential) -> UpstreamSigner:
        if len(self._own) >= MAX_SIGNERS:
            self._own.clear()
        signer = UpstreamSigner(own, self._region)
        self._own[account] = (own, signer)
        return signer


class Upstream:
    """The store: where it is, how requests to it are signed for which account, and the connections to it."""

    __slots__ = ("pool", "signers", "target")

    def __init__(self, target: UpstreamTarget, signers: Signers, pool: UpstreamPool) -> None:
        self.target = target
        self.signers = signers
        self.pool = pool

    def plan(
        self,
        authorized: Authorized,
        body: SentBody | None,
    ) -> UpstreamRequest:
        return plan(authorized, self.target, self.signers.of(authorized.access_key.account), time.time(), body)

    def plan_list_buckets(self, authorized: Authorized, continuation_token: str | None) -> UpstreamRequest:
        signer = self.signers.of(authorized.access_key.account)
        return plan_list_buckets(self.target, signer, time.time(), continuation_token)

    def plan_head_bucket(self, authorized: Authorized, owner: str) -> UpstreamRequest:
        """Asked as the account whose the name is now: accounts with credentials of their own may see other buckets."""
        return plan_head_bucket(authorized.request, self.target, self.signers.of(owner), time.time())


class BucketWriter(Protocol):
    """The writing side of the keystore, as far as requests change it: `keystore.store.Store`."""

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed: ...
    async def undo_claim(self, made: Claimed, actor: str) -> None: ...
    async def release_bucket(self, name: str, version: int, actor: str) -> None: ...


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
        writer: BucketWriter,
        request_log: RequestLog,
        board: Board,
        control: ControlPlane | None = None,
    ) -> None:
        self.limits = limits
        self.control = control
        self.rules = rules
        self.reply_rules = reply_rules
        self.read_ahead = max(limits.head_bytes, limits.pipelined_bytes)  # of one client, before reading pauses
        self.buffers = ReadBuffers(limits.read_buffer, body=limits.spool_memory)
        self.turn = Turn()
        signers = Signers(signer, directory.store_credential, target.region)
        self.upstream = Upstream(target, signers, UpstreamPool(endpoint, self.buffers, self.turn, limits))
        self.writer = writer
        self.request_log = request_log
        self.board = board
        self.tally = Tally()
        self.uploads = self.tally.uploads
        self.refusals = Refusals()
        self.memory = Budget(limits.buffer_total, "the memory for bodies")
        self.spool_room = SpoolRoom(self.memory, Budget(limits.spool_total, "the spool"), limits.spool_dir)
        self.on_ended: tuple[OnEnded, ...] = ()
        self.running = 0  # requests that have begun and not ended
        self.transfers_cut = self.transfers_past_recall = 0
        self.draining = False
        self.changes = 0  # that were told while this loop ran
        self._directory = directory
        self._lookups = Lookups(directory.find, directory.record, directory.tenure)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Client] = set()
        self._request_id = secrets.randbits(64)
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time()
        self._on_drained: Callable[[], None] | None = None

    # ---- the road ----

    def admit(self, head: RequestHead, peer: str) -> Authorized:
        now = time.time()
        seen = self.changes
        authorized = admit(head, self._lookups, now, self.rules, peer)
        if authorized.operation.name == "CreateBucket":  # asks as its owner and as itself, once its document is here
            for account in (self.tenure_of(authorized.request.bucket).account, authorized.access_key.account):
                self.upstream.signers.of(account)
        authorized = self._judged(authorized, seen)
        self.tally.used(authorized, now)
        return authorized

    def open_form(self, head: RequestHead, peer: str) -> FormRequest | None:
        return open_form(head, self.rules, peer)

    def admit_form(self, form: FormRequest, fields: Mapping[bytes, bytes], filename: bytes | None) -> AdmittedForm:
        now = time.time()
        seen = self.changes
        admitted = admit_form(form, fields, filename, self._lookups, now, self.rules)
        self.upstream.signers.of(admitted.authorized.access_key.account)  # as for any request with a body
        admitted = admitted._replace(authorized=self._judged(admitted.authorized, seen))
        self.tally.used(admitted.authorized, now)
        return admitted

    def _judged(self, authorized: Authorized, seen: int) -> Authorized:
        """Judging asks for key and bucket one after the other, and what the second reads may change the first. Nobody
        ends a request that has not been admitted yet, so it is judged again until nothing was told meanwhile."""
        while self.changes != seen:
            seen = self.changes
            authorized = self.admit_again(authorized)
        return authorized

    def admit_again(self, authorized: Authorized) -> Authorized:
        return admit_again(authorized, self._lookups, self.rules)

    def reply_rules_of(self, authorized: Authorized) -> ReplyRules:
        """For a reply that is written anew: what its account brought to the store is hidden too."""
        own = self.upstream.signers.own_id_of(authorized.access_key.account)
        rules = self.reply_rules
        return rules._replace(hidden=(*rules.hidden, own.lower())) if own else rules

    def iam_request(self, head: RequestHead, body: bytes, peer: str) -> IamRequest:
        """What came to the S3 listener for IAM or STS, as the control plane reads it."""
        path, _, query = head.target.partition(b"?")
        source = source_address(peer, head.headers.get(b"x-forwarded-for"), self.rules.trusted_proxies)
        return IamRequest(head.method, path, query, list(head.headers.items()), body, source)

    def known(self, access_key_id: str, date: bytes) -> KnownKey | None:
        """Beside the road of objects. S3Error SERVICE_UNAVAILABLE when that cannot be answered; NotKnownYet."""
        try:
            return self._lookups.find(access_key_id, date)
        except KeystoreError as error:
            raise passed_on(error) from None

    # ---- buckets ----

    def tenure_of(self, bucket: str) -> Tenure:
        """Whose a bucket is. Here and below: S3Error SERVICE_UNAVAILABLE when that cannot be answered; NotKnownYet."""
        try:
            return self._directory.tenure(bucket)
        except KeystoreError as error:
            raise passed_on(error) from None

    def claim_of(self, bucket: str) -> BucketClaim | None:
        try:
            return self._directory.claim(bucket)
        except KeystoreError as error:
            raise passed_on(error) from None

    def reachable(self, authorized: Authorized, buckets: list[ListedBucket]) -> list[ListedBucket]:
        """Those of the store's buckets that the key may touch. NotKnownYet while it is asked whose some of them are."""
        granted = authorized.access_key.granted
        try:
            self._directory.learn_tenures([bucket.name for bucket in buckets if granted(bucket.name)])
            return reachable_buckets(authorized, buckets, self._directory.tenure)
        except KeystoreError as error:
            raise passed_on(error) from None

    def after(
        self,
        exchange: Failing,
        work: Coroutine[Any, Any, T],
        done: Callable[[T], None],
        not_done: Callable[[Exception], None],
    ) -> None:
        """Run `work` beside everything else, then one of the two, on this loop. What they raise fails the exchange."""

        async def run() -> None:
            try:
                try:
                    result = await work
                except Exception as error:
                    not_done(error)
                else:
                    done(result)
            except Exception as error:
                exchange.failed(error)

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def next_request_id(self) -> bytes:
        """16 upper-case hex digits, unique within the process and random across processes."""
        self._request_id = (self._request_id + _ID_STEP) & _ID_MASK
        return b"%016X" % self._request_id

    def ended(self, record: RequestRecord) -> None:
        """A request is over, however it ended. Each comes here once, and is told to everybody who counts or logs."""
        for told in self.on_ended:
            try:
                told(record)
            except Exception:
                LOG.exception("what is known of a request could not be told")

    def early_error(self, error: S3Error, source: str) -> bytes:
        """The whole reply to a head that could not be read; the connection is closed after it."""
        request_id = self.next_request_id()
        record = RequestRecord(request_id, b"", source, monotonic())
        record.status, record.code, record.reason = error.code.status, error.code.wire_name, error.reason
        self.request_log.say(request_id, f"refused: {error.reason}")
        head, body = error_reply(error, request_id, head_request=False, resource="/")
        record.sent = len(body)
        record.ended = record.began
        self.ended(record)
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
    def clients(self) -> list[Client]:
        return list(self._connections)

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
                    self.board.tick()
                except Exception:
                    LOG.exception("watching the keystore failed")
                self.request_log.write_out()
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
        self.request_log.write_out()
        return cut

"""What all connections of one event loop share: the rules, the directory, pool, buffers, budgets, clock.

It owns no socket and decides no request; it is where an exchange asks.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from gateway.authorize import Authorized
from gateway.forward import UpstreamTarget
from gateway.iam.request import IamRequest
from gateway.pipeline import Lookups, Rules, admit, admit_again, passed_on
from gateway.post_form import AdmittedForm, FormRequest, admit_form, open_form
from gateway.refusals import Refusals
from gateway.respond import ReplyRules, error_reply, reachable_buckets
from gateway.s3.errors import Code, S3Error
from gateway.s3.listing import ListedBucket
from gateway.s3.request import RequestHead, S3Request
from gateway.sigv4.signing import UpstreamSigner
from gateway.source import source_address
from gateway.spool import Budget, SpoolRoom
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.request_record import OnEnded, OnEndedWith, RequestRecord
from gateway.telemetry.seldom import Seldom
from gateway.usage import Tally
from gateway.wire.addresses import Address
from gateway.wire.admission import Admission
from gateway.wire.buffers import ReadBuffers
from gateway.wire.crowd import giving_way
from gateway.wire.descriptors import Descriptors
from gateway.wire.endpoints import Endpoint
from gateway.wire.limits import Limits
from gateway.wire.pool import WATCHING, UpstreamPool, Watching
from gateway.wire.roles import Board, Client, ControlPlane, Directory
from gateway.wire.store_requests import Signers, Upstream
from gateway.wire.turn import Turn
from keystore.access_key import KnownKey
from keystore.bucket_claims import BucketClaim, Tenure
from keystore.errors import KeystoreError
from keystore.store import Claimed

T = TypeVar("T")

LOG: Final = logging.getLogger("nqgate.s3")
TICK: Final = 1.0  # seconds between two looks at the waits; every time limit is exact to this
WATCH: Final = 0.02  # seconds between two looks whether the keystore's file is still the one that was opened
_ID_STEP: Final = 0x9E3779B97F4A7C15  # odd, so that 2**64 request ids pass before one returns
_ID_MASK: Final = (1 << 64) - 1


class Failing(Protocol):
    """An exchange, as far as work beside it can end it."""

    def failed(self, error: Exception) -> None: ...


class BucketWriter(Protocol):
    """The writing side of the keystore, as far as requests change it: `keystore.store.Store`."""

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed: ...
    async def undo_claim(self, made: Claimed, actor: str) -> None: ...
    async def release_bucket(self, name: str, version: int, actor: str) -> None: ...


class Engine:
    """One per event loop. `clock`: monotonic seconds, renewed every tick; `draining`: replies end their connection."""

    def __init__(
        self,
        *,
        limits: Limits,
        rules: Rules,
        reply_rules: ReplyRules,
        directory: Directory,
        endpoints: Sequence[Endpoint],
        target: UpstreamTarget,
        signer: UpstreamSigner,
        writer: BucketWriter,
        request_log: RequestLog,
        board: Board,
        control: ControlPlane | None = None,
        watching: Watching = WATCHING,
    ) -> None:
        self.limits = limits
        self.control = control
        self.rules = rules
        self.reply_rules = reply_rules
        self.read_ahead = max(limits.head_bytes, limits.pipelined_bytes)  # of one client, before reading pauses
        self.buffers = ReadBuffers(limits.read_buffer, body=limits.spool_memory)
        self.turn = Turn()
        signers = Signers(signer, directory.store_credential, target.region)
        pool = UpstreamPool(endpoints, self.buffers, self.turn, limits, watching)
        self.upstream = Upstream(target, signers, pool, [endpoint.host_header for endpoint in endpoints])
        self.writer = writer
        self.request_log = request_log
        self.ailing = Seldom(LOG, "requests fail")
        self.board = board
        self.tally = Tally()
        self.uploads = self.tally.uploads
        self.refusals = Refusals()
        self.memory = Budget(limits.buffer_total, "the memory for bodies is spent: limits.buffer_total")
        files = Budget(limits.spool_total, "the spool is spent: limits.spool_total")
        self.spool_room = SpoolRoom(self.memory, files, limits.spool_dir)
        self.on_ended: tuple[OnEnded, ...] = ()
        self._descriptors = Descriptors()
        self.admission = Admission(limits, rules.trusted_proxies)
        self.on_ended_with: tuple[OnEndedWith, ...] = ()
        self.running = 0  # requests that have begun and not ended
        self.transfers_cut = self.transfers_past_recall = 0
        self.begin_span: Callable[[S3Request], None] | None = None
        self.draining = False
        self.changes = 0  # that were told while this loop ran
        self._directory = directory
        self._lookups = Lookups(directory.find, directory.record, directory.tenure)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Client] = set()
        self._crowded_at = 0.0  # the clock when there was no room to be made
        self._request_id = secrets.randbits(64)
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time()

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
        if self.begin_span is not None:
            self.begin_span(authorized.request)
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
        if self.begin_span is not None:
            self.begin_span(admitted.authorized.request)
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

    def address_of(self, head: RequestHead, peer: str, address: Address) -> Address:
        """Where a request came from: `address` is that of its connection, for which a trusted proxy may speak."""
        forwarded_for = head.headers.get(b"x-forwarded-for") if address.many else None
        if forwarded_for is None:
            return address
        return self.admission.addresses.of(source_address(peer, forwarded_for, self.rules.trusted_proxies))

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

    def ended(
        self, record: RequestRecord, head: RequestHead | None = None, authorized: Authorized | None = None
    ) -> None:
        """A request is over, however it ended. Each comes here once, and is told to everybody who counts or logs."""
        for told in self.on_ended:
            try:
                told(record)
            except Exception:
                LOG.exception("what is known of a request could not be told")
        for told_with in self.on_ended_with:
            try:
                told_with(record, head, authorized)
            except Exception:
                LOG.exception("what is known of a request could not be told")

    def early_error(self, error: S3Error, source: str) -> bytes:
        """The whole reply to a head that could not be read; the connection is closed after it."""
        request_id = self.next_request_id()
        record = RequestRecord(request_id, b"", source, monotonic())
        record.status, record.code, record.reason = error.code.status, error.code.wire_name, error.reason
        self.request_log.refused(request_id, error.reason)
        head, body = error_reply(error, request_id, head_request=False, resource="/")
        record.sent = len(body)
        record.ended = record.began
        self.ended(record)
        return head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body

    # ---- connections and time ----

    def adopt(self, client: Client) -> None:
        """One more client connection; S3Error SLOW_DOWN when it may not stay."""
        self._connections.add(client)
        client.address.connections += 1
        if len(self._connections) > self.limits.connections and not self._made_room():
            raise S3Error(Code.SLOW_DOWN, "too many client connections: limits.connections", retry_after=1)
        most = self.limits.connections_per_address
        if most and client.address.connections > most and not client.address.many:
            reason = "too many connections from this address: limits.connections_per_address"
            raise S3Error(Code.SLOW_DOWN, reason, retry_after=1)

    def _made_room(self) -> bool:
        """By closing connections that wait for a request. Where none does, nobody looks again before the next tick."""
        if self._crowded_at == self.clock:
            return False
        going = giving_way(self._connections, self.limits.connections, self.clock)
        for client in going:
            client.close()
        if not going:
            self._crowded_at = self.clock
        return bool(going)

    def forget(self, client: Client) -> None:
        if client in self._connections:
            self._connections.discard(client)
            client.address.connections -= 1

    @property
    def clients(self) -> list[Client]:
        return list(self._connections)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def tick(self) -> None:
        """Every time limit. One that fails is logged and the others are looked at: none may die of another's bug."""
        self.clock = now = self._loop.time()
        for check in (
            self.admission.tick,
            self._descriptors.tick,
            self.upstream.pool.tick,
            *[client.check for client in self._connections],
        ):
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

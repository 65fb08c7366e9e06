"""One request and its reply: admitted, sent to the store in the way its body needs, relayed back.

All in callbacks, on one loop; nothing here waits. What may leave, and when:
- no upstream connection is used before the request is authorized, and, where its body fits into memory, verified;
- after any wait (pool, body, retry) the key is looked up again before the upstream head is written;
- the last block of a streamed body is withheld until every declared digest held and the key is still usable.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Final

from gateway.authorize import Authorized, still_holds
from gateway.forward import UpstreamRequest
from gateway.post_form import AdmittedForm, FormRequest
from gateway.respond import ReplyAction, plan_reply
from gateway.s3.errors import Code, S3Error
from gateway.telemetry.metrics import CLIENT_STALLED
from gateway.wire.bucket import foreseen_sink
from gateway.wire.ending import Ending
from gateway.wire.engine import LOG
from gateway.wire.form_upload import FormUpload
from gateway.wire.gathered import Gathered
from gateway.wire.heads import ParsedReply
from gateway.wire.relayed import Relayed, for_control_plane
from gateway.wire.reply import choose_sink, declared
from gateway.wire.roles import Sink, Upload
from gateway.wire.upload import choose_upload
from gateway.wire.upstream import UpstreamConnection
from keystore.errors import NotKnownYet

_RELAY: Final = ReplyAction.RELAY  # bound once: looking a member up in its class costs 0.08 µs each time


class Exchange(Ending):
    """`_since`: the engine's clock at the last progress. `_fresh`: the key was looked up in this turn of the loop."""

    # ---- the way to the store ----

    def begin(self) -> None:
        try:
            self._begin()
        except NotKnownYet as unknown:
            self._ask_again(unknown, self._begin)
        except Exception as error:
            self.failed(error)

    def _begin(self) -> None:
        engine = self._engine
        head, peer = self.parsed.head, self.client.peer
        upload = self._unsigned_upload() if head.method == b"POST" else None
        if upload is None:
            self._authorized = authorized = engine.admit(head, peer)
            if self.parsed.body:
                engine.upstream.signers.of(authorized.access_key.account)  # it must be known when the body is here
                if self._done:  # asking reads the log, and that has just ended this one
                    return
            upload = choose_upload(engine, self, authorized, self.parsed.body)
        self._upload = upload
        if upload is None:
            self._begin_without_body(self.authorized)
        else:
            upload.begin()

    def _unsigned_upload(self) -> Upload | None:
        """Of a POST whose claim is not one for S3, or stands in its body; None for any other."""
        engine, head, body = self._engine, self.parsed.head, self.parsed.body
        if engine.control is not None and for_control_plane(head):
            return Relayed(engine, self, head, body)
        form = engine.open_form(head, self.client.peer)
        return None if form is None else FormUpload(engine, self, form, body)

    def _begin_without_body(self, authorized: Authorized) -> None:
        upstream = self._engine.upstream
        self._sink = foreseen_sink(self._engine, self, authorized)
        listing = authorized.operation.name == "ListBuckets"
        self.ask(upstream.plan_list_buckets(authorized, None) if listing else upstream.plan(authorized, None))

    def ask(self, request: UpstreamRequest, body: bytes | bytearray = b"") -> None:
        """Send `request`, with its verified body, over an idle connection or as soon as one is there. Nothing of one
        that was ended: planning a request asks the directory, and what that has just read may have cut this one."""
        if self._done:
            return
        if body:
            request = UpstreamRequest(request.method, request.path_and_query, request.head + body)
        self._request = request
        connection = self._engine.upstream.pool.acquire(self)
        if connection is None:
            self._waiting = True
            self._fresh = False
            return
        try:
            self._send(connection)
        except S3Error:
            if self._connection is None:
                self._engine.upstream.pool.release(connection)
            raise

    def ask_more(self, request: UpstreamRequest, body: bytes = b"") -> None:
        """A further question for the same reply; the key may have changed since the first."""
        self._fresh = False
        self._replying = False
        self.ask(request, body)

    def foresee(self, sink: Sink) -> None:
        """Whatever the store replies goes to this sink."""
        self._sink = sink

    @property
    def wants_upstream(self) -> bool:
        return self._waiting and not self._done

    def connected(self, connection: UpstreamConnection) -> bool:
        """Whether the connection was taken."""
        self._waiting = False
        try:
            self._send(connection)
        except S3Error as error:
            taken = self._connection is not None
            self.refuse(error)
            return taken
        except Exception:
            connection.reset()
            self._bug()
        return True

    def connect_failed(self, reason: str, *, busy: bool = False) -> None:
        if self.wants_upstream:
            self._waiting = False
            self.refuse(S3Error(Code.SLOW_DOWN if busy else Code.SERVICE_UNAVAILABLE, reason, retry_after=1))

    def _send(self, connection: UpstreamConnection) -> None:
        """Release point: the upstream head."""
        request = self._request
        assert request is not None
        if not self._fresh:
            planned = self.authorized
            if not still_holds(planned, self.pass_gate()) or self._done:
                raise S3Error(Code.SERVICE_UNAVAILABLE, "the access key was changed meanwhile", retry_after=1)
        self._connection = connection
        self._since = self._engine.clock
        self.record.asked = monotonic()
        upload = self._upload
        body = upload.give() if type(upload) is Gathered else None
        connection.send(self, request.head, request.method == b"HEAD", body)
        if upload is not None:
            upload.connected(connection)

    # ---- the request's body, from the client ----

    @property
    def authorized(self) -> Authorized:
        assert self._authorized is not None
        return self._authorized

    def pull_body(self) -> None:
        self._fresh = False
        self.client.pull_body()

    def pass_gate(self) -> Authorized:
        """The access key, looked up again: S3Error when it may not do this any more."""
        self._authorized = again = self._engine.admit_again(self.authorized)
        self._fresh = True
        self.record.asked = monotonic()  # of a streamed body, its last block leaves now
        return again

    def admit_form(self, form: FormRequest, fields: Mapping[bytes, bytes], filename: bytes | None) -> AdmittedForm:
        """Of an upload form, once its fields are here: who signed it, and may it be stored?"""
        admitted = self._engine.admit_form(form, fields, filename)
        self._authorized = admitted.authorized
        self._fresh = True
        return admitted

    def body_room(self, shared: memoryview) -> memoryview:
        """Where the next bytes of the body are to be read to."""
        upload = self._upload
        room = upload.room() if type(upload) is Gathered else None
        return shared if room is None else room

    def body_block(self, block: bytes | memoryview, *, final: bool) -> None:
        upload = self._upload
        if upload is None or self._done or self._replying:
            return
        self._since = self._engine.clock
        self.record.received += len(block)
        try:
            upload.block(block, final=final)
        except Exception as error:
            self.failed(error)

    def body_broken(self, error: S3Error) -> None:
        """The client's body ended early or is malformed: what the store has stays short of its length."""
        if not self._done:
            self._abandon()
            self.keep_alive = False
            self.refuse(error)

    def upstream_paused(self) -> None:
        if not self.request_sent:
            self.client.pause_reading()

    def upstream_resumed(self) -> None:
        self._since = self._engine.clock
        upload = self._upload
        if upload is None or upload.sent or self._done or self._replying:
            return
        try:
            upload.resumed()
        except Exception as error:
            self.failed(error)

    # ---- the reply, from the store ----

    def reply_whole(self, reply: ParsedReply, body: bytes) -> None:
        """A reply that was read at once; what is relayed as it is needs no sink."""
        authorized = self._authorized
        assert authorized is not None
        self._connection = None
        if self._done:
            return
        record = self.record
        record.replied = monotonic()
        record.from_store = True
        try:
            if self._sink is None:
                planned = plan_reply(reply.head, authorized, self.request_id, self._engine.reply_rules)
                if planned.action is _RELAY:
                    record.status = reply.head.status
                    record.sent = len(body)
                    self.client.write(planned.head + declared(reply, keep_alive=self.keep_alive) + body)
                    self.finish()
                    return
                self._sink = choose_sink(self._engine, self, authorized, reply, planned)
            self._sink.begin(reply)
            self._sink.block(body)
            self._sink.end()
        except Exception as error:
            self.failed(error)

    def reply_head(self, reply: ParsedReply) -> None:
        self._since = self._engine.clock
        authorized = self._authorized
        assert authorized is not None
        if self._done:
            return
        record = self.record
        record.replied = monotonic()
        record.from_store = True
        record.status = reply.head.status
        if not self.request_sent:  # an early answer: stop reading, relay it, close
            self.client.pause_reading()
            self.keep_alive = False
            if reply.head.status < 400:
                self.upstream_nonsense("the store accepted an upload before its end")
                return
        self._replying = True
        if self.client.paused:
            self.client_paused()
        try:
            if self._sink is None:
                planned = plan_reply(reply.head, authorized, self.request_id, self._engine.reply_rules)
                self._sink = choose_sink(self._engine, self, authorized, reply, planned)
            self._sink.begin(reply)
        except Exception as error:
            self.failed(error)

    def reply_block(self, block: bytes | memoryview) -> None:
        self._since = self._engine.clock
        try:
            if self._sink is not None:
                self._sink.block(block)
        except S3Error as error:
            self.failed(error)

    def flush(self) -> None:
        """Nothing more was read with this reply's head: do not keep the client waiting for it."""
        if self._sink is not None:
            self._sink.flush()

    def reply_end(self) -> None:
        self._connection = None
        if self._done or self._sink is None:
            return
        try:
            self._sink.end()
        except Exception as error:
            self.failed(error)

    def upstream_lost(self, reason: str) -> None:
        """Retry only what has no body, changes nothing and got no byte of an answer on a connection used before."""
        connection, self._connection = self._connection, None
        if self._done:
            return
        request = self._request
        retry = (
            not self._replying
            and request is not None
            and request.method in (b"GET", b"HEAD")
            and connection is not None
            and connection.reused
            and connection.untouched
        )
        if retry:
            self._fresh = False
            self._waiting = True
            self._engine.upstream.pool.acquire(self, fresh=True)
        elif self._started:
            self._die(reason)
        else:
            self.refuse(S3Error(Code.SERVICE_UNAVAILABLE, reason, retry_after=1))

    def upstream_nonsense(self, reason: str) -> None:
        LOG.error("%s the store answered nonsense: %s", self.request_id.decode(), reason)
        self._abandon()
        if self._started:
            self._die(reason)
        else:
            self.refuse(S3Error(Code.INTERNAL_ERROR, reason))

    # ---- the client, while it takes the reply ----

    def client_paused(self) -> None:
        if self._connection is not None and self._replying:
            self._connection.pause_reading()

    def client_resumed(self) -> None:
        self._since = self._engine.clock
        if self._connection is not None:
            self._connection.resume_reading()

    def progress(self, now: float) -> None:
        self._since = now

    def check(self, now: float, *, client_waits: bool) -> None:
        """Once a second. `client_waits`: body bytes are due from the client."""
        if self._done:
            return
        waited = now - self._since
        limits = self._engine.limits
        if client_waits:
            if waited > limits.body_idle_timeout:
                self.body_broken(S3Error(Code.REQUEST_TIMEOUT, "the body stalled"))
        elif self._replying:
            if waited > limits.body_idle_timeout:
                self._die(CLIENT_STALLED if self.client.paused else "the store sent no more of the reply")
        elif waited > limits.upstream_reply_timeout and (self._connection is not None or not self._waiting):
            self._abandon()
            self.refuse(S3Error(Code.SERVICE_UNAVAILABLE, "the store did not answer in time", retry_after=1))

"""What an exchange is made of, and every way in which it ends: answered, refused, cut, broken, left by its client."""

from collections.abc import Callable
from time import monotonic, time
from typing import Final

from gateway.authorize import Authorized
from gateway.forward import UpstreamRequest
from gateway.pipeline import unavailable
from gateway.respond import error_reply
from gateway.s3.errors import Code, S3Error
from gateway.telemetry.request_record import End, RequestRecord, code_of
from gateway.wire.cutting import named
from gateway.wire.engine import LOG, Engine
from gateway.wire.heads import ParsedRequest
from gateway.wire.reply import CLOSE
from gateway.wire.roles import ClientSide, Sink, Upload
from gateway.wire.upstream import UpstreamConnection
from keystore.errors import KeystoreError, NotKnownYet

NO_CHANGES: Final[tuple[int, ...]] = ()
MAX_ASKED: Final = 8  # questions to the keeper for one request: kDate, a SigV2 signature, its account's credential


class Ending:
    """`in_store_of`: sequence numbers of the changes that would have cut it, had the store not had it in full."""

    # How every exchange begins; set on the instance when it changes, which most never do.
    _authorized: Authorized | None = None
    _request: UpstreamRequest | None = None
    _connection: UpstreamConnection | None = None
    _replying = False
    _waiting = False
    _fresh = True
    _done = False
    _asked = 0

    def __init__(self, engine: Engine, client: ClientSide, parsed: ParsedRequest) -> None:
        self._engine = engine
        self.client = client
        self.parsed = parsed
        self.request_id = request_id = engine.next_request_id()
        self.record = RequestRecord(request_id, parsed.head.method, client.peer, monotonic())
        self.keep_alive = parsed.keep_alive
        self.in_store_of = NO_CHANGES
        self._since = engine.clock
        engine.running += 1
        self._upload: Upload | None = None  # here, not above: compiled, a protocol's attribute gets no default
        self._sink: Sink | None = None

    @property
    def admitted(self) -> Authorized | None:
        """What it was allowed to ask, while that can still be taken back: None before it is known, after its end, and
        once the store has answered in full; what is asked of the store after that passes the gate again."""
        answered = self._request is not None and self._connection is None and not self._waiting
        return None if self._done or answered else self._authorized

    @property
    def sent_method(self) -> bytes | None:
        """The method of the request that the store has at least the head of, and has not answered in full."""
        request = self._request
        return None if self._connection is None or request is None else request.method

    @property
    def request_sent(self) -> bool:
        """The store has the whole request."""
        return self._upload is None or self._upload.sent

    def judge_again(self) -> None:
        """S3Error when it would be refused now; nothing is remembered of it: every release asks for itself."""
        if self._authorized is not None:
            self._engine.admit_again(self._authorized)

    # ---- answers of ours ----

    def answer(self, head: bytes, body: bytes) -> None:
        """A whole reply at once. `head` ends with its last header line."""
        if self.client.body_unread:
            self.keep_alive = False
        close = b"" if self.keep_alive else CLOSE
        bodiless = self.parsed.head.method == b"HEAD" or head.startswith(b"HTTP/1.1 204")
        length = b"" if bodiless else b"content-length: %d\r\n" % len(body)
        record = self.record
        record.status = status = int(head[9:12])
        if status >= 400 and not record.code:
            record.code = code_of(head, body)
        if not bodiless:
            record.sent += len(body)
        self.client.write(head + length + close + b"\r\n" + body)
        self.finish()

    def refuse(self, error: S3Error) -> None:
        """The documented answer; nothing of the request goes on."""
        if self._done:
            return
        self._note(error)
        if self._started:
            self._die(error.reason)
            return
        self._engine.request_log.say(self.request_id, f"refused: {error.reason}")
        head, now = self.parsed.head, time()
        if error.holder:
            self._engine.tally.denied(error, now)
        self._engine.refusals.keep(self.request_id, now, error, head, self.client.peer)
        self.in_store_of = NO_CHANGES  # what became of it in the store stays unknown
        self._abandon()
        resource = head.target.partition(b"?")[0].decode("ascii", "replace")
        self.answer(*error_reply(error, self.request_id, head_request=head.method == b"HEAD", resource=resource))

    def _note(self, error: S3Error) -> None:
        """Why it ends; of one that was refused before it was admitted, what is proven of it."""
        record = self.record
        record.code, record.reason, record.from_store = error.code.wire_name, error.reason, False
        if error.holder:
            record.access_key_id, record.bucket, record.operation = error.holder, error.bucket, error.operation

    def _tell(self, end: End) -> None:
        """It is over. Whatever ends it comes here, some of it twice: a reset loses the client, too."""
        record = self.record
        if record.ended:
            return
        record.ended = monotonic()
        record.end = end
        if end is End.LEFT and not self._started:
            record.status = 0
        authorized = self._authorized
        if authorized is not None:
            record.operation = authorized.operation.name
            record.access_key_id = authorized.access_key.access_key_id
            record.bucket = authorized.request.bucket
        self._engine.running -= 1
        self._engine.ended(record)

    # ---- endings ----

    def failed(self, error: Exception) -> None:
        """Nothing more goes to the store; the client hears why."""
        self._abandon()
        if isinstance(error, KeystoreError):
            error = unavailable(error)
        self.refuse(error) if isinstance(error, S3Error) else self._bug()

    # ---- what is not known yet ----

    def later(self, unknown: NotKnownYet, again: Callable[[], None]) -> None:
        """Go on with `again` once the keystore has been told; what it raises fails the exchange. S3Error when one
        request has asked too often: what it needs changes faster than it is told."""
        self._asked += 1
        if self._asked > MAX_ASKED:
            raise unavailable(unknown)
        unknown.when_told(lambda error: self._told(error, again))

    def _told(self, error: KeystoreError | None, again: Callable[[], None]) -> None:
        if self._done:
            return
        try:
            if error is not None:
                raise error
            again()
        except NotKnownYet as unknown:
            self._ask_again(unknown, again)
        except Exception as failure:
            self.failed(failure)

    def _ask_again(self, unknown: NotKnownYet, again: Callable[[], None]) -> None:
        try:
            self.later(unknown, again)
        except S3Error as error:
            self.failed(error)

    def _bug(self) -> None:
        LOG.exception("%s failed", self.request_id.decode())
        if self._started:
            self._die("a bug: the trace stands in the log")
        else:
            self.refuse(S3Error(Code.INTERNAL_ERROR, "a bug: the trace stands in the log"))

    @property
    def _started(self) -> bool:
        """The client has a part of the reply already: no error document can follow it."""
        return self._sink is not None and self._sink.started

    def finish(self) -> None:
        """The reply is whole."""
        self._done = True
        self._tell(End.WHOLE)
        self._release()
        if self.in_store_of:
            self._settle()
        if self._connection is not None:  # an early answer
            self._connection.reset()
            self._connection = None
        self.client.finished(keep_alive=self.keep_alive)

    def _die(self, reason: str) -> None:
        """The client has part of a reply that cannot be completed."""
        self._done = True
        self.record.reason = reason
        self._tell(End.CUT)
        self._abandon()
        self.client.reset()

    def _abandon(self) -> None:
        """Whatever the store was sent of this request stays incomplete there."""
        self._release()
        self._waiting = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.reset()

    def _release(self) -> None:
        """Give back what this exchange holds of the memory budget."""
        if self._upload is not None:
            self._upload.release()
        if self._sink is not None:
            self._sink.release()

    def client_lost(self) -> None:
        self._done = True
        self._tell(End.LEFT)
        self._abandon()

    def _settle(self) -> None:
        """The store has answered what could not be called back."""
        if self._authorized is not None:
            for seq in self.in_store_of:
                self._engine.board.settled(seq, named(self._authorized))

"""The ways a reply reaches the client: relayed, rebuilt, trickled, or put together from several.

A sink takes the store's reply head, blocks and end, and answers through its exchange. Which bytes of a head or a
document may pass is decided in `respond`.
"""

from typing import Final

from gateway.authorize import Authorized
from gateway.post_form import AdmittedForm
from gateway.respond import ReplyAction, ReplyPlan, form_reply, list_buckets_reply, plan_reply, rebuild
from gateway.s3.errors import Code, S3Error
from gateway.s3.listing import ListedBucket, read_buckets
from gateway.source import UNIX
from gateway.store_errors import store_code
from gateway.telemetry.request_record import code_of
from gateway.wire.engine import Engine
from gateway.wire.heads import ParsedReply
from gateway.wire.roles import Answering, Sink
from keystore.errors import NotKnownYet

SMALL_WRITE: Final = 16384  # up to here a head and its first block are joined: one copy is cheaper than two writes
MAX_LISTING_PAGES: Final = 1000  # of the store's ListBuckets; a store that pages for ever is nonsense
XML_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
CLOSE: Final = b"connection: close\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
NEEDS_HTTP_1_1: Final = "over a Unix socket a reply of unknown length needs HTTP/1.1"
LAST_CHUNK: Final = b"0\r\n\r\n"


def choose_sink(
    engine: Engine, exchange: Answering, authorized: Authorized, reply: ParsedReply, planned: ReplyPlan
) -> Sink:
    """How this reply must travel. Copy and Complete trickle only where the store does not declare a length."""
    if planned.action is ReplyAction.RELAY:
        return Relay(exchange, planned)
    open_ended = type(reply.body) is not int and exchange.parsed.head.http_minor == 1
    if planned.action is ReplyAction.TRICKLE and open_ended:
        return Trickle(engine, exchange, authorized)
    return Rebuild(engine, exchange, authorized)


def declared(reply: ParsedReply, *, keep_alive: bool) -> bytes:
    """The last lines of a relayed head whose body has a known length."""
    close = b"" if keep_alive else CLOSE
    if reply.length is None or reply.head.status == 204:
        return close + b"\r\n"
    return b"content-length: %d\r\n%b\r\n" % (reply.length, close)


def _chunk(block: bytes | memoryview) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), bytes(block)) if len(block) else b""


class Relay:
    """The body passes as it comes. The head waits for the first block, so that small replies are one write."""

    __slots__ = ("_chunked", "_exchange", "_out", "_planned", "_record", "_writer", "started")

    def __init__(self, exchange: Answering, planned: ReplyPlan) -> None:
        self._exchange = exchange
        self._planned = planned
        self._writer = exchange.client
        self._record = exchange.record
        self._chunked = False
        self._out = b""
        self.started = False

    def begin(self, reply: ParsedReply) -> None:
        self._out = self._planned.head + self._framing(reply)
        self.started = True

    def _framing(self, reply: ParsedReply) -> bytes:
        """The header lines that say how the relayed body ends, and the empty line."""
        exchange = self._exchange
        if type(reply.body) is int:
            return declared(reply, keep_alive=exchange.keep_alive)
        if exchange.parsed.head.http_minor == 0:
            if self._writer.peer == UNIX:  # unix(7) knows no reset: cut short, it would pass for whole
                raise S3Error(Code.BAD_REQUEST, NEEDS_HTTP_1_1, message=NEEDS_HTTP_1_1)
            exchange.keep_alive = False
            return CLOSE + b"\r\n"
        self._chunked = True
        return CHUNKED + (b"" if exchange.keep_alive else CLOSE) + b"\r\n"

    def block(self, block: bytes | memoryview) -> None:
        self._record.sent += len(block)
        if self._chunked:
            block = _chunk(block)
        out = self._out
        if not out:
            self._writer.write_block(block)
            return
        self._out = b""
        if len(block) <= SMALL_WRITE:
            self._writer.write(out + block)
        else:
            self._writer.write_block(block, out)

    def flush(self) -> None:
        if self._out:
            out, self._out = self._out, b""
            self._writer.write(out)

    def end(self) -> None:
        if self._chunked:
            self._out += LAST_CHUNK
        self.flush()
        self._exchange.finish()

    def release(self) -> None:
        pass


class Collecting:
    """Gathers a reply's body up to `[limits] reply_document`, within the budget of memory."""

    __slots__ = ("_authorized", "_body", "_engine", "_exchange", "_reply", "_reserved", "started")

    def __init__(self, engine: Engine, exchange: Answering, authorized: Authorized) -> None:
        self._engine = engine
        self._exchange = exchange
        self._authorized = authorized
        self._reply: ParsedReply | None = None
        self._body = bytearray()
        self._reserved = 0
        self.started = False

    def begin(self, reply: ParsedReply) -> None:
        self._reply = reply
        self._body = bytearray()
        self._give_back()

    def block(self, block: bytes | memoryview) -> None:
        if len(self._body) + len(block) > self._engine.limits.reply_document:
            self._exchange.upstream_nonsense("a reply document over its limit")
            return
        self._engine.memory.take(len(block))
        self._reserved += len(block)
        self._body += block

    def release(self) -> None:
        self._give_back()

    def _give_back(self) -> None:
        reserved, self._reserved = self._reserved, 0
        if reserved:
            self._engine.memory.give_back(reserved)

    def flush(self) -> None:
        pass

    def _rebuilt(self) -> tuple[bytes, bytes]:
        assert self._reply is not None
        return rebuild(
            self._reply.head,
            bytes(self._body),
            self._authorized,
            self._exchange.request_id,
            self._engine.reply_rules_of(self._authorized),
        )


class Rebuild(Collecting):
    """Errors, and small documents that name the store: collected, then written anew."""

    __slots__ = ()

    def end(self) -> None:
        assert self._reply is not None
        status = self._reply.head.status
        if status >= 400 or 300 <= status < 304:
            told = f"the store answered {status} {store_code(bytes(self._body))} to {self._authorized.operation.name}"
            self._engine.request_log.say(self._exchange.request_id, told)
        head, document = self._rebuilt()
        owed, self._reserved = self._reserved, 0
        self._exchange.answer(head, document)
        self._exchange.client.owe(owed)


class FormAnswer(Rebuild):
    """An upload form: what the store says to its file becomes the answer the form asks for."""

    __slots__ = ("_success",)

    def __init__(self, engine: Engine, exchange: Answering, admitted: AdmittedForm) -> None:
        super().__init__(engine, exchange, admitted.authorized)
        self._success = admitted.success

    def end(self) -> None:
        assert self._reply is not None
        head = self._reply.head
        if head.status != 200:
            super().end()
            return
        exchange, rules = self._exchange, self._engine.reply_rules
        exchange.answer(*form_reply(head, self._authorized, self._success, exchange.request_id, rules))


class Trickle(Collecting):
    """Copy and Complete: the store sends white space for minutes before the result. The head and the white space go
    on at once, the document is rebuilt at its end."""

    __slots__ = ()

    def begin(self, reply: ParsedReply) -> None:
        super().begin(reply)
        exchange = self._exchange
        planned = plan_reply(reply.head, self._authorized, exchange.request_id, self._engine.reply_rules)
        close = b"" if exchange.keep_alive else CLOSE
        self.started = True
        exchange.record.sent += len(XML_DECLARATION)
        exchange.client.write(planned.head + CHUNKED + close + b"\r\n" + _chunk(XML_DECLARATION))

    def block(self, block: bytes | memoryview) -> None:
        if _begun(self._body) or _begun(self._body + block):
            super().block(block)
            return
        if bytes(block).strip():  # the declaration: the root is still to come
            super().block(block)
        self._exchange.record.sent += 1
        self._exchange.client.write(_chunk(b" "))

    def end(self) -> None:
        head, document = self._rebuilt()
        rest = document.removeprefix(XML_DECLARATION)
        record = self._exchange.record
        record.sent += len(rest)
        record.code = code_of(head, rest) if rest.startswith(b"<Error") else ""
        self._exchange.client.write(_chunk(rest) + LAST_CHUNK)
        self._exchange.finish()


class Listing(Collecting):
    """ListBuckets: every page of the store's answer, filtered, then paged for the client."""

    __slots__ = ("_found", "_pages")

    def __init__(self, engine: Engine, exchange: Answering, authorized: Authorized) -> None:
        super().__init__(engine, exchange, authorized)
        self._found: list[ListedBucket] = []
        self._pages = 0

    def end(self) -> None:
        assert self._reply is not None
        if self._reply.head.status != 200:
            self._exchange.answer(*self._rebuilt())
            return
        buckets, token = read_buckets(bytes(self._body))
        try:
            self._take(buckets, token)
        except NotKnownYet as unknown:
            self._exchange.later(unknown, lambda: self._take_again(buckets, token))

    def _take_again(self, buckets: list[ListedBucket], token: str | None) -> None:
        self._engine.admit_again(self._authorized)
        self._take(buckets, token)

    def _take(self, buckets: list[ListedBucket], token: str | None) -> None:
        self._found += self._engine.reachable(self._authorized, buckets)
        self._pages += 1
        if token and self._pages >= MAX_LISTING_PAGES:
            raise S3Error(Code.INTERNAL_ERROR, "the store's list of buckets does not end")
        if token:
            self._exchange.ask_more(self._engine.upstream.plan_list_buckets(self._authorized, token))
        else:
            self._exchange.answer(
                *list_buckets_reply(self._authorized, self._found, self._exchange.request_id, self._engine.reply_rules)
            )


def _begun(document: bytearray) -> bool:
    """Whether the root has come; stores send the declaration at once, and white space until they know more."""
    text = bytes(document[:SMALL_WRITE]).strip()
    return bool(text.partition(b"?>")[2].strip() if text.startswith(b"<?xml") else text)

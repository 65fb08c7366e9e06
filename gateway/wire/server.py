"""One client connection: heads in, replies out, one exchange at a time. It decides nothing about S3.

A head is dispatched when its last byte has been read and the reply before it is written, pipelined heads too. Body
bytes are held back (and the socket paused) until the exchange pulls them, so a refused client never uploads.
"""

import asyncio
from enum import Enum
from typing import Final, cast

from gateway.s3.errors import Code, S3Error
from gateway.wire.buffers import BlockWriter
from gateway.wire.engine import LOG, Engine
from gateway.wire.exchange import Exchange
from gateway.wire.heads import ChunkedBody, ParsedRequest, parse_request_head
from gateway.wire.peers import peer_address
from gateway.wire.turn import SMALL_READ
from gateway.wire.upstream import reset, tune, unacknowledged

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
MAX_EMPTY: Final = 4  # bytes of CRLF before a request line


class _State(Enum):
    HEAD = 0  # waiting for a head, or in the middle of one
    HELD = 1  # a body is announced, the exchange has not pulled it yet
    BODY = 2  # body bytes go to the exchange
    ANSWERING = 3  # nothing more to read for this request; what comes is pipelined
    LINGER = 4  # the reply is out, the rest of a refused body is thrown away before closing
    CLOSED = 5


# Bound once: looking a member up in its class costs 0.08 µs each time, and a request does it ten times.
_HEAD, _HELD, _BODY, _ANSWERING = _State.HEAD, _State.HELD, _State.BODY, _State.ANSWERING


class ClientConnection:  # an asyncio.BufferedProtocol by its methods: of that base it would be no compiled class
    """`since`: the engine's clock when the present wait began; which limit applies follows from the state."""

    __slots__ = (
        "_chunked",
        "_empty",
        "_engine",
        "_eof",
        "_expects_continue",
        "_left",
        "_owed",
        "_pending",
        "_reading",
        "_searched",
        "_state",
        "_unsent",
        "_waits",
        "_writer",
        "exchange",
        "paused",
        "peer",
        "since",
        "transport",
    )

    _writer: BlockWriter  # once there is a transport

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._state = _State.HEAD
        self._pending = b""
        self._left = 0
        self._chunked: ChunkedBody | None = None
        self.exchange: Exchange | None = None
        self._expects_continue = False
        self._reading = True
        self._eof = False
        self._searched = 0
        self._empty = self._owed = self._unsent = 0
        self._waits = False
        self.paused = False
        self.peer = ""
        self.since = engine.clock
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    # ---- the connection ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._writer = BlockWriter(self.transport, self._engine.buffers, secure=tune(self.transport))
        self.peer = peer_address(transport)
        if not self._engine.adopt(self):
            busy = S3Error(Code.SLOW_DOWN, "too many client connections", retry_after=1)
            self.write(self._engine.early_error(busy, self.peer))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = _State.CLOSED
        self._writer.lost()
        self._pay_back()
        self._engine.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_lost()

    def eof_received(self) -> bool:
        """The client will send no more. What it asked is still answered; a body cut short is an error."""
        self._eof = True
        if self._waits:
            self.take_turn()
        match self._state:
            case _State.ANSWERING:
                return True
            case _State.HEAD if self._pending and (self._waits or self.paused):
                return True
            case _State.HELD | _State.BODY if self.exchange is not None:
                self.exchange.body_broken(S3Error(Code.INCOMPLETE_BODY, "the client closed before the body's end"))
                return True
            case _:
                return False

    def close(self) -> None:
        """Close once everything written is sent."""
        self._state = _State.CLOSED
        self.since = self._engine.clock
        self.transport.close()

    def reset(self) -> None:
        """The reply cannot be completed: the client must not take what it has for whole."""
        self._state = _State.CLOSED
        exchange, self.exchange = self.exchange, None
        reset(self.transport)
        if exchange is not None:
            exchange.client_lost()

    @property
    def idle(self) -> bool:
        """Between requests, nothing begun: may be closed by a drain."""
        return self._state is _State.HEAD and not self._pending

    # ---- reading ----

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._into()

    def buffer_updated(self, nbytes: int) -> None:
        block, state = self._into()[:nbytes], self._state
        if state is _BODY:
            self.since = self._engine.clock
            self._take_body(block)
        elif state is _State.LINGER:
            self._left -= nbytes
            if self._left < 0:
                self.pause_reading()
        elif state is not _State.CLOSED:
            if state is _HEAD and not self._pending:
                self.since = self._engine.clock
            self._pending += block
            if len(self._pending) > self._engine.read_ahead:
                self.pause_reading()
            if state is _HEAD:
                self.take_turn() if nbytes >= SMALL_READ else self._wait_for_turn()

    def _into(self) -> memoryview:
        """Where a read goes. Nothing happens between the question before it and the one after."""
        state, buffers = self._state, self._engine.buffers
        if state is _BODY and self.exchange is not None:
            return self.exchange.body_room(buffers.view)
        return buffers.head if state is _HEAD else buffers.view

    def _wait_for_turn(self) -> None:
        if not self._waits:
            self._waits = True
            self._engine.turn.put(self)

    def take_turn(self) -> None:
        """Serve the next head, if it is here. One in a turn: heads may be many, pipelined and refused."""
        self._waits = False
        if self._state is _HEAD and self._pending and not self.paused:
            self._take_head()
            if self._eof and self._state is _HEAD and not self._waits:
                self.close()  # the rest of a head will not come

    def give_up(self) -> None:
        self.reset()

    def pause_reading(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.since = self._engine.clock
            self.transport.resume_reading()

    def _take_head(self) -> None:
        data = self._pending
        if data[0] in b"\r\n":
            data = self._without_empty_lines(data)
        limits = self._engine.limits
        end = data.find(b"\r\n\r\n", self._searched) + 4
        if not 4 <= end <= limits.head_bytes:
            self._searched = max(0, len(data) - 3)
            if len(data) > limits.head_bytes:
                self._refuse_head(S3Error(Code.REQUEST_HEADER_SECTION_TOO_LARGE, "the head is too large"))
            return
        self._searched = self._empty = 0
        rest = self._pending = data[end:]
        if not self._reading and len(rest) <= self._engine.read_ahead:
            self.resume_reading()
        try:
            parsed = parse_request_head(data[:end], limits.head_count)
        except S3Error as error:
            self._refuse_head(error)
            return
        except Exception:
            LOG.exception("reading a head failed")
            self._refuse_head(S3Error(Code.INTERNAL_ERROR, "a bug: the trace stands in the log"))
            return
        if parsed.body:
            self._announce(parsed, parsed.body)
        else:
            self._state = _ANSWERING
        exchange = self.exchange = Exchange(self._engine, self, parsed)
        exchange.begin()

    def _without_empty_lines(self, data: bytes) -> bytes:
        """RFC 9112, 2.2: a server ignores an empty line before the request line. One or two, not as a way to stay."""
        rest = self._pending = data.lstrip(b"\r\n")
        self._empty += len(data) - len(rest)
        if self._empty > MAX_EMPTY:
            self._refuse_head(S3Error(Code.BAD_REQUEST, "empty lines instead of a request"))
            return b""
        return rest

    def _announce(self, parsed: ParsedRequest, body: int | ChunkedBody) -> None:
        self._state = _HELD
        if isinstance(body, int):
            self._left, self._chunked = body, None
        else:
            self._left, self._chunked = -1, body
        self._expects_continue = parsed.head.http_minor == 1 and b"expect" in parsed.head.headers

    def _refuse_head(self, error: S3Error) -> None:
        self._state = _State.ANSWERING
        self.write(self._engine.early_error(error, self.peer))
        self._linger()

    # ---- the request's body ----

    def pull_body(self) -> None:
        """The exchange is ready for body bytes. Only now may the client be told to continue."""
        self._state = _State.BODY
        self.since = self._engine.clock
        self.resume_reading()
        pending = self._pending
        if pending:
            self._pending = b""
            self._take_body(pending)
        elif self._expects_continue:
            self._expects_continue = False
            self.write(CONTINUE)

    def _take_body(self, block: bytes | memoryview) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self._chunked is not None:
            self._take_chunked(exchange, self._chunked, block)
            return
        size = len(block)
        if size < self._left:
            self._left -= size
            exchange.body_block(block, final=False)
            return
        if size > self._left:
            self._pending = bytes(block[self._left :])
            block = block[: self._left]
        self._left = 0
        self._state = _State.ANSWERING
        exchange.body_block(block, final=True)

    def _take_chunked(self, exchange: Exchange, chunked: ChunkedBody, block: bytes | memoryview) -> None:
        try:
            decoded = b"".join(chunked.feed(block))
        except ValueError as error:
            exchange.body_broken(S3Error(Code.INCOMPLETE_BODY, str(error), message=f"The body is not valid: {error}."))
            return
        if chunked.complete:
            self._state = _State.ANSWERING
        exchange.body_block(decoded, final=chunked.complete)

    # ---- the reply ----

    def write(self, message: bytes) -> None:
        self.transport.write(message)

    def write_block(self, block: bytes | memoryview, before: bytes = b"") -> None:
        self._writer.write(block, before)

    def owe(self, size: int) -> None:
        """`size` bytes of the memory budget stand for what was just written: given back when it is sent."""
        self._owed += size
        if not self.transport.get_write_buffer_size():
            self._pay_back()

    def _pay_back(self) -> None:
        if self._owed:
            self._engine.memory.give_back(self._owed)
            self._owed = 0

    def pause_writing(self) -> None:
        self.paused = True
        if self.exchange is not None:
            self.exchange.client_paused()
        else:
            self.pause_reading()

    def resume_writing(self) -> None:
        self.paused = False
        self.since = self._engine.clock
        self._writer.all_sent()
        self._pay_back()
        if self.exchange is not None:
            self.exchange.client_resumed()
        elif self._state is _State.HEAD:
            self.resume_reading()
            self._wait_for_turn()

    @property
    def body_unread(self) -> bool:
        return self._state is _HELD or self._state is _BODY

    def finished(self, *, keep_alive: bool) -> None:
        """The reply is written. Next head, or close; a body that was refused unread is thrown away for a moment."""
        self.exchange = None
        if self._state is not _ANSWERING:
            if self.body_unread:
                self._linger()
        elif not keep_alive or self._engine.draining or (self._eof and not self._pending):
            self.close()
        else:
            self._state = _HEAD
            self.since = self._engine.clock
            if self.paused:
                self.pause_reading()
            elif self._pending:
                self._wait_for_turn()
            elif not self._reading:
                self.resume_reading()

    def _linger(self) -> None:
        """Closing with unread bytes would reset the connection and could destroy the reply before it is read, so they
        are read for a moment. Of a body longer than `linger_bytes` nothing is: it would not end in time."""
        bound = self._engine.limits.linger_bytes
        endless = self.body_unread and self._chunked is None and self._left > bound
        self._state = _State.LINGER
        self._pending = b""
        self.since = self._engine.clock
        self._left = bound
        if endless:
            self.pause_reading()
        else:
            self.resume_reading()

    # ---- time ----

    def check(self, now: float) -> None:
        """Once a second: has the present wait lasted too long?"""
        if self.paused:
            self._note_progress(now)
        waited = now - self.since
        limits = self._engine.limits
        match self._state:
            case _State.HEAD if self.paused:
                if waited > limits.body_idle_timeout:
                    self.reset()
            case _State.HEAD if self._pending:
                if waited > limits.head_timeout:
                    self._refuse_head(S3Error(Code.REQUEST_TIMEOUT, "the head took too long"))
            case _State.HEAD:
                if waited > limits.keep_alive_timeout:
                    self.close()
            case _State.LINGER:
                if waited > limits.linger_timeout:
                    self.close()
            case _State.CLOSED:
                if waited > limits.body_idle_timeout:
                    self.transport.abort()
            case _ if self.exchange is not None:
                self.exchange.check(now, client_waits=self._state is _State.BODY and self._reading)
            case _:
                pass

    def _note_progress(self, now: float) -> None:
        """A slow reader is not a silent one: the transport resumes only when all is sent, so ask what is left."""
        unsent = self.transport.get_write_buffer_size() + unacknowledged(self.transport)
        if unsent < self._unsent:
            self.since = now
            if self.exchange is not None:
                self.exchange.progress(now)
        self._unsent = unsent

"""One connection to the store: sends what it is given, reads replies, knows nothing of S3.

Idle, it belongs to the pool; in use, to one exchange, which it tells: `reply_whole` of a reply that was read at once,
else `reply_head`, `reply_block`, `reply_end`; `upstream_lost`, `upstream_paused`, `upstream_resumed`.
"""

import asyncio
from enum import Enum
from typing import Final, Protocol, cast

from gateway.wire.buffers import BlockWriter, ReadBuffers
from gateway.wire.heads import ChunkedBody, ParsedReply, UpstreamNonsense, parse_reply_head
from gateway.wire.limits import Limits
from gateway.wire.sockets import reset, tune
from gateway.wire.turn import SMALL_READ, Turn

# Of a large read, where its head must end; the rest of the reads are small or begin with an interim reply.
LARGE_HEAD: Final = 4096
MAX_INTERIM: Final = 16  # before one reply: stores send one or two (100, 103), and a flood of them would never time out


class UpstreamUser(Protocol):
    """What a connection and the pool tell the exchange they work for."""

    @property
    def wants_upstream(self) -> bool: ...
    @property
    def request_sent(self) -> bool: ...
    def connected(self, connection: "UpstreamConnection") -> bool: ...
    def connect_failed(self, reason: str, *, busy: bool = False) -> None: ...
    def reply_whole(self, reply: ParsedReply, body: bytes) -> None: ...
    def reply_head(self, reply: ParsedReply) -> None: ...
    def reply_block(self, block: bytes | memoryview) -> None: ...
    def reply_end(self) -> None: ...
    def flush(self) -> None: ...
    def upstream_lost(self, reason: str) -> None: ...
    def upstream_nonsense(self, reason: str) -> None: ...
    def upstream_paused(self) -> None: ...
    def upstream_resumed(self) -> None: ...


class ConnectionOwner(Protocol):
    """Where a connection goes when its reply is whole, and who must know that it is gone, or what the store failed in.
    `host`: how the store is called there, where it is called differently elsewhere; else b""."""

    host: bytes

    def release(self, connection: "UpstreamConnection") -> None: ...
    def lost(self, connection: "UpstreamConnection") -> None: ...
    def failed(self, reason: str) -> None: ...


class _Reading(Enum):
    IDLE = 0
    HEAD = 1
    LENGTH = 2
    CHUNKED = 3
    UNTIL_CLOSE = 4
    CLOSED = 5


# Bound once: looking a member up in its class costs 0.08 µs each time.
_IDLE, _HEAD, _LENGTH = _Reading.IDLE, _Reading.HEAD, _Reading.LENGTH
_CHUNKED, _UNTIL_CLOSE = _Reading.CHUNKED, _Reading.UNTIL_CLOSE


class UpstreamConnection:  # an asyncio.BufferedProtocol by its methods: see `server.ClientConnection`
    """`reused`: it has served before, so the store may close it any moment. `untouched`: no byte of this reply yet.
    `status`: of the last reply, until its owner has judged it."""

    __slots__ = (
        "_buffers",
        "_chunked",
        "_exchange",
        "_flowing",
        "_interim",
        "_keep_alive",
        "_left",
        "_limits",
        "_pending",
        "_reading",
        "_searched",
        "_to_head",
        "_turn",
        "_waits",
        "_writer",
        "host",
        "idle_since",
        "owner",
        "paused",
        "reused",
        "status",
        "transport",
        "untouched",
    )

    _writer: BlockWriter  # once there is a transport

    def __init__(self, owner: ConnectionOwner, buffers: ReadBuffers, turn: Turn, limits: Limits) -> None:
        self.owner = owner
        self.host = owner.host
        self._buffers = buffers
        self._turn = turn
        self._limits = limits
        self._reading = _IDLE
        self._pending = b""
        self._left = self._searched = 0
        self._chunked: ChunkedBody | None = None
        self._exchange: UpstreamUser | None = None
        self._flowing = True
        self._to_head = self._keep_alive = self._waits = False
        self._searched = self._interim = 0
        self.idle_since = 0.0
        self.status = 0
        self.paused = self.reused = False
        self.untouched = True
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._writer = BlockWriter(self.transport, self._buffers, secure=tune(self.transport))

    def usable(self) -> bool:
        """Idle, and open as far as we know."""
        return self._reading is _IDLE and not self.transport.is_closing()

    # ---- towards the store ----

    def send(self, exchange: UpstreamUser, message: bytes, to_head: bool, body: memoryview | None = None) -> None:
        """Begin one request: `message` is its head, with the body behind it where the body is already verified.

        `body`: the body, where it is a part of one of the body buffers. `to_head`: the method is HEAD, so no body
        follows the reply's head.
        """
        self._exchange = exchange
        self._to_head = to_head
        self._reading = _HEAD
        self._interim = 0
        self.untouched = True
        if body is None:
            self.transport.write(message)
        else:
            self._writer.write_body(message, body)

    def send_block(self, block: bytes | memoryview) -> None:
        """One verified block of body. A memoryview must be a part of the shared read buffer."""
        self._writer.write(block)

    def pause_writing(self) -> None:
        self.paused = True
        if self._exchange is not None:
            self._exchange.upstream_paused()

    def resume_writing(self) -> None:
        self.paused = False
        self._writer.all_sent()
        if self._exchange is not None:
            self._exchange.upstream_resumed()

    def pause_reading(self) -> None:
        if self._flowing and not self.transport.is_closing():
            self._flowing = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._flowing and not self.transport.is_closing():
            self._flowing = True
            self.transport.resume_reading()

    def reset(self) -> None:
        """Give the connection up, and with it whatever request was under way."""
        self._exchange = None
        self._reading = _Reading.CLOSED
        reset(self.transport)

    # ---- from the store ----

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffers.view

    def buffer_updated(self, nbytes: int) -> None:
        self.untouched = False
        if self._reading is not _HEAD:
            self._take(self._buffers.view[:nbytes])
        elif nbytes > SMALL_READ and not self._pending:
            self._take_large(self._buffers.view[:nbytes])
        else:
            self._pending += self._buffers.view[:nbytes]
            if nbytes > SMALL_READ:
                self.take_turn()
            elif not self._waits:
                self._waits = True
                self._turn.put(self)

    def _take_large(self, block: memoryview) -> None:
        """A large read that begins with a head: only that is copied."""
        begun = bytes(block[:LARGE_HEAD])
        end = begun.find(b"\r\n\r\n") + 4
        try:
            reply = parse_reply_head(begun[:end], to_head=self._to_head) if end >= 4 else None
            if reply is None or reply.head.status < 200:
                self._pending = bytes(block)
                self._take_head()
            else:
                self._begin_reply(reply, block[end:])
        except UpstreamNonsense as error:
            self._give_up(str(error))

    def take_turn(self) -> None:
        self._waits = False
        if self._reading is _HEAD:
            try:
                self._take_head()
            except UpstreamNonsense as error:
                self._give_up(str(error))

    def _take(self, block: bytes | memoryview) -> None:
        reading = self._reading
        try:
            if reading is _LENGTH:
                self._take_length(block)
            elif reading is _CHUNKED:
                self._take_chunked(block)
            elif reading is _UNTIL_CLOSE and self._exchange is not None:
                self._exchange.reply_block(block)
            else:
                self.reset()  # bytes nobody asked for: the next reply on it could not be trusted
        except UpstreamNonsense as error:
            self._give_up(str(error))

    def _take_head(self) -> None:
        while self._pending:
            block = self._pending
            end = block.find(b"\r\n\r\n", self._searched) + 4
            if end < 4:
                if len(block) > self._limits.head_bytes:
                    raise UpstreamNonsense("the reply's head is too large")
                self._searched = max(0, len(block) - 3)
                return
            self._searched = 0
            self._pending = b""
            reply = parse_reply_head(block[:end], to_head=self._to_head)
            rest = block[end:]
            if reply.head.status >= 200:
                self._begin_reply(reply, rest)
                return
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise UpstreamNonsense("interim replies without end")
            self._pending = rest  # behind an interim reply; we never ask for one, and pass none on

    def _begin_reply(self, reply: ParsedReply, rest: bytes | memoryview) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        self.status = reply.head.status
        # A store that sends a body behind the head of a failed HEAD would have it taken for the next reply.
        self._keep_alive = reply.keep_alive and not (self._to_head and reply.head.status >= 400 and reply.length)
        body = reply.body
        if type(body) is int:
            if type(rest) is bytes and len(rest) == body and self._may_serve_again(exchange):
                self._exchange = None
                self._serve_again()
                exchange.reply_whole(reply, rest)
                return
            self._left = body
            self._reading = _LENGTH
        elif type(body) is ChunkedBody:
            self._chunked = body
            self._reading = _CHUNKED
        else:
            self._reading = _UNTIL_CLOSE
        exchange.reply_head(reply)
        if exchange is self._exchange:
            self._take_rest(rest)
        if exchange is self._exchange:
            exchange.flush()

    def _take_rest(self, rest: bytes | memoryview) -> None:
        if self._reading is _LENGTH:
            self._take_length(rest)
        elif len(rest) and self._reading is _CHUNKED:
            self._take_chunked(rest)
        elif len(rest) and self._exchange is not None:
            self._exchange.reply_block(rest)

    @property
    def reply_left(self) -> int:
        return self._left if self._reading is _LENGTH else -1

    def _take_length(self, block: bytes | memoryview) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        size = len(block)
        if size < self._left:
            self._left -= size
            if size:
                exchange.reply_block(block)
            return
        if size > self._left:  # bytes nobody asked for: this reply is whole, the connection serves no other
            self._keep_alive = False
            block = block[: self._left]
        self._left = 0
        if len(block):
            exchange.reply_block(block)
        self._end()

    def _take_chunked(self, block: bytes | memoryview) -> None:
        chunked, exchange = self._chunked, self._exchange
        assert chunked is not None
        try:
            blocks = chunked.feed(block)
        except ValueError as error:
            raise UpstreamNonsense(str(error)) from None
        if blocks and exchange is not None:
            exchange.reply_block(blocks[0] if len(blocks) == 1 else b"".join(blocks))
        if chunked.complete:
            self._end()

    def _end(self) -> None:
        """The reply is whole: back to the pool, or closed, before the exchange hears of it."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self._may_serve_again(exchange):
            self._serve_again()
        else:
            self._reading = _Reading.CLOSED
            self.transport.abort()
        exchange.reply_end()

    def _may_serve_again(self, exchange: UpstreamUser) -> bool:
        return self._keep_alive and exchange.request_sent and not self.paused and not self.transport.is_closing()

    def _serve_again(self) -> None:
        self._reading = _IDLE
        self._chunked = None
        self.reused = True
        if not self._flowing:
            self.resume_reading()
        self.owner.release(self)

    def eof_received(self) -> None:
        return None  # the transport closes itself; connection_lost decides what it means

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waits:
            self.take_turn()
        reading, self._reading = self._reading, _Reading.CLOSED
        self._writer.lost()
        self.owner.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if reading is _UNTIL_CLOSE and exc is None:
            exchange.reply_end()
            return
        if not (self.reused and self.untouched):  # else it had grown stale, as idle connections do
            self.owner.failed("it closed the connection in the middle")
        exchange.upstream_lost("the store closed the connection")

    def give_up(self) -> None:
        self._give_up("a bug: the trace stands in the log")

    def _give_up(self, reason: str) -> None:
        exchange = self._exchange
        self.reset()
        if exchange is not None:
            self.owner.failed(f"it answered nonsense: {reason}")
            exchange.upstream_nonsense(reason)

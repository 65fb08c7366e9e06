"""An upload that is too large to wait: it leaves block by block, and stays short until everything held.

The store learns the length first; without the last block it cannot commit. Of signed chunks nothing leaves before
their signature held; they wait in a spool.
"""

from typing import Final

from gateway.forward import SentBody
from gateway.payload.mode import PayloadMode
from gateway.payload.reader import PayloadReader
from gateway.payload.reframe import Reframer, reframed_length
from gateway.spool import Spool
from gateway.wire.engine import Engine
from gateway.wire.roles import Outlet, Uploading

PIECE: Final = 262144  # bytes read from a spool and sent at once: as large as a read from a socket
_SDK_ALGORITHM: Final = frozenset({b"x-amz-sdk-checksum-algorithm"})


class Streamed:
    """`length`: bytes of payload, more than none."""

    __slots__ = (
        "_complete",
        "_engine",
        "_exchange",
        "_left",
        "_length",
        "_outlet",
        "_reader",
        "_reframer",
        "_spool",
        "_trailer_value",
        "_withheld",
        "sent",
    )

    def __init__(self, engine: Engine, exchange: Uploading, reader: PayloadReader, length: int) -> None:
        self._engine = engine
        self._exchange = exchange
        self._reader = reader
        self._length = length
        self._spool = Spool(engine.spool_room, engine.limits.spool_memory) if reader.signed else None
        self._reframer: Reframer | None = None
        self._outlet: Outlet | None = None
        self._withheld = b""
        self._trailer_value = b""
        self._complete = False  # everything came and held
        self._left = length  # of a spooled one, bytes that have not left
        self.sent = False

    def begin(self) -> None:
        body = SentBody(self._length)
        trailer = self._reader.trailer
        if trailer is not None and self._engine.upstream.target.trailers:
            self._reframer = Reframer(self._length, trailer)
            body = _reframed(self._length, trailer)
        elif trailer is not None:
            told = f"{trailer.decode()} is verified here and not passed on"
            self._engine.request_log.say(self._exchange.request_id, told)
            body = SentBody(self._length, without=_SDK_ALGORITHM)
        self._exchange.ask(self._engine.upstream.plan(self._exchange.authorized, body))

    def connected(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._exchange.client.pull_body()
        if self._outlet is not None and outlet.paused:
            self._exchange.client.pause_reading()

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        """Release point: every block; the last one behind the commit gate."""
        pieces = self._reader.feed(block)
        if self._spool is not None:
            for piece in pieces:
                self._spool.append(piece)
            if final:
                self._finish()
            self._send_verified(self._spool)
            return
        out = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if final:
            self._finish()
            self._exchange.pass_gate()
            self.sent = True
            self._send(self._withheld + bytes(out) if self._withheld else out)
        elif self._reader.all_decoded:
            self._withheld += bytes(out)
        elif out:
            self._send(out)

    def resumed(self) -> None:
        if self._spool is not None:
            self._send_verified(self._spool)
        if not self.sent and self._outlet is not None and not self._outlet.paused:
            self._exchange.client.resume_reading()

    def release(self) -> None:
        self._outlet = None
        self._withheld = b""
        if self._spool is not None:
            self._spool.close()

    def _finish(self) -> None:
        trailers = self._reader.finish()
        if self._reframer is not None and self._reader.trailer is not None:
            self._trailer_value = trailers[self._reader.trailer]
        self._complete = True

    def _send_verified(self, spool: Spool) -> None:
        """What stands under a signature that held; the end of it only when all is complete."""
        outlet = self._outlet
        while outlet is not None and not self.sent and not outlet.paused:
            ready = self._reader.verified - (self._length - self._left)
            if not ready or (ready == self._left and not self._complete):
                return
            piece = spool.read(min(ready, PIECE))
            self._left -= len(piece)
            if not self._left:
                self._exchange.pass_gate()
                self.sent = True
            self._send(piece)

    def _send(self, block: bytes | bytearray | memoryview) -> None:
        assert self._outlet is not None
        sent = bytes(block) if isinstance(block, bytearray) else block
        if self._reframer is not None:
            sent = self._reframer.frame(sent)
            if self.sent:
                sent += self._reframer.end(self._trailer_value)
        self._outlet.send_block(sent)


def _reframed(length: int, trailer: bytes) -> SentBody:
    """Without `Content-Encoding: aws-chunked`, which SeaweedFS keeps as the object's: docs/decisions/spool.md."""
    return SentBody(
        reframed_length(length, trailer),
        payload_line=PayloadMode.UNSIGNED_CHUNKS_TRAILER.value,
        headers=((b"x-amz-decoded-content-length", b"%d" % length), (b"x-amz-trailer", trailer)),
    )

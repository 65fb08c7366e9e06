"""Which key began which multipart upload, and that it is over: read off the store's replies as they pass, for whoever
revokes the key. What the client gets is what it would get anyway.
"""

import time
from typing import Final

from gateway.authorize import Authorized
from gateway.payload.reader import PayloadReader
from gateway.reply_documents import root_begins, upload_id_in
from gateway.respond import plan_reply
from gateway.wire.document import Document
from gateway.wire.engine import LOG, Engine
from gateway.wire.heads import ParsedReply
from gateway.wire.reply import choose_sink
from gateway.wire.roles import Asking, Outlet, Sink

MAX_READ: Final = 16384  # bytes of a reply: with the longest object key, escaped, a CreateMultipartUpload's has 7,000
_OK: Final = 200
_NOT_FOUND: Final = 404


class ReadAlong:
    """The reply goes to the sink that it would go to; its first bytes are kept beside that."""

    __slots__ = ("_authorized", "_engine", "_exchange", "_read", "_sink", "_status", "started")

    def __init__(self, engine: Engine, exchange: Asking, authorized: Authorized) -> None:
        self._engine = engine
        self._exchange = exchange
        self._authorized = authorized
        self._sink: Sink | None = None
        self._read = bytearray()
        self._status = 0
        self.started = False

    def begin(self, reply: ParsedReply) -> None:
        engine, exchange, authorized = self._engine, self._exchange, self._authorized
        self._status = reply.head.status
        self._read = bytearray()
        planned = plan_reply(reply.head, authorized, exchange.request_id, engine.reply_rules)
        self._sink = choose_sink(engine, exchange, authorized, reply, planned)
        self._sink.begin(reply)
        self.started = self._sink.started

    def block(self, block: bytes | memoryview) -> None:
        assert self._sink is not None
        read = self._read
        if len(read) < MAX_READ:
            read += block[: MAX_READ - len(read)]
            if not read.strip():  # white space that keeps the connection alive
                read.clear()
        self._sink.block(block)

    def flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def end(self) -> None:
        """Noted first: whoever has the answer may count on it."""
        assert self._sink is not None
        self._note()
        self._sink.end()

    def release(self) -> None:
        if self._sink is not None:
            self._sink.release()

    def _note(self) -> None:
        raise NotImplementedError


class Beginning(ReadAlong):
    """CreateMultipartUpload."""

    __slots__ = ()

    def _note(self) -> None:
        if self._status != _OK:
            return
        upload_id = upload_id_in(bytes(self._read))
        self._engine.uploads.begun(self._authorized, upload_id, time.time())
        if not upload_id:
            LOG.warning("%s the store named no upload", self._exchange.request_id.decode())


class Aborting(ReadAlong):
    """AbortMultipartUpload."""

    __slots__ = ()

    def _note(self) -> None:
        gone = 200 <= self._status < 300 or self._status == _NOT_FOUND
        if gone:
            self._engine.uploads.answered(self._authorized, ended=True)


class Completing(ReadAlong):
    """CompleteMultipartUpload, which fails within a 200, too: what is no result leaves the upload as it was."""

    __slots__ = ()

    def _note(self) -> None:
        done = self._status == _OK and root_begins(bytes(self._read), b"<CompleteMultipartUploadResult")
        self._engine.uploads.answered(self._authorized, ended=done or self._status == _NOT_FOUND)


class CompletingDocument(Document):
    """The way of a CompleteMultipartUpload and its document: that the store has it is noted before it can answer."""

    __slots__ = ("_asking",)

    def __init__(self, engine: Engine, exchange: Asking, reader: PayloadReader) -> None:
        super().__init__(engine, exchange, reader)
        self._asking = exchange
        exchange.foresee(Completing(engine, exchange, exchange.authorized))

    def connected(self, outlet: Outlet) -> None:
        self._engine.uploads.completing(self._asking.authorized, time.time())

"""A control document on its way: held in memory, verified, decided on, written anew."""

import base64
import hashlib

from gateway.authorize import Authorized, authorize_body
from gateway.forward import SentBody
from gateway.payload.reader import PayloadReader
from gateway.respond import nothing_deleted_reply
from gateway.s3.errors import Code, S3Error
from gateway.wire.engine import Engine
from gateway.wire.roles import Outlet, Uploading


class Document:
    """The way of a request whose body is a control document of at most `limits.control_body` bytes."""

    __slots__ = ("_body", "_engine", "_exchange", "_reader", "_taken", "sent")

    def __init__(self, engine: Engine, exchange: Uploading, reader: PayloadReader) -> None:
        if reader.length is not None and reader.length > engine.limits.control_body:
            raise _too_large()
        self._engine = engine
        self._exchange = exchange
        self._reader = reader
        self._body = bytearray()
        self._taken = 0
        self.sent = True

    def begin(self) -> None:
        if self._reader.length == 0:
            self._complete()
        else:
            self._exchange.pull_body()

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        for piece in self._reader.feed(block):
            if len(self._body) + len(piece) > self._engine.limits.control_body:
                raise _too_large()
            self._engine.memory.take(len(piece))  # as it comes: what is only announced costs nothing
            self._taken += len(piece)
            self._body += piece
        if final:
            self._complete()

    def _complete(self) -> None:
        self._reader.finish()
        authorized = self._exchange.pass_gate()
        document = authorize_body(authorized, bytes(self._body), self._engine.upstream.target.region)
        if authorized.refused and not document:
            self._exchange.answer(*nothing_deleted_reply(authorized, self._exchange.request_id))
            return
        sha256 = hashlib.sha256(document).hexdigest().encode()
        md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest())
        self._go(authorized, SentBody(len(document), payload_line=sha256, headers=((b"content-md5", md5),)), document)

    def _go(self, authorized: Authorized, body: SentBody, document: bytes) -> None:
        """What goes to the store, and how."""
        self._exchange.ask(self._engine.upstream.plan(authorized, body), document)

    def connected(self, outlet: Outlet) -> None:
        pass

    def resumed(self) -> None:
        pass

    def release(self) -> None:
        taken, self._taken = self._taken, 0
        if taken:
            self._engine.memory.give_back(taken)
        self._body = bytearray()


def _too_large() -> S3Error:
    return S3Error(Code.ENTITY_TOO_LARGE, "a control document over its limit")

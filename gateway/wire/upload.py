"""How a request's body travels: which of the ways below, and everything that can be refused before its first byte.

- nothing that is small leaves before all of it is verified (`Held`, `Gathered`);
- what is large leaves as it is verified, its last block behind the commit gate (`Streamed`);
- a control document is held, verified and written anew (`document.py`).
"""

from typing import Final

from gateway.authorize import Authorized
from gateway.forward import SentBody
from gateway.payload.mode import UNFRAMED
from gateway.payload.reader import PayloadReader, open_payload
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import Body
from gateway.sigv4.chunk_signing import ChunkChain
from gateway.spool import Spool
from gateway.wire.bucket import BucketDocument
from gateway.wire.document import Document
from gateway.wire.engine import Engine
from gateway.wire.gathered import Gathered
from gateway.wire.heads import ChunkedBody
from gateway.wire.multipart import CompletingDocument
from gateway.wire.roles import Asking, Outlet, Upload, Uploading
from gateway.wire.streamed import PIECE, Streamed
from gateway.wire.turn import SMALL_READ


class Held:
    """Verified whole before the store hears of it: in memory, or in the spool up to `limit` bytes."""

    __slots__ = ("_engine", "_exchange", "_limit", "_outlet", "_reader", "_spool", "sent")

    def __init__(self, engine: Engine, exchange: Uploading, reader: PayloadReader, limit: int) -> None:
        self._engine = engine
        self._exchange = exchange
        self._reader = reader
        self._limit = limit
        self._spool = Spool(engine.spool_room, engine.limits.spool_memory)
        self._outlet: Outlet | None = None
        self.sent = True  # together with the head, unless it was spooled

    def begin(self) -> None:
        if self._reader.length == 0 and not self._reader.framed:
            self._complete()
        else:
            self._exchange.pull_body()

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        for piece in self._reader.feed(block):
            if self._spool.size + len(piece) > self._limit:
                raise S3Error(Code.MISSING_CONTENT_LENGTH, "a large body without a declared length")
            self._spool.append(piece)
        if final:
            self._complete()

    def _complete(self) -> None:
        trailers = self._reader.finish()
        authorized = self._exchange.pass_gate()
        request = self._engine.upstream.plan(authorized, SentBody(self._spool.size, headers=tuple(trailers.items())))
        if self._spool.spilled:
            self.sent = False
            self._exchange.ask(request)
        else:
            self._exchange.ask(request, self._spool.take_memory())

    def connected(self, outlet: Outlet) -> None:
        if not self.sent:
            self._outlet = outlet
            self.resumed()

    def resumed(self) -> None:
        """Release point: every block; the last one behind the gate once more."""
        outlet = self._outlet
        while outlet is not None and not self.sent and not outlet.paused:
            piece = self._spool.read(PIECE)
            if not self._spool.size:
                self._exchange.pass_gate()
                self.sent = True
            outlet.send_block(piece)

    def release(self) -> None:
        self._outlet = None
        self._spool.close()


def choose_upload(engine: Engine, exchange: Asking, authorized: Authorized, body: int | ChunkedBody) -> Upload | None:
    """None when the operation takes no body. Declared values are checked here, before a body byte is read."""
    operation = authorized.operation
    payload = authorized.authenticated.payload
    if payload.mode not in UNFRAMED and operation.body is not Body.OBJECT:
        raise S3Error(
            Code.INVALID_REQUEST,
            f"{payload.mode.value.decode()} on {operation.name}",
            message=f"The payload mode {payload.mode.value.decode()} is for uploads only.",
        )
    if operation.body is Body.NONE:
        if body != 0:
            raise S3Error(Code.INVALID_REQUEST, "a body on an operation that takes none")
        return None
    content_length = body if type(body) is int else None
    if operation.body is Body.OBJECT and content_length == 0 and b"content-length" not in authorized.request.headers:
        raise S3Error(Code.MISSING_CONTENT_LENGTH, "an upload without a length")
    reader = open_payload(
        authorized.request,
        payload,
        content_length,
        _chunk_chain(authorized),
        checksum_in_headers=operation.checksum_in_headers,
        signed_chunk=engine.limits.signed_chunk,
    )
    if operation.body is Body.CONTROL:
        if operation.name == "CreateBucket":
            return BucketDocument(engine, exchange, reader)
        if operation.name == "CompleteMultipartUpload":
            return CompletingDocument(engine, exchange, reader)
        return Document(engine, exchange, reader)
    return hold_or_stream(engine, exchange, reader, authorized)


def hold_or_stream(engine: Engine, exchange: Uploading, reader: PayloadReader, authorized: Authorized) -> Upload:
    """The upload of an object or a part."""
    limits = engine.limits
    length = reader.length
    if length is not None and length > limits.object_size:
        raise S3Error(Code.ENTITY_TOO_LARGE, "an upload over the limit of one request")
    waiting = max(limits.spool_memory, limits.spool_part if authorized.operation.name == _PART else limits.spool_file)
    if length is not None and not reader.framed and SMALL_READ < length <= engine.buffers.bodies.size:
        buffer = engine.buffers.bodies.take()
        if buffer is not None:
            return Gathered(engine, exchange, reader, length, buffer)
    if length is None or length <= limits.spool_memory or (reader.trailer is not None and length <= waiting):
        return Held(engine, exchange, reader, waiting)
    return Streamed(engine, exchange, reader, length)


_PART: Final = "UploadPart"


def _chunk_chain(authorized: Authorized) -> ChunkChain | None:
    """Where the mode signs its chunks."""
    authenticated = authorized.authenticated
    if authenticated.keyed is None:
        return None
    claim = authenticated.claim
    return ChunkChain(authenticated.keyed, claim.timestamp, claim.scope, claim.signature)

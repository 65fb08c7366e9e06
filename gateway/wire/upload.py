"""How a request's body travels: held in memory until it is verified, or streamed with its last block withheld.

The verifier checks every declared digest; this file decides what is in memory meanwhile and gives it back.
"""

import base64
import hashlib

from gateway.authorize import Authorized, rebuild_body
from gateway.forward import UpstreamRequest
from gateway.payload.verifier import BodyVerifier, body_verifier
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import Body
from gateway.wire.engine import Engine
from gateway.wire.heads import ChunkedBody


class Upload:
    """`content_length`: bytes, None while unknown. `streams`: too large to hold. `empty`: nothing will come."""

    __slots__ = (
        "_buffer",
        "_control",
        "_engine",
        "_limit",
        "_reserved",
        "_verifier",
        "content_length",
        "empty",
        "streams",
    )

    def __init__(self, engine: Engine, verifier: BodyVerifier, content_length: int | None, *, control: bool) -> None:
        limits = engine.limits
        self._engine = engine
        self._verifier = verifier
        self._control = control
        self._limit = limits.control_body if control else limits.small_body
        self.content_length = content_length
        self.empty = content_length == 0
        self.streams = not control and content_length is not None and content_length > limits.small_body
        self._buffer = bytearray()
        self._reserved = 0
        if not self.streams and content_length is not None and content_length > self._limit:
            raise self._over_limit()

    def update(self, block: bytes | memoryview) -> None:
        self._verifier.update(block)
        if not self.streams:
            if len(self._buffer) + len(block) > self._limit:
                raise self._over_limit()
            self._engine.reserve(len(block))  # as it comes: what is only announced costs nothing
            self._reserved += len(block)
            self._buffer += block

    def _over_limit(self) -> S3Error:
        if self._control:
            return S3Error(Code.ENTITY_TOO_LARGE, "a control document over its limit")
        return S3Error(Code.MISSING_CONTENT_LENGTH, "a large body without a declared length")

    def verify(self) -> None:
        """The commit gate. Raises the S3Error of the first declared digest that does not hold."""
        self._verifier.finish()

    def collected(self, authorized: Authorized) -> tuple[UpstreamRequest, bytes | bytearray]:
        """The whole body is here: verify it, rebuild it if it is a control document, and plan the request."""
        self.verify()
        upstream = self._engine.upstream
        if not self._control:
            body, self._buffer = self._buffer, bytearray()  # kept once, with the head before it
            return upstream.plan(authorized, len(body)), body
        document = rebuild_body(authorized, bytes(self._buffer), upstream.target.region)
        sha256 = hashlib.sha256(document).hexdigest().encode()
        md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest())
        return upstream.plan(authorized, len(document), sha256, md5), document

    def release(self) -> None:
        """Give the memory back; harmless when called again."""
        reserved, self._reserved = self._reserved, 0
        if reserved:
            self._engine.give_back(reserved)
        self._buffer = bytearray()


def choose_upload(engine: Engine, authorized: Authorized, body: int | ChunkedBody) -> Upload | None:
    """None when the operation takes no body. Declared values are checked here, before a body byte is read."""
    operation = authorized.operation
    if operation.body is Body.NONE:
        if body != 0:
            raise S3Error(Code.INVALID_REQUEST, "a body on an operation that takes none")
        return None
    length = body if type(body) is int else None
    if operation.body is Body.OBJECT:
        if length == 0 and b"content-length" not in authorized.request.headers:
            raise S3Error(Code.MISSING_CONTENT_LENGTH, "an upload without a length")
        if length is not None and length > engine.limits.object_size:
            raise S3Error(Code.ENTITY_TOO_LARGE, "an upload over the limit of one request")
    authenticated = authorized.authenticated
    verifier = body_verifier(
        authenticated.request, authenticated.payload, checksum_in_headers=operation.checksum_in_headers
    )
    return Upload(engine, verifier, length, control=operation.body is Body.CONTROL)

"""Making and deleting buckets. A name is claimed for the account before the store is asked to make it, and the claim is
undone when the store refuses; it is released once the store has deleted the bucket.

Whatever stays unknown keeps the claim: a name without a bucket harms nobody, a bucket without its owner would be the
default account's. The gateway asks first whether the bucket is there: most stores answer 200 to whoever makes it again.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gateway.authorize import Authorized
from gateway.forward import SentBody
from gateway.payload.reader import PayloadReader
from gateway.pipeline import unavailable
from gateway.s3.errors import Code, S3Error
from gateway.wire.document import Document
from gateway.wire.engine import LOG, Engine
from gateway.wire.multipart import Aborting, Beginning
from gateway.wire.reply import Collecting, Listing, Rebuild
from gateway.wire.roles import Asking, Outlet, Sink
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.errors import Conflict, KeystoreError
from keystore.store import Claimed

_NOT_FOUND: Final = 404


class _Step(Enum):
    LOOK = "look"  # the store is asked whether the bucket is there
    CLAIM = "claim"  # the keystore is asked for the name
    MAKE = "make"  # the store is asked to make it
    UNDO = "undo"  # it refused; the claim is taken back
    OVER = "over"


class BucketDocument(Document):
    """The way of a CreateBucket and its document."""

    __slots__ = ("_asking", "_making")

    def __init__(self, engine: Engine, exchange: Asking, reader: PayloadReader) -> None:
        super().__init__(engine, exchange, reader)
        self._asking = exchange

    def _go(self, authorized: Authorized, body: SentBody, document: bytes) -> None:
        making = self._making = Creating(self._engine, self._asking, authorized, body, document)
        self._asking.foresee(making)
        making.look()

    def connected(self, outlet: Outlet) -> None:
        self._making.asked = True


class Creating(Collecting):
    """CreateBucket: look, claim, make. `asked`: the question of this step is with the store."""

    __slots__ = ("_asking", "_bucket", "_document", "_made", "_sent_body", "_step", "asked")

    def __init__(
        self, engine: Engine, exchange: Asking, authorized: Authorized, body: SentBody, document: bytes
    ) -> None:
        super().__init__(engine, exchange, authorized)
        self._asking = exchange
        self._bucket = authorized.request.bucket
        self._sent_body = body
        self._document = document
        self._made: Claimed | None = None
        self._step = _Step.LOOK
        self.asked = False

    def look(self) -> None:
        """S3Error BUCKET_ALREADY_EXISTS for a name that another account holds."""
        owner = self._owner()
        if owner not in (self._authorized.access_key.account, DEFAULT_ACCOUNT):
            raise S3Error(Code.BUCKET_ALREADY_EXISTS, "the name belongs to another account")
        self._asking.ask(self._engine.upstream.plan_head_bucket(self._authorized, owner))

    def _owner(self) -> str:
        return self._engine.tenure_of(self._bucket).account

    # ---- what the store says ----

    def end(self) -> None:
        assert self._reply is not None
        status = self._reply.head.status
        if self._step is _Step.LOOK:
            self._looked(status)
        elif status < 300:
            self._over()
            self._exchange.answer(*self._rebuilt())
        elif status < 500:
            self._undo()
        else:  # it may have been made all the same
            self._over()
            self._exchange.answer(*self._rebuilt())

    def _looked(self, status: int) -> None:
        account = self._authorized.access_key.account
        if status >= 500:
            self._exchange.answer(*self._rebuilt())
            return
        if status < 300 and self._owner() == account:
            raise S3Error(Code.BUCKET_ALREADY_OWNED_BY_YOU, "the bucket is there")
        if self._authorized.only_probes:
            raise S3Error(Code.ACCESS_DENIED, "CreateBucket needs a key for All Buckets with Full rights")
        if status != _NOT_FOUND:
            raise S3Error(Code.BUCKET_ALREADY_EXISTS, f"the store answers {status} to who asks for the bucket")
        if self._step is not _Step.LOOK:  # it was ended while the owner was looked up
            return
        self._step = _Step.CLAIM
        claim = self._engine.writer.claim_bucket(self._bucket, account, self._actor())
        self._engine.after(self._exchange, claim, self._claimed, self._not_claimed)

    # ---- what the keystore says ----

    def _claimed(self, made: Claimed) -> None:
        self._made = made
        if self._step is not _Step.CLAIM:  # the client went away: the store never heard of it
            self._take_back()
            return
        self._step = _Step.MAKE
        self.asked = False
        request = self._engine.upstream.plan(self._authorized, self._sent_body)
        self._exchange.ask_more(request, self._document)

    def _not_claimed(self, error: Exception) -> None:
        if isinstance(error, Conflict):
            error = S3Error(Code.BUCKET_ALREADY_EXISTS, "the name was claimed by another account meanwhile")
        elif isinstance(error, KeystoreError):
            error = unavailable(error)
        if self._step is _Step.CLAIM:
            self._exchange.failed(error)

    # ---- the claim taken back ----

    def _undo(self) -> None:
        made, self._made = self._made, None
        assert made is not None
        self._step = _Step.UNDO
        self._give_up(made)

    def _give_up(self, made: Claimed) -> None:
        undo = self._engine.writer.undo_claim(made, self._actor())
        self._engine.after(self._exchange, undo, self._undone, self._not_undone)

    def _undone(self, nothing: None) -> None:
        if self._step is _Step.UNDO:
            self._exchange.answer(*self._rebuilt())

    def _not_undone(self, error: Exception) -> None:
        """The name stays the account's: it can be made again, or assigned."""
        if not isinstance(error, Conflict):
            LOG.warning("%s the claim to a bucket was not undone: %s", self._exchange.request_id.decode(), error)
        self._undone(None)

    def _take_back(self) -> None:
        """Nobody waits for it any more."""
        made, self._made = self._made, None
        if made is not None:
            self._give_up(made)

    def _actor(self) -> str:
        return f"key:{self._authorized.access_key.access_key_id}"

    def _over(self) -> None:
        self._made = None
        self._step = _Step.OVER

    def release(self) -> None:
        super().release()
        step, self._step = self._step, _Step.OVER
        if step is _Step.MAKE and not self.asked:
            self._take_back()


class Removing(Rebuild):
    """DeleteBucket: what the store deleted is released, under the claim it had when the request came."""

    __slots__ = ("_version",)

    def __init__(self, engine: Engine, exchange: Asking, authorized: Authorized) -> None:
        super().__init__(engine, exchange, authorized)
        claim = engine.claim_of(authorized.request.bucket)
        self._version = 0 if claim is None else claim.version

    def end(self) -> None:
        assert self._reply is not None
        if self._reply.head.status >= 300:
            super().end()
            return
        access_key, bucket = self._authorized.access_key, self._authorized.request.bucket
        actor = f"key:{access_key.access_key_id}"
        release = self._engine.writer.release_bucket(bucket, self._version, actor)
        self._engine.after(self._exchange, release, self._released, self._not_released)

    def _released(self, nothing: None) -> None:
        self._exchange.answer(*self._rebuilt())

    def _not_released(self, error: Exception) -> None:
        """The bucket is gone all the same; its name stays the account's."""
        if not isinstance(error, Conflict):
            LOG.warning("%s the claim to a bucket was not released: %s", self._exchange.request_id.decode(), error)
        self._exchange.answer(*self._rebuilt())


# Operations without a body whose reply goes another way than its status says.
_FORESEEN: Final[dict[str, Callable[[Engine, Asking, Authorized], Sink]]] = {
    "ListBuckets": Listing,
    "DeleteBucket": Removing,
    "CreateMultipartUpload": Beginning,
    "AbortMultipartUpload": Aborting,
}


def foreseen_sink(engine: Engine, exchange: Asking, authorized: Authorized) -> Sink | None:
    """Where the reply to a request without a body goes, if that is known before it comes."""
    sink = _FORESEEN.get(authorized.operation.name)
    return None if sink is None else sink(engine, exchange, authorized)

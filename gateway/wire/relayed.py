"""`POST /` that is signed for iam or sts: a client with one endpoint for all services sends it here. Its form is held,
64 KiB at most, and answered by the control plane.

Only what is proven to be signed by a usable key goes on: a flood of strangers must not keep the control plane from its
work. Beyond that nothing is believed here, and nothing reaches the store: the control plane verifies it as if it had
come in by its own door. It runs only where a control plane is there to answer; elsewhere such a request is refused as
before.
"""

import re
import time
from typing import Final

from gateway.iam.claim import begin, service_asked
from gateway.iam.documents import SERVICES, refusal
from gateway.iam.errors import IamError
from gateway.iam.request import IamAnswer
from gateway.iam.verify import proven
from gateway.respond import relayed_reply
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import RequestHead
from gateway.wire.engine import Engine
from gateway.wire.heads import ChunkedBody
from gateway.wire.roles import Asking, Outlet
from keystore.errors import NotKnownYet

MAX_FORM: Final = 65_536  # bytes; a form of 1,000 bucket names fits
_FOR_CONTROL: Final = re.compile(rb"AWS4-HMAC-SHA256 .*/(?:iam|sts)/aws4_request(?:,| |\Z)")


def for_control_plane(head: RequestHead) -> bool:
    """By what it claims to be signed for; asked of a POST."""
    if head.target != b"/":
        return False
    authorization = head.headers.get(b"authorization")
    return authorization is not None and _FOR_CONTROL.match(authorization) is not None


class Relayed:
    """The way of the form. `sent`: a change ends nothing here, for no key has been looked up."""

    __slots__ = ("_body", "_engine", "_exchange", "_head", "_over", "_taken", "sent")

    def __init__(self, engine: Engine, exchange: Asking, head: RequestHead, body: int | ChunkedBody) -> None:
        if type(body) is int and body > MAX_FORM:
            raise _too_large()
        self._engine = engine
        self._exchange = exchange
        self._head = head
        self._body = bytearray()
        self._taken = 0
        self._over = False
        self.sent = True

    def begin(self) -> None:
        if self._exchange.parsed.body == 0:
            self._complete()
        else:
            self._exchange.pull_body()

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        if len(self._body) + len(block) > MAX_FORM:
            raise _too_large()
        self._engine.memory.take(len(block))
        self._taken += len(block)
        self._body += block
        if final:
            self._complete()

    def _complete(self) -> None:
        try:
            self._go_on()
        except NotKnownYet as unknown:
            self._exchange.later(unknown, self._go_on)

    def _go_on(self) -> None:
        request = self._engine.iam_request(self._head, bytes(self._body), self._exchange.client.peer)
        now = time.time()
        record = self._exchange.record
        record.operation = service_asked(request).decode()
        try:
            begun = begin(request, now)
            proven(request, begun, self._engine.known(begun.claim.access_key_id, begun.claim.date), now)
        except IamError as error:
            request_id = self._exchange.request_id
            record.reason = error.code.wire_name
            self._engine.request_log.say(request_id, f"refused: {error.code.wire_name}")
            refused = refusal(error, SERVICES[service_asked(request)], request_id.decode())
            self._answered(refused)
            return
        record.access_key_id = begun.claim.access_key_id
        control = self._engine.control
        assert control is not None, "only then is anything relayed"
        self._engine.after(self._exchange, control.relay(request), self._answered, self._exchange.failed)

    def _answered(self, answer: IamAnswer) -> None:
        if self._over:  # the client is gone
            return
        self._exchange.answer(relayed_reply(answer.status, answer.headers, self._exchange.request_id), answer.body)

    def connected(self, outlet: Outlet) -> None:
        pass

    def resumed(self) -> None:
        pass

    def release(self) -> None:
        self._over = True
        taken, self._taken = self._taken, 0
        if taken:
            self._engine.memory.give_back(taken)
        self._body = bytearray()


def _too_large() -> S3Error:
    return S3Error(Code.ENTITY_TOO_LARGE, "a form for the control plane over 64 KiB")

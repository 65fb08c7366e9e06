"""What is known of one request once it is over, for whoever counts it or writes a line of it.

Filled by the wire while the request runs, told once at its end, not changed after that. It holds no secret: no header,
no target, no signature. Whoever reads it does no IO and keeps the loop no longer than a few hundred nanoseconds.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final

CODE_WITHIN: Final = 512  # bytes of an error document; its code is the first thing in it
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_CODE_IN_HEAD: Final = re.compile(rb"\r\nx-amz-error-code: ([A-Za-z0-9.]{1,64})\r\n")


class End(Enum):
    WHOLE = "whole"  # the reply was handed to the client's connection in full
    CUT = "cut"  # a reply had begun that could not be completed: the connection was reset
    LEFT = "left"  # the client, or a drain that waited long enough, closed the connection before


class RequestRecord:
    """`method`: b"" of a head that could not be read. `operation`: "" while nobody has proven to have asked for one; of
    the control plane "iam" or "sts". `access_key_id`, `bucket`: "" unless the signature held.

    `status`: 0 when no reply had begun. `code`: of the error that the client was told. `reason`: why we refused, for
    the operator; "" of what the store refused. `from_store`: the store gave the answer. `received`, `sent`: bytes of
    body, as they came (chunk signatures included) and as they were handed to the connection.

    Seconds of `time.monotonic`: `began`, the head was here; `asked`, the last thing the store needed was sent, 0.0 = it
    was not asked; `replied`, the store began to answer, 0.0 = it did not; `ended`.
    """

    __slots__ = (
        "access_key_id",
        "asked",
        "began",
        "bucket",
        "code",
        "end",
        "ended",
        "from_store",
        "method",
        "operation",
        "reason",
        "received",
        "replied",
        "request_id",
        "sent",
        "source",
        "status",
    )

    def __init__(self, request_id: bytes, method: bytes, source: str, began: float) -> None:
        self.request_id = request_id
        self.method = method
        self.source = source
        self.began = began
        self.asked = 0.0
        self.replied = 0.0
        self.ended = 0.0
        self.operation = ""
        self.access_key_id = ""
        self.bucket = ""
        self.status = 0
        self.code = ""
        self.reason = ""
        self.from_store = False
        self.received = 0
        self.sent = 0
        self.end = End.WHOLE


OnEnded = Callable[[RequestRecord], None]


def code_of(head: bytes, body: bytes) -> str:
    """The code that an error reply of ours names, in its document or, of a HEAD, in its head; "" for none."""
    found = _CODE.search(body[:CODE_WITHIN]) if body else _CODE_IN_HEAD.search(head)
    return "" if found is None else found[1].decode()

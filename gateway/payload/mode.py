"""What x-amz-content-sha256 says of the body. Framing is decided by this value alone."""

import re
from enum import Enum
from typing import Final, NamedTuple

from gateway.s3.errors import Code, S3Error

_HEX: Final = re.compile(rb"[0-9a-fA-F]{64}\Z")


class PayloadMode(Enum):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html"""

    SHA256 = b"sha256"
    UNSIGNED = b"UNSIGNED-PAYLOAD"
    SIGNED_CHUNKS = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    SIGNED_CHUNKS_TRAILER = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_CHUNKS_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    ECDSA_CHUNKS = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
    ECDSA_CHUNKS_TRAILER = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"

    __hash__ = object.__hash__  # members are singletons; Enum's own is a Python call in every look-up


UNFRAMED: Final = frozenset({PayloadMode.SHA256, PayloadMode.UNSIGNED})
SIGNED_CHUNKS: Final = frozenset({PayloadMode.SIGNED_CHUNKS, PayloadMode.SIGNED_CHUNKS_TRAILER})
WITH_TRAILER: Final = frozenset({PayloadMode.SIGNED_CHUNKS_TRAILER, PayloadMode.UNSIGNED_CHUNKS_TRAILER})
_BY_NAME: Final = {mode.value: mode for mode in PayloadMode if mode is not PayloadMode.SHA256}


class Payload(NamedTuple):
    """`sha256`: the declared hash, lower-case hex, in mode SHA256 only."""

    mode: PayloadMode
    sha256: bytes | None


# What nearly every request without a body says.
EMPTY_SHA256: Final = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_ECDSA: Final = frozenset({PayloadMode.ECDSA_CHUNKS, PayloadMode.ECDSA_CHUNKS_TRAILER})
_USUAL: Final = {
    EMPTY_SHA256: Payload(PayloadMode.SHA256, EMPTY_SHA256),
    **{mode.value: Payload(mode, None) for mode in _BY_NAME.values() if mode not in _ECDSA},
}


def read_payload(payload_line: bytes) -> Payload:
    """S3Error INVALID_ARGUMENT for a value that is none, NOT_IMPLEMENTED for the chunks of SigV4A."""
    usual = _USUAL.get(payload_line)
    if usual is not None:
        return usual
    if _HEX.match(payload_line):
        return Payload(PayloadMode.SHA256, payload_line.lower())
    mode = _BY_NAME.get(payload_line)
    if mode is None:
        raise S3Error(
            Code.INVALID_ARGUMENT,
            "x-amz-content-sha256",
            message="x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- mode or a valid sha256 value.",
        )
    raise S3Error(
        Code.NOT_IMPLEMENTED,
        mode.value.decode(),
        message=f"The payload mode {mode.value.decode()} is not implemented: SigV4A is not accepted here.",
    )

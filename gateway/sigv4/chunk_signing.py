"""The chain of signatures over chunks and trailers: each covers the one before, the first the request's own.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
"""

import hmac
from typing import Final

from gateway.s3.errors import Code, S3Error
from keystore.access_key import Keyed

_EMPTY: Final = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class ChunkChain:
    """`keyed`: HMAC-SHA256 keyed with the signing key of the request. `timestamp`: ISO basic. `scope`: as in the
    request's string to sign. `seed`: the request's signature, lower-case hex."""

    __slots__ = ("_keyed", "_previous", "_scope", "_timestamp")

    def __init__(self, keyed: Keyed, timestamp: bytes, scope: bytes, seed: bytes) -> None:
        self._keyed = keyed
        self._timestamp = timestamp
        self._scope = scope
        self._previous = seed

    def __repr__(self) -> str:
        return "ChunkChain(<hidden>)"

    def check_chunk(self, sha256: bytes, signature: bytes) -> None:
        """`sha256`: of the chunk's data, hex; the zero chunk has one too. S3Error SIGNATURE_DOES_NOT_MATCH."""
        self._check(
            b"AWS4-HMAC-SHA256-PAYLOAD\n%b\n%b\n%b\n%b\n%b"
            % (self._timestamp, self._scope, self._previous, _EMPTY, sha256),
            signature,
            "a chunk's signature",
        )

    def check_trailers(self, sha256: bytes, signature: bytes) -> None:
        """`sha256`: of the trailers as `name:value` LF, sorted, hex. S3Error SIGNATURE_DOES_NOT_MATCH."""
        self._check(
            b"AWS4-HMAC-SHA256-TRAILER\n%b\n%b\n%b\n%b" % (self._timestamp, self._scope, self._previous, sha256),
            signature,
            "the trailers' signature",
        )

    def _check(self, text: bytes, signature: bytes, what: str) -> None:
        mac = self._keyed.copy()
        mac.update(text)
        if not hmac.compare_digest(mac.hexdigest().encode(), signature):
            raise S3Error(Code.SIGNATURE_DOES_NOT_MATCH, f"{what} does not hold")
        self._previous = signature

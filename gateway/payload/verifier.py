"""Every integrity value a request declares of its body, checked while the body passes.

The declared values are read and their syntax refused before any body byte; `finish` is the gate: until it returned,
the last bytes must not leave.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.payload.aws_chunked import trailer_error
from gateway.payload.checksums import ALGORITHMS, Block, Digest, md5
from gateway.payload.declared import CHECKSUM, two_checksums, unknown_algorithm
from gateway.payload.mode import Payload
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request

_NOT_A_CHECKSUM: Final = frozenset(CHECKSUM + word for word in (b"algorithm", b"type", b"mode"))
_SDK_ALGORITHM: Final = b"x-amz-sdk-checksum-algorithm"
_SHA256: Final = b"sha256"
_CONTENT_MD5: Final = "Content-MD5"
NO_TRAILERS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class _Expected:
    """One digest and what it must come to; where that comes behind the body, `trailer` is its name. `shown`: its name
    for people."""

    __slots__ = ("digest", "shown", "trailer", "value")

    def __init__(self, digest: Digest, value: bytes, shown: str, trailer: bytes | None = None) -> None:
        self.digest = digest
        self.value = value
        self.shown = shown
        self.trailer = trailer


class BodyVerifier:
    """Feed every byte of the body to `update`, in order, then call `finish` once."""

    __slots__ = ("_expected", "_sha256", "_updates")

    def __init__(self, expected: list[_Expected], sha256: tuple[Digest, bytes] | None) -> None:
        self._expected = expected
        self._sha256 = sha256
        self._updates = [one.digest.update for one in expected]
        if sha256 is not None:
            self._updates.append(sha256[0].update)

    def update(self, block: Block) -> None:
        for update in self._updates:
            update(block)

    def finish(self, trailers: Mapping[bytes, bytes] = NO_TRAILERS) -> None:
        """`trailers`: what came behind the body, by lower-case name.

        S3Error XAMZ_CONTENT_SHA256_MISMATCH or BAD_DIGEST for the first value that does not hold;
        MALFORMED_TRAILER_ERROR for a trailer that is no digest.
        """
        if self._sha256 is not None:
            digest, declared = self._sha256
            computed = digest.digest().hex().encode()
            if not hmac.compare_digest(computed, declared):
                raise S3Error(
                    Code.XAMZ_CONTENT_SHA256_MISMATCH,
                    "the body's SHA-256 differs",
                    extra=(
                        ("ClientComputedContentSHA256", declared.decode()),
                        ("S3ComputedContentSHA256", computed.decode()),
                    ),
                )
        for one in self._expected:
            computed = one.digest.digest()
            value = one.value
            if one.trailer is not None:
                sent = _base64(trailers.get(one.trailer, b""), len(computed))
                if sent is None:
                    raise trailer_error(f"{one.trailer.decode()} is not {len(computed)} bytes of base64")
                value = sent
            if not hmac.compare_digest(computed, value):
                raise _differs(one.shown)


def body_verifier(
    request: S3Request, payload: Payload, *, checksum_in_headers: bool, trailer: bytes | None = None
) -> BodyVerifier:
    """What this request declares: x-amz-content-sha256, Content-MD5, and one x-amz-checksum-* where it describes the
    body; `trailer`: the name of the one that will come behind it.

    S3Error INVALID_DIGEST, INVALID_REQUEST, NOT_IMPLEMENTED (an algorithm that S3 does not know).
    """
    expected = []
    content_md5 = request.headers.get(b"content-md5")
    if content_md5 is not None:
        expected.append(_content_md5(content_md5))
    if checksum_in_headers:
        expected += _checksum(request, trailer)
    sha256 = None
    if payload.sha256 is not None:
        sha256 = (ALGORITHMS[_SHA256][1](), payload.sha256)
    return BodyVerifier(expected, sha256)


def _base64(value: bytes, size: int) -> bytes | None:
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if len(decoded) == size else None


def _content_md5(value: bytes) -> _Expected:
    decoded = _base64(value, 16)
    if decoded is None:
        raise S3Error(Code.INVALID_DIGEST, "Content-MD5 is not 16 bytes of base64")
    return _Expected(md5(), decoded, _CONTENT_MD5)


def _differs(shown: str) -> S3Error:
    found = "what we received" if shown == _CONTENT_MD5 else "the calculated checksum"
    message = f"The {shown} you specified did not match {found}."
    return S3Error(Code.BAD_DIGEST, f"{shown} differs", message=message)


def _checksum(request: S3Request, trailer: bytes | None) -> list[_Expected]:
    declared: list[tuple[bytes, bytes | None]] = [
        (name.removeprefix(CHECKSUM), value)
        for name, value in request.headers.items()
        if name.startswith(CHECKSUM) and name not in _NOT_A_CHECKSUM
    ]
    if trailer is not None:
        declared.append((trailer.removeprefix(CHECKSUM), None))
    named = request.headers.get(_SDK_ALGORITHM)
    if named is not None and named.lower() not in ALGORITHMS:
        raise unknown_algorithm(named)
    if not declared:
        if named is not None:
            raise S3Error(
                Code.INVALID_REQUEST,
                "an algorithm without a checksum",
                message="x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.",
            )
        return []
    if len(declared) > 1:
        raise two_checksums()
    algorithm, value = declared[0]
    if algorithm not in ALGORITHMS:
        raise unknown_algorithm(algorithm)
    shown = algorithm.decode()
    if named is not None and named.lower() != algorithm:
        raise S3Error(
            Code.INVALID_REQUEST,
            "two algorithms",
            message=f"Value for x-amz-sdk-checksum-algorithm header is invalid: x-amz-checksum-{shown} was sent.",
        )
    size, begin = ALGORITHMS[algorithm]
    if value is None:
        return [_Expected(begin(), b"", shown.upper(), trailer)]
    decoded = _base64(value, size)
    if decoded is None:
        raise S3Error(
            Code.INVALID_REQUEST,
            f"x-amz-checksum-{shown} has another form",
            message=f"Value for x-amz-checksum-{shown} header is invalid.",
        )
    return [_Expected(begin(), decoded, shown.upper())]

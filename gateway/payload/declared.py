"""What a chunked request announces of its body before the first chunk: decoded length and trailer.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

import re
from typing import Final

from gateway.payload.aws_chunked import trailer_error
from gateway.payload.checksums import ALGORITHMS
from gateway.payload.mode import WITH_TRAILER, Payload
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request

CHECKSUM: Final = b"x-amz-checksum-"
_LENGTH: Final = re.compile(rb"[0-9]{1,19}\Z")


def decoded_length(request: S3Request) -> int:
    """x-amz-decoded-content-length, bytes. S3Error MISSING_CONTENT_LENGTH, INVALID_ARGUMENT."""
    value = request.headers.get(b"x-amz-decoded-content-length")
    if value is None:
        raise S3Error(
            Code.MISSING_CONTENT_LENGTH,
            "no x-amz-decoded-content-length",
            message="You must provide the x-amz-decoded-content-length HTTP header.",
        )
    if not _LENGTH.match(value):
        raise S3Error(
            Code.INVALID_ARGUMENT,
            "x-amz-decoded-content-length",
            message="x-amz-decoded-content-length must be a decimal number.",
        )
    return int(value)


def announced_trailer(request: S3Request, payload: Payload) -> bytes | None:
    """The one name x-amz-trailer announces, lower case; None in a mode without trailers.

    S3Error MALFORMED_TRAILER_ERROR for none, one that is no checksum, or one where the mode has none; INVALID_REQUEST
    for two; NOT_IMPLEMENTED for an algorithm that S3 does not know.
    """
    value = request.headers.get(b"x-amz-trailer")
    if payload.mode not in WITH_TRAILER:
        if value is not None:
            raise trailer_error("announced in a payload mode without trailers")
        return None
    names = [name.strip(b" \t").lower() for name in value.split(b",")] if value else []
    if not names or not all(name.startswith(CHECKSUM) for name in names):
        raise trailer_error("x-amz-trailer must name a checksum")
    if len(names) > 1:
        raise two_checksums()
    algorithm = names[0].removeprefix(CHECKSUM)
    if algorithm not in ALGORITHMS:
        raise unknown_algorithm(algorithm)
    return names[0]


def two_checksums() -> S3Error:
    return S3Error(
        Code.INVALID_REQUEST,
        "two checksums",
        message="Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.",
    )


def unknown_algorithm(algorithm: bytes) -> S3Error:
    shown = algorithm[:32].decode("ascii", "replace")
    return S3Error(
        Code.NOT_IMPLEMENTED,
        f"checksum algorithm {shown}",
        message=f"The checksum algorithm {shown} is not implemented.",
    )

"""Which headers of the store's reply reach the client: what S3 knows, nothing of the store's own.

Everything without a row is dropped – hop-by-hop, cookies, server, www-authenticate, x-minio-*, x-rgw-*, seaweedfs-*,
access-control-* – save x-amz-*, which is S3's own vocabulary.
"""

from enum import Enum
from typing import Final

from gateway.s3.request import S3Request


class _Verdict(Enum):
    PASSES = "passes"
    PARTIAL = "partial"  # passes, and tells that the body is not the whole object
    DROP = "drop"


_PASS: Final = (
    b"accept-ranges cache-control content-disposition content-encoding content-language content-type date etag expires "
    b"last-modified retry-after vary"
).split()
# Ours stand in their place: the store's ids are for the log, its region is not ours, its errors are written anew.
# rclone and moto keep the request's date and hash with the object and say them again, with a range of it too.
_OURS: Final = (
    b"x-amz-request-id x-amz-id-2 x-amz-bucket-region x-amz-error-code x-amz-error-message x-amz-security-token "
    b"x-amz-content-sha256 x-amz-date x-amz-cf-id x-amz-cf-pop x-amz-apigw-id"
).split()
_VERDICTS: Final[dict[bytes, _Verdict]] = {
    **dict.fromkeys(_PASS, _Verdict.PASSES),
    **dict.fromkeys(_OURS, _Verdict.DROP),
    b"content-range": _Verdict.PARTIAL,
}
# What an error says of the object it is about, beside its document.
_ON_ERRORS: Final = frozenset(
    {b"content-range", b"date", b"last-modified", b"retry-after", b"x-amz-delete-marker", b"x-amz-version-id"}
)
_CHECKSUMS: Final = b"x-amz-checksum-"
_DROP: Final = _Verdict.DROP
_PARTIAL: Final = _Verdict.PARTIAL


def choose_reply_headers(
    headers: list[tuple[bytes, bytes]], request: S3Request
) -> tuple[list[tuple[bytes, bytes]], bool]:
    """→ (headers that pass, whether the reply is partial).

    Stores send the whole object's checksum with a range of it, and SDKs then refuse good bytes: dropped, unless the
    range is a part, which has a checksum of its own.
    """
    chosen: list[tuple[bytes, bytes]] = []
    partial = False
    for header in headers:
        verdict = _VERDICTS.get(header[0])
        if verdict is None:
            if not header[0].startswith(b"x-amz-"):
                continue
        elif verdict is _DROP:
            continue
        elif verdict is _PARTIAL:
            partial = True
        chosen.append(header)
    if partial and b"partNumber" not in request.query:
        chosen = [header for header in chosen if not header[0].startswith(_CHECKSUMS)]
    return chosen, partial


def choose_error_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What passes with an error of the store whose document is rebuilt."""
    return [header for header in headers if header[0] in _ON_ERRORS]

"""Which headers of the store's reply reach the client: what S3 knows, nothing of the store's own.

Everything without a row is dropped – hop-by-hop, cookies, server, www-authenticate, x-minio-*, x-rgw-*, seaweedfs-*,
access-control-* – save x-amz-*, which is S3's own vocabulary.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple

from gateway.s3.header_names import HeaderNames, literal, picker
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


class Passing(NamedTuple):
    """Of one sequence of names: `pick` takes the values that pass out of all, `lines` is the format of their lines, one
    `%b` each. `partial`: whether the reply is a part of the object."""

    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    lines: bytes
    partial: bool


def passing(names: HeaderNames, request: S3Request, status: int) -> Passing:
    """What passes of a reply with these names; concluded once for each sequence of names."""
    asked = (b"partNumber" in request.query, status == 206)
    found: Passing | None = names.memo.get(asked)
    if found is None:
        places, partial = _places(names.lowered, *asked)
        lines = b"".join([literal(names.lowered[place]) + b": %b\r\n" for place in places])
        found = Passing(picker(places), lines, partial)
        names.remember(asked, found)
    return found


def choose_reply_headers(headers: list[tuple[bytes, bytes]], request: S3Request) -> list[tuple[bytes, bytes]]:
    """The headers that pass."""
    places, _ = _places([name for name, _ in headers], b"partNumber" in request.query, False)
    return [headers[place] for place in places]


def _places(names: Sequence[bytes], of_a_part: bool, partial: bool) -> tuple[list[int], bool]:
    """→ (the places of the names that pass, whether the reply is partial). `partial`: its status says so; of several
    ranges at once no Content-Range does.

    Stores send the whole object's checksum with a range of it, and SDKs then refuse good bytes: dropped, unless the
    range is a part, which has a checksum of its own.
    """
    verdicts = [_verdict(name) for name in names]
    partial = partial or _Verdict.PARTIAL in verdicts
    without = _CHECKSUMS if partial and not of_a_part else None
    places = [
        place
        for place, verdict in enumerate(verdicts)
        if verdict is not _Verdict.DROP and not (without and names[place].startswith(without))
    ]
    return places, partial


def _verdict(name: bytes) -> _Verdict:
    return _VERDICTS.get(name) or (_Verdict.PASSES if name.startswith(b"x-amz-") else _Verdict.DROP)


def choose_error_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What passes with an error of the store whose document is rebuilt."""
    return [header for header in headers if header[0] in _ON_ERRORS]

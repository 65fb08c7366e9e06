"""The table of reply headers."""

import pytest

from gateway.reply_policy import choose_error_headers, choose_reply_headers, passing
from gateway.s3.header_names import header_names
from gateway.s3.request import S3Request
from tests.support.admitted import admit

OBJECT = admit("GET", "/aaa/k").request
Headers = list[tuple[bytes, bytes]]


def passed(headers: Headers, request: S3Request = OBJECT, status: int = 200) -> tuple[Headers, bool]:
    """(what passes, whether it is a part of the object), as list and as lines: both must say the same."""
    chosen = choose_reply_headers(headers, request)
    pick, lines, partial = passing(header_names(tuple([name for name, _ in headers])), request, status)
    assert lines % pick([value for _, value in headers]) == b"".join([b"%b: %b\r\n" % header for header in chosen])
    return chosen, partial


@pytest.mark.parametrize(
    "name",
    [
        "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-language",
        "content-type", "content-range", "date", "etag", "expires", "last-modified", "vary", "x-amz-meta-a",
        "x-amz-version-id", "x-amz-delete-marker", "x-amz-storage-class", "x-amz-tagging-count",
        "x-amz-server-side-encryption", "x-amz-mp-parts-count", "x-amz-object-lock-mode", "x-amz-restore",
    ],
)  # fmt: skip
def test_what_s3_says_of_an_object_passes(name: str) -> None:
    header = (name.encode(), b"v")
    assert passed([header])[0] == [header]


@pytest.mark.parametrize(
    "name",
    [
        "connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "upgrade", "proxy-authenticate",
        "set-cookie", "server", "www-authenticate", "strict-transport-security", "alt-svc", "via", "location",
        "x-minio-deployment-id", "x-minio-error-code", "x-rgw-object-type", "x-rgw-quota-user-objects",
        "seaweedfs-tag", "x-seaweedfs-chunk", "x-frame-options", "access-control-allow-origin",
        "access-control-expose-headers", "x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region", "x-amz-error-code",
        "x-amz-security-token", "x-amz-cf-id", "x-amz-content-sha256", "x-amz-date", "x-powered-by", "x-trace-id",
    ],
)  # fmt: skip
def test_what_is_of_the_hop_or_of_the_store_does_not(name: str) -> None:
    assert passed([(name.encode(), b"v")])[0] == []


WHOLE = [(b"etag", b'"e"'), (b"x-amz-checksum-crc32", b"AAAAAA=="), (b"x-amz-checksum-type", b"FULL_OBJECT")]


def test_the_checksum_of_the_whole_object_does_not_come_with_a_range_of_it() -> None:
    assert passed(WHOLE) == (WHOLE, False)
    content_range = (b"content-range", b"bytes 0-1/9")
    assert passed([content_range, *WHOLE]) == ([content_range, WHOLE[0]], True)


def test_a_part_has_a_checksum_of_its_own() -> None:
    part = admit("GET", "/aaa/k?partNumber=1").request
    headers = [*WHOLE, (b"content-range", b"bytes 0-1/9")]
    assert passed(headers, part) == (headers, True)


def test_an_error_keeps_what_it_says_of_the_object_only() -> None:
    kept = [(b"x-amz-delete-marker", b"true"), (b"content-range", b"bytes */9"), (b"retry-after", b"3")]
    dropped = [(b"content-type", b"text/html"), (b"content-encoding", b"gzip"), (b"etag", b"e"), (b"server", b"s")]
    assert choose_error_headers(dropped + kept) == kept


def test_a_name_that_came_twice_passes_twice_and_percent_signs_are_text() -> None:
    headers = [(b"vary", b"a"), (b"x-amz-meta-%b", b"100%"), (b"vary", b"b")]
    assert passed(headers) == (headers, False)


def test_several_ranges_at_once_have_no_checksum_of_the_whole() -> None:
    """Of multipart/byteranges no Content-Range tells: the status does."""
    names = header_names((b"etag", b"x-amz-checksum-crc32"))
    assert passing(names, OBJECT, 206).lines == b"etag: %b\r\n"
    assert passing(names, OBJECT, 200).lines == b"etag: %b\r\nx-amz-checksum-crc32: %b\r\n"

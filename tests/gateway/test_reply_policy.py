"""The table of reply headers."""

import pytest

from gateway.reply_policy import choose_error_headers, choose_reply_headers
from tests.support.admitted import admit

OBJECT = admit("GET", "/aaa/k").request


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
    assert choose_reply_headers([header], OBJECT)[0] == [header]


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
    assert choose_reply_headers([(name.encode(), b"v")], OBJECT)[0] == []


WHOLE = [(b"etag", b'"e"'), (b"x-amz-checksum-crc32", b"AAAAAA=="), (b"x-amz-checksum-type", b"FULL_OBJECT")]


def test_the_checksum_of_the_whole_object_does_not_come_with_a_range_of_it() -> None:
    assert choose_reply_headers(WHOLE, OBJECT) == (WHOLE, False)
    content_range = (b"content-range", b"bytes 0-1/9")
    assert choose_reply_headers([content_range, *WHOLE], OBJECT) == ([content_range, WHOLE[0]], True)


def test_a_part_has_a_checksum_of_its_own() -> None:
    part = admit("GET", "/aaa/k?partNumber=1").request
    headers = [*WHOLE, (b"content-range", b"bytes 0-1/9")]
    assert choose_reply_headers(headers, part) == (headers, True)


def test_an_error_keeps_what_it_says_of_the_object_only() -> None:
    kept = [(b"x-amz-delete-marker", b"true"), (b"content-range", b"bytes */9"), (b"retry-after", b"3")]
    dropped = [(b"content-type", b"text/html"), (b"content-encoding", b"gzip"), (b"etag", b"e"), (b"server", b"s")]
    assert choose_error_headers(dropped + kept) == kept

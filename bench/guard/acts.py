"""What the guard counts: one request of each kind that takes a way of its own through the gateway, as bytes."""

from typing import Final

from bench.contender import Credential
from bench.guard.stage import Act
from bench.objects import content, object_keys, upload_keys
from bench.scenario import KIB, MIB, Upload
from bench.signed import Requests, falsely_signed, get_requests, put_requests

NAMES: Final = 8  # objects of each kind
OFTEN: Final = 100
SELDOM: Final = 10  # what has a mebibyte
# What the static upstream of the bench answers.
_GOT: Final = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 11:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\nLast-Modified: Thu, 01 Jan 2026 10:00:00 GMT\r\n"
    b'Connection: keep-alive\r\nETag: "6a4e2f10-400"\r\nx-amz-request-id: 0000000000000000\r\n'
    b"Accept-Ranges: bytes\r\n\r\n"
)
_TAKEN: Final = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 11:00:00 GMT\r\nContent-Length: 0\r\n"
    b'Connection: keep-alive\r\nx-amz-request-id: 0000000000000000\r\nETag: "00000000000000000000000000000000"\r\n\r\n'
)


def acts(origin: str, credential: Credential) -> list[Act]:
    """Signed now."""
    small, large = (_got(origin, credential, size) for size in (KIB, MIB))
    return [
        Act("get-1k", small.heads, b"", _reply(KIB), 200, OFTEN),
        Act("get-1m", large.heads, b"", _reply(MIB), 200, SELDOM),
        _put("put-1k", _given(origin, credential, KIB, Upload.SHA256), OFTEN),
        _put("put-1m", _given(origin, credential, MIB, Upload.SHA256), SELDOM),
        _put("put-1m-trailer", _given(origin, credential, MIB, Upload.TRAILER), SELDOM),
        Act("refused-signature", falsely_signed(small).heads, b"", b"", 403, OFTEN),
    ]


def _got(origin: str, credential: Credential, size: int) -> Requests:
    return get_requests(origin, credential, object_keys(size)[:NAMES])


def _given(origin: str, credential: Credential, size: int, upload: Upload) -> Requests:
    return put_requests(origin, credential, upload_keys(size)[:NAMES], content(size), upload)


def _put(name: str, requests: Requests, times: int) -> Act:
    return Act(name, requests.heads, requests.body, _TAKEN, 200, times)


def _reply(size: int) -> bytes:
    return _GOT % size + content(size)

"""A fixed piece of work, of the kinds that a request is made of: what everything is divided by.

A head parsed twice, two hashes, four MACs, and some of what Python code does all day. Never change it: the ratios that
are known (`bounds.json`) stand on it.
"""

import hashlib
import hmac
from typing import Final

import httptools

TIMES: Final = 20  # repetitions of the Python part
_HEAD: Final = (
    b"GET /bench/1024/object-0000 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: reference\r\n"
    b"X-Amz-Date: 20260101T000000Z\r\nX-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\nAuthorization: none\r\n\r\n"
)


class _Fields:
    def __init__(self) -> None:
        fields: dict[bytes, bytes] = {}
        self.on_header = fields.__setitem__


def work(times: int) -> int:
    """→ something that depends on all of it."""
    total = 0
    for number in range(times):
        for _ in range(2):
            httptools.HttpRequestParser(_Fields()).feed_data(_HEAD)
            total += hashlib.sha256(_HEAD).digest()[0]
        signed = b"reference"
        for _ in range(4):
            signed = hmac.digest(signed, _HEAD, "sha256")
        total += signed[0]
        for line in range(TIMES):
            name, _, value = f"name-{line}: {number}".partition(": ")
            table = {name: value, value: name}
            total += len(table[name]) + len(b"%d" % line)
    return total

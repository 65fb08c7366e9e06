"""Percent-encoding as SigV4 wants it, and strict decoding. Bytes in, bytes out; knows nobody but the error table."""

import re
from typing import Final

from gateway.s3.errors import Code, S3Error

# RFC 3986, 2.3: unreserved characters are never encoded; SigV4 encodes everything else, upper-case.
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PLAIN: Final = re.compile(rb"[A-Za-z0-9\-._~]*\Z")
_PLAIN_PATH: Final = re.compile(rb"[A-Za-z0-9\-._~/]*\Z")
_ENCODED: Final = [bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte for byte in range(256)]
_ENCODED_PATH: Final = [b"/" if byte == 0x2F else encoded for byte, encoded in enumerate(_ENCODED)]
_ESCAPE: Final = re.compile(rb"%(.{0,2})", re.DOTALL)
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{2}\Z")


def encode(raw: bytes, *, keep_slash: bool) -> bytes:
    """Every byte but `A-Za-z0-9-._~` (and `/` if kept) as %XX, upper case."""
    if keep_slash:
        if _PLAIN_PATH.match(raw):
            return raw
        return b"".join([_ENCODED_PATH[byte] for byte in raw])
    if _PLAIN.match(raw):
        return raw
    return b"".join([_ENCODED[byte] for byte in raw])


def _unescape(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    if not _HEX.match(digits):
        raise S3Error(Code.INVALID_URI, "a % that is not followed by two hex digits")
    return bytes((int(digits, 16),))


def decode(raw: bytes) -> bytes:
    """Percent-decode once. S3Error INVALID_URI for a `%` without two hex digits."""
    return _ESCAPE.sub(_unescape, raw) if b"%" in raw else raw


def decode_query(raw: bytes) -> bytes:
    """A query name or value: `+` is a space, as in a form; then as `decode`."""
    return decode(raw.replace(b"+", b" "))

"""Keys derived from a secret, and our own signature on what goes to the store."""

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.sigv4.canonical import ALGORITHM, TERMINATOR, Layout, canonical_block, canonical_request, layout

_DATE: Final = b"x-amz-date"
_SHA256: Final = b"x-amz-content-sha256"


def derive_date_key(secret: bytes, date: bytes) -> bytes:
    """kDate, 32 bytes. `date`: b"YYYYMMDD"."""
    return hmac.digest(b"AWS4" + secret, date, "sha256")


def derive_signing_key(date_key: bytes, region: bytes, service: bytes) -> bytes:
    """kSigning, 32 bytes, from kDate."""
    region_key = hmac.digest(date_key, region, "sha256")
    service_key = hmac.digest(region_key, service, "sha256")
    return hmac.digest(service_key, TERMINATOR, "sha256")


class UpstreamCredential:
    """The store's own access key. Cannot be printed; reading the secret is spelled `expose()`."""

    __slots__ = ("_secret", "access_key_id")

    def __init__(self, access_key_id: str, secret: str) -> None:
        self.access_key_id = access_key_id
        self._secret = secret.encode()

    def expose(self) -> bytes:
        return self._secret

    def __repr__(self) -> str:
        return f"UpstreamCredential({self.access_key_id}, <hidden>)"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")


@lru_cache(maxsize=512)
def _layout(names: tuple[bytes, ...]) -> tuple[Layout, bytes]:
    """How headers with these names are signed, a payload line and a timestamp behind them; and the signed names.

    What is signed is what the gateway chose, so the sequences are few.
    """
    every = [*names, _SHA256, _DATE]
    order = sorted(range(len(every)), key=every.__getitem__)
    signed = [every[place] for place in order]
    return layout(signed, order), b";".join(signed)


class UpstreamSigner:
    """Signs requests to one store in one region. Keeps the signing key of the day and the text of the second."""

    __slots__ = (
        "_credential",
        "_date",
        "_prefix",
        "_region",
        "_scope",
        "_second",
        "_signing_key",
        "_text",
        "_timestamp",
    )

    def __init__(self, credential: UpstreamCredential, region: bytes) -> None:
        self._credential = credential
        self._region = region
        self._second = -1
        self._timestamp = b""
        self._date = b""
        self._scope = b""
        self._signing_key = b""
        self._prefix = b""
        self._text = b""

    def __repr__(self) -> str:
        return f"UpstreamSigner({self._credential.access_key_id}, <hidden>)"

    def sign(
        self,
        method: bytes,
        canonical_path: bytes,
        canonical_query: bytes,
        headers: list[tuple[bytes, bytes]],
        payload_line: bytes,
        now: float,
    ) -> tuple[bytes, bytes]:
        """(value of x-amz-date, value of Authorization). `headers`: lower-case names, host among them, all signed,
        values without outer blanks; x-amz-date and x-amz-content-sha256 are added here and must be sent. `now`: Unix
        seconds."""
        second = int(now)
        if second != self._second:
            self._turn_to(second)
        written, names = _layout(tuple([name for name, _ in headers]))
        block = canonical_block(written, [*[value for _, value in headers], payload_line, self._timestamp])
        request = canonical_request(method, canonical_path, canonical_query, block, payload_line)
        text = b"%b%b" % (self._text, hashlib.sha256(request).hexdigest().encode())
        signature = hmac.digest(self._signing_key, text, "sha256").hex().encode()
        return self._timestamp, b"%b%b, Signature=%b" % (self._prefix, names, signature)

    def _turn_to(self, second: int) -> None:
        moment = datetime.fromtimestamp(second, UTC)
        date = moment.strftime("%Y%m%d").encode()
        if date != self._date:
            date_key = derive_date_key(self._credential.expose(), date)
            self._signing_key = derive_signing_key(date_key, self._region, b"s3")
            self._scope = b"%b/%b/s3/%b" % (date, self._region, TERMINATOR)
            identity = self._credential.access_key_id.encode()
            self._prefix = b"%b Credential=%b/%b, SignedHeaders=" % (ALGORITHM, identity, self._scope)
            self._date = date
        self._timestamp = moment.strftime("%Y%m%dT%H%M%SZ").encode()
        self._text = b"%b\n%b\n%b\n" % (ALGORITHM, self._timestamp, self._scope)
        self._second = second

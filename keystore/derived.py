"""Keys derived from a secret for one day: what verifies, or signs, without the secret being known.

Pure. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hmac
from collections.abc import Mapping
from typing import Final, Protocol

from keystore.errors import KeystoreUnavailable

TERMINATOR: Final = b"aws4_request"


def derive_date_key(secret: bytes, date: bytes) -> bytes:
    """kDate, 32 bytes. `date`: b"YYYYMMDD"."""
    return hmac.digest(b"AWS4" + secret, date, "sha256")


def derive_signing_key(date_key: bytes, region: bytes, service: bytes) -> bytes:
    """kSigning, 32 bytes, from kDate."""
    region_key = hmac.digest(date_key, region, "sha256")
    service_key = hmac.digest(region_key, service, "sha256")
    return hmac.digest(service_key, TERMINATOR, "sha256")


class StoreCredential(Protocol):
    """Who signs at the store: its access key id, and kSigning of a day for the service s3. Cannot be printed."""

    @property
    def access_key_id(self) -> str: ...
    def signing_key(self, date: bytes, region: bytes) -> bytes:
        """Raises KeystoreUnavailable for a day whose key is not here."""


class UpstreamCredential:
    """A credential at the store with its secret, which can neither be printed nor read back."""

    __slots__ = ("_secret", "access_key_id")

    def __init__(self, access_key_id: str, secret: str) -> None:
        self.access_key_id = access_key_id
        self._secret = secret.encode()

    def signing_key(self, date: bytes, region: bytes) -> bytes:
        return derive_signing_key(derive_date_key(self._secret, date), region, b"s3")

    def __repr__(self) -> str:
        return f"UpstreamCredential({self.access_key_id}, <hidden>)"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")


class DaysKeys:
    """A credential at the store of which only the signing keys of some days are known, for one region."""

    __slots__ = ("_region", "_signing_keys", "access_key_id")

    def __init__(self, access_key_id: str, region: bytes, signing_keys: Mapping[bytes, bytes]) -> None:
        self.access_key_id = access_key_id
        self._region = region
        self._signing_keys = dict(signing_keys)

    def signing_key(self, date: bytes, region: bytes) -> bytes:
        found = self._signing_keys.get(date)
        if found is None or region != self._region:
            raise KeystoreUnavailable(f"no signing key of {date.decode()} is here")
        return found

    def __repr__(self) -> str:
        return f"DaysKeys({self.access_key_id}, <hidden>)"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")

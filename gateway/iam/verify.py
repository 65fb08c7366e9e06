"""Is a request to the IAM and STS query API what the holder of the secret signed? The one place that builds a `Proven`.

The caller has read the claim and checked its time, and looked the access key up. What is left, in this order, each step
with its number in the code: (1) what must be signed is signed, (2) the signature over the body's own hash, computed for
unknown keys too, (3) the key exists and the signature holds, (4) the key is usable now and from there.
The caller MUST still ask whether the key may do what it asks for.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from gateway.iam.claim import Begun, IamClaim, unknown_token
from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import IamRequest
from gateway.s3.errors import S3Error
from gateway.sigv4.canonical import canonical_block, canonical_request, layout, string_to_sign
from gateway.sigv4.verify import check_signed_headers, unusable
from keystore.access_key import AccessKey, KnownKey
from keystore.derived import derive_signing_key

# For an id that no key has the same is computed, and never believed: what it is computed with is no secret.
_NOBODYS_DATE_KEY: Final = bytes(32)


class Proven:
    """Proof that an access key, usable at that moment, signed this request. Built only by `proven`."""

    __slots__ = ("access_key", "claim", "request")

    def __init__(self, access_key: AccessKey, claim: IamClaim, request: IamRequest) -> None:
        self.access_key = access_key
        self.claim = claim
        self.request = request


def proven(request: IamRequest, begun: Begun, known: KnownKey | None, now: float) -> Proven:
    """`begun`: of the request. `known`: the record looked up for the claim's id and date, None when there is none.
    `now`: Unix seconds.

    IamError SIGNATURE_DOES_NOT_MATCH, INVALID_CLIENT_TOKEN_ID, ACCESS_DENIED.
    """
    headers, claim = begun
    # (1) what must be signed is signed
    _check_signed(headers, claim)
    # (2) the signature
    date_key = _NOBODYS_DATE_KEY if known is None else known.date_keys[claim.date]
    signing_key = derive_signing_key(date_key, claim.region, claim.service)
    computed = hmac.digest(signing_key, _text(request, headers, claim), "sha256").hex().encode()
    holds = hmac.compare_digest(computed, claim.signature)
    # (3) the key exists, and the signature holds: which of them failed is not said of a key that is over
    if known is None:
        raise unknown_token()
    access_key = known.access_key
    ended = unusable(access_key, now)
    if not holds:
        if ended:
            raise unknown_token()
        raise IamError(
            IamCode.SIGNATURE_DOES_NOT_MATCH,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method.",
        )
    # (4) the key is usable now, from there
    if ended:
        raise IamError(IamCode.INVALID_CLIENT_TOKEN_ID, f"The access key you provided {ended}.")
    if not access_key.admits(request.source):
        raise IamError(IamCode.ACCESS_DENIED, f"The access key may not be used from {request.source}.")
    return Proven(access_key, claim, request)


def _check_signed(headers: Mapping[bytes, bytes], claim: IamClaim) -> None:
    """As for S3, X-Amz-Date with it, which the claim was read from; and Content-Type, by which the body is read."""
    try:
        check_signed_headers(tuple(headers), claim.signed_headers)
    except S3Error as error:
        raise IamError(IamCode.SIGNATURE_DOES_NOT_MATCH, error.message) from None
    if b"content-type" in headers and b"content-type" not in claim.signed_headers:
        raise IamError(IamCode.SIGNATURE_DOES_NOT_MATCH, "'Content-Type' must be a signed header.")


def _text(request: IamRequest, headers: Mapping[bytes, bytes], claim: IamClaim) -> bytes:
    """The string to sign. The payload line is the hash of the body that came, whatever a header says of it."""
    block = canonical_block(layout(claim.signed_headers, claim.signed_headers), headers)
    payload_line = hashlib.sha256(request.body).hexdigest().encode()
    canonical = canonical_request(request.method, request.raw_path, b"", block, payload_line)
    return string_to_sign(claim.timestamp, claim.scope, canonical)

"""Who a request to the IAM and STS query API says it is from, and whether its time is right. Nothing is believed yet.

A type of its own: what is signed for another service than s3 never takes the road of objects, and nothing signed for s3
is taken here. The region is the client's own, and any will do: it stands in the scope, and so under the signature.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, NoReturn

from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import IamRequest, check_shape, read_headers
from gateway.s3.errors import Code, S3Error
from gateway.sigv4.claim import LOWER_HEX, Identity, read_authorization, unix_seconds
from gateway.sigv4.terms import MAX_SKEW

SERVICES: Final = frozenset({b"iam", b"sts"})


class IamClaim(NamedTuple):
    """As `gateway.sigv4.terms.Claim`, as far as there is such a thing here."""

    access_key_id: str
    date: bytes
    region: bytes
    service: bytes
    scope: bytes
    signed_headers: tuple[bytes, ...]
    signature: bytes
    timestamp: bytes
    issued_at: int

    def __repr__(self) -> str:
        return f"IamClaim({self.access_key_id}, <hidden>)"


class Begun(NamedTuple):
    """A request whose key is to be looked up. `headers`: by lower-case name."""

    headers: Mapping[bytes, bytes]
    claim: IamClaim


def begin(request: IamRequest, now: float) -> Begun:
    """Everything up to the look-up of the key. `now`: Unix seconds. IamError as `read_headers`, `check_shape`,
    `read_iam_claim` and `check_iam_time`.
    """
    headers = read_headers(request)
    check_shape(request, headers)
    claim = read_iam_claim(headers)
    check_iam_time(claim, now)
    return Begun(headers, claim)


def service_asked(request: IamRequest) -> bytes:
    """In whose words a refusal is told, also of a request that cannot be read: b"sts" or b"iam"."""
    said = next((value for name, value in request.headers if name.lower() == b"authorization"), b"")
    return b"sts" if b"/sts/" in said else b"iam"


def read_iam_claim(headers: Mapping[bytes, bytes]) -> IamClaim:
    """`headers`: of the request, by lower-case name.

    IamError MISSING_AUTHENTICATION_TOKEN, INCOMPLETE_SIGNATURE, INVALID_CLIENT_TOKEN_ID, SIGNATURE_DOES_NOT_MATCH.
    """
    authorization = headers.get(b"authorization")
    if authorization is None:
        raise IamError(IamCode.MISSING_AUTHENTICATION_TOKEN, "Request is missing Authentication Token")
    if b"x-amz-security-token" in headers:
        raise IamError(IamCode.INVALID_CLIENT_TOKEN_ID, "Session tokens are not accepted here.")
    identity, signature = _read(authorization)
    if len(signature) != 64 or signature.translate(None, LOWER_HEX):
        _incomplete("the signature is not 64 lower-case hex digits")
    if identity.service not in SERVICES:
        raise IamError(
            IamCode.SIGNATURE_DOES_NOT_MATCH, "Credential should be scoped to correct service: 'iam' or 'sts'."
        )
    timestamp = headers.get(b"x-amz-date", b"")
    issued_at = unix_seconds(timestamp) if len(timestamp) == 16 else -1
    if issued_at < 0:
        _incomplete("the header X-Amz-Date must be there, as yyyyMMdd'T'HHmmss'Z'")
    if timestamp[:8] != identity.date:
        _incomplete("the date in the credential scope is not the date of the request")
    return IamClaim(*identity, signature, timestamp, issued_at)


def _read(authorization: bytes) -> tuple[Identity, bytes]:
    try:
        return read_authorization(authorization)
    except S3Error as error:
        if error.code is Code.INVALID_ACCESS_KEY_ID:
            raise unknown_token() from None
        _incomplete(
            "it must be AWS4-HMAC-SHA256 Credential=ACCESS_KEY_ID/YYYYMMDD/REGION/SERVICE/aws4_request, "
            "SignedHeaders=…, Signature=…"
        )


def unknown_token() -> IamError:
    """Of an id that no key has, and of one that may not be used and whose signature did not hold."""
    return IamError(IamCode.INVALID_CLIENT_TOKEN_ID, "The security token included in the request is invalid.")


def _incomplete(reason: str) -> NoReturn:
    raise IamError(IamCode.INCOMPLETE_SIGNATURE, f"The Authorization header is not complete: {reason}.")


def check_iam_time(claim: IamClaim, now: float) -> None:
    """`now`: Unix seconds. IamError SIGNATURE_DOES_NOT_MATCH, as AWS has it, beyond 15 minutes either way."""
    if now - claim.issued_at > MAX_SKEW:
        raise _skewed("Signature expired", claim, "earlier", now)
    if claim.issued_at - now > MAX_SKEW:
        raise _skewed("Signature not yet current", claim, "later", now)


def _skewed(what: str, claim: IamClaim, side: str, now: float) -> IamError:
    here = datetime.fromtimestamp(int(now), UTC).strftime("%Y%m%dT%H%M%SZ")
    return IamError(
        IamCode.SIGNATURE_DOES_NOT_MATCH,
        f"{what}: {claim.timestamp.decode()} is {side} than {here} by more than {MAX_SKEW // 60} min.",
    )

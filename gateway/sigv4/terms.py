"""The claim as a record, the rules it is read by, and whether its time is right. Syntax lives with the readers."""

from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple, NoReturn

from gateway.s3.errors import Code, S3Error

MAX_SKEW: Final = (
    900  # seconds, both ways: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
)
MAX_EXPIRES: Final = 604_800  # seven days: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"
USE_V4: Final = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


class Form(Enum):
    HEADER = "header"
    PRESIGNED = "presigned"
    PRESIGNED_V2 = "presigned, SigV2"
    POST = "upload form"
    POST_V2 = "upload form, SigV2"


class ClaimRules(NamedTuple):
    """`regions`: None = any. `echo`: whether a refusal may show the client its own canonical request."""

    regions: frozenset[bytes] | None
    sigv2_presigned: bool
    reported_region: bytes
    echo: bool = False


class Claim:
    """`date`: b"YYYYMMDD" of the scope. `scope`: b"date/region/service/aws4_request". `signed_headers`: lower-case,
    ascending. `signature`: as claimed; hex for V4, base64 for V2. `timestamp`: ISO basic. `issued_at`: Unix seconds.
    `expires`: seconds of validity, None in header form; for V2 the Unix second itself. `payload_line`: as it stands in
    the canonical request. `policy`: of an upload form, what is signed instead: base64 as sent.
    """

    __slots__ = (
        "access_key_id",
        "date",
        "echo",
        "expires",
        "form",
        "issued_at",
        "payload_line",
        "policy",
        "region",
        "scope",
        "service",
        "signature",
        "signed_headers",
        "timestamp",
    )

    def __init__(
        self,
        form: Form,
        access_key_id: str,
        date: bytes,
        region: bytes,
        service: bytes,
        scope: bytes,
        signed_headers: tuple[bytes, ...],
        signature: bytes,
        timestamp: bytes,
        issued_at: int,
        expires: int | None,
        payload_line: bytes,
        echo: bool,
        policy: bytes = b"",
    ) -> None:
        self.form = form
        self.access_key_id = access_key_id
        self.date = date
        self.region = region
        self.service = service
        self.scope = scope
        self.signed_headers = signed_headers
        self.signature = signature
        self.timestamp = timestamp
        self.issued_at = issued_at
        self.expires = expires
        self.payload_line = payload_line
        self.echo = echo
        self.policy = policy

    def __repr__(self) -> str:
        return f"Claim({self.form.value}, {self.access_key_id}, <hidden>)"


def malformed_query(reason: str, *extra: tuple[str, str]) -> NoReturn:
    raise S3Error(
        Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR,
        reason,
        message=f"Error parsing the authorization query parameters; {reason}.",
        extra=extra,
    )


def check_time(claim: Claim, now: float) -> None:
    """Clock and expiry; when the policy of a form expires is read later, and of a SigV2 form that is all there is.
    `now`: Unix seconds. S3Error REQUEST_TIME_TOO_SKEWED, ACCESS_DENIED, or for a V2 URL valid for more than seven days
    AUTHORIZATION_QUERY_PARAMETERS_ERROR."""
    if claim.expires is None:
        if not -MAX_SKEW <= now - claim.issued_at <= MAX_SKEW:
            raise _skewed(claim, now)
        return
    match claim.form:
        case Form.PRESIGNED:
            if claim.issued_at > now + MAX_SKEW:
                raise S3Error(Code.ACCESS_DENIED, "not yet valid", message="Request is not yet valid")
            if now > claim.issued_at + claim.expires:
                _expired(claim.issued_at + claim.expires, now, str(claim.expires))
        case Form.PRESIGNED_V2:
            if now > claim.expires:
                _expired(claim.expires, now, None)
            if claim.expires > now + MAX_EXPIRES:
                malformed_query("Expires must be at most seven days ahead")
        case Form.POST:  # of SigV2 ones only the policy says when they end
            if claim.issued_at > now + MAX_SKEW:
                raise S3Error(Code.ACCESS_DENIED, "not yet valid", message="Request is not yet valid")
            if now > claim.issued_at + claim.expires:
                _expired(claim.issued_at + claim.expires, now, None)


def _skewed(claim: Claim, now: float) -> S3Error:
    return S3Error(
        Code.REQUEST_TIME_TOO_SKEWED,
        "clock skew",
        extra=(
            ("RequestTime", claim.timestamp.decode()),
            ("ServerTime", _iso(now)),
            ("MaxAllowedSkewMilliseconds", str(MAX_SKEW * 1000)),
        ),
    )


def _expired(end: int, now: float, seconds: str | None) -> NoReturn:
    lasted = (("X-Amz-Expires", seconds),) if seconds is not None else ()
    raise S3Error(
        Code.ACCESS_DENIED,
        "presigned URL or form expired",
        message="Request has expired",
        extra=(*lasted, ("Expires", _iso(end)), ("ServerTime", _iso(now))),
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

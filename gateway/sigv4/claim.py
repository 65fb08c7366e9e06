"""What a request claims about itself: who signed it, when, over which headers. Syntax only; nothing is believed yet.

Header form and presigned form yield the same record, so nothing downstream asks again which it was.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from gateway.sigv4.canonical import ALGORITHM, TERMINATOR

MAX_SKEW: Final = (
    900  # seconds, both ways: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
)
MAX_EXPIRES: Final = 604_800  # seven days: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"
NO_DATE: Final = b"00000000"  # SigV2 has no scope date
_ACCESS_KEY_ID: Final = re.compile(rb"[A-Za-z0-9_-]{3,128}\Z")
_DATE: Final = re.compile(rb"[0-9]{8}\Z")
_TIMESTAMP: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z\Z")
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{64}\Z")
_SIGNED_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_EXPIRES: Final = re.compile(rb"[0-9]{1,6}\Z")
_UNIX: Final = re.compile(rb"[0-9]{1,12}\Z")
_V4_NAMES: Final = {
    name.lower(): name
    for name in b"X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Amz-Signature".split()
}
_V4_OPTIONAL: Final = frozenset({b"X-Amz-Content-Sha256"})
_V2_NAMES: Final = frozenset({b"AWSAccessKeyId", b"Signature", b"Expires"})
# What may stand in a SigV2 presigned URL: everything else would not be signed.
_V2_SIGNED_QUERY: Final = frozenset(
    b"partNumber uploadId uploads versionId versions response-cache-control response-content-disposition "
    b"response-content-encoding response-content-language response-content-type response-expires".split()
)
_V2_METHODS: Final = frozenset({b"GET", b"HEAD", b"PUT"})
_ONE_MECHANISM: Final = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)
_USE_V4: Final = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


_Malformed = Callable[..., NoReturn]


class Form(Enum):
    HEADER = "header"
    PRESIGNED = "presigned"
    PRESIGNED_V2 = "presigned, SigV2"


class ClaimRules(NamedTuple):
    """`regions`: None = any. `echo`: whether a refusal may show the client its own canonical request."""

    regions: frozenset[bytes] | None
    sigv2_presigned: bool
    reported_region: bytes
    echo: bool = False


class Claim(NamedTuple):
    """`date`: b"YYYYMMDD" of the scope. `signed_headers`: lower-case, ascending. `signature`: as claimed; hex for V4,
    base64 for V2. `timestamp`: ISO basic. `issued_at`: Unix seconds. `expires`: seconds of validity, None in header
    form; for V2 the Unix second itself. `payload_line`: as it stands in the canonical request.
    """

    form: Form
    access_key_id: str
    date: bytes
    region: bytes
    service: bytes
    signed_headers: tuple[bytes, ...]
    signature: bytes
    timestamp: bytes
    issued_at: int
    expires: int | None
    payload_line: bytes
    echo: bool

    def __repr__(self) -> str:
        return f"Claim({self.form.value}, {self.access_key_id}, <hidden>)"


def read_claim(request: S3Request, rules: ClaimRules) -> Claim:
    """The claim, whichever form it came in.

    S3Error ACCESS_DENIED (none), INVALID_ARGUMENT (two, or another scheme), INVALID_REQUEST (SigV2 header, SigV4A),
    INVALID_TOKEN, AUTHORIZATION_HEADER_MALFORMED, AUTHORIZATION_QUERY_PARAMETERS_ERROR.
    """
    authorization = request.all_headers.get(b"authorization")
    presigned = presigned_v2 = False
    if request.query:
        presigned, presigned_v2 = _query_forms(request.query)
        if (authorization is not None) + presigned + presigned_v2 > 1:
            raise S3Error(Code.INVALID_ARGUMENT, "two mechanisms", message=_ONE_MECHANISM)
    if b"x-amz-security-token" in request.all_headers or b"X-Amz-Security-Token" in request.query:
        raise S3Error(Code.INVALID_TOKEN, "a session token")
    if authorization is not None:
        return _from_header(request, authorization, rules)
    if presigned:
        return _from_query(request, rules)
    if presigned_v2:
        return _from_v2_query(request, rules)
    raise S3Error(Code.ACCESS_DENIED, "no credentials")


def _query_forms(query: dict[bytes, bytes]) -> tuple[bool, bool]:
    """Names are recognised in any case and accepted in one: a reader that folds case must not see another claim."""
    presigned = presigned_v2 = False
    for name in query:
        exact = _V4_NAMES.get(name.lower())
        if exact is not None:
            if name != exact:
                _malformed_query(f"{exact.decode()} must be spelled so")
            presigned = True
        elif name in _V2_NAMES:
            presigned_v2 = True
    return presigned, presigned_v2


# ---- header form ----


def _malformed_header(reason: str, *extra: tuple[str, str]) -> NoReturn:
    raise S3Error(
        Code.AUTHORIZATION_HEADER_MALFORMED,
        reason,
        message=f"The authorization header is malformed; {reason}.",
        extra=extra,
    )


def _from_header(request: S3Request, authorization: bytes, rules: ClaimRules) -> Claim:
    scheme, _, rest = authorization.partition(b" ")
    if scheme != ALGORITHM:
        if scheme == b"AWS" or scheme.startswith(b"AWS4-"):
            raise S3Error(Code.INVALID_REQUEST, "SigV2 header or SigV4A", message=_USE_V4)
        raise S3Error(Code.INVALID_ARGUMENT, "another scheme", message="Unsupported Authorization Type")
    parts = {}
    for piece in rest.split(b","):
        name, _, value = piece.strip(b" ").partition(b"=")
        if name in parts:
            _malformed_header("a component was given twice")
        parts[name] = value
    if len(parts) != 3 or not parts.keys() >= {b"Credential", b"SignedHeaders", b"Signature"}:
        _malformed_header("it must hold exactly Credential, SignedHeaders and Signature")
    access_key_id, date, region, service = _credential(parts[b"Credential"], _malformed_header)
    _check_scope(region, service, rules, _malformed_header)
    signed_headers = _signed_headers(parts[b"SignedHeaders"], _malformed_header)
    signature = parts[b"Signature"]
    if not _SIGNATURE.match(signature):
        _malformed_header("the signature is not 64 lower-case hex digits")
    timestamp = _header_timestamp(request)
    if timestamp[:8] != date:
        _malformed_header("the date in the credential scope is not the date of the request")
    payload_line = request.headers.get(b"x-amz-content-sha256")
    if payload_line is None:
        raise S3Error(
            Code.INVALID_REQUEST,
            "no x-amz-content-sha256",
            message="Missing required header for this request: x-amz-content-sha256",
        )
    return Claim(
        Form.HEADER,
        access_key_id,
        date,
        region,
        service,
        signed_headers,
        signature,
        timestamp,
        _unix(timestamp),
        None,
        payload_line,
        rules.echo,
    )


def _header_timestamp(request: S3Request) -> bytes:
    stamped = request.headers.get(b"x-amz-date")
    if stamped is None:
        stamped = request.headers.get(b"date", b"")
        if not _TIMESTAMP.match(stamped):
            stamped = _from_http_date(stamped)
    if not _TIMESTAMP.match(stamped) or _unix(stamped) < 0:
        raise S3Error(
            Code.ACCESS_DENIED, "no date", message="AWS authentication requires a valid Date or x-amz-date header"
        )
    return stamped


def _from_http_date(value: bytes) -> bytes:
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    except (ValueError, OverflowError, UnicodeDecodeError):
        return b""


@lru_cache(maxsize=4096)
def _unix(timestamp: bytes) -> int:
    """Unix seconds of an ISO basic time; -1 when there is no such moment."""
    year, month, day = int(timestamp[:4]), int(timestamp[4:6]), int(timestamp[6:8])
    hour, minute, second = int(timestamp[9:11]), int(timestamp[11:13]), int(timestamp[13:15])
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return -1


# ---- presigned form ----


def _malformed_query(reason: str, *extra: tuple[str, str]) -> NoReturn:
    raise S3Error(
        Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR,
        reason,
        message=f"Error parsing the authorization query parameters; {reason}.",
        extra=extra,
    )


def _from_query(request: S3Request, rules: ClaimRules) -> Claim:
    query = request.query
    for name in _V4_NAMES.values():
        if name not in query:
            _malformed_query(
                "a presigned request must hold X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                "X-Amz-SignedHeaders and X-Amz-Expires"
            )
    if query[b"X-Amz-Algorithm"] != ALGORITHM:
        _malformed_query('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key_id, date, region, service = _credential(query[b"X-Amz-Credential"], _malformed_query)
    _check_scope(region, service, rules, _malformed_query)
    timestamp = query[b"X-Amz-Date"]
    if not _TIMESTAMP.match(timestamp) or _unix(timestamp) < 0:
        _malformed_query("X-Amz-Date must be in the ISO8601 long format yyyyMMdd'T'HHmmss'Z'")
    if timestamp[:8] != date:
        _malformed_query("the date in the credential scope is not the date of the request")
    expires = query[b"X-Amz-Expires"]
    if not _EXPIRES.match(expires) or not 1 <= int(expires) <= MAX_EXPIRES:
        _malformed_query("X-Amz-Expires must be a number of seconds from 1 to 604800")
    signature = query[b"X-Amz-Signature"]
    if not _SIGNATURE.match(signature):
        _malformed_query("X-Amz-Signature is not 64 lower-case hex digits")
    signed_headers = _signed_headers(query[b"X-Amz-SignedHeaders"], _malformed_query)
    return Claim(
        Form.PRESIGNED,
        access_key_id,
        date,
        region,
        service,
        signed_headers,
        signature,
        timestamp,
        _unix(timestamp),
        int(expires),
        _presigned_payload(request, signed_headers),
        rules.echo,
    )


def _presigned_payload(request: S3Request, signed_headers: tuple[bytes, ...]) -> bytes:
    """The query's value; else the header's, if it is signed and so pins the body; else UNSIGNED-PAYLOAD."""
    line = request.query.get(b"X-Amz-Content-Sha256")
    if line is None and b"x-amz-content-sha256" in signed_headers:
        line = request.headers.get(b"x-amz-content-sha256")
    if line is None:
        return UNSIGNED_PAYLOAD
    if line.startswith(b"STREAMING-"):
        _malformed_query("a presigned request cannot sign its body in chunks")
    return line


# ---- both forms ----


def _credential(value: bytes, malformed: _Malformed) -> tuple[str, bytes, bytes, bytes]:
    pieces = value.rsplit(b"/", 4)
    if len(pieces) != 5 or pieces[4] != TERMINATOR:
        malformed('the credential must be "<access key id>/YYYYMMDD/REGION/s3/aws4_request"')
    access_key_id, date, region, service, _ = pieces
    if not _ACCESS_KEY_ID.match(access_key_id):
        raise S3Error(Code.INVALID_ACCESS_KEY_ID, "an access key id that none can have")
    if not _DATE.match(date) or not region:
        malformed("the credential scope has no valid date or no region")
    return access_key_id.decode("ascii"), date, region, service


def _check_scope(region: bytes, service: bytes, rules: ClaimRules, malformed: _Malformed) -> None:
    if service != b"s3":
        malformed("the service in the credential scope must be s3")
    if rules.regions is not None and region not in rules.regions:
        expected = rules.reported_region.decode()
        malformed(f"the region is wrong; expecting '{expected}'", ("Region", expected))


def _signed_headers(value: bytes, malformed: _Malformed) -> tuple[bytes, ...]:
    names = tuple(value.split(b";"))
    last = b""
    for name in names:
        if name <= last or not _SIGNED_NAME.match(name):
            malformed("SignedHeaders must be lower-case names in ascending order")
        last = name
    return names


# ---- SigV2, presigned only ----


def _from_v2_query(request: S3Request, rules: ClaimRules) -> Claim:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth"""
    query = request.query
    if not rules.sigv2_presigned:
        raise S3Error(Code.INVALID_REQUEST, "SigV2 presigned is off", message=_USE_V4)
    if not query.keys() >= _V2_NAMES:
        _malformed_query("a SigV2 presigned request must hold AWSAccessKeyId, Signature and Expires")
    if request.method not in _V2_METHODS or not request.object_key:
        raise S3Error(Code.INVALID_REQUEST, "SigV2 presigned for another operation", message=_USE_V4)
    for name in query.keys() - _V2_NAMES:
        if name not in _V2_SIGNED_QUERY:
            raise S3Error(Code.INVALID_REQUEST, "a query parameter that SigV2 does not sign", message=_USE_V4)
    access_key_id, expires = query[b"AWSAccessKeyId"], query[b"Expires"]
    if not _ACCESS_KEY_ID.match(access_key_id):
        raise S3Error(Code.INVALID_ACCESS_KEY_ID, "an access key id that none can have")
    if not _UNIX.match(expires):
        _malformed_query("Expires must be a number of seconds since 1970")
    return Claim(
        Form.PRESIGNED_V2,
        access_key_id.decode("ascii"),
        NO_DATE,
        b"",
        b"s3",
        (),
        query[b"Signature"],
        b"",
        0,
        int(expires),
        UNSIGNED_PAYLOAD,
        rules.echo,
    )


# ---- time ----


def check_time(claim: Claim, now: float) -> None:
    """Clock and expiry. `now`: Unix seconds. S3Error REQUEST_TIME_TOO_SKEWED, ACCESS_DENIED, or for a V2 URL valid for
    more than seven days AUTHORIZATION_QUERY_PARAMETERS_ERROR."""
    match claim.form:
        case Form.HEADER:
            if not -MAX_SKEW <= now - claim.issued_at <= MAX_SKEW:
                raise S3Error(
                    Code.REQUEST_TIME_TOO_SKEWED,
                    "clock skew",
                    extra=(
                        ("RequestTime", claim.timestamp.decode()),
                        ("ServerTime", _iso(now)),
                        ("MaxAllowedSkewMilliseconds", str(MAX_SKEW * 1000)),
                    ),
                )
        case Form.PRESIGNED:
            assert claim.expires is not None
            if claim.issued_at > now + MAX_SKEW:
                raise S3Error(Code.ACCESS_DENIED, "not yet valid", message="Request is not yet valid")
            if now > claim.issued_at + claim.expires:
                _expired(claim.issued_at + claim.expires, now, str(claim.expires))
        case Form.PRESIGNED_V2:
            assert claim.expires is not None
            if now > claim.expires:
                _expired(claim.expires, now, None)
            if claim.expires > now + MAX_EXPIRES:
                _malformed_query("Expires must be at most seven days ahead")


def _expired(end: int, now: float, seconds: str | None) -> NoReturn:
    lasted = (("X-Amz-Expires", seconds),) if seconds is not None else ()
    raise S3Error(
        Code.ACCESS_DENIED,
        "presigned URL expired",
        message="Request has expired",
        extra=(*lasted, ("Expires", _iso(end)), ("ServerTime", _iso(now))),
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

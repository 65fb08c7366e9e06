"""What a request claims about itself: who signed it, when, over which headers. Syntax only; nothing is believed yet.

Header form and presigned form yield the same record, so nothing downstream asks again which it was.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from gateway.sigv4.canonical import ALGORITHM
from gateway.sigv4.presigned_v2 import ACCESS_KEY_ID, read_presigned_v2
from gateway.sigv4.presigned_v2 import NAMES as V2_NAMES
from gateway.sigv4.terms import (
    MAX_EXPIRES,
    UNSIGNED_PAYLOAD,
    USE_V4,
    Claim,
    ClaimRules,
    Form,
    check_time,
    malformed_query,
)
from keystore.derived import TERMINATOR

__all__ = ["Claim", "ClaimRules", "Form", "check_time", "read_claim"]

# What strangers can make us keep: 4096 headers of 1 KiB, which is four times a usual one.
MAX_KEPT: Final = 1024
MAX_SIGNED: Final = 256  # names in SignedHeaders; a head has no more fields
_DATE: Final = re.compile(rb"[0-9]{8}\Z")
_TIMESTAMP: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z\Z")
LOWER_HEX: Final = b"0123456789abcdef"  # of a signature, lower case only
_SIGNED_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_EXPIRES: Final = re.compile(rb"[0-9]{1,6}\Z")
_V4_NAMES: Final = {
    name.lower(): name
    for name in b"X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Amz-Signature".split()
}
_ONE_MECHANISM: Final = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)
_Malformed = Callable[..., NoReturn]


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
        return read_presigned_v2(request, rules)
    raise S3Error(Code.ACCESS_DENIED, "no credentials")


def _query_forms(query: dict[bytes, bytes]) -> tuple[bool, bool]:
    """Names are recognised in any case and accepted in one: a reader that folds case must not see another claim."""
    presigned = presigned_v2 = False
    for name in query:
        exact = _V4_NAMES.get(name.lower())
        if exact is not None:
            if name != exact:
                malformed_query(f"{exact.decode()} must be spelled so")
            presigned = True
        elif name in V2_NAMES:
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


class Identity(NamedTuple):
    """What of an Authorization header stays the same from one request of a client to the next, all day."""

    access_key_id: str
    date: bytes
    region: bytes
    service: bytes
    scope: bytes
    signed_headers: tuple[bytes, ...]


@lru_cache(maxsize=4096)
def _usual_identity(begun: bytes) -> Identity | None:
    """`begun`: an Authorization header but for its last 64 bytes. None unless it is a usual one, its signature last."""
    scheme, _, parts = begun.partition(b" ")
    if scheme != ALGORITHM or not parts.endswith((b", Signature=", b",Signature=")):
        return None
    return _read_identity(parts.removesuffix(b"Signature=").rstrip(b", "))


def read_authorization(authorization: bytes) -> tuple[Identity, bytes]:
    """(who signed, the signature) of an Authorization header in any order. Which service it is for, and whether the
    signature has the form of one, is for the caller to look at. S3Error as `read_claim`."""
    scheme, _, parts = authorization.partition(b" ")
    if scheme != ALGORITHM:
        if scheme == b"AWS" or scheme.startswith(b"AWS4-"):
            raise S3Error(Code.INVALID_REQUEST, "SigV2 header or SigV4A", message=USE_V4)
        raise S3Error(Code.INVALID_ARGUMENT, "another scheme", message="Unsupported Authorization Type")
    pieces = [piece.strip(b" ") for piece in parts.split(b",")]
    signatures = [piece for piece in pieces if piece.startswith(b"Signature=")]
    if len(signatures) != 1:
        _malformed_header("it must hold exactly Credential, SignedHeaders and Signature")
    pieces.remove(signatures[0])
    return _read_identity(b",".join(pieces)), signatures[0].removeprefix(b"Signature=")


def _read_identity(parts: bytes) -> Identity:
    """`parts`: two components, in any order."""
    found = {}
    for piece in parts.split(b","):
        name, _, value = piece.strip(b" ").partition(b"=")
        if name in found:
            _malformed_header("a component was given twice")
        found[name] = value
    if found.keys() != {b"Credential", b"SignedHeaders"}:
        _malformed_header("it must hold exactly Credential, SignedHeaders and Signature")
    credential = read_credential(found[b"Credential"], _malformed_header)
    return Identity(*credential, _signed_headers(found[b"SignedHeaders"], _malformed_header))


def _from_header(request: S3Request, authorization: bytes, rules: ClaimRules) -> Claim:
    signature = authorization[-64:]
    identity = _usual_identity(authorization[:-64]) if len(authorization) <= MAX_KEPT else None
    if identity is None:
        identity, signature = read_authorization(authorization)
    if len(signature) != 64 or signature.translate(None, LOWER_HEX):
        _malformed_header("the signature is not 64 lower-case hex digits")
    access_key_id, date, region, service, scope, signed_headers = identity
    if service != b"s3" or rules.regions is not None:
        check_scope(region, service, rules, _malformed_header)
    timestamp = request.headers.get(b"x-amz-date") or _date(request)
    issued_at = unix_seconds(timestamp) if len(timestamp) == 16 else -1
    if issued_at < 0:
        raise S3Error(
            Code.ACCESS_DENIED, "no date", message="AWS authentication requires a valid Date or x-amz-date header"
        )
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
        scope,
        signed_headers,
        signature,
        timestamp,
        issued_at,
        None,
        payload_line,
        rules.echo,
    )


def _date(request: S3Request) -> bytes:
    """Without x-amz-date, Date is what was signed: as ISO basic, b"" when it is no date."""
    stamped = request.headers.get(b"date", b"")
    return stamped if _TIMESTAMP.match(stamped) else _from_http_date(stamped)


def _from_http_date(value: bytes) -> bytes:
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        if moment.tzinfo is None:  # a zone of -0000: in UTC, nothing said of where (RFC 5322, 3.3)
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    except (ValueError, OverflowError, UnicodeDecodeError):
        return b""


@lru_cache(maxsize=4096)
def unix_seconds(timestamp: bytes) -> int:
    """Unix seconds of an ISO basic time; -1 when it is none, or there is no such moment. Ask with 16 bytes only: what
    a stranger sends is kept."""
    if not _TIMESTAMP.match(timestamp):
        return -1
    year, month, day = int(timestamp[:4]), int(timestamp[4:6]), int(timestamp[6:8])
    hour, minute, second = int(timestamp[9:11]), int(timestamp[11:13]), int(timestamp[13:15])
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return -1


# ---- presigned form ----


def _from_query(request: S3Request, rules: ClaimRules) -> Claim:
    query = request.query
    for name in _V4_NAMES.values():
        if name not in query:
            malformed_query(
                "a presigned request must hold X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                "X-Amz-SignedHeaders and X-Amz-Expires"
            )
    if query[b"X-Amz-Algorithm"] != ALGORITHM:
        malformed_query('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key_id, date, region, service, scope = read_credential(query[b"X-Amz-Credential"], malformed_query)
    check_scope(region, service, rules, malformed_query)
    timestamp = query[b"X-Amz-Date"]
    if len(timestamp) != 16 or unix_seconds(timestamp) < 0:
        malformed_query("X-Amz-Date must be in the ISO8601 long format yyyyMMdd'T'HHmmss'Z'")
    if timestamp[:8] != date:
        malformed_query("the date in the credential scope is not the date of the request")
    expires = query[b"X-Amz-Expires"]
    if not _EXPIRES.match(expires) or not 1 <= int(expires) <= MAX_EXPIRES:
        malformed_query("X-Amz-Expires must be a number of seconds from 1 to 604800")
    signature = query[b"X-Amz-Signature"]
    if len(signature) != 64 or signature.translate(None, LOWER_HEX):
        malformed_query("X-Amz-Signature is not 64 lower-case hex digits")
    signed_headers = _signed_headers(query[b"X-Amz-SignedHeaders"], malformed_query)
    return Claim(
        Form.PRESIGNED,
        access_key_id,
        date,
        region,
        service,
        scope,
        signed_headers,
        signature,
        timestamp,
        unix_seconds(timestamp),
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
        malformed_query("a presigned request cannot sign its body in chunks")
    return line


# ---- both forms ----


def read_credential(value: bytes, malformed: _Malformed) -> tuple[str, bytes, bytes, bytes, bytes]:
    """(access key id, date, region, service, the scope as a whole)."""
    pieces = value.rsplit(b"/", 4)
    if len(pieces) != 5 or pieces[4] != TERMINATOR:
        malformed('the credential must be "<access key id>/YYYYMMDD/REGION/s3/aws4_request"')
    access_key_id, date, region, service, _ = pieces
    if not ACCESS_KEY_ID.match(access_key_id):
        raise S3Error(Code.INVALID_ACCESS_KEY_ID, "an access key id that none can have")
    if not _DATE.match(date) or not region:
        malformed("the credential scope has no valid date or no region")
    return access_key_id.decode("ascii"), date, region, service, value[len(access_key_id) + 1 :]


def check_scope(region: bytes, service: bytes, rules: ClaimRules, malformed: _Malformed) -> None:
    if service != b"s3":
        malformed("the service in the credential scope must be s3")
    if rules.regions is not None and region not in rules.regions:
        expected = rules.reported_region.decode()
        malformed(f"the region is wrong; expecting '{expected}'", ("Region", expected))


def _signed_headers(value: bytes, malformed: _Malformed) -> tuple[bytes, ...]:
    if value.count(b";") >= MAX_SIGNED:
        malformed(f"SignedHeaders may hold at most {MAX_SIGNED} names")
    names = tuple(value.split(b";"))
    last = b""
    for name in names:
        if name <= last or not _SIGNED_NAME.match(name):
            malformed("SignedHeaders must be lower-case names in ascending order")
        last = name
    return names

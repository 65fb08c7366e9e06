"""What a failed answer of the store means to the client: status, code and message, with nothing of the store in them.

Codes about the gateway's own credential become InternalError: their documents carry the store's access key id, host
and canonical request. Redirects are never relayed: SDKs follow them, with the client's signature, past the gateway.
"""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import read_error

_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}\Z")
MAX_MESSAGE: Final = 1024  # characters; stores write one sentence

# What a store says of the credential it was asked with: ours, never the client's.
_ABOUT_US: Final = frozenset(
    "AccountProblem AuthorizationHeaderMalformed AuthorizationQueryParametersError CredentialsNotSupported "
    "ExpiredToken InvalidAccessKeyId InvalidSecurity InvalidToken MissingAuthenticationToken MissingSecurityHeader "
    "NotSignedUp PermanentRedirect Redirect RequestExpired RequestTimeTooSkewed SignatureDoesNotMatch "
    "TemporaryRedirect TokenRefreshRequired UnauthorizedAccess".split()
)
# AWS names its user and policy in these: "User: arn:aws:iam::123456789012:user/… is not authorized to perform …".
# This one names the store's region.
_PLAIN_MESSAGES: Final = {
    "AccessDenied": Code.ACCESS_DENIED.message,
    "AllAccessDisabled": Code.ACCESS_DENIED.message,
    "IllegalLocationConstraintException": "The specified location constraint is not valid.",
}
_REFUSED: Final = "The store refused the request."

# Stores that answer without a document; what has none here is nonsense.
_BARE: Final[dict[int, tuple[str, str]]] = {
    400: ("InvalidRequest", _REFUSED),
    403: ("AccessDenied", Code.ACCESS_DENIED.message),
    405: ("MethodNotAllowed", Code.METHOD_NOT_ALLOWED.message),
    409: ("OperationAborted", "A conflicting operation is in progress."),
    412: ("PreconditionFailed", "At least one of the preconditions you specified did not hold."),
    416: ("InvalidRange", "The requested range cannot be satisfied."),
    501: ("NotImplemented", Code.NOT_IMPLEMENTED.message),
}
_NO_BUCKET: Final = ("NoSuchBucket", "The specified bucket does not exist.")
_NO_OBJECT: Final = ("NoSuchKey", "The specified key does not exist.")
_MESSAGES: Final = dict((_NO_BUCKET, _NO_OBJECT))  # rclone sends none
_BUSY: Final = frozenset({429, 502, 503, 504})


class StoreError(NamedTuple):
    """`ours`: the store's answer does not reach the client at all; the log says what it was."""

    status: int
    code: str
    message: str
    ours: bool


def _instead(code: Code) -> StoreError:
    return StoreError(code.status, code.wire_name, code.message, ours=True)


def store_error(status: int, body: bytes, *, of_object: bool, hidden: Collection[str]) -> StoreError:
    """`status`: 300–599, not 304. `hidden`: what no message may contain, such as the store's host, in lower case."""
    if status < 400 or status in (401, 407):
        return _instead(Code.INTERNAL_ERROR)
    said = _read(body)
    if said is not None:
        return as_told(status, *said, hidden)
    if status in _BUSY:
        return _instead(Code.SERVICE_UNAVAILABLE)
    if body.strip():
        return _instead(Code.INTERNAL_ERROR)
    bare = (_NO_OBJECT if of_object else _NO_BUCKET) if status == 404 else _BARE.get(status)
    return StoreError(status, *bare, ours=False) if bare is not None else _instead(Code.INTERNAL_ERROR)


def store_code(body: bytes) -> str:
    """The code of the store's error document, for the log; "" if there is none. Its message may name our credential."""
    said = _read(body)
    return said[0] if said is not None and _CODE.match(said[0]) else ""


def _read(body: bytes) -> tuple[str, str] | None:
    try:
        return read_error(body) if body else None
    except S3Error:
        return None


def as_told(status: int, code: str, message: str, hidden: Collection[str]) -> StoreError:
    """What the client hears of an error the store told with this code and message."""
    if code in _ABOUT_US or not _CODE.match(code):
        return _instead(Code.INTERNAL_ERROR)
    message = _PLAIN_MESSAGES.get(code, message) or _MESSAGES.get(code, _REFUSED)
    lowered = message.lower()
    if "arn:" in lowered or any(secretive in lowered for secretive in hidden):
        message = _REFUSED
    return StoreError(status, code, message[:MAX_MESSAGE], ours=False)


def error_inside(document: bytes, hidden: Collection[str]) -> StoreError | None:
    """The error that Copy and Complete report after status 200. None for a result; nonsense is an InternalError."""
    if not document.startswith(b"<Error"):
        return None
    said = _read(document)
    return _instead(Code.INTERNAL_ERROR) if said is None else as_told(200, *said, hidden)

"""Which S3 operation a request is. One table; what is not in it is refused, and nothing falls through to a neighbour.

Knows the request's method, level, query names and copy header; not keys, not bodies. The rows are in
`operation_table`.
"""

from typing import Final

from gateway.s3.errors import Code, S3Error
from gateway.s3.operation_table import OPERATIONS, Body, Level, Operation
from gateway.s3.request import S3Request

__all__ = ["OPERATIONS", "Body", "Level", "Operation", "classify"]

# The query parameters that carry a signature; they belong to the claim. x-id is a label SDKs add for humans.
_OF_THE_CLAIM: Final = frozenset(
    b"X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Amz-Signature "
    b"X-Amz-Content-Sha256 X-Amz-Security-Token AWSAccessKeyId Signature Expires x-id".split()
)
_VALUES: Final = {b"list-type": b"2"}
_COPY_SOURCE: Final = b"x-amz-copy-source"
_Rows = dict[tuple[bytes, Level, bytes | None], tuple[Operation, ...]]


def _index() -> _Rows:
    rows: dict[tuple[bytes, Level, bytes | None], tuple[Operation, ...]] = {}
    for operation in OPERATIONS:
        place = (operation.method, operation.level, operation.selector)
        rows[place] = (*rows.get(place, ()), operation)
    # A row that needs more parameters is tried before one that needs fewer.
    return {place: tuple(sorted(found, key=lambda row: -len(row.needs))) for place, found in rows.items()}


_BY_PLACE: Final = _index()
_SELECTORS: Final = frozenset(row.selector for row in OPERATIONS if row.selector is not None)


def classify(request: S3Request) -> Operation:
    """S3Error NOT_IMPLEMENTED for an unknown parameter or sub-resource, INVALID_REQUEST for two sub-resources at once,
    INVALID_ARGUMENT for a sub-resource with a value, METHOD_NOT_ALLOWED where the resource knows no such method,
    ACCESS_DENIED for OPTIONS: a preflight is answered from the gateway's own CORS rules, before this, or not at all.
    """
    level = Level.OBJECT if request.object_key else Level.BUCKET if request.bucket else Level.SERVICE
    names = _names(request) if request.query else ()
    selector = _selector(names) if names else None
    copies = _COPY_SOURCE in request.headers
    for operation in _BY_PLACE.get((request.method, level, selector), ()):
        if operation.copies == copies and operation.needs.issubset(names):
            break
    else:
        raise _unknown(request, level, selector, copies)
    for name in names:
        if name not in operation.parameters:
            raise _not_implemented(name)
    if selector is not None:
        _check_value(selector, request.query[selector])
    return operation


def _names(request: S3Request) -> tuple[bytes, ...]:
    """The parameters that say what is asked. Those hoisted from headers (`x-amz-…` in a presigned URL) are headers."""
    return tuple([name for name in request.query if name not in _OF_THE_CLAIM and name not in request.hoisted])


def _check_value(selector: bytes, value: bytes) -> None:
    """Stores differ on `?versions=false` and on `?list-type=3`: some look at the value, some do not."""
    right = value != b"" if selector == b"uploadId" else value == _VALUES.get(selector, b"")
    if not right:
        shown = selector.decode("ascii")
        raise S3Error(
            Code.INVALID_ARGUMENT, f"the value of {shown}", message=f"The query parameter {shown} has a wrong value."
        )


def _selector(names: tuple[bytes, ...]) -> bytes | None:
    found = [name for name in names if name in _SELECTORS]
    if len(found) > 1:
        raise S3Error(Code.INVALID_REQUEST, "two sub-resources", message="A request names one sub-resource at most.")
    return found[0] if found else None


def _not_implemented(name: bytes) -> S3Error:
    shown = name[:64].decode("ascii", "replace")
    return S3Error(
        Code.NOT_IMPLEMENTED,
        f"unknown query parameter {shown!r}",
        message=f"The query parameter {shown!r} is not implemented for this operation.",
    )


def _unknown(request: S3Request, level: Level, selector: bytes | None, copies: bool) -> S3Error:
    if request.method == b"OPTIONS":
        return S3Error(Code.ACCESS_DENIED, "OPTIONS, and no CORS rule")
    if copies and (request.method, level, selector) in _BY_PLACE:
        return S3Error(Code.INVALID_REQUEST, "x-amz-copy-source on an operation that copies nothing")
    if selector is not None and (request.method, level, None) in _BY_PLACE:
        return _not_implemented(selector)
    return S3Error(Code.METHOD_NOT_ALLOWED, f"{request.method.decode('ascii')} on {level.value} level")

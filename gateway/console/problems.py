"""What went wrong, as REST tells it: application/problem+json (RFC 9457). One table: error → status and name.

Nothing of what was sent is repeated but the names of fields: it may hold a secret.
"""

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from gateway.config_sections import SettingsError
from keystore.errors import (
    Conflict,
    InvalidInput,
    KeystoreError,
    KeystoreUnavailable,
    NotFound,
    Outdated,
    RecordRefused,
    Repeated,
)

LOG: Final = logging.getLogger("nqgate")
CONTENT_TYPE: Final = "application/problem+json"
MAX_FIELDS: Final = 20  # of a body that is told to be wrong

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """`slug`: names the kind, `urn:nqgate:problem:SLUG`. `detail`: what happened and what to do."""

    def __init__(self, status: int, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.headers = headers or {}


# The first that fits. What is not here is a bug, or the keystore's own trouble.
_OF_ERRORS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (InvalidInput, 400, "invalid"),
    (NotFound, 404, "not-found"),
    (Outdated, 412, "outdated"),
    (Repeated, 422, "idempotency-key-reused"),
    (Conflict, 409, "conflict"),
    (RecordRefused, 500, "record-refused"),
    (KeystoreUnavailable, 503, "unavailable"),
    (KeystoreError, 503, "unavailable"),
    (SettingsError, 503, "store-unavailable"),
)
_OF_HTTP: Final = {
    404: ("not-found", "there is nothing at this address; /api/v1/openapi.json lists what there is"),
    405: ("method-not-allowed", "this address does not take that method"),
    413: ("too-large", "the body is longer than 1 MiB"),
}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer carries an X-Request-Id; what a handler raises becomes a problem."""
    request_id = uuid.uuid4().hex
    try:
        answer = await handler(request)
    except Exception as error:
        answer = _answer(as_problem(error, request_id), request_id)
    answer.headers["X-Request-Id"] = request_id
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def as_problem(error: Exception, request_id: str) -> Problem:
    match error:
        case Problem():
            return error
        case ValidationError():
            return Problem(400, "invalid", _fields(error))
        case web.HTTPException():
            slug, detail = _OF_HTTP.get(error.status, ("refused", error.reason))
            kept = {name: value for name, value in error.headers.items() if name == "Allow"}
            return Problem(error.status, slug, detail, kept)
    for kind, status, slug in _OF_ERRORS:
        if isinstance(error, kind):
            return Problem(status, slug, str(error), {"Retry-After": "2"} if status == 503 else None)
    LOG.error("answering %s failed", request_id, exc_info=error)
    return Problem(500, "internal", "an error of the gateway's own; its log has more under this request id")


def _answer(problem: Problem, request_id: str) -> web.Response:
    told = {
        "type": f"urn:nqgate:problem:{problem.slug}",
        "title": problem.slug.replace("-", " ").capitalize(),
        "status": problem.status,
        "detail": str(problem),
        "request_id": request_id,
    }
    text = json.dumps(told, ensure_ascii=False)
    return web.Response(status=problem.status, text=text, content_type=CONTENT_TYPE, headers=problem.headers)


def _fields(error: ValidationError) -> str:
    """Which fields, and what was expected of each."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(str(part)[:64] for part in one['loc'][:6]) or 'body'}: {one['msg']}" for one in wrong]
    return "; ".join(told[:MAX_FIELDS])

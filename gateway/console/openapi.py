"""The specification of `/api/v1` (OpenAPI 3.1), made of the same table and types that requests are read by."""

from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.console.api_models import (
    AccountQuery,
    Accounts,
    ActedKey,
    Buckets,
    DeletedKey,
    EditBody,
    EmptyBody,
    Events,
    EventsQuery,
    Key,
    KeyBody,
    KeysPage,
    KeysQuery,
    NewKeyAnswer,
    NoQuery,
    Operation,
    ProblemAnswer,
    QuestionBody,
    RefusalAnswer,
    RefusalsAnswer,
    RefusalsQuery,
    RevokeBody,
    RevokedKey,
    RollBody,
    RolledKey,
    VerdictAnswer,
)

_KEY: Final = "/keys/{access_key_id}"
OPERATIONS: Final = (
    Operation("POST", "/keys", "create_key", "Make a key. Its secret is in this answer, once.", NoQuery, KeyBody,
              {201: NewKeyAnswer, 200: NewKeyAnswer}),
    Operation("GET", "/keys", "list_keys", "Keys, the newest first; fewer than `limit` do not mean that it was the last"
              " page: an absent cursor does.", KeysQuery, None, {200: KeysPage}),
    Operation("POST", "/keys/test", "test_key", "May a key do this, and which rule decides?", NoQuery, QuestionBody,
              {200: VerdictAnswer}),
    Operation("GET", _KEY, "get_key", "One key.", NoQuery, None, {200: Key}),
    Operation("PATCH", _KEY, "edit_key", "Change label, scope or expiry.", NoQuery, EditBody,
              {200: ActedKey, 202: ActedKey}),
    Operation("DELETE", _KEY, "delete_key", "Remove a key for good.", NoQuery, None,
              {200: DeletedKey, 202: DeletedKey}),
    Operation("POST", _KEY + "/revoke", "revoke_key", "Refuse a key from now on, and end what it has running. Answers"
              " when every gateway has confirmed it.", NoQuery, RevokeBody, {200: RevokedKey, 202: RevokedKey}),
    Operation("POST", _KEY + "/restore", "restore_key", "Accept a revoked key again.", NoQuery, EmptyBody,
              {200: ActedKey, 202: ActedKey}),
    Operation("POST", _KEY + "/roll", "roll_key", "Make a successor, show its secret once, and end the old key later.",
              NoQuery, RollBody, {201: RolledKey}),
    Operation("GET", _KEY + "/events", "list_events", "What was done to a key, the newest first.", EventsQuery, None,
              {200: Events}),
    Operation("GET", "/buckets", "list_buckets", "Buckets, and which keys reach them.", AccountQuery, None,
              {200: Buckets}),
    Operation("GET", "/accounts", "list_accounts", "The accounts the caller sees.", NoQuery, None, {200: Accounts}),
    Operation("GET", "/refusals", "list_refusals", "Requests that were refused last, and why.", RefusalsQuery, None,
              {200: RefusalsAnswer}),
    Operation("GET", "/refusals/{request_id}", "get_refusal", "Why a request was refused.", NoQuery, None,
              {200: RefusalAnswer}),
)  # fmt: skip
_PROBLEMS: Final = {
    400: "What was sent does not hold.",
    401: "No admin token, or none that opens anything.",
    404: "There is none, or none that the caller may see.",
    409: "The state of the key does not allow it.",
    412: "The key is not in the version of If-Match any more.",
    413: "The body is longer than 1 MiB.",
    415: "The body is not JSON.",
    422: "The Idempotency-Key was used for another request.",
    500: "An error of the gateway's own.",
    503: "The keystore or the store does not answer; try again.",
}
_TEMPLATE: Final = "#/components/schemas/{model}"
_SUMMARY: Final = (
    "Access keys of an S3 gateway. Send an admin token as a bearer: an operator's sees all accounts, an owner's its"
    " own, and what the caller may not see is not there. Times are RFC 3339 in UTC. Status 202: committed, and not yet"
    " confirmed by every gateway."
)


@cache
def specification() -> dict[str, Any]:
    """To be read only."""
    found: set[type[BaseModel]] = {ProblemAnswer, *(model for one in OPERATIONS for model in _models(one))}
    models = sorted(found, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_TEMPLATE)
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "NQ Gateway", "version": "1", "description": _SUMMARY},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "nqat_…"}},
        },
    }


def _models(one: Operation) -> list[type[BaseModel]]:
    return [*([] if one.body is None else [one.body]), *one.answers.values()]


def _described(one: Operation) -> dict[str, Any]:
    answers = {str(status): _answer(model) for status, model in one.answers.items()}
    problems = {str(status): _problem(why) for status, why in _PROBLEMS.items()}
    told: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [*_in_path(one), *_in_query(one), *_in_headers(one)],
        "responses": {**answers, **problems},
    }
    if one.body is not None:
        required = any(field.is_required() for field in one.body.model_fields.values())
        content = {"application/json": {"schema": _reference(one.body)}}
        told["requestBody"] = {"required": required, "content": content}
    return told


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _TEMPLATE.format(model=model.__name__)}


def _answer(model: type[BaseModel]) -> dict[str, Any]:
    described = (model.__doc__ or model.__name__).strip()
    return {"description": described, "content": {"application/json": {"schema": _reference(model)}}}


def _problem(why: str) -> dict[str, Any]:
    return {"description": why, "content": {"application/problem+json": {"schema": _reference(ProblemAnswer)}}}


def _in_path(one: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(one: Operation) -> list[dict[str, Any]]:
    fields = one.query.model_json_schema()["properties"] if one.query.model_fields else {}
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in fields.items()]


def _in_headers(one: Operation) -> list[dict[str, Any]]:
    sent = {
        "create_key": ("Idempotency-Key", {"type": "string", "pattern": "^[!-~]{1,255}$"}),
        "edit_key": ("If-Match", {"type": "string", "pattern": '^("[1-9][0-9]{0,8}"|\\*)$'}),
    }.get(one.name)
    if sent is None:
        return []
    return [{"name": sent[0], "in": "header", "required": False, "schema": sent[1]}]

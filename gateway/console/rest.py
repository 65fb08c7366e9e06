"""`/api/v1`: each operation of the interface, from a request that was read to its answer. What is read and answered is
in api_models, what is done in acts.

No answer but that of a create and of a roll holds a secret, and no GET ever does.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from gateway.console.acts import Acted, Acts, BucketShown, Caller
from gateway.console.api_models import (
    AccountQuery,
    EditBody,
    EventsQuery,
    KeyBody,
    KeysQuery,
    Operation,
    QuestionBody,
    RefusalsQuery,
    RevokeBody,
    RollBody,
    moment_of,
    scope_of,
)
from gateway.console.bearer import Bearer
from gateway.console.key_lists import Shown, WantedKeys
from gateway.console.openapi import OPERATIONS, specification
from gateway.console.problems import Problem
from gateway.verdict import Question, read_operation
from keystore.access_key import Status
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.confirmation import Confirmation, confirmation_json
from keystore.key_acts import Edit, Kept
from keystore.source_cidrs import clean_cidrs
from keystore.store import NewKey, Once

IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}\Z")
ETAG: Final = re.compile(r'"([1-9][0-9]{0,8})"\Z', re.ASCII)

Answer = web.Response


class Rest:
    """Handlers of all operations."""

    def __init__(self, acts: Acts, bearer: Bearer) -> None:
        self._acts = acts
        self._bearer = bearer

    def routes(self) -> list[web.RouteDef]:
        """Relative to /api/v1."""
        described = web.get("/openapi.json", self._specification)
        return [described, *(web.route(one.method, one.path, self._served(one)) for one in OPERATIONS)]

    def _served(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
        handler = getattr(self, operation.name)

        async def served(request: web.Request) -> web.Response:
            caller = await self._bearer.caller(request)
            asked = _read_query(operation.query, request)
            said = asked if operation.body is None else await _read_body(operation.body, request)
            answer: web.Response = await handler(request, caller, said)
            return answer

        return served

    async def _specification(self, request: web.Request) -> Answer:
        """For everybody: it names nothing of this keystore."""
        return _json(specification(), headers={"Cache-Control": "no-cache"})

    # ---- keys ----

    async def create_key(self, request: web.Request, caller: Caller, body: KeyBody) -> Answer:
        new = NewKey(
            account=body.account or caller.account or DEFAULT_ACCOUNT,
            label=body.label,
            scope=scope_of(body.scope),
            expires_at=moment_of(body.expires_at),
            not_before=moment_of(body.not_before),
            source_cidrs=clean_cidrs(body.source_cidrs),
            manage_keys=body.manage_keys,
        )
        made = await self._acts.create(caller, new, _once(request, caller, body))
        if made.secret is None:
            return _key({**made.shown, "secret_available": False, "secret_access_key": None})
        told = {**made.shown, "secret_available": True, "secret_access_key": made.secret.expose()}
        return _key(told, status=201, headers={"Location": f"/api/v1/keys/{made.shown['access_key_id']}"})

    async def list_keys(self, request: web.Request, caller: Caller, asked: KeysQuery) -> Answer:
        wanted = WantedKeys(**asked.model_dump(exclude={"cursor", "limit"}))
        page = await self._acts.page(caller, wanted, asked.cursor, asked.limit)
        return _json({"keys": page.keys, "next_cursor": page.following})

    async def get_key(self, request: web.Request, caller: Caller, asked: BaseModel) -> Answer:
        return _key(await self._acts.key(caller, _named(request)))

    async def edit_key(self, request: web.Request, caller: Caller, body: EditBody) -> Answer:
        said = body.model_fields_set
        edit = Edit(
            label=body.label,
            expires_at=moment_of(body.expires_at) if "expires_at" in said else Kept.KEPT,
            scope=None if body.scope is None else scope_of(body.scope),
        )
        return _acted(await self._acts.update(caller, _named(request), edit, _if_match(request)))

    async def revoke_key(self, request: web.Request, caller: Caller, body: RevokeBody) -> Answer:
        access_key_id = _named(request)
        following = await self._acts.successors(caller, access_key_id) if body.cascade else []
        done = await self._acts.revoke(caller, access_key_id, body.reason, drain=body.drain)
        also = [
            await self._acts.revoke(caller, one.access_key_id, body.reason, drain=body.drain)
            for one in following
            if one.status is Status.ACTIVE
        ]
        cascaded = [{"access_key_id": one.shown["access_key_id"], **_confirmed(one.confirmation)} for one in also]
        proven = all(one.confirmation.proven for one in (done, *also))
        told = {**done.shown, **_confirmed(done.confirmation), "cascaded": cascaded}
        return _key(told, status=200 if proven else 202)

    async def restore_key(self, request: web.Request, caller: Caller, body: BaseModel) -> Answer:
        return _acted(await self._acts.restore(caller, _named(request)))

    async def roll_key(self, request: web.Request, caller: Caller, body: RollBody) -> Answer:
        rolled = await self._acts.roll(caller, _named(request), body.overlap)
        successor = {
            **rolled.successor, "secret_available": True, "secret_access_key": rolled.secret.expose(),
        }  # fmt: skip
        told = {"key": successor, "replaced": rolled.ended, **_confirmed(rolled.confirmation)}
        location = f"/api/v1/keys/{successor['access_key_id']}"
        return _json(told, status=201, headers={"Location": location})

    async def delete_key(self, request: web.Request, caller: Caller, asked: BaseModel) -> Answer:
        access_key_id = _named(request)
        confirmation = await self._acts.delete(caller, access_key_id)
        told = {"access_key_id": access_key_id, "deleted": True, **_confirmed(confirmation)}
        return _json(told, status=200 if confirmation.proven else 202)

    async def list_events(self, request: web.Request, caller: Caller, asked: EventsQuery) -> Answer:
        return _json({"events": await self._acts.events(caller, _named(request), asked.limit)})

    async def test_key(self, request: web.Request, caller: Caller, body: QuestionBody) -> Answer:
        operation = read_operation(body.operation)
        question = Question(operation, body.bucket, body.object_key.encode(), body.source)
        allowed, rule = await self._acts.verdict(caller, body.access_key_id, question)
        told = {"access_key_id": body.access_key_id, "operation": operation.name, "allowed": allowed, "rule": rule}
        return _json(told)

    # ---- what lies around keys ----

    async def list_buckets(self, request: web.Request, caller: Caller, asked: AccountQuery) -> Answer:
        found = await self._acts.buckets(caller, asked.account)
        return _json({"buckets": [_bucket(one) for one in found]})

    async def list_accounts(self, request: web.Request, caller: Caller, asked: BaseModel) -> Answer:
        return _json({"accounts": await self._acts.accounts(caller)})

    async def list_refusals(self, request: web.Request, caller: Caller, asked: RefusalsQuery) -> Answer:
        found = await self._acts.refusals(caller, asked.account, asked.limit)
        return _json({"refusals": [one.json() for one in found]})

    async def get_refusal(self, request: web.Request, caller: Caller, asked: BaseModel) -> Answer:
        return _json((await self._acts.refusal(caller, request.match_info["request_id"])).json())


# ---- reading ----


def _read_query(model: type[BaseModel], request: web.Request) -> BaseModel:
    """Problem 400 for a parameter that is given twice."""
    if len(request.query) != len(set(request.query)):
        raise Problem(400, "invalid", "a parameter is given twice")
    return model.model_validate(dict(request.query))


async def _read_body(model: type[BaseModel], request: web.Request) -> BaseModel:
    """No body is an empty object. Problem 415 for another type than JSON."""
    octets = await request.read()
    if not octets:
        return model.model_validate_json(b"{}")
    if request.content_type != "application/json":
        raise Problem(415, "unsupported-media-type", "send the body as application/json")
    return model.model_validate_json(octets)


def _named(request: web.Request) -> str:
    return request.match_info["access_key_id"]


def _if_match(request: web.Request) -> int | None:
    """The version the caller saw. Problem 400 for what is no tag of ours."""
    sent = request.headers.getall("If-Match", [])
    if not sent or sent == ["*"]:
        return None
    tag = ETAG.match(sent[0])
    if len(sent) > 1 or tag is None:
        raise Problem(400, "invalid", 'If-Match is one ETag that a key was answered with, such as "3"')
    return int(tag[1])


def _once(request: web.Request, caller: Caller, body: KeyBody) -> Once | None:
    """Whoever sends the same key with the same token again asks for the same thing again."""
    sent = request.headers.getall("Idempotency-Key", [])
    if not sent:
        return None
    if len(sent) > 1 or not IDEMPOTENCY_KEY.match(sent[0]):
        raise Problem(400, "invalid", "an Idempotency-Key has 1 to 255 visible ASCII characters")
    who = caller.actor.partition("@")[0]
    named = hashlib.sha256(json.dumps(["idempotency", who, sent[0]]).encode())
    return Once(named.hexdigest()[:32], hashlib.sha256(body.model_dump_json().encode()).hexdigest())


# ---- answering ----


def _json(told: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    text = json.dumps(told, ensure_ascii=False)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def _key(shown: Shown, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return _json(shown, status, {"ETag": f'"{shown["version"]}"', **(headers or {})})


def _acted(done: Acted) -> Answer:
    """202 where the change is committed, and not every gateway has confirmed it."""
    told = {**done.shown, **_confirmed(done.confirmation)}
    return _key(told, status=200 if done.confirmation.proven else 202)


def _confirmed(confirmation: Confirmation) -> dict[str, Any]:
    return {**confirmation_json(confirmation), "proven": confirmation.proven}


def _bucket(one: BucketShown) -> dict[str, Any]:
    keys = [{"access_key_id": access_key_id, "label": label} for access_key_id, label in one.keys]
    return {**one._asdict(), "keys": keys}

"""The IAM and STS query API: one request in, one answer out, whatever door it came in by. Knows no HTTP server.

The order of checks: shape → form of authentication → clock → look-up → required signed headers → signature → status,
time and source of the key → action → parameters → whether the key may. Everything that is done goes by `Acts`, and so
into the change log under `key:ACCESS_KEY_ID@ADDRESS`.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from gateway.console.acts import Acts
from gateway.iam import key_actions, sts_actions, user_actions
from gateway.iam.asked import Asked
from gateway.iam.claim import begin, service_asked
from gateway.iam.documents import IAM, SERVICES, STS, Service, answer_document, refusal, whole
from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import Form, IamAnswer, IamRequest, invalid, read_form
from gateway.iam.verify import Proven, proven
from keystore.errors import Conflict, InvalidInput, KeystoreError, NotFound, Outdated
from keystore.minting import mint_request_id
from keystore.store import Store
from keystore.usage import Used

LOG: Final = logging.getLogger("nqgate.iam")
T = TypeVar("T")


class Action(NamedTuple):
    """`takes`: the parameters it knows, tags aside. One that it does not know is refused: it could be a limit."""

    service: Service
    do: Callable[[Asked], Awaitable[str | None]]
    takes: frozenset[str]
    tags: bool = False


def _takes(names: str) -> frozenset[str]:
    return frozenset(names.split())


ACTIONS: Final = {
    "CreateAccessKey": Action(IAM, key_actions.create_access_key, _takes("UserName"), tags=True),
    "DeleteAccessKey": Action(IAM, key_actions.delete_access_key, _takes("AccessKeyId UserName")),
    "GetAccessKeyLastUsed": Action(IAM, key_actions.get_access_key_last_used, _takes("AccessKeyId")),
    "GetUser": Action(IAM, user_actions.get_user, _takes("UserName")),
    "ListAccessKeys": Action(IAM, key_actions.list_access_keys, _takes("Marker MaxItems UserName")),
    "ListUserTags": Action(IAM, user_actions.list_user_tags, _takes("Marker MaxItems UserName")),
    "ListUsers": Action(IAM, user_actions.list_users, _takes("Marker MaxItems")),
    "TagUser": Action(IAM, user_actions.tag_user, _takes("UserName"), tags=True),
    "UpdateAccessKey": Action(IAM, key_actions.update_access_key, _takes("AccessKeyId Status UserName")),
    "GetAccessKeyInfo": Action(STS, sts_actions.get_access_key_info, _takes("AccessKeyId")),
    "GetCallerIdentity": Action(STS, sts_actions.get_caller_identity, _takes("")),
}


async def answer(request: IamRequest, acts: Acts, store: Store, now: float) -> IamAnswer:
    """`now`: Unix seconds. Raises nothing that a request can cause."""
    request_id = mint_request_id()
    service = SERVICES[service_asked(request)]
    try:
        begun = begin(request, now)
        known = await _asked(store.known_key(begun.claim.access_key_id, begun.claim.date))
        signed = proven(request, begun, known, now)
        form = read_form(request.body)
        action = _action(form, service)
        await acts.note_use(signed.access_key.access_key_id, _use(signed, begun.headers, form, now))
        result = await _asked(action.do(Asked(signed, form, acts, store, now)))
    except IamError as error:
        LOG.info("%s refused: %s %r", request_id, error.code.wire_name, error.message)
        return refusal(error, service, request_id)
    LOG.info("%s %s by %s", request_id, form.action, signed.access_key.access_key_id)
    return whole(200, answer_document(form.action, service, result, request_id), request_id)


def _use(signed: Proven, headers: Mapping[bytes, bytes], form: Form, now: float) -> Used:
    claim = signed.claim
    operation = f"{claim.service.decode()}:{form.action}"
    user_agent = headers.get(b"user-agent", b"").decode("latin-1")
    return Used(int(now), operation, "", signed.request.source, claim.region.decode("latin-1"), user_agent)


def _action(form: Form, service: Service) -> Action:
    action = ACTIONS.get(form.action)
    if action is None or action.service is not service or form.version != service.version:
        version = form.version[:64] or "NO_VERSION_SPECIFIED"
        message = f"Could not find operation {form.action[:64]} for version {version}"
        raise IamError(IamCode.INVALID_ACTION, message)
    if unknown := set(form.parameters) - action.takes:
        raise invalid(f"{form.action} has no parameter {', '.join(sorted(unknown))} here")
    if form.tags and not action.tags:
        raise invalid(f"{form.action} takes no tags")
    return action


async def _asked(pending: Awaitable[T]) -> T:
    """What the keystore raises, in IAM's terms. That it cannot answer is 503, never 403 and never open."""
    try:
        return await pending
    except InvalidInput as error:
        raise invalid(str(error)) from None
    except NotFound as error:
        raise IamError(IamCode.NO_SUCH_ENTITY, str(error)) from None
    except Outdated as error:
        raise IamError(IamCode.CONCURRENT_MODIFICATION, str(error)) from None
    except Conflict as error:
        raise IamError(IamCode.UNMODIFIABLE_ENTITY, str(error)) from None
    except KeystoreError as error:
        LOG.warning("keystore: %s", error)
        raise IamError(IamCode.SERVICE_UNAVAILABLE, "The keystore cannot answer now; please retry.") from None

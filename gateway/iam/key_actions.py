"""CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed.

What would let the caller reach more than it does is refused: making or restoring a key that reaches more than itself.
Deleting such a key is refused too, though it opens nothing: it cannot be undone. Revoking one is allowed: it opens
nothing, an operator restores it, and who finds a leaked key must be able to end it. Each returns the Result of its
answer.
"""

import hashlib

from gateway.iam.asked import Asked, require_proof
from gateway.iam.documents import fields, members, page_end, structure
from gateway.iam.errors import IamCode, IamError
from gateway.iam.names import user_name
from gateway.iam.request import invalid
from gateway.iam.tags import read_tags
from keystore.access_key import AccessKey, RevokeReason, Status, granted_now, rfc3339, shown_status
from keystore.errors import Conflict
from keystore.scope import NoBuckets
from keystore.store import NewKey, Once, draft_key

ACTIVE, INACTIVE = "Active", "Inactive"


def _wish(asked: Asked) -> NewKey:
    """The caller's networks; the caller's end or that of the longest life, unless another is said; no bucket, unless
    some are."""
    caller, name = asked.caller, asked.user()
    wanted = read_tags(asked.form.tags, caller, asked.now)
    label = caller.label if name is None else name
    label = label if wanted.label is None else wanted.label
    if name is not None and user_name(label) != name:
        raise invalid(f"the label {label!r} belongs to the user {user_name(label)}, not to {name}")
    expires_at = wanted.expires_at if wanted.ends else _end(asked)
    scope = wanted.scope or NoBuckets()
    return NewKey(caller.account, label, scope, expires_at, source_cidrs=caller.source_cidrs)


def _end(asked: Asked) -> int | None:
    longest = asked.acts.longest
    ends = [asked.caller.expires_at, None if longest is None else int(asked.now) + longest]
    return min((end for end in ends if end is not None), default=None)


def _once(asked: Asked) -> Once:
    """A signature is good for a quarter of an hour: whoever sends it again must not be given another secret."""
    digest = hashlib.sha256(b"CreateAccessKey\n" + asked.proven.claim.signature).hexdigest()
    return Once(digest[:32], digest)


async def create_access_key(asked: Asked) -> str:
    """The secret leaves only if the key is still within the caller once it is made: what was read before may have
    changed, and a caller that is revoked meanwhile must leave no key behind."""
    asked.require_manager()
    new = _wish(asked)
    drafted = draft_key(new, asked.caller.access_key_id, int(asked.now), asked.who.actor)
    await asked.require_within(granted_now(drafted, await asked.store.claims(drafted.grants or ())))
    made = await asked.acts.create(asked.who, new, _once(asked))
    access_key_id = made.shown["access_key_id"]
    if made.secret is None:
        raise IamError(IamCode.ENTITY_ALREADY_EXISTS, f"This very request has made {access_key_id}: sign another one.")
    try:
        created = await asked.store.get_key(access_key_id)
        await asked.require_within(created)
    except Exception:
        await asked.acts.delete(asked.who, access_key_id)
        raise
    return structure(
        "AccessKey",
        {
            "UserName": user_name(created.label),
            "AccessKeyId": access_key_id,
            "Status": ACTIVE,
            "SecretAccessKey": made.secret.expose(),
            "CreateDate": rfc3339(created.created_at),
        },
    )


async def list_access_keys(asked: Asked) -> str:
    asked.require_manager()
    found = await asked.keys_of(asked.user_or_own())
    shown, marker = asked.page([(f"{one.created_at:012}.{one.access_key_id}", one) for one in found])
    return members("AccessKeyMetadata", [_metadata(one, asked.now) for one in shown]) + page_end(marker)


def _metadata(access_key: AccessKey, now: float) -> str:
    return fields(
        {
            "UserName": user_name(access_key.label),
            "AccessKeyId": access_key.access_key_id,
            "Status": ACTIVE if shown_status(access_key, now) == "active" else INACTIVE,
            "CreateDate": rfc3339(access_key.created_at),
        }
    )


async def update_access_key(asked: Asked) -> None:
    access_key_id, status = asked.access_key_id(), asked.named("Status")
    if status not in (ACTIVE, INACTIVE):
        raise invalid(f"Status is {ACTIVE} or {INACTIVE}")
    if not asked.names_itself(access_key_id):
        asked.require_manager()
    access_key = await asked.key(access_key_id)
    if status == ACTIVE:
        await _restore(asked, access_key)
    else:
        acted = await asked.acts.revoke(asked.who, access_key_id, RevokeReason.OTHER)
        require_proof(acted.confirmation, f"that {access_key_id} is inactive")


async def _restore(asked: Asked, access_key: AccessKey) -> None:
    """What is active already stays so, as at AWS."""
    await asked.require_within(access_key)
    if access_key.status is Status.REVOKED:
        await asked.acts.restore(asked.who, access_key.access_key_id)
    if access_key.expired(asked.now):
        raise Conflict(f"{access_key.access_key_id} has expired: give it more time by the tag nq:expires")


async def delete_access_key(asked: Asked) -> None:
    access_key_id = asked.access_key_id()
    if not asked.names_itself(access_key_id):
        asked.require_manager()
    access_key = await asked.key(access_key_id)
    if not asked.names_itself(access_key_id):
        await asked.require_within(access_key)
    confirmation = await asked.acts.delete(asked.who, access_key_id)
    require_proof(confirmation, f"that {access_key_id} is deleted")


async def get_access_key_last_used(asked: Asked) -> str:
    asked.require_manager()
    access_key = await asked.key(asked.access_key_id())
    used = (await asked.acts.key(asked.who, access_key.access_key_id))["last_used"]
    last = {
        "LastUsedDate": used["at"] if used else None,
        "ServiceName": _service(used["operation"]) if used else "N/A",
        "Region": (used["region"] or "N/A") if used else "N/A",
    }
    return fields({"UserName": user_name(access_key.label)}) + structure("AccessKeyLastUsed", last)


def _service(operation: str) -> str:
    service, colon, _ = operation.partition(":")
    return service if colon else "s3"

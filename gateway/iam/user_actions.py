"""ListUsers, GetUser, TagUser, ListUserTags: a user is all keys of the caller's account that are called the same.

Tagging is what gives a key its buckets, and is refused where a key reaches more than the caller, before or after:
widening would lend it what the caller has not, and narrowing is not for who reaches less. Each returns the Result of
its answer.
"""

from typing import Final

from gateway.iam.asked import Asked, require_proof
from gateway.iam.documents import fields, members, page_end, tag_members
from gateway.iam.errors import IamCode, IamError
from gateway.iam.names import user_arn, user_id, user_name
from gateway.iam.request import invalid
from gateway.iam.tags import Wanted, read_tags, written_tags
from keystore.access_key import AccessKey, Status, rfc3339
from keystore.errors import Conflict
from keystore.key_acts import Edit, Kept, updated

MAX_TAGGED: Final = 10  # keys of one user: each change waits for every gateway


def _user(keys: list[AccessKey], number: str) -> dict[str, str | None]:
    """`keys`: of one user, oldest first."""
    name = user_name(keys[0].label)
    return {
        "Path": "/",
        "UserName": name,
        "UserId": user_id(number, name),
        "Arn": user_arn(number, name),
        "CreateDate": rfc3339(keys[0].created_at),
    }


async def list_users(asked: Asked) -> str:
    asked.require_manager()
    users: dict[str, list[AccessKey]] = {}
    for access_key in await asked.keys():
        users.setdefault(user_name(access_key.label), []).append(access_key)
    shown, marker = asked.page(sorted(users.items()))
    number = await asked.number()
    return members("Users", [fields(_user(keys, number)) for keys in shown]) + page_end(marker)


async def get_user(asked: Asked) -> str:
    asked.require_manager()
    keys = await asked.keys_of(asked.user_or_own())
    inside = fields(_user(keys, await asked.number())) + tag_members(written_tags(_shown(keys)))
    return f"<User>{inside}</User>"


async def list_user_tags(asked: Asked) -> str:
    asked.require_manager()
    asked.named("UserName")
    tags = written_tags(_shown(await asked.keys_of(asked.user_or_own())))
    shown, marker = asked.page(sorted((name, (name, value)) for name, value in tags.items()))
    return tag_members(dict(shown)) + page_end(marker)


def _shown(keys: list[AccessKey]) -> AccessKey:
    """The newest that is active, else the newest: tags are those of one key."""
    return next((one for one in reversed(keys) if one.status is Status.ACTIVE), keys[-1])


async def tag_user(asked: Asked) -> None:
    """All active keys of the user, or none of them: all are asked before the first is changed."""
    asked.require_manager()
    asked.named("UserName")
    wanted = read_tags(asked.form.tags, asked.caller, asked.now)
    edit = _edit(wanted)
    keys = [one for one in await asked.keys_of(asked.user_or_own()) if one.status is Status.ACTIVE]
    if not keys:
        raise Conflict("every key of this user is inactive: only active keys are tagged")
    if len(keys) > MAX_TAGGED:
        message = f"the user has {len(keys)} active keys, and at most {MAX_TAGGED} are tagged at once"
        raise IamError(IamCode.LIMIT_EXCEEDED, message)
    for access_key in keys:
        await _require_both_within(asked, access_key, edit)
    for access_key in keys:
        await _require_both_within(asked, access_key, edit)  # the change before it has taken its time
        acted = await asked.acts.update(asked.who, access_key.access_key_id, edit, access_key.version)
        require_proof(acted.confirmation, f"the change of {access_key.access_key_id}")


def _edit(wanted: Wanted) -> Edit:
    edit = Edit(wanted.label, wanted.expires_at if wanted.ends else Kept.KEPT, wanted.scope)
    if edit == Edit():
        raise invalid("TagUser needs at least one tag")
    return edit


async def _require_both_within(asked: Asked, access_key: AccessKey, edit: Edit) -> None:
    await asked.require_within(access_key)
    claims = await asked.store.claims(edit.buckets)
    await asked.require_within(updated(access_key, edit, claims, int(asked.now)))

"""What an access key's record becomes when a person restores, rolls or updates it.

Pure. Whose the buckets of a scope are is handed in where a scope is granted anew; no other act changes what is reached.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from keystore.access_key import (
    TRANSITIONS,
    AccessKey,
    Act,
    Claims,
    RevokeReason,
    Status,
    check_times,
    clean_label,
    granted_now,
    revoked,
)
from keystore.errors import Conflict, InvalidInput
from keystore.scope import Scope, grants_of, scope_json

MAX_OVERLAP: Final = 7 * 86_400  # seconds both keys of a roll work; who needs more makes a second key


class Kept(Enum):
    """What an edit leaves alone, where None says "no limit"."""

    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change of a key. `expires_at`: Unix seconds, None = never. `scope`: the whole of the new one."""

    label: str | None = None
    expires_at: int | Kept | None = Kept.KEPT
    scope: Scope | None = None

    @property
    def limits_too(self) -> bool:
        """Whether it says more than another label."""
        return self.expires_at is not Kept.KEPT or self.scope is not None

    @property
    def buckets(self) -> tuple[str, ...]:
        """Those it names."""
        return () if self.scope is None else tuple(grant.name for grant in grants_of(self.scope))


class Rolled(NamedTuple):
    """The records after a roll. `ended` has its end set, or is revoked."""

    successor: AccessKey
    ended: AccessKey


def restored(access_key: AccessKey) -> AccessKey:
    """The record after a restore; an expired key stays expired. Conflict when it is not revoked, or was compromised."""
    status = _after(access_key, Act.RESTORE)
    if access_key.revoked_reason is RevokeReason.COMPROMISED:
        raise Conflict(f"{access_key.access_key_id} was revoked as compromised, which is final")
    return replace(
        access_key,
        status=status,
        revoked_at=None,
        revoked_by=None,
        revoked_reason=None,
        drains=False,
        version=access_key.version + 1,
    )


def rolled(access_key: AccessKey, successor_id: str, overlap: int, at: int, by: str) -> Rolled:
    """Both records after a roll. `overlap`: seconds for which both work, 0 to MAX_OVERLAP; 0 revokes the old one.

    The successor has label, scope and limits of the old one: its buckets in the generations in which they were granted,
    so that it reaches exactly the same, and its expiry. The old one never lasts longer than it would have.

    InvalidInput for the overlap. Conflict unless the key is active, its time not over, and it was never rolled.
    """
    if not 0 <= overlap <= MAX_OVERLAP:
        raise InvalidInput(f"an overlap is 0 to {MAX_OVERLAP} seconds")
    _after(access_key, Act.ROLL)
    if access_key.expired(at):
        raise Conflict(f"{access_key.access_key_id} has expired and cannot be rolled")
    if access_key.replaced_by is not None:
        raise Conflict(f"{access_key.access_key_id} was replaced by {access_key.replaced_by} already: roll that one")
    successor = replace(
        access_key,
        access_key_id=successor_id,
        created_at=at,
        created_by=by,
        replaces=access_key.access_key_id,
        version=1,
        secret_version=1,
    )
    replaced = replace(access_key, replaced_by=successor_id)
    if not overlap:
        return Rolled(successor, revoked(replaced, at, by, RevokeReason.ROTATION))
    ends = at + overlap if access_key.expires_at is None else min(at + overlap, access_key.expires_at)
    return Rolled(successor, replace(replaced, expires_at=ends, version=access_key.version + 1))


def updated(access_key: AccessKey, edit: Edit, claims: Claims, at: int) -> AccessKey:
    """The record after an edit. A scope that is given is granted as the buckets are owned now (`claims`: of those it
    names), also for names the key had; without one, what the key reaches stays as it is.

    InvalidInput for a label, an expiry that is over or before not_before, and an edit of nothing. Conflict for more
    than the label of a revoked key.
    """
    if edit == Edit():
        raise InvalidInput("nothing was said that should change")
    after = replace(access_key, status=_after(access_key, Act.UPDATE), version=access_key.version + 1)
    if after.status is Status.REVOKED and edit.limits_too:
        raise Conflict(f"{access_key.access_key_id} is revoked: its label can change, its scope and expiry cannot")
    if edit.label is not None:
        after = replace(after, label=clean_label(edit.label))
    if edit.expires_at is not Kept.KEPT:
        check_times(access_key.not_before, edit.expires_at, at)
        after = replace(after, expires_at=edit.expires_at)
    if edit.scope is not None:
        after = granted_now(replace(after, scope=edit.scope), claims)
    return after


def edit_json(edit: Edit) -> dict[str, object]:
    """What it says, for the change log; a field that it leaves alone is not there."""
    said: dict[str, object] = {}
    if edit.label is not None:
        said["label"] = clean_label(edit.label)
    if edit.expires_at is not Kept.KEPT:
        said["expires_at"] = edit.expires_at
    if edit.scope is not None:
        said["scope"] = scope_json(edit.scope)
    return said


def _after(access_key: AccessKey, act: Act) -> Status:
    """Conflict where TRANSITIONS has no way."""
    status = TRANSITIONS.get((access_key.status, act))
    if status is None:
        raise Conflict(f"{access_key.access_key_id} is {access_key.status.value}: {act.value} does not apply to it")
    return status

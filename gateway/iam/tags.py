"""What the tags of a user say of its key, and back: `nq:label`, `nq:buckets`, `nq:expires`. Other tags are not kept.

`nq:buckets` names buckets, one blank between them, each as NAME[/PREFIX][:RIGHTS], or `*` for all. Rights and prefix
that are not said are those of the key that asks, and never more than read_write. Decides nothing: what is asked for may
be more than the caller reaches.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.iam.request import invalid
from gateway.spans import read_moment
from keystore.access_key import AccessKey, rfc3339
from keystore.errors import InvalidInput
from keystore.scope import (
    GRANTS,
    AllBuckets,
    BucketGrant,
    Rights,
    Scope,
    SpecificBuckets,
    clean_prefix,
    grants_of,
)

LABEL: Final = "nq:label"
BUCKETS: Final = "nq:buckets"
EXPIRES: Final = "nq:expires"
NEVER: Final = "never"
ALL: Final = "*"
_BUCKET: Final = re.compile(r"([^/:]+)(?:/([^:]*))?(?::([a-z_]+))?\Z")


class Wanted(NamedTuple):
    """What tags ask for; None = they say nothing of it. `ends`: whether they say when it ends; `expires_at`: when,
    None = never."""

    label: str | None
    scope: Scope | None
    ends: bool
    expires_at: int | None


def read_tags(tags: Mapping[str, str], caller: AccessKey, now: float) -> Wanted:
    """IamError VALIDATION_ERROR for another tag, InvalidInput for what its value cannot be."""
    if unknown := set(tags) - {LABEL, BUCKETS, EXPIRES}:
        shown = ", ".join(sorted(unknown))
        raise invalid(f"the tags of a key are {LABEL}, {BUCKETS} and {EXPIRES}; {shown} is not kept")
    expires = tags.get(EXPIRES)
    return Wanted(
        tags.get(LABEL),
        _read_buckets(tags[BUCKETS], caller) if BUCKETS in tags else None,
        expires is not None,
        None if expires in (None, NEVER) else read_moment(expires, now),
    )


def _read_buckets(text: str, caller: AccessKey) -> Scope:
    names = text.split(" ")
    if "" in names:
        raise InvalidInput(f"{BUCKETS} names at least one bucket, with one blank between two")
    if any(name.partition(":")[0] == ALL for name in names):
        if len(names) > 1:
            raise InvalidInput(f"{BUCKETS} is {ALL} alone, or names of buckets")
        return _all_buckets(text, caller)
    return SpecificBuckets(tuple(_read_bucket(name, caller) for name in names))


def _all_buckets(text: str, caller: AccessKey) -> AllBuckets:
    held = caller.scope.rights if isinstance(caller.scope, AllBuckets) else None
    return AllBuckets(_read_rights(text.partition(":")[2] or None, held))


def _read_bucket(text: str, caller: AccessKey) -> BucketGrant:
    found = _BUCKET.match(text)
    if found is None:
        raise InvalidInput(f"{text!r} is not NAME, NAME:RIGHTS, NAME/PREFIX or NAME/PREFIX:RIGHTS")
    name, prefix, rights = found.groups()
    held = _held(name, caller)
    within = "" if held is None else held.prefix
    chosen = _read_rights(rights, None if held is None else held.rights)
    return BucketGrant(name, chosen, within if prefix is None else clean_prefix(prefix))


def _held(bucket: str, caller: AccessKey) -> BucketGrant | None:
    """What the scope of the caller says of a bucket."""
    if isinstance(caller.scope, AllBuckets):
        return BucketGrant(bucket, caller.scope.rights)
    return next((one for one in grants_of(caller.scope) if one.name == bucket), None)


def _read_rights(said: str | None, held: Rights | None) -> Rights:
    """`held`: of the caller there, None = it reaches nothing."""
    if said is not None:
        try:
            return Rights(said)
        except ValueError:
            raise InvalidInput(f"rights are one of {', '.join(rights.value for rights in Rights)}") from None
    return Rights.READ_WRITE if held is None or GRANTS[Rights.READ_WRITE] <= GRANTS[held] else held


def written_tags(access_key: AccessKey) -> dict[str, str]:
    """Of a key as it is. Without buckets it has no such tag."""
    tags = {LABEL: access_key.label}
    if isinstance(access_key.scope, AllBuckets):
        tags[BUCKETS] = f"{ALL}:{access_key.scope.rights.value}"
    elif named := grants_of(access_key.scope):
        tags[BUCKETS] = " ".join(_written(grant) for grant in named)
    if access_key.expires_at is not None:
        tags[EXPIRES] = rfc3339(access_key.expires_at)
    return tags


def _written(grant: BucketGrant) -> str:
    within = f"/{grant.prefix}" if grant.prefix else ""
    return f"{grant.name}{within}:{grant.rights.value}"

"""What an access key may reach: All Buckets, Specific Buckets or none, and with which rights.

Knows nobody. An absent scope and an empty list are errors, never "all" and never "none".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, assert_never

from keystore.errors import InvalidInput

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; matched whole, never by prefix.
BUCKET_NAME: Final = re.compile(r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
MAX_PREFIX: Final = 1023  # bytes: an object key has at most 1,024, and one of them comes behind the prefix
MAX_BUCKETS: Final = 1000  # a scope is carried in every cached record; a longer list is a wish for All Buckets


class Permission(Enum):
    """What one operation needs in one bucket. Rights are sets of these."""

    PROBE = "probe"  # HeadBucket, GetBucketLocation: clients ask before they work
    READ = "read"  # objects and their lists, tags, versioning state
    WRITE = "write"  # objects, parts, object tags
    DELETE = "delete"  # objects and versions
    CONFIGURE = "configure"  # harmless configuration of a bucket, DeleteBucket, locks, governance bypass
    CREATE_BUCKET = "create_bucket"  # a new name, All Buckets only

    __hash__ = object.__hash__  # members are singletons; Enum's own costs 0.3 µs in every set look-up


class Rights(Enum):
    """The four choices a person is given."""

    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    READ_WRITE = "read_write"
    FULL = "full"


_P = Permission
GRANTS: Final[dict[Rights, frozenset[Permission]]] = {
    Rights.READ_ONLY: frozenset({_P.PROBE, _P.READ}),
    Rights.WRITE_ONLY: frozenset({_P.PROBE, _P.WRITE}),
    Rights.READ_WRITE: frozenset({_P.PROBE, _P.READ, _P.WRITE, _P.DELETE}),
    Rights.FULL: frozenset({_P.PROBE, _P.READ, _P.WRITE, _P.DELETE, _P.CONFIGURE, _P.CREATE_BUCKET}),
}
NOTHING: Final[frozenset[Permission]] = frozenset()


@dataclass(frozen=True, slots=True)
class AllBuckets:
    """Every bucket of the key's account, those made later too."""

    rights: Rights = Rights.FULL


def clean_prefix(text: str) -> str:
    """The stored form of a prefix: it ends in one `/`, so that `team` never means `teams`. "" = the whole bucket.

    InvalidInput for a leading `/`, `//`, a segment `.` or `..`, NUL, what is no UTF-8, and more than 1,023 bytes.
    """
    if not text:
        return ""
    prefix = text if text.endswith("/") else text + "/"
    segments = prefix[:-1].split("/")
    if "" in segments or "." in segments or ".." in segments:
        raise InvalidInput(f"{text!r} is not a prefix: no leading '/', no '//', no segment '.' or '..'")
    try:
        size = len(prefix.encode())
    except UnicodeEncodeError:
        raise InvalidInput("a prefix is valid UTF-8") from None
    if "\0" in prefix or size > MAX_PREFIX:
        raise InvalidInput(f"a prefix has at most {MAX_PREFIX} bytes and no NUL")
    return prefix


@dataclass(frozen=True, slots=True)
class BucketGrant:
    """`prefix`: what every object key begins with that it grants, in its stored form; "" = every object key.
    `generation`: of the claim to the bucket it was granted in; the keystore sets it when a key is made.
    """

    name: str
    rights: Rights = Rights.READ_WRITE
    prefix: str = ""
    generation: int = 0

    def __post_init__(self) -> None:
        if not BUCKET_NAME.match(self.name):
            raise InvalidInput(f"{self.name!r} is not a bucket name: 3-63 of a-z, 0-9, '.' and '-'")
        if clean_prefix(self.prefix) != self.prefix:
            raise InvalidInput(f"the prefix {self.prefix!r} does not end in '/'")
        if self.generation < 0:
            raise InvalidInput("a generation is a number from 0")


@dataclass(frozen=True, slots=True)
class SpecificBuckets:
    """One or more named buckets, each named once."""

    buckets: tuple[BucketGrant, ...]

    def __post_init__(self) -> None:
        names = [grant.name for grant in self.buckets]
        if not names:
            raise InvalidInput("a scope of specific buckets names at least one bucket")
        if len(names) > MAX_BUCKETS:
            raise InvalidInput(f"a scope names at most {MAX_BUCKETS} buckets")
        if len(set(names)) != len(names):
            raise InvalidInput("a scope names each bucket once")


@dataclass(frozen=True, slots=True)
class NoBuckets:
    """No bucket yet: the key is good for its own sake, or is given its buckets later."""


Scope = AllBuckets | SpecificBuckets | NoBuckets


def permissions_by_bucket(scope: Scope) -> dict[str, frozenset[Permission]] | None:
    """For Specific Buckets: exact bucket name → permissions (CREATE_BUCKET never among them). For All: None; for none:
    nothing.
    """
    match scope:
        case AllBuckets():
            return None
        case SpecificBuckets(buckets=grants):
            return {grant.name: GRANTS[grant.rights] - {Permission.CREATE_BUCKET} for grant in grants}
        case NoBuckets():
            return {}
        case _:
            assert_never(scope)


def grants_of(scope: Scope) -> tuple[BucketGrant, ...]:
    """The buckets it names, each with what is granted there."""
    match scope:
        case SpecificBuckets(buckets=grants):
            return grants
        case AllBuckets() | NoBuckets():
            return ()
        case _:
            assert_never(scope)


def prefixes_by_bucket(scope: Scope) -> dict[str, bytes]:
    """Exact bucket name → prefix, for those that have one. All Buckets has none."""
    return {grant.name: grant.prefix.encode() for grant in grants_of(scope) if grant.prefix}


def generations_by_bucket(scope: Scope) -> dict[str, int]:
    """Exact bucket name → generation, where it is not 0. All Buckets has none."""
    return {grant.name: grant.generation for grant in grants_of(scope) if grant.generation}


def granted_in(scope: Scope, generation_of: Callable[[str], int]) -> Scope:
    """The scope with each bucket in the generation that `generation_of` says."""
    if not isinstance(scope, SpecificBuckets):
        return scope
    return SpecificBuckets(tuple(replace(grant, generation=generation_of(grant.name)) for grant in scope.buckets))


def stored_scope(scope: Scope) -> dict[str, object]:
    """As `scope_json`, and with the generation of each bucket where it is not 0."""
    if not isinstance(scope, SpecificBuckets):
        return scope_json(scope)
    return {"type": "buckets", "buckets": [_stored_grant(grant) for grant in scope.buckets]}


def _stored_grant(grant: BucketGrant) -> dict[str, object]:
    shown = _grant_json(grant)
    return {**shown, "generation": grant.generation} if grant.generation else {**shown}


def scope_json(scope: Scope) -> dict[str, object]:
    """{"type": "all", "rights"}, {"type": "none"} or {"type": "buckets", "buckets": [{"name", "rights", "prefix"?}]}"""
    match scope:
        case AllBuckets(rights=rights):
            return {"type": "all", "rights": rights.value}
        case SpecificBuckets(buckets=grants):
            return {"type": "buckets", "buckets": [_grant_json(grant) for grant in grants]}
        case NoBuckets():
            return {"type": "none"}
        case _:
            assert_never(scope)


def _grant_json(grant: BucketGrant) -> dict[str, str]:
    named = {"name": grant.name, "rights": grant.rights.value}
    return {**named, "prefix": grant.prefix} if grant.prefix else named


def read_scope(value: object) -> Scope:
    """The inverse of `stored_scope`; absent rights mean the default of their kind. InvalidInput for everything else.

    An unknown field is refused, not skipped: it could be a limit that this version does not know.
    """
    match value:
        case {"type": "all", **rest}:
            return AllBuckets(**_rights(rest))
        case {"type": "buckets", "buckets": list(grants), **rest} if not rest:
            return SpecificBuckets(tuple(_read_grant(grant) for grant in grants))
        case {"type": "none", **rest} if not rest:
            return NoBuckets()
    raise InvalidInput(
        'a scope is {"type": "all"}, {"type": "none"} or {"type": "buckets", "buckets": [{"name": …}, …]}'
    )


def _read_grant(value: object) -> BucketGrant:
    match value:
        case {"name": str(name), **rest}:
            named = "prefix" in rest
            prefix = rest.pop("prefix", "")
            if not isinstance(prefix, str) or (named and not prefix):
                raise InvalidInput("a prefix is text; leave it out to grant the whole bucket")
            generation = rest.pop("generation", 0)
            if type(generation) is not int:
                raise InvalidInput("a generation is a number")
            rights = _rights(rest).get("rights", Rights.READ_WRITE)
            return BucketGrant(name, rights, clean_prefix(prefix), generation)
    raise InvalidInput('a bucket in a scope is {"name": …, "rights": …, "prefix": …}')


def _rights(fields: dict[object, object]) -> dict[str, Rights]:
    """Keyword arguments for a scope or grant: nothing, or its rights. Anything else is refused."""
    if unknown := set(fields) - {"rights"}:
        raise InvalidInput(f"unknown in a scope: {', '.join(sorted(map(str, unknown)))}")
    try:
        return {"rights": Rights(fields["rights"])} if fields else {}
    except ValueError as error:
        raise InvalidInput(f"rights are one of {', '.join(rights.value for rights in Rights)}") from error

"""The access key record, its states, and the form in which the hot path knows it.

Pure: reads no clock, no database, no randomness.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

from keystore.bucket_claims import BucketClaim, Tenure, generation_for, tenure
from keystore.errors import Conflict, InvalidInput
from keystore.scope import (
    GRANTS,
    NOTHING,
    AllBuckets,
    Permission,
    Scope,
    generations_by_bucket,
    granted_in,
    permissions_by_bucket,
    prefixes_by_bucket,
    scope_json,
)
from keystore.source_cidrs import Network, read_address, read_networks, within

ACCESS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{3,128}\Z")
MAX_LABEL: Final = 64  # code points, after trimming
LATEST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second every client's date type can hold

# Refused in a label: what ends a line or a terminal's patience (Cc, Zl, Zp), what no UTF-8 can carry (Cs), and what
# turns the reading direction of the text after it (https://www.unicode.org/reports/tr9/, section 2).
REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


NO_DATE: Final = b""  # where a signature has no date: what is looked up for it needs no kDate

TenureOf = Callable[[str], Tenure]  # the exact name of a bucket → whose it is


class Status(Enum):
    """Stored states. Expired is derived from time and never stored; a deleted key has no record."""

    ACTIVE = "active"
    REVOKED = "revoked"


class RevokeReason(Enum):
    ROTATION = "rotation"
    UNUSED = "unused"
    COMPROMISED = "compromised"  # final: cannot be restored
    OTHER = "other"


class Act(Enum):
    """What a person can do to a key."""

    REVOKE = "revoke"
    RESTORE = "restore"
    ROLL = "roll"
    UPDATE = "update"
    DELETE = "delete"


# state × act → next state; None = the record is gone. What is not here is refused.
TRANSITIONS: Final[dict[tuple[Status, Act], Status | None]] = {
    (Status.ACTIVE, Act.REVOKE): Status.REVOKED,
    (Status.REVOKED, Act.REVOKE): Status.REVOKED,  # always writes and always waits: a no-op could be undone by a crash
    (Status.REVOKED, Act.RESTORE): Status.ACTIVE,  # not after COMPROMISED
    (Status.ACTIVE, Act.ROLL): Status.ACTIVE,  # until its overlap is over; without one it is revoked
    (Status.ACTIVE, Act.UPDATE): Status.ACTIVE,
    (Status.REVOKED, Act.UPDATE): Status.REVOKED,  # its label only
    (Status.ACTIVE, Act.DELETE): None,
    (Status.REVOKED, Act.DELETE): None,
}


def clean_label(label: str) -> str:
    """The label trimmed: 1-64 code points, no control and no bidi characters. InvalidInput otherwise."""
    trimmed = label.strip()
    if not 1 <= len(trimmed) <= MAX_LABEL:
        raise InvalidInput(f"a label has 1 to {MAX_LABEL} characters, this one {len(trimmed)}")
    for character in trimmed:
        if character in BIDI_CONTROLS or unicodedata.category(character) in REFUSED_CATEGORIES:
            raise InvalidInput(f"a label holds no control or bidi characters, this one U+{ord(character):04X}")
    return trimmed


def check_times(not_before: int | None, expires_at: int | None, now: int) -> None:
    """Unix seconds; valid iff not_before <= time < expires_at. InvalidInput when that is never, from `now` on."""
    for name, moment in (("not_before", not_before), ("expires_at", expires_at)):
        if moment is not None and not 0 <= moment <= LATEST:
            raise InvalidInput(f"{name} is Unix seconds between 0 and {LATEST}")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expires_at lies in the past")
    if expires_at is not None and not_before is not None and expires_at <= not_before:
        raise InvalidInput("expires_at must lie after not_before")


def check_lifetime(created_at: int, expires_at: int | None, longest: int | None) -> None:
    """Unix seconds. `longest`: the setting keys.max_lifetime in seconds, None = no limit. InvalidInput for a life that
    is longer, and for one without an end.
    """
    if longest is None or (expires_at is not None and expires_at - created_at <= longest):
        return
    until = rfc3339(min(created_at + longest, LATEST))
    would = "never expires" if expires_at is None else "expires later than that"
    raise InvalidInput(f"keys.max_lifetime ends this key at {until} at the latest, and it {would}: set an expiry")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One verified record. Times are Unix seconds, UTC. Holds no secret.

    `replaces`, `replaced_by`: the access key ids on both sides of a roll; either key may be deleted since.
    `drains`: revoked, but requests that had been admitted by then may finish. `manage_keys`: it may act on the keys of
    its account; in buckets that counts for nothing.
    """

    access_key_id: str
    account: str
    label: str
    scope: Scope
    status: Status
    created_at: int
    created_by: str
    expires_at: int | None = None
    not_before: int | None = None
    revoked_at: int | None = None
    revoked_by: str | None = None
    revoked_reason: RevokeReason | None = None
    version: int = 1
    secret_version: int = 1
    source_cidrs: tuple[str, ...] = ()  # () = from everywhere
    replaces: str | None = None
    replaced_by: str | None = None
    drains: bool = False
    manage_keys: bool = False
    networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)
    grants: dict[str, frozenset[Permission]] | None = field(init=False, repr=False, compare=False)
    prefixes: dict[str, bytes] = field(init=False, repr=False, compare=False)  # of buckets that have one
    generations: dict[str, int] = field(init=False, repr=False, compare=False)  # of buckets where it is not 0
    everywhere: frozenset[Permission] = field(init=False, repr=False, compare=False)  # of All Buckets

    def __post_init__(self) -> None:
        everywhere = GRANTS[self.scope.rights] if isinstance(self.scope, AllBuckets) else NOTHING
        object.__setattr__(self, "grants", permissions_by_bucket(self.scope))
        object.__setattr__(self, "networks", read_networks(self.source_cidrs))
        object.__setattr__(self, "prefixes", prefixes_by_bucket(self.scope))
        object.__setattr__(self, "generations", generations_by_bucket(self.scope))
        object.__setattr__(self, "everywhere", everywhere)

    def granted(self, bucket: str) -> frozenset[Permission]:
        """What the scope says of `bucket` (exact name), whoever it belongs to. Deny by default."""
        if self.grants is None:
            return self.everywhere
        return self.grants.get(bucket, NOTHING)

    def permissions(self, bucket: str, tenure_of: TenureOf) -> frozenset[Permission]:
        """What this key may do in `bucket`: what is granted, while it belongs to the key's account, and for a bucket
        that the scope names, in the generation it was granted in. What `tenure_of` raises passes.
        """
        granted = self.everywhere if self.grants is None else self.grants.get(bucket, NOTHING)
        if not granted:
            return NOTHING
        account, generation = tenure_of(bucket)
        if account != self.account:
            return NOTHING
        if self.grants is not None and generation != self.generations.get(bucket, 0):
            return NOTHING
        return granted

    def reaches(self, bucket: str, begins: bytes) -> bool:
        """Whether all object keys of `bucket` that begin so are within the key's prefix there."""
        return begins.startswith(self.prefixes.get(bucket, b""))

    def admits(self, source: str) -> bool:
        """Whether the key may be used from this address. What is no address is nowhere."""
        return not self.networks or within(read_address(source), self.networks)

    def expired(self, now: float) -> bool:
        """Whether its time is over; `now` in Unix seconds. Revoked keys expire too."""
        return self.expires_at is not None and now >= self.expires_at


Claims = Mapping[str, BucketClaim]  # of bucket names that have one


def granted_now(access_key: AccessKey, claims: Claims) -> AccessKey:
    """The new key with each bucket of its scope in the generation in which its account holds the name, or would."""
    scope = granted_in(access_key.scope, lambda bucket: generation_for(claims.get(bucket), access_key.account))
    return replace(access_key, scope=scope)


def revoked(access_key: AccessKey, at: int, by: str, reason: RevokeReason, *, drain: bool = False) -> AccessKey:
    """The record after a revoke. Revoking again keeps when and by whom it ended, and never takes COMPROMISED back.
    `drain`: what runs may finish, until somebody revokes without it.

    Raises Conflict where TRANSITIONS has no way, InvalidInput for a compromised key that should drain.
    """
    if (access_key.status, Act.REVOKE) not in TRANSITIONS:
        raise Conflict(f"{access_key.access_key_id} is {access_key.status.value} and cannot be revoked")
    again = access_key.status is Status.REVOKED
    final = access_key.revoked_reason is RevokeReason.COMPROMISED
    if drain and (final or reason is RevokeReason.COMPROMISED):
        raise InvalidInput("what a compromised key has running must not finish: revoke it without --drain")
    return replace(
        access_key,
        status=Status.REVOKED,
        revoked_at=access_key.revoked_at if again else at,
        revoked_by=access_key.revoked_by if again else by,
        revoked_reason=RevokeReason.COMPROMISED if final else reason,
        drains=drain,
        version=access_key.version + 1,
    )


def shown_status(access_key: AccessKey, now: float) -> str:
    """What people read: "active", "revoked" or "expired". Revoked wins: it was somebody's decision."""
    if access_key.status is Status.ACTIVE and access_key.expired(now):
        return "expired"
    return access_key.status.value


def unreachable_buckets(access_key: AccessKey, claims: Claims) -> dict[str, str]:
    """The buckets its scope names that it does not reach, and why: "deleted", or "other" for the bucket of another
    account or of another claim of the name than it was granted for."""
    found: dict[str, str] = {}
    for bucket in access_key.grants or ():
        claim = claims.get(bucket)
        generation = access_key.generations.get(bucket, 0)
        if (
            claim is not None
            and not claim.held
            and (claim.account, claim.generation)
            == (
                access_key.account,
                generation,
            )
        ):
            found[bucket] = "deleted"
        elif tenure(claim) != (access_key.account, generation):
            found[bucket] = "other"
    return found


def access_key_json(access_key: AccessKey, now: float, claims: Claims) -> dict[str, object]:
    """The one JSON object for a key, everywhere. Every field is always there, null when unset; no secret.

    Times are RFC 3339 in UTC. `buckets` is "*" or the list of names; `scope` says the rights too; `claims`: of the
    buckets in it.
    """
    reason = access_key.revoked_reason
    return {
        "access_key_id": access_key.access_key_id,
        "account": access_key.account,
        "label": access_key.label,
        "scope": scope_json(access_key.scope),
        "buckets": "*" if access_key.grants is None else list(access_key.grants),
        "unreachable_buckets": unreachable_buckets(access_key, claims),
        "status": shown_status(access_key, now),
        "created_at": _shown(access_key.created_at),
        "created_by": access_key.created_by,
        "expires_at": _shown(access_key.expires_at),
        "not_before": _shown(access_key.not_before),
        "source_cidrs": list(access_key.source_cidrs),
        "manage_keys": access_key.manage_keys,
        "revoked_at": _shown(access_key.revoked_at),
        "revoked_by": access_key.revoked_by,
        "revoked_reason": reason and reason.value,
        "replaces": access_key.replaces,
        "replaced_by": access_key.replaced_by,
        "version": access_key.version,
    }


def rfc3339(moment: int) -> str:
    """Unix seconds, 0 to LATEST, as people and clients read them, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)


class Keyed(Protocol):
    """A keyed HMAC-SHA256, to be copied for each text: its key cannot be read back."""

    def copy(self) -> "Keyed": ...
    def update(self, text: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class KnownKey:
    """What `directory.find` returns: a record proven fresh, and the means to verify its signatures; never the secret.

    `date_keys`: b"YYYYMMDD" → kDate = HMAC-SHA256("AWS4" + secret, date), 32 bytes; the date asked for is always there.
    `keyed`: credential scope (b"date/region/service/aws4_request") → HMAC-SHA256 keyed with its signing key, to be
    copied (1.0 µs, keying anew 1.6); filled by the verifier only after a signature held.
    `hmac_sha1`: string to sign → 20 bytes, for SigV2 presigned URLs.
    All of it is dropped with the record when a change touches the key.
    """

    __slots__ = ("access_key", "date_keys", "hmac_sha1", "keyed")

    def __init__(
        self, access_key: AccessKey, date_keys: dict[bytes, bytes], hmac_sha1: Callable[[bytes], bytes]
    ) -> None:
        self.access_key = access_key
        self.date_keys = date_keys
        self.hmac_sha1 = hmac_sha1
        self.keyed: dict[bytes, Keyed] = {}

    def __repr__(self) -> str:
        return f"KnownKey({self.access_key.access_key_id}, <hidden>)"

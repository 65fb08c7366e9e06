"""The access key record, its states, and the form in which the hot path knows it.

Pure: reads no clock, no database, no randomness.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from keystore.scope import GRANTS, NOTHING, AllBuckets, Permission, Scope, permissions_by_bucket

ACCESS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{3,128}\Z")
DEFAULT_ACCOUNT: Final = "default"


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
    DELETE = "delete"


# state × act → next state; None = the record is gone. What is not here is refused.
TRANSITIONS: Final[dict[tuple[Status, Act], Status | None]] = {
    (Status.ACTIVE, Act.REVOKE): Status.REVOKED,
    (Status.REVOKED, Act.REVOKE): Status.REVOKED,  # always writes and always waits: a no-op could be undone by a crash
    (Status.REVOKED, Act.RESTORE): Status.ACTIVE,  # not after COMPROMISED
    (Status.ACTIVE, Act.DELETE): None,
    (Status.REVOKED, Act.DELETE): None,
}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One verified record. Times are Unix seconds, UTC. Holds no secret."""

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
    grants: dict[str, frozenset[Permission]] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grants", permissions_by_bucket(self.scope))

    def permissions(self, bucket: str) -> frozenset[Permission]:
        """What this key may do in `bucket` (exact name). Deny by default.

        Until buckets can be assigned, `default` owns every bucket: a key of another account reaches none.
        """
        if self.account != DEFAULT_ACCOUNT:
            return NOTHING
        if self.grants is None:
            return GRANTS[self.scope.rights] if isinstance(self.scope, AllBuckets) else NOTHING
        return self.grants.get(bucket, NOTHING)


class KnownKey:
    """What `directory.find` returns: a record proven fresh, and the means to verify its signatures; never the secret.

    `date_keys`: b"YYYYMMDD" → kDate = HMAC-SHA256("AWS4" + secret, date), 32 bytes; the date asked for is always there.
    `signing_keys`: (date, region, service) → signing key; filled by the verifier only after a signature held.
    `hmac_sha1`: string to sign → 20 bytes, for SigV2 presigned URLs.
    All of it is dropped with the record when a change touches the key.
    """

    __slots__ = ("access_key", "date_keys", "hmac_sha1", "signing_keys")

    def __init__(
        self, access_key: AccessKey, date_keys: dict[bytes, bytes], hmac_sha1: Callable[[bytes], bytes]
    ) -> None:
        self.access_key = access_key
        self.date_keys = date_keys
        self.hmac_sha1 = hmac_sha1
        self.signing_keys: dict[tuple[bytes, bytes, bytes], bytes] = {}

    def __repr__(self) -> str:
        return f"KnownKey({self.access_key.access_key_id}, <hidden>)"

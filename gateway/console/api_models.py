"""What REST takes and answers, as types: bodies and queries are read by them, and the specification is made of them.

Unknown fields are refused, not skipped: one could be a limit that this version does not know.
"""

from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keystore.access_key import LATEST, RevokeReason
from keystore.errors import InvalidInput
from keystore.key_acts import MAX_OVERLAP
from keystore.scope import MAX_BUCKETS, Rights, Scope, read_scope

Days = Annotated[int, Field(ge=0, le=36_500)]
Limit = Annotated[int, Field(ge=1, le=200)]
Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Rfc3339 = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Asked(BaseModel):
    """A query: every value is text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---- bodies ----


class Grant(_Taken):
    name: str = Field(max_length=63)
    rights: Rights = Field(Rights.READ_WRITE, strict=False)
    prefix: str | None = Field(None, min_length=1, max_length=1023, description="Object keys begin with it.")


class AllBucketsBody(_Taken):
    type: Literal["all"]
    rights: Rights = Field(Rights.FULL, strict=False)


class SpecificBucketsBody(_Taken):
    type: Literal["buckets"]
    buckets: list[Grant] = Field(min_length=1, max_length=MAX_BUCKETS)


class NoBucketsBody(_Taken):
    type: Literal["none"]


AnyScope = AllBucketsBody | SpecificBucketsBody | NoBucketsBody
ScopeBody = Annotated[AnyScope, Field(discriminator="type")]
_SCOPE: Final = (
    'All Buckets, those made later too: `{"type": "all"}`; specific ones: `{"type": "buckets", "buckets": [{"name": '
    '"photos", "rights": "read_only", "prefix": "2026/"}]}`; none yet: `{"type": "none"}`'
)


def scope_of(body: AnyScope) -> Scope:
    """InvalidInput for names and prefixes that are none."""
    return read_scope(body.model_dump(mode="json", exclude_none=True))


def moment_of(moment: AwareDatetime | None) -> int | None:
    """Unix seconds. InvalidInput beyond what every client's date type can hold."""
    if moment is None:
        return None
    seconds = int(moment.timestamp())
    if not 0 <= seconds <= LATEST:
        raise InvalidInput("a time lies between 1970 and 9999")
    return seconds


class KeyBody(_Taken):
    """A key to make."""

    label: str = Field(max_length=256, description="1 to 64 characters when trimmed.")
    scope: ScopeBody = Field(description=_SCOPE)
    account: Account | None = Field(None, description="Whose key it is; the caller's own, or `default`, when absent.")
    expires_at: AwareDatetime | None = None
    not_before: AwareDatetime | None = None
    source_cidrs: list[Annotated[str, Field(max_length=64)]] = Field([], max_length=64)
    manage_keys: bool = Field(False, description="It may manage its account's keys through the IAM API.")


class EditBody(_Taken):
    """What to change of a key; a field that is absent stays. `expires_at` null: never."""

    label: str | None = Field(None, max_length=256)
    scope: ScopeBody | None = Field(None, description="The whole of the new one.")
    expires_at: AwareDatetime | None = None


class RevokeBody(_Taken):
    reason: RevokeReason = Field(RevokeReason.OTHER, strict=False, description="compromised is final.")
    drain: bool = Field(False, description="What runs may finish; not for a compromised key.")
    cascade: bool = Field(False, description="Also the keys that replaced it by a roll.")


class RollBody(_Taken):
    overlap: int = Field(86_400, ge=0, le=MAX_OVERLAP, description="Seconds for which both keys work; 0 = revoke.")


class EmptyBody(_Taken):
    """Nothing is said."""


class QuestionBody(_Taken):
    """May this key do that?"""

    access_key_id: str = Field(max_length=128)
    operation: str = Field(max_length=64, description="Such as GetObject or ListObjectsV2.")
    bucket: str = Field(max_length=63)
    object_key: str = Field("", max_length=1024, description="Of a list: its prefix.")
    source: str | None = Field(None, max_length=64, description="The address it would come from.")


# ---- queries ----


class KeysQuery(_Asked):
    account: Account | None = None
    status: Literal["active", "revoked", "expiring"] | None = None
    bucket: str | None = Field(None, max_length=63, description="Its scope names the bucket, or is All Buckets.")
    q: str | None = Field(None, min_length=1, max_length=128, description="Part of the label, or a whole id.")
    unused_days: Days | None = None
    older_than_days: Days | None = None
    all_buckets: bool = False
    cursor: str | None = Field(None, max_length=256)
    limit: Limit = 50


class EventsQuery(_Asked):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class AccountQuery(_Asked):
    account: Account | None = None


class RefusalsQuery(AccountQuery):
    limit: Limit = 50


class NoQuery(_Asked):
    """Nothing is asked."""


# ---- answers: only the specification is made of these; what is answered is made by keystore and acts ----


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Used(_Answer):
    at: Rfc3339
    operation: str
    bucket: str
    source: str
    region: str
    user_agent: str


class Denied(_Answer):
    at: Rfc3339
    reason: str
    bucket: str


class Key(_Answer):
    """The one JSON object for a key. Every field is always there, null when unset; no secret."""

    access_key_id: str
    account: str
    label: str
    scope: dict[str, Any]
    buckets: Literal["*"] | list[str]
    unreachable_buckets: dict[str, str]
    status: Literal["active", "revoked", "expired"]
    created_at: Rfc3339
    created_by: str
    expires_at: Rfc3339 | None
    not_before: Rfc3339 | None
    source_cidrs: list[str]
    manage_keys: bool
    revoked_at: Rfc3339 | None
    revoked_by: str | None
    revoked_reason: str | None
    replaces: str | None
    replaced_by: str | None
    version: int
    last_used: Used | None
    last_denied: Denied | None


class NewKeyAnswer(Key):
    """`secret_access_key` is there once: a replay of an Idempotency-Key has `secret_available` false, and none."""

    secret_available: bool
    secret_access_key: str | None = None


class _Confirmed(_Answer):
    gateways: int
    confirmed: int
    lapsed: int
    out_of_lease: int
    transfers_cut: int
    in_store_settled: int
    in_store_unsettled: list[str]
    took_ms: int
    proven: bool = Field(description="No gateway accepts what was taken away; with status 202 that is not proven.")


class ActedKey(Key, _Confirmed):
    """A key, and who has confirmed what was done to it."""


class Cascaded(_Confirmed):
    access_key_id: str


class RevokedKey(ActedKey):
    cascaded: list[Cascaded]


class RolledKey(_Confirmed):
    key: NewKeyAnswer
    replaced: Key


class DeletedKey(_Confirmed):
    access_key_id: str
    deleted: Literal[True]


class KeysPage(_Answer):
    keys: list[Key]
    next_cursor: str | None


class Event(_Answer):
    seq: int
    at: str
    kind: str
    actor: str
    account: str | None
    access_key_id: str | None
    bucket: str | None
    token_id: str | None
    body: dict[str, Any]
    verified: bool


class Events(_Answer):
    events: list[Event]


class VerdictAnswer(_Answer):
    access_key_id: str
    operation: str
    allowed: bool
    rule: str


class NamedKey(_Answer):
    access_key_id: str
    label: str


class BucketAnswer(_Answer):
    name: str
    account: str
    status: Literal["active", "deleted"]
    created: str | None
    keys: list[NamedKey] = Field(description="The first twenty active keys that reach it.")
    keys_in_all: int


class Buckets(_Answer):
    buckets: list[BucketAnswer]


class AccountAnswer(_Answer):
    name: str
    number: str


class Accounts(_Answer):
    accounts: list[AccountAnswer]


class RefusalAnswer(_Answer):
    request_id: str
    at: float
    code: str
    step: str
    reason: str
    access_key_id: str
    account: str
    bucket: str
    method: str
    target: str
    source: str
    canonical: str
    causes: list[str]


class RefusalsAnswer(_Answer):
    refusals: list[RefusalAnswer]


class ProblemAnswer(_Answer):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str


class Operation(NamedTuple):
    """One row of the interface. `answers`: status → what."""

    method: str
    path: str
    name: str
    summary: str
    query: type[BaseModel]
    body: type[BaseModel] | None
    answers: dict[int, type[BaseModel]]

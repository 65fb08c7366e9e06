"""The exact bytes that are stored for an access key, an account, a bucket claim or an admin token, and their MAC.

Pure: the MAC key is handed in. The stored byte string is the record; columns beside it are an index, cross-checked
when a row is read. Bytes are never rebuilt from columns, so no database type can change what was sealed.
"""

import hashlib
import hmac
import json
from typing import Any, Final, NamedTuple

from keystore.access_key import ACCESS_KEY_ID, AccessKey, RevokeReason, Status
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken, Role
from keystore.bucket_claims import BucketClaim, ClaimState
from keystore.errors import InvalidInput, RecordRefused
from keystore.scope import read_scope, stored_scope
from keystore.source_cidrs import clean_cidrs

FORMAT: Final = 1

ACCESS_KEY_FIELDS: Final = frozenset(
    {
        "format", "access_key_id", "account", "label", "scope", "status", "created_at", "created_by", "expires_at",
        "not_before", "revoked_at", "revoked_by", "revoked_reason", "version", "secret_version",
    }
)  # fmt: skip
# Written where it says something, so that records of before stay as they are; a version that does not know it refuses.
LIMITS: Final = frozenset({"source_cidrs"})
ROLLED: Final = frozenset({"replaces", "replaced_by"})  # likewise
DRAINS: Final = frozenset({"drains"})  # likewise, of a revoked key that lets what runs finish
MANAGING: Final = frozenset({"manage_keys"})  # likewise, of a key that manages keys
UPSTREAM: Final = frozenset({"upstream"})  # likewise, of an account with a credential of its own
BUCKET_FIELDS: Final = frozenset(
    {"format", "name", "account", "generation", "state", "changed_at", "changed_by", "version"}
)
ACCOUNT_FIELDS: Final = frozenset({"format", "name", "number", "created_at", "created_by", "version"})
ADMIN_TOKEN_FIELDS: Final = frozenset(
    {
        "format", "token_id", "label", "role", "account", "created_at", "created_by", "expires_at", "revoked_at",
        "revoked_by", "version", "secret_sha256",
    }
)  # fmt: skip


class AccessKeyRow(NamedTuple):
    """A row as stored: the index columns, the record, the sealed secret, and the MAC over all of it."""

    access_key_id: str
    account: str
    version: int
    created_at: int
    record: bytes
    secret_sealed: bytes
    kek_id: str
    mac: bytes


class AccountRow(NamedTuple):
    """`upstream_sealed`: the secret of the account's own credential at the store, None when it has none."""

    name: str
    number: str
    version: int
    created_at: int
    record: bytes
    kek_id: str
    mac: bytes
    upstream_sealed: bytes | None = None


class BucketRow(NamedTuple):
    name: str
    account: str
    version: int
    record: bytes
    kek_id: str
    mac: bytes


class AdminTokenRow(NamedTuple):
    """`account`: "" of an operator's token."""

    token_id: str
    account: str
    version: int
    created_at: int
    record: bytes
    kek_id: str
    mac: bytes


def length_prefixed(*fields: bytes | str | int) -> bytes:
    """Every field as four bytes of length and its bytes, so that no two lists of fields read the same.

    Text as UTF-8, integers as decimal text.
    """
    parts: list[bytes] = []
    for value in fields:
        octets = value if isinstance(value, bytes) else str(value).encode()
        parts += (len(octets).to_bytes(4, "big"), octets)
    return b"".join(parts)


def canonical_json(value: dict[str, Any]) -> bytes:
    """UTF-8, names sorted, no blanks: one byte string per value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def access_key_record(access_key: AccessKey) -> bytes:
    reason = access_key.revoked_reason
    limits = {"source_cidrs": list(access_key.source_cidrs)} if access_key.source_cidrs else {}
    rolled = {"replaces": access_key.replaces, "replaced_by": access_key.replaced_by}
    return canonical_json(
        {
            **limits,
            **({"drains": True} if access_key.drains else {}),
            **({"manage_keys": True} if access_key.manage_keys else {}),
            **{name: access_key_id for name, access_key_id in rolled.items() if access_key_id is not None},
            "format": FORMAT,
            "access_key_id": access_key.access_key_id,
            "account": access_key.account,
            "label": access_key.label,
            "scope": stored_scope(access_key.scope),
            "status": access_key.status.value,
            "created_at": access_key.created_at,
            "created_by": access_key.created_by,
            "expires_at": access_key.expires_at,
            "not_before": access_key.not_before,
            "revoked_at": access_key.revoked_at,
            "revoked_by": access_key.revoked_by,
            "revoked_reason": reason and reason.value,
            "version": access_key.version,
            "secret_version": access_key.secret_version,
        }
    )


def account_record(account: Account) -> bytes:
    upstream = {"upstream": account.upstream} if account.upstream is not None else {}
    return canonical_json(
        {
            **upstream,
            "format": FORMAT,
            "name": account.name,
            "number": account.number,
            "created_at": account.created_at,
            "created_by": account.created_by,
            "version": account.version,
        }
    )


def bucket_record(claim: BucketClaim) -> bytes:
    return canonical_json(
        {
            "format": FORMAT,
            "name": claim.name,
            "account": claim.account,
            "generation": claim.generation,
            "state": claim.state.value,
            "changed_at": claim.changed_at,
            "changed_by": claim.changed_by,
            "version": claim.version,
        }
    )


def admin_token_record(token: AdminToken) -> bytes:
    return canonical_json(
        {
            "format": FORMAT,
            "token_id": token.token_id,
            "label": token.label,
            "role": token.role.value,
            "account": token.account,
            "created_at": token.created_at,
            "created_by": token.created_by,
            "expires_at": token.expires_at,
            "revoked_at": token.revoked_at,
            "revoked_by": token.revoked_by,
            "version": token.version,
            "secret_sha256": token.secret_sha256.hex(),
        }
    )


def access_key_mac(mac_key: bytes, store_id: str, row: AccessKeyRow) -> bytes:
    """32 bytes over everything in the row but the MAC itself."""
    sealed = hashlib.sha256(row.secret_sealed).digest()
    covered = length_prefixed(
        "access_key", store_id, row.access_key_id, row.account, row.version, row.created_at, row.kek_id, sealed
    )
    return hmac.digest(mac_key, covered + length_prefixed(row.record), "sha256")


def account_mac(mac_key: bytes, store_id: str, row: AccountRow) -> bytes:
    covered = length_prefixed("account", store_id, row.name, row.number, row.version, row.created_at, row.kek_id)
    if row.upstream_sealed is not None:
        covered += length_prefixed("upstream", hashlib.sha256(row.upstream_sealed).digest())
    return hmac.digest(mac_key, covered + length_prefixed(row.record), "sha256")


def bucket_mac(mac_key: bytes, store_id: str, row: BucketRow) -> bytes:
    covered = length_prefixed("bucket", store_id, row.name, row.account, row.version, row.kek_id)
    return hmac.digest(mac_key, covered + length_prefixed(row.record), "sha256")


def admin_token_mac(mac_key: bytes, store_id: str, row: AdminTokenRow) -> bytes:
    covered = length_prefixed(
        "admin_token", store_id, row.token_id, row.account, row.version, row.created_at, row.kek_id
    )
    return hmac.digest(mac_key, covered + length_prefixed(row.record), "sha256")


def read_access_key(mac_key: bytes, store_id: str, row: AccessKeyRow) -> AccessKey:
    """The verified record. RecordRefused when MAC, form or an index column does not hold."""
    if not hmac.compare_digest(access_key_mac(mac_key, store_id, row), row.mac):
        raise RecordRefused(f"access key {row.access_key_id}: the stored record fails its MAC")
    access_key = access_key_of(row.record, row.access_key_id)
    shown = (access_key.access_key_id, access_key.account, access_key.version, access_key.created_at)
    if shown != row[:4]:
        raise RecordRefused(f"access key {row.access_key_id}: the record and its index columns differ")
    return access_key


def access_key_of(record: bytes, access_key_id: str = "") -> AccessKey:
    """What `access_key_record` wrote; nothing is verified. RecordRefused for another form."""
    fields = _fields(record, ACCESS_KEY_FIELDS, f"access key {access_key_id}", LIMITS | ROLLED | DRAINS | MANAGING)
    try:
        _check_rolled(fields)
        for name in (DRAINS | MANAGING) & fields.keys():
            if fields[name] is not True:
                raise InvalidInput(f"{name} is true where it is there")
        reason = fields.pop("revoked_reason")
        cidrs = _source_cidrs(fields.pop("source_cidrs")) if "source_cidrs" in fields else ()
        return AccessKey(
            scope=read_scope(fields.pop("scope")),
            status=Status(fields.pop("status")),
            revoked_reason=None if reason is None else RevokeReason(reason),
            source_cidrs=cidrs,
            **fields,
        )
    except (InvalidInput, ValueError, TypeError) as error:
        raise RecordRefused(f"access key {access_key_id}: the stored record is not understood: {error}") from error


def _check_rolled(fields: dict[str, Any]) -> None:
    for name in ROLLED & fields.keys():
        if not isinstance(fields[name], str) or not ACCESS_KEY_ID.match(fields[name]):
            raise InvalidInput(f"{name} is an access key id")


def _source_cidrs(value: object) -> tuple[str, ...]:
    """A list that is there says something: where there is none, the key is good from everywhere."""
    if not isinstance(value, list) or not value or not all(isinstance(cidr, str) for cidr in value):
        raise InvalidInput("source_cidrs is a list of networks")
    return clean_cidrs(value)


def read_account(mac_key: bytes, store_id: str, row: AccountRow) -> Account:
    """The verified record. RecordRefused when MAC, form or an index column does not hold."""
    if not hmac.compare_digest(account_mac(mac_key, store_id, row), row.mac):
        raise RecordRefused(f"account {row.name}: the stored record fails its MAC")
    try:
        account = Account(**_fields(row.record, ACCOUNT_FIELDS, f"account {row.name}", UPSTREAM))
    except (InvalidInput, TypeError) as error:
        raise RecordRefused(f"account {row.name}: the stored record is not understood: {error}") from error
    if (account.name, account.number, account.version, account.created_at) != row[:4]:
        raise RecordRefused(f"account {row.name}: the record and its index columns differ")
    if (account.upstream is None) is not (row.upstream_sealed is None):
        raise RecordRefused(f"account {row.name}: an upstream credential of which a half is missing")
    return account


def read_bucket(mac_key: bytes, store_id: str, row: BucketRow) -> BucketClaim:
    """The verified claim. RecordRefused when MAC, form or an index column does not hold."""
    if not hmac.compare_digest(bucket_mac(mac_key, store_id, row), row.mac):
        raise RecordRefused(f"bucket {row.name}: the stored record fails its MAC")
    claim = bucket_claim_of(row.record, row.name)
    if (claim.name, claim.account, claim.version) != row[:3]:
        raise RecordRefused(f"bucket {row.name}: the record and its index columns differ")
    return claim


def bucket_claim_of(record: bytes, name: str = "") -> BucketClaim:
    """What `bucket_record` wrote; nothing is verified. RecordRefused for another form."""
    fields = _fields(record, BUCKET_FIELDS, f"bucket {name}")
    try:
        return BucketClaim(state=ClaimState(fields.pop("state")), **fields)
    except (InvalidInput, ValueError, TypeError) as error:
        raise RecordRefused(f"bucket {name}: the stored record is not understood: {error}") from error


def read_admin_token(mac_key: bytes, store_id: str, row: AdminTokenRow) -> AdminToken:
    """The verified record. RecordRefused when MAC, form or an index column does not hold."""
    if not hmac.compare_digest(admin_token_mac(mac_key, store_id, row), row.mac):
        raise RecordRefused(f"admin token {row.token_id}: the stored record fails its MAC")
    fields = _fields(row.record, ADMIN_TOKEN_FIELDS, f"admin token {row.token_id}")
    try:
        role, secret = Role(fields.pop("role")), bytes.fromhex(fields.pop("secret_sha256"))
        token = AdminToken(role=role, secret_sha256=secret, **fields)
    except (InvalidInput, ValueError, TypeError) as error:
        raise RecordRefused(f"admin token {row.token_id}: the stored record is not understood: {error}") from error
    if (token.token_id, token.account or "", token.version, token.created_at) != row[:4]:
        raise RecordRefused(f"admin token {row.token_id}: the record and its index columns differ")
    return token


def _fields(
    record: bytes, expected: frozenset[str], what: str, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A field more or less is refused: a limit that this version cannot read must not be skipped."""
    try:
        fields = json.loads(record)
    except ValueError as error:
        raise RecordRefused(f"{what}: the stored record is not JSON") from error
    if not isinstance(fields, dict) or set(fields) - optional != expected or fields.pop("format") != FORMAT:
        raise RecordRefused(f"{what}: the stored record has another format; a newer gateway may have written it")
    return fields

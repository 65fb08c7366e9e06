"""The record of an admin token: with it a person or a program uses the control plane, for all accounts or for one.

Pure. A token is shown once, as text; the record keeps the SHA-256 of its secret half. That needs no key: nobody guesses
238 random bits from their hash.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple

from keystore.access_key import rfc3339
from keystore.accounts import ACCOUNT_NAME
from keystore.errors import InvalidInput, NotFound

TOKEN_ID: Final = re.compile(r"[0-9a-z]{12}\Z")
TOKEN_TEXT: Final = re.compile(r"nqat_([0-9a-z]{12})_([0-9A-Za-z]{40})\Z")  # config/gitleaks.toml looks for it
TOKEN_LENGTH: Final = 58  # characters of that
HASH_LENGTH: Final = 32


class Role(Enum):
    OPERATOR = "operator"  # all accounts
    OWNER = "owner"  # one account


@dataclass(frozen=True, slots=True)
class AdminToken:
    """One verified record. Times are Unix seconds, UTC. `account`: of an owner; an operator has none."""

    token_id: str
    label: str
    role: Role
    account: str | None
    created_at: int
    created_by: str
    secret_sha256: bytes = field(repr=False)
    expires_at: int | None = None
    revoked_at: int | None = None
    revoked_by: str | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if not TOKEN_ID.match(self.token_id):
            raise InvalidInput("the id of an admin token has 12 of 0-9 and a-z")
        if (self.account is None) is not (self.role is Role.OPERATOR):
            raise InvalidInput("an owner's token is for one account, an operator's for none")
        if self.account is not None and not ACCOUNT_NAME.match(self.account):
            raise InvalidInput(f"{self.account!r} is not an account name")
        if (self.revoked_at is None) is not (self.revoked_by is None) or self.version < 1:
            raise InvalidInput("a token is revoked by somebody at some time, and has a version from 1")
        if len(self.secret_sha256) != HASH_LENGTH:
            raise InvalidInput(f"a token has a hash of {HASH_LENGTH} bytes")


def refusal(token: AdminToken, now: float) -> str:
    """Why the token opens nothing at `now`, in Unix seconds; "" if it does. Of one revoked and expired: revoked."""
    if token.revoked_at is not None:
        return f"the admin token {token.token_id} was revoked at {rfc3339(token.revoked_at)}"
    if token.expires_at is not None and now >= token.expires_at:
        return f"the admin token {token.token_id} expired at {rfc3339(token.expires_at)}"
    return ""


def usable(token: AdminToken, now: float) -> bool:
    """Whether its time has not ended; who presents it must prove to hold it, too: `holds`."""
    return not refusal(token, now)


def revoked(token: AdminToken, at: int, by: str) -> AdminToken:
    """The record after a revoke. Revoking again is a new version, and keeps when and by whom it ended."""
    again = token.revoked_at is not None
    return replace(
        token,
        revoked_at=token.revoked_at if again else at,
        revoked_by=token.revoked_by if again else by,
        version=token.version + 1,
    )


def no_such_token(token_id: str) -> NotFound:
    """What has not the form of an id may be a whole token, and is not repeated."""
    return NotFound(f"there is no admin token {token_id if TOKEN_ID.match(token_id) else 'of that id'}")


# ---- as text ----


class Presented(NamedTuple):
    """A token that somebody sent: whether it is one is still to be found out. Keeps no secret."""

    token_id: str
    secret_sha256: bytes

    def __repr__(self) -> str:
        return f"Presented({self.token_id}, <hidden>)"


def token_text(token_id: str, secret: str) -> str:
    """As a person sees it, once."""
    return f"nqat_{token_id}_{secret}"


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def read_token(text: str) -> Presented | None:
    """None for everything that has not exactly the form; what is longer is not looked at."""
    if len(text) != TOKEN_LENGTH:
        return None
    parts = TOKEN_TEXT.match(text)
    return None if parts is None else Presented(parts[1], secret_hash(parts[2]))


def holds(token: AdminToken, presented: Presented) -> bool:
    """Whether the text that was sent is this token. Takes as long for a wrong secret as for the right one."""
    return token.token_id == presented.token_id and hmac.compare_digest(token.secret_sha256, presented.secret_sha256)


# ---- as JSON ----


def admin_token_json(token: AdminToken, now: float) -> dict[str, object]:
    """The one JSON object for a token, everywhere. Every field is always there, null when unset; no secret and no hash.

    Times are RFC 3339 in UTC.
    """
    ended = "expired" if token.revoked_at is None else "revoked"
    return {
        "token_id": token.token_id,
        "label": token.label,
        "role": token.role.value,
        "account": token.account,
        "status": "active" if usable(token, now) else ended,
        "created_at": rfc3339(token.created_at),
        "created_by": token.created_by,
        "expires_at": _shown(token.expires_at),
        "revoked_at": _shown(token.revoked_at),
        "revoked_by": token.revoked_by,
        "version": token.version,
    }


def _shown(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)

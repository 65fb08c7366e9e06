"""One-time sign-in links: made by whoever can read the key-encryption key, good for five minutes.

A link is a short text under a MAC, keyed with what the KEK derives for nothing else; the keystore's log takes each
once. It stands behind the `#` of an address, which no browser sends: no log of a server or a proxy has it.
"""

import base64
import hmac
import re
import secrets
from typing import Final, NamedTuple

from keystore.admin_tokens import Role
from keystore.sealing import Kek, KekRing

LASTS: Final = 300  # seconds
MAX_TEXT: Final = 256
_TEXT: Final = re.compile(r"nql_([0-9a-f]{8,11})\.([A-Za-z0-9_-]{22})(?:\.([a-z0-9-]{1,63}))?\.([A-Za-z0-9_-]{22})\Z")


class Link(NamedTuple):
    """`nonce`: 32 hex digits. `account`: of an owner; an operator has none. `expires_at`: Unix seconds."""

    nonce: str
    role: Role
    account: str | None
    expires_at: int


def make_link(ring: KekRing, account: str | None, now: float) -> str:
    """The text behind the `#`, of an operator or of the account's owner: until when, a nonce, the account, the MAC."""
    said = f"nql_{int(now) + LASTS:08x}.{_text(secrets.token_bytes(16))}" + (f".{account}" if account else "")
    return f"{said}.{_mac(ring.newest, said)}"


def sign_in_address(console: str, text: str) -> str:
    """`console`: its address, without a path."""
    return f"{console}/link#{text}"


def read_link(ring: KekRing, text: str) -> Link | None:
    """None for what was not made here, under a KEK that is loaded and not retired. Whether its time is over, and
    whether it was used, is still to be found out.
    """
    parts = _TEXT.match(text) if len(text) <= MAX_TEXT else None
    if parts is None:
        return None
    said, mac = text[: parts.start(4) - 1], parts[4]
    if not any(hmac.compare_digest(_mac(kek, said), mac) for kek in ring.keks):
        return None
    account: str | None = parts[3]
    role = Role.OPERATOR if account is None else Role.OWNER
    return Link(base64.urlsafe_b64decode(parts[2] + "==").hex(), role, account, int(parts[1], 16))


def _mac(kek: Kek, said: str) -> str:
    """128 bits: https://www.rfc-editor.org/rfc/rfc2104#section-5"""
    return _text(hmac.digest(kek.derive(b"", b"nqgate console link"), said.encode(), "sha256")[:16])


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")

"""Where new names and secrets come from: the only entropy besides sealing. Knows no store.

Ids: `NQAK` and 16 of [0-9a-z], as long as AWS's own; the scanner rule is \\bNQAK[0-9a-z]{16}\\b. Secrets: 40 of
base62, 238 bits; no "/" or "+", which break shells, URLs and rclone configurations. Ids of admin tokens: 12 of
[0-9a-z]; their secrets are as those of keys.
"""

import secrets
import string
from typing import Final

ID_PREFIX: Final = "NQAK"
ID_ALPHABET: Final = string.digits + string.ascii_lowercase
ID_RANDOM_LENGTH: Final = 16
TOKEN_ID_LENGTH: Final = 12
SECRET_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH: Final = 40


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def mint_access_key_id() -> str:
    return ID_PREFIX + _draw(ID_ALPHABET, ID_RANDOM_LENGTH)


def mint_token_id() -> str:
    return _draw(ID_ALPHABET, TOKEN_ID_LENGTH)


def mint_secret() -> str:
    """The bare text; whoever asks wraps it in `sealing.Secret` at once."""
    return _draw(SECRET_ALPHABET, SECRET_LENGTH)


def mint_account_number() -> str:
    """12 digits, the first not 0."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def mint_store_id() -> str:
    """32 hex digits; the salt of every MAC key of one keystore."""
    return secrets.token_hex(16)


def mint_request_id() -> str:
    """32 hex digits: names one mutation, so that an unknown outcome can be looked up."""
    return secrets.token_hex(16)

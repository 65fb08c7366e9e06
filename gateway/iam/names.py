"""How an access key is called in IAM's terms: a user is all keys of an account whose labels give the same user name.

The rule for user names, which have no spaces: letters with marks lose them, every run of characters other than
`A-Za-z0-9_+=,.@-` becomes one `-`, none at either end, at most 64 characters; `key` where nothing is left.
"""

import base64
import hashlib
import re
import unicodedata
from typing import Final

from gateway.iam.errors import IamError
from gateway.iam.request import invalid

MAX_USER_NAME: Final = 64
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_+=,.@-]+")


def user_name(label: str) -> str:
    """Of a key with this label; of a user name, itself."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", label) if not unicodedata.combining(one))
    return _OTHERS.sub("-", plain).strip("-")[:MAX_USER_NAME].strip("-") or "key"


def read_user_name(text: str) -> str:
    """IamError VALIDATION_ERROR for what no key is called."""
    if user_name(text) != text:
        raise _no_name()
    return text


def _no_name() -> IamError:
    return invalid(f"a user name has 1 to {MAX_USER_NAME} of A-Z, a-z, 0-9 and _+=,.@- and no - at either end")


def user_id(number: str, name: str) -> str:
    """The same for the same user for ever. `number`: of the account, 12 digits."""
    digest = hashlib.sha256(f"{number}/{name}".encode()).digest()
    return "NQUS" + base64.b32encode(digest)[:16].decode()


def user_arn(number: str, name: str) -> str:
    return f"arn:aws:iam::{number}:user/{name}"

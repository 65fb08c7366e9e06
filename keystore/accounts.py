"""The account record: everything belongs to one. `default` exists from the start.

Pure. An account has a name, which people and keys use, and a number, which IAM answers need; neither ever changes.
"""

import re
from dataclasses import dataclass
from typing import Final

from keystore.errors import InvalidInput

DEFAULT_ACCOUNT: Final = "default"
ACCOUNT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/console-account-id.html: 12 digits. Never a leading 0: spreadsheets
# and shells make a number of it.
ACCOUNT_NUMBER: Final = re.compile(r"[1-9][0-9]{11}\Z")
UPSTREAM_ID: Final = re.compile(r"[!-.0-~]{1,128}\Z")  # it stands in a credential scope, between slashes


@dataclass(frozen=True, slots=True)
class Account:
    """One verified record. `created_at` is Unix seconds, UTC. `upstream`: the access key id of its own credential at
    the store; None = the gateway's.
    """

    name: str
    number: str
    created_at: int
    created_by: str
    version: int = 1
    upstream: str | None = None

    def __post_init__(self) -> None:
        if not ACCOUNT_NAME.match(self.name):
            raise InvalidInput(f"{self.name!r} is not an account name: 1-63 of a-z, 0-9 and '-', not at either end")
        if not ACCOUNT_NUMBER.match(self.number):
            raise InvalidInput(f"{self.number!r} is not an account number: 12 digits, the first not 0")
        if self.upstream is not None and not UPSTREAM_ID.match(self.upstream):
            raise InvalidInput("the access key id of an upstream credential has 1-128 visible ASCII characters, no '/'")

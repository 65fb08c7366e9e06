"""What the console is handed: the acts, the door at which a person shows a token, settings, a clock.

Knows no HTTP, no keystore and no token: whether a text is one is for `SignIn` to say.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gateway.console.acts import Acts, Caller
from gateway.source import NOBODY, Trusted


class SignedIn(NamedTuple):
    """Who somebody proved to be. `account`: the only one of an owner, None = all. `token_id`: of the admin token, or
    what stands for a link. `expires_at`: Unix seconds."""

    caller: Caller
    role: str
    account: str | None
    token_id: str
    expires_at: int | None


class Refused(Exception):
    """What was shown opens nothing. The text is for the person who showed it, and does not repeat it."""


class SignIn(Protocol):
    """`address`: of whoever asks. Raises Refused, and KeystoreUnavailable when nobody can say."""

    async def token(self, text: str, address: str) -> SignedIn: ...

    async def link(self, text: str, address: str) -> SignedIn: ...

    async def still(self, token_id: str) -> bool:
        """Whether what a session was begun with opens anything yet."""


class SiteSettings(NamedTuple):
    """`rotate_after`: days from which a key's age is pointed out. `public_url`: of the console, where a proxy stands in
    front. `max_lifetime`: days that a key may last, None = for ever. `s3_endpoint`, `region`: what clients are told to
    ask. `trusted`: whose X-Forwarded-For is believed."""

    rotate_after: int = 90
    public_url: str = ""
    max_lifetime: int | None = None
    s3_endpoint: str = ""
    region: str = "us-east-1"
    trusted: Trusted = NOBODY


class Site(NamedTuple):
    """`clock`: Unix seconds."""

    acts: Acts
    sign_in: SignIn
    settings: SiteSettings
    clock: Callable[[], float]

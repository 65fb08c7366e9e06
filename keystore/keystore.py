"""A keystore as programs use it: its store, and what lies beside it, whatever the database."""

from collections.abc import Sequence
from typing import Protocol

from keystore.audited_rows import Listed, Wanted
from keystore.confirmation import Confirmation
from keystore.refused import Refused
from keystore.store import Store
from keystore.usage import Usage, Used


class Beside(Protocol):
    """Needs no store that is open. Raises KeystoreUnavailable when what is asked for does not answer. Nothing here
    blocks the event loop."""

    async def confirmed(self, seq: int, since: float) -> Confirmation:
        """Wait until every gateway has taken the change `seq`. `since`: time.monotonic() before it was made."""

    async def usage(self, access_key_ids: Sequence[str] | None) -> dict[str, Usage]:
        """When these keys were last used and denied, None = all; one that never was is not among them."""

    async def used(self, access_key_id: str, used: Used) -> None:
        """Note a use, of a key that was used for something else than S3: a gateway notes those."""

    async def forget(self, access_key_id: str) -> None:
        """The dates of a key that is gone, and which uploads it began."""

    async def refusal(self, request_id: str) -> Refused | None:
        """Why a request was refused; None for one that was not kept."""

    async def refusals(self, account: str | None, limit: int) -> list[Refused]:
        """The newest of those whose key was of the account, None = all; the newest first. At most MAX_LISTED."""

    async def changes(self, wanted: Wanted) -> list[Listed]:
        """Of the log, as `audited_rows.Wanted` says, the newest last."""


class Keystore(Beside, Protocol):
    """A store, and what lies beside it."""

    @property
    def store(self) -> Store: ...

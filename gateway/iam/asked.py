"""One proven request to the query API while it is answered: who asks, with which parameters, and what they may see.

Deny by default. A key that manages keys sees the keys of its account and acts on those that reach no more than itself;
any other key may name only itself. What the caller may not see is not there.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.console.acts import Acts, Caller
from gateway.iam.errors import IamCode, IamError
from gateway.iam.names import read_user_name, user_name
from gateway.iam.reach import beyond
from gateway.iam.request import Form, invalid
from gateway.iam.verify import Proven
from gateway.sigv4.verify import unusable
from keystore.access_key import ACCESS_KEY_ID, AccessKey
from keystore.confirmation import Confirmation
from keystore.errors import KeystoreUnavailable, NotFound
from keystore.store import Store

MAX_ITEMS: Final = 1000  # https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html
USUAL_ITEMS: Final = 100
PAGE: Final = 200  # keys
_NUMBER: Final = re.compile(r"[0-9]{1,4}\Z")
_MARKER: Final = re.compile(r"[!-~]{1,320}\Z")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """`now`: Unix seconds."""

    proven: Proven
    form: Form
    acts: Acts
    store: Store
    now: float

    @property
    def caller(self) -> AccessKey:
        """As it was when its signature was verified."""
        return self.proven.access_key

    @property
    def who(self) -> Caller:
        actor = f"key:{self.caller.access_key_id}@{self.proven.request.source or 'unknown'}"
        return Caller(actor, self.caller.account)

    # ---- parameters ----

    def named(self, parameter: str) -> str:
        """IamError VALIDATION_ERROR when it is not there."""
        value = self.form.parameters.get(parameter, "")
        if not value:
            raise invalid(f"{self.form.action} needs the parameter {parameter}")
        return value

    def access_key_id(self) -> str:
        access_key_id = self.named("AccessKeyId")
        if not ACCESS_KEY_ID.match(access_key_id):
            raise invalid("an access key id has 3 to 128 of A-Z, a-z, 0-9, '_' and '-'")
        return access_key_id

    def user(self) -> str | None:
        """None when no user is named."""
        said = self.form.parameters.get("UserName")
        return None if said is None else read_user_name(said)

    def user_or_own(self) -> str:
        return self.user() or user_name(self.caller.label)

    def page(self, items: list[tuple[str, T]]) -> tuple[list[T], str | None]:
        """As many as were asked for of (place, item) in ascending order, behind the marker; and the next marker."""
        said = self.form.parameters.get("MaxItems", str(USUAL_ITEMS))
        if not _NUMBER.match(said) or not 1 <= int(said) <= MAX_ITEMS:
            raise invalid(f"MaxItems is a number from 1 to {MAX_ITEMS}")
        marker = self.form.parameters.get("Marker")
        if marker is not None and not _MARKER.match(marker):
            raise invalid("Marker is what an answer before gave")
        left = [one for one in items if marker is None or one[0] > marker]
        shown = left[: int(said)]
        return [item for _, item in shown], shown[-1][0] if len(left) > len(shown) else None

    # ---- what the caller may see ----

    def names_itself(self, access_key_id: str) -> bool:
        return access_key_id == self.caller.access_key_id

    def require_manager(self) -> None:
        """IamError ACCESS_DENIED, whether or not there is what was named."""
        if not self.caller.manage_keys:
            raise self.denied("an operator makes keys that manage keys, with --manage-keys")

    def denied(self, why: str) -> IamError:
        shown = f"{self.caller.access_key_id} is not authorized to perform {self.form.action}"
        return IamError(IamCode.ACCESS_DENIED, f"The access key {shown}: {why}.")

    async def key(self, access_key_id: str) -> AccessKey:
        """Of the caller's account, and of the user if one is named. IamError NO_SUCH_ENTITY."""
        try:
            found = await self.store.get_key(access_key_id)
        except NotFound:
            raise _no_key(access_key_id) from None
        user = self.user()
        if found.account != self.caller.account or user not in (None, user_name(found.label)):
            raise _no_key(access_key_id)
        return found

    async def keys(self) -> list[AccessKey]:
        """All of the caller's account, oldest first. By the page: one that is read and verified holds the loop up."""
        found: list[AccessKey] = []
        after = None
        while page := await self.store.page_keys(self.caller.account, after, PAGE):
            found += page
            after = (page[-1].created_at, page[-1].access_key_id)
        return found[::-1]

    async def keys_of(self, name: str) -> list[AccessKey]:
        """Oldest first. IamError NO_SUCH_ENTITY when no key is called so."""
        found = [one for one in await self.keys() if user_name(one.label) == name]
        if not found:
            raise IamError(IamCode.NO_SUCH_ENTITY, f"The user with name {name} cannot be found.")
        return found

    async def require_within(self, access_key: AccessKey) -> None:
        """That `access_key` reaches no more than the caller as it is now: it may have been ended or narrowed meanwhile.

        IamError ACCESS_DENIED, INVALID_CLIENT_TOKEN_ID.
        """
        try:
            limit = await self.store.get_key(self.caller.access_key_id)
        except NotFound:
            raise _over("has been deleted") from None
        ended = unusable(limit, self.now)
        if ended:
            raise _over(ended)
        further = "is not for keys that manage none" if not limit.manage_keys else beyond(access_key, limit)
        if further:
            raise self.denied(f"a key acts on keys that reach no more than itself, and this one {further}")

    async def number(self) -> str:
        """Of the caller's account, 12 digits."""
        for account in await self.store.list_accounts():
            if account.name == self.caller.account:
                return account.number
        raise KeystoreUnavailable(f"there is no account {self.caller.account!r}")


def require_proof(confirmation: Confirmation, what: str) -> None:
    """IamError SERVICE_UNAVAILABLE where a gateway may go on as before."""
    if not confirmation.proven:
        message = f"{what} is committed, but not every gateway has confirmed it: ask again, it is not proven yet."
        raise IamError(IamCode.SERVICE_UNAVAILABLE, message)


def _no_key(access_key_id: str) -> IamError:
    return IamError(IamCode.NO_SUCH_ENTITY, f"The Access Key with id {access_key_id} cannot be found.")


def _over(ended: str) -> IamError:
    return IamError(IamCode.INVALID_CLIENT_TOKEN_ID, f"The access key you provided {ended}.")

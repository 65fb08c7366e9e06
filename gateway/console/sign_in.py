"""Who signs in to the console, with an admin token or a one-time link. Keeps nothing: sessions are another's.

A session goes on while its token is usable, which is looked up for every request. One begun with a link has no token:
it ends with its time, or with the process.
"""

import time
from collections.abc import Callable

from gateway.console.acts import Caller
from gateway.console.links import read_link
from gateway.console.site import Refused, SignedIn
from keystore.admin_tokens import Role, holds, read_token, refusal
from keystore.sealing import KekRing
from keystore.store import Store


class Entrance:
    """Implements `gateway.console.site.SignIn`. `ring`: the KEKs that are loaded now. Raises KeystoreUnavailable when
    the keystore does not answer."""

    def __init__(self, store: Store, ring: Callable[[], KekRing], clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._ring = ring
        self._clock = clock

    async def token(self, text: str, address: str) -> SignedIn:
        """Refused in the same words for a token that never was and for a wrong one."""
        presented = read_token(text.strip())
        token = None if presented is None else await self._store.find_token(presented.token_id)
        if presented is None or token is None or not holds(token, presented):
            raise Refused("There is no such admin token. `nqgate admin token create` makes one.")
        ended = refusal(token, self._clock())
        if ended:
            raise Refused(f"{ended[0].upper()}{ended[1:]}.")
        caller = Caller(f"token:{token.token_id}@{address}", token.account)
        return SignedIn(caller, token.role.value, token.account, token.token_id, token.expires_at)

    async def link(self, text: str, address: str) -> SignedIn:
        """Uses it up: a row of the log says so, and who came in by it."""
        link = read_link(self._ring(), text.strip())
        if link is None:
            raise Refused("That is no sign-in link of this gateway. `nqgate console link` makes one.")
        if self._clock() >= link.expires_at:
            raise Refused("That link is over: it is good for five minutes. `nqgate console link` makes another.")
        actor = f"link:{link.nonce[:8]}@{address}"
        told: dict[str, object] = {"role": link.role.value}
        if not await self._store.note_sign_in(link.nonce, actor, link.account, told):
            raise Refused("That link was used already: it opens once. `nqgate console link` makes another.")
        role = Role.OPERATOR if link.account is None else Role.OWNER
        return SignedIn(Caller(actor, link.account), role.value, link.account, "", None)

    async def still(self, token_id: str) -> bool:
        """Whether a session that the token began may go on; one begun with a link may."""
        if not token_id:
            return True
        token = await self._store.find_token(token_id)
        return token is not None and not refusal(token, self._clock())

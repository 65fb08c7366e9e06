"""Who sends a request to REST: an admin token as `Authorization: Bearer`, looked up anew for every request.

A token is held against the last change that names it, so one that was revoked opens nothing from the next request on.
"""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.console.acts import Caller
from gateway.console.problems import Problem
from gateway.source import Trusted, source_address
from keystore.admin_tokens import Presented, holds, read_token, refusal
from keystore.store import Store

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="nqgate"'}
MAX_HEADER: Final = 256  # characters; a token has 58
_ASK: Final = "send an admin token as `Authorization: Bearer nqat_…`; `nqgate admin token create` makes one"


class Bearer:
    """`trusted`: whose X-Forwarded-For is believed."""

    def __init__(self, store: Store, trusted: Trusted, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._trusted = trusted
        self._clock = clock

    async def caller(self, request: web.Request) -> Caller:
        """Problem 401 without a token that is usable. Unknown and wrong ones are told apart by nobody."""
        presented = _presented(request)
        if presented is None:
            raise Problem(401, "unauthenticated", _ASK, CHALLENGE)
        token = await self._store.find_token(presented.token_id)
        if token is None or not holds(token, presented):
            raise Problem(401, "unauthenticated", "there is no such admin token", CHALLENGE)
        ended = refusal(token, self._clock())
        if ended:
            raise Problem(401, "unauthenticated", ended, CHALLENGE)
        return Caller(f"token:{token.token_id}@{address_of(request, self._trusted)}", token.account)


def address_of(request: web.Request, trusted: Trusted) -> str:
    """Where the request came from, for the log; "unknown" where that cannot be told."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    told = source_address(request.remote or "", forwarded.encode("utf-8", "replace") or None, trusted)
    return told or "unknown"


def _presented(request: web.Request) -> Presented | None:
    sent = request.headers.getall("Authorization", [])
    if len(sent) != 1 or len(sent[0]) > MAX_HEADER:
        return None
    scheme, _, text = sent[0].partition(" ")
    return read_token(text.strip(" ")) if scheme.lower() == "bearer" else None

"""`POST /` of the control plane: the IAM and STS query API. Reads a request as it came, within bounds, and hands it on.

Decides nothing: who asks is in the signature, and is verified over these very bytes.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.console.acts import Acts
from gateway.console.bearer import address_of
from gateway.iam.answer import answer
from gateway.iam.request import MAX_BODY, IamRequest
from gateway.source import Trusted
from keystore.store import Store

BODY_TIMEOUT: Final = 30.0  # seconds for a whole form of at most 64 KiB


class IamDoor:
    """`trusted`: whose X-Forwarded-For is believed. `clock`: Unix seconds."""

    def __init__(self, acts: Acts, store: Store, trusted: Trusted, clock: Callable[[], float] = time.time) -> None:
        self._acts = acts
        self._store = store
        self._trusted = trusted
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        answered = await answer(await self._received(request), self._acts, self._store, self._clock())
        headers = [(name.decode(), value.decode()) for name, value in answered.headers]
        return web.Response(status=answered.status, body=answered.body, headers=headers)

    async def _received(self, request: web.Request) -> IamRequest:
        path, _, query = request.raw_path.partition("?")
        return IamRequest(
            request.method.encode(),
            path.encode("utf-8", "surrogateescape"),
            query.encode("utf-8", "surrogateescape"),
            list(request.raw_headers),
            await _body(request),
            address_of(request, self._trusted),
        )


async def _body(request: web.Request) -> bytes:
    """At most one octet more than a form may have. HTTPRequestTimeout when it does not come."""
    octets = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while len(octets) <= MAX_BODY and (block := await request.content.readany()):
                octets += block
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(octets[: MAX_BODY + 1])

"""GET /metrics: who may read it, and that is all. What it says is `telemetry.exposition`'s, and asks no keystore.

Whoever connects from one of the configured networks reads it without a token; a proxy that speaks for somebody else
does not lend them its address, so with X-Forwarded-For a token is needed whatever the connection's own is. It must be
an operator's: the numbers are of all accounts.
"""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from gateway.console.bearer import Bearer
from gateway.console.problems import Problem, problems
from gateway.telemetry.exposition import CONTENT_TYPE
from keystore.source_cidrs import read_address, read_networks, within

_SPOKEN_FOR: Final = ("X-Forwarded-For", "Forwarded")


class MetricsDoor:
    """`networks`: `[console] metrics_networks`. `numbers`: the text, of now."""

    def __init__(self, bearer: Bearer, networks: Sequence[str], numbers: Callable[[], bytes]) -> None:
        self._bearer = bearer
        self._networks = read_networks(networks)
        self._numbers = numbers

    def app(self) -> web.Application:
        """To be mounted at /metrics."""
        app = web.Application(middlewares=[problems])
        app.router.add_get("", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._near(request):
            caller = await self._bearer.caller(request)
            if caller.account is not None:
                raise Problem(403, "forbidden", "metrics are of all accounts: send an operator's token")
        return web.Response(body=self._numbers(), headers={"Content-Type": CONTENT_TYPE})

    def _near(self, request: web.Request) -> bool:
        if any(name in request.headers for name in _SPOKEN_FOR):
            return False
        return within(read_address(request.remote or ""), self._networks)

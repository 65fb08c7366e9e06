"""The control plane: health, for now. It never shares the S3 listener: objects there are other people's HTML."""

from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp import web


class Readiness(NamedTuple):
    """Whether the keystore can answer, whether the listeners serve, what is wrong with the store (None: nothing known),
    and what a reading of the whole keystore found. The last two stand in the body only: a store that is down must not
    take the gateway out of service.
    """

    keystore_fresh: Callable[[], bool]
    serving: Callable[[], bool]
    upstream_error: Callable[[], str | None]
    whole_keystore: Callable[[], str]


READINESS: Final = web.AppKey("readiness", Readiness)


def build_app(readiness: Readiness) -> web.Application:
    """GET /healthz: 200 while the process answers. GET /readyz: 200 or 503, and what is not ready."""
    app = web.Application()
    app[READINESS] = readiness
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    return app


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    readiness = request.app[READINESS]
    fresh, serving = readiness.keystore_fresh(), readiness.serving()
    state = {
        "ready": fresh and serving,
        "keystore": "fresh" if fresh else "not answering",
        "listeners": "serving" if serving else "not serving",
        "whole_keystore": readiness.whole_keystore(),
        "upstream": readiness.upstream_error() or "ok",
    }
    return web.json_response(state, status=200 if state["ready"] else 503)

"""The control plane's one application: health, REST, the console, IAM and STS. It never shares the S3 listener: objects
there are other people's HTML.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from gateway.config import Config
from gateway.console.acts import Acts
from gateway.console.bearer import Bearer
from gateway.console.iam import IamDoor
from gateway.console.metrics import MetricsDoor
from gateway.console.pages import console_routes
from gateway.console.problems import problems
from gateway.console.rest import Rest
from gateway.console.sign_in import Entrance
from gateway.console.site import Site, SiteSettings
from gateway.source import read_trusted
from keystore.sealing import KekRing
from keystore.store import Store

DAY: Final = 86_400
MAX_BODY: Final = 1 << 20  # bytes: a scope of 1,000 buckets, each with a long prefix
Ask = Callable[[], Awaitable[dict[str, Any] | None]]
READINESS: Final[web.AppKey[Ask]] = web.AppKey("readiness")


class Door(NamedTuple):
    """What the application is made of. `readiness`: what /readyz tells; None when the supervisor does not say. `ring`:
    the KEKs that are loaded now. `clock`: Unix seconds. `metrics`: for Prometheus, of now."""

    config: Config
    acts: Acts
    store: Store
    readiness: Ask
    ring: Callable[[], KekRing]
    clock: Callable[[], float] = time.time
    metrics: Callable[[], bytes] = bytes


def build_app(door: Door) -> web.Application:
    """GET /healthz: 200 while the process answers. GET /readyz: 200 or 503, and what is not ready. /api/v1: REST.
    GET /metrics: for Prometheus. POST /: IAM and STS.
    """
    app = web.Application(client_max_size=MAX_BODY)
    app[READINESS] = door.readiness
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.add_subapp("/api/v1", _rest(door))
    app.add_subapp("/metrics", _metrics(door))
    app.add_routes(IamDoor(door.acts, door.store, read_trusted(door.config.s3.trusted_proxies)).routes())
    app.add_routes(console_routes(_site(door)))
    app.on_response_prepare.append(_nothing_said_of_us)
    return app


def _rest(door: Door) -> web.Application:
    api = web.Application(client_max_size=MAX_BODY, middlewares=[problems])
    trusted = read_trusted(door.config.s3.trusted_proxies)
    api.add_routes(Rest(door.acts, Bearer(door.store, trusted)).routes())
    return api


def _metrics(door: Door) -> web.Application:
    console = door.config.console
    bearer = Bearer(door.store, read_trusted(door.config.s3.trusted_proxies))
    return MetricsDoor(bearer, console.metrics_networks, door.metrics).app()


def _site(door: Door) -> Site:
    config = door.config
    longest = config.keys.max_lifetime
    settings = SiteSettings(
        rotate_after=config.keys.rotate_after // DAY,
        public_url=config.console.public_url or "",
        max_lifetime=None if longest is None else longest // DAY,
        s3_endpoint=config.s3.address,
        region=next((region for region in config.s3.regions if region != "*"), "us-east-1"),
        trusted=read_trusted(config.s3.trusted_proxies),
    )
    return Site(door.acts, Entrance(door.store, door.ring, door.clock), settings, door.clock)


async def _nothing_said_of_us(request: web.Request, answer: web.StreamResponse) -> None:
    """No version for whoever collects them, no type that a browser guesses."""
    answer.headers["Server"] = "nqgate"
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    state = await request.app[READINESS]()
    if state is None:
        return web.json_response({"ready": False, "supervisor": "not answering"}, status=503)
    return web.json_response(state, status=200 if state["ready"] else 503)

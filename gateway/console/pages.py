"""The pages of the console: which path is whose. They do everything through `Acts`, and hold nothing but sessions."""

from typing import Final

from aiohttp import web

from gateway.console import pages_activity, pages_acts, pages_entry, pages_keys, pages_making
from gateway.console.attempts import Attempts
from gateway.console.browser_safety import FOR_EVER
from gateway.console.rendering import Templates, read_static
from gateway.console.sessions import Sessions
from gateway.console.site import Site
from gateway.console.visit import Handler, Page, Shop, guarded

_ONE: Final = "/keys/{access_key_id:[A-Za-z0-9_-]{3,128}}"

_OPEN_TO_ALL: Final[tuple[tuple[str, str, Page], ...]] = (
    ("GET", "/", pages_entry.home),
    ("GET", "/sign-in", pages_entry.sign_in_form),
    ("POST", "/sign-in", pages_entry.sign_in),
    ("GET", "/link", pages_entry.link_form),
    ("POST", "/link", pages_entry.link),
)
_SIGNED_IN: Final[tuple[tuple[str, str, Page], ...]] = (
    ("POST", "/sign-out", pages_entry.sign_out),
    ("POST", "/account", pages_entry.choose_account),
    ("GET", "/keys", pages_keys.list_keys),
    ("GET", "/keys/new", pages_making.create_form),
    ("POST", "/keys/new", pages_making.create),
    ("GET", _ONE, pages_keys.show_key),
    ("GET", f"{_ONE}/revoke", pages_acts.revoke_form),
    ("POST", f"{_ONE}/revoke", pages_acts.revoke),
    ("GET", f"{_ONE}/restore", pages_acts.restore_form),
    ("POST", f"{_ONE}/restore", pages_acts.restore),
    ("GET", f"{_ONE}/roll", pages_making.roll_form),
    ("POST", f"{_ONE}/roll", pages_making.roll),
    ("GET", f"{_ONE}/edit", pages_acts.edit_form),
    ("POST", f"{_ONE}/edit", pages_acts.edit),
    ("GET", f"{_ONE}/delete", pages_acts.delete_form),
    ("POST", f"{_ONE}/delete", pages_acts.delete),
    ("GET", "/buckets", pages_activity.buckets),
    ("GET", "/activity", pages_activity.activity),
    ("GET", "/activity/{request_id:[A-Za-z0-9-]{1,64}}", pages_activity.explain),
)


def console_routes(site: Site) -> list[web.RouteDef]:
    """For the application of the control plane. Each call is a console of its own, with nobody signed in."""
    static = read_static()
    shop = Shop(site, Sessions(site.clock), Attempts(site.clock), Templates(static), static)
    routes = [_route(method, path, guarded(shop, page, open_to_all=True)) for method, path, page in _OPEN_TO_ALL]
    routes += [_route(method, path, guarded(shop, page)) for method, path, page in _SIGNED_IN]
    return [*routes, web.get("/static/{digest}/{name}", _static(shop))]


def _route(method: str, path: str, handler: Handler) -> web.RouteDef:
    return web.get(path, handler) if method == "GET" else web.post(path, handler)


def _static(shop: Shop) -> Handler:
    """Anybody's to read: there is nothing in it."""

    async def handler(request: web.Request) -> web.Response:
        file = shop.static.get(request.match_info["name"])
        if file is None or file.digest != request.match_info["digest"]:
            raise web.HTTPNotFound(headers={"Cache-Control": "no-store"})
        return web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=FOR_EVER)

    return handler

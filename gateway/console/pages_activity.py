"""What happens around the keys: which of them reach each bucket, and which requests were refused and why."""

import re
from typing import Any, Final

from aiohttp import web

from gateway.config import SettingsError
from gateway.console.visit import Visit, error_page
from gateway.refusals import Refusal
from keystore.access_key import rfc3339

LATEST: Final = 100
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


async def buckets(visit: Visit) -> web.Response:
    try:
        listed = await visit.site.acts.buckets(visit.session.signed.caller, visit.session.account)
    except SettingsError:
        return await error_page(
            visit, 503, "The store did not answer", "Its buckets cannot be listed now. Keys are not affected."
        )
    q = visit.query("q").lower()
    return await visit.show("buckets.html", buckets=[one for one in listed if q in one.name], q=q, any=bool(listed))


async def activity(visit: Visit) -> web.Response:
    wanted = visit.query("id")
    if wanted and REQUEST_ID.match(wanted):
        return visit.go(f"/activity/{wanted}")
    refusals = await visit.site.acts.refusals(visit.session.signed.caller, visit.session.account, LATEST)
    return await visit.show("activity.html", refusals=[_told(one) for one in refusals], wanted=wanted)


async def explain(visit: Visit) -> web.Response:
    refusal = await visit.site.acts.refusal(visit.session.signed.caller, visit.request.match_info["request_id"])
    return await visit.show("refusal.html", refusal=_told(refusal))


def _told(refusal: Refusal) -> dict[str, Any]:
    return {**refusal.json(), "moment": rfc3339(int(refusal.at))}

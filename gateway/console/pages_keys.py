"""Access keys to look at: the list with its filters, and one key with its history. Changes nothing."""

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from gateway.console.key_lists import KeyPage, Shown, WantedKeys
from gateway.console.rows import Row, row_of
from gateway.console.visit import Visit
from gateway.console.words import evidence, reach
from gateway.s3.operation import OPERATIONS
from gateway.verdict import Question, Verdict, read_operation
from keystore.access_key import ACCESS_KEY_ID
from keystore.errors import InvalidInput
from keystore.scope import BUCKET_NAME

PER_PAGE: Final = 20
MOST_SORTED: Final = 2000  # keys: of more, the newest are sorted, and the page says so
MOST_LOOKS: Final = 10  # for one page
MANY: Final = 200  # asked for at once
EVENTS: Final = 50

VIEWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "all": ("All", {}),
    "active": ("Active", {"status": "active"}),
    "revoked": ("Revoked", {"status": "revoked"}),
    "expiring": ("Expiring", {"status": "expiring"}),
    "unused": ("Unused 90 days", {"unused_days": 90}),
    "everywhere": ("All Buckets", {"all_buckets": True}),
}
SORTS: Final = ("label", "created", "used", "expires")


class Listing(NamedTuple):
    """What was asked for, as the address of the page says it. `at`: a cursor, or of a sorted list the number of the
    page."""

    view: str
    q: str
    bucket: str
    sort: str
    falling: bool
    at: str

    def url(self, **changes: Any) -> str:
        """Of the same list with something else; from its beginning, unless that is said."""
        wanted = self._replace(at=changes.pop("at", ""), **changes)
        pairs = {
            "view": wanted.view if wanted.view != "all" else "",
            "q": wanted.q,
            "bucket": wanted.bucket,
            "sort": wanted.sort,
            "falling": "1" if wanted.falling else "",
            "at": wanted.at,
        }
        query = urlencode({name: value for name, value in pairs.items() if value})
        return f"/keys?{query}" if query else "/keys"

    def sorting(self, column: str) -> str:
        """Where the head of a column leads: to that order, and to its reverse when it is chosen already."""
        return self.url(sort=column, falling=self.sort == column and not self.falling)

    @property
    def narrowed(self) -> bool:
        return self.view != "all" or bool(self.q or self.bucket)


def read_listing(visit: Visit) -> Listing:
    view, sort, bucket = visit.query("view"), visit.query("sort"), visit.query("bucket")
    return Listing(
        view if view in VIEWS else "all",
        visit.query("q"),
        bucket if BUCKET_NAME.match(bucket) else "",
        sort if sort in SORTS else "",
        bool(visit.query("falling")),
        visit.request.query.get("at", "")[:1024],
    )


async def list_keys(visit: Visit) -> web.Response:
    listing = read_listing(visit)
    page, cut = await _page(visit, listing)
    rotate = visit.site.settings.rotate_after
    rows = [row_of(shown, visit.now, rotate) for shown in page.keys]
    return await visit.show(
        "keys.html",
        listing=listing,
        views=VIEWS,
        rows=rows,
        following=page.following,
        cut=cut,
        made=visit.query("made"),
        ever_any=bool(rows) or listing.narrowed or bool(listing.at) or page.following is not None,
        summary=_summary(rows),
    )


def _summary(rows: list[Row]) -> dict[str, int]:
    return {"due": sum(any(chip.tone == "roll" for chip in row.remarks) for row in rows)}


async def _page(visit: Visit, listing: Listing) -> tuple[KeyPage, bool]:
    """And whether there were too many to sort them all."""
    caller, acts = visit.session.signed.caller, visit.site.acts
    wanted = WantedKeys(
        account=visit.session.account, q=listing.q or None, bucket=listing.bucket or None, **VIEWS[listing.view][1]
    )
    if not listing.sort:
        return await _newest(visit, wanted, listing.at or None), False
    found: list[Shown] = []
    cursor: str | None = None
    for _ in range(MOST_SORTED // MANY):
        some = await acts.page(caller, wanted, cursor, MANY)
        found += some.keys
        cursor = some.following
        if cursor is None:
            break
    found = _sorted(found, listing)
    number = int(listing.at) if listing.at.isdecimal() and len(listing.at) < 6 else 0
    last = (number + 1) * PER_PAGE >= len(found)
    page = found[number * PER_PAGE : (number + 1) * PER_PAGE]
    return KeyPage(page, None if last else str(number + 1)), cursor is not None


async def _newest(visit: Visit, wanted: WantedKeys, cursor: str | None) -> KeyPage:
    """A page of the acts may be short though more follows: where few of many keys are wanted."""
    found: list[Shown] = []
    for _ in range(MOST_LOOKS):
        some = await visit.site.acts.page(visit.session.signed.caller, wanted, cursor, PER_PAGE - len(found))
        found += some.keys
        cursor = some.following
        if cursor is None or len(found) >= PER_PAGE:
            break
    return KeyPage(found, cursor)


def _sorted(found: list[Shown], listing: Listing) -> list[Shown]:
    """What has no date comes last in either order."""

    def of(shown: Shown) -> str:
        used = shown["last_used"]
        dates = {"created": shown["created_at"], "used": used and used["at"], "expires": shown["expires_at"]}
        return str(shown["label"]).casefold() if listing.sort == "label" else dates[listing.sort] or ""

    have = sorted((shown for shown in found if of(shown)), key=of, reverse=listing.falling)
    return have + [shown for shown in found if not of(shown)]


async def show_key(visit: Visit) -> web.Response:
    caller, acts = visit.session.signed.caller, visit.site.acts
    shown = await acts.key(caller, visit.access_key_id)
    question, verdict, mistake = visit.query("operation"), None, ""
    if question:
        try:
            verdict = await _verdict(visit)
        except InvalidInput as error:
            mistake = str(error)
    return await visit.show(
        "key.html",
        row=row_of(shown, visit.now, visit.site.settings.rotate_after),
        shown=shown,
        events=await acts.events(caller, visit.access_key_id, EVENTS),
        evidence=evidence(shown, visit.now),
        reach=reach(shown["scope"]),
        operations=sorted({operation.name for operation in OPERATIONS}),
        asked={"operation": question or "GetObject", "place": visit.query("place")},
        verdict=verdict,
        mistake=mistake,
    )


async def _verdict(visit: Visit) -> Verdict:
    bucket, _, object_key = visit.query("place").removeprefix("s3://").partition("/")
    operation = read_operation(visit.query("operation"))
    question = Question(operation, bucket, object_key.encode(errors="replace"))
    return await visit.site.acts.verdict(visit.session.signed.caller, visit.access_key_id, question)


def known_id(text: str) -> bool:
    return bool(ACCESS_KEY_ID.match(text))

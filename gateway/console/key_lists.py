"""Lists of keys, page by page: newest first, narrowed by what somebody looks for. Knows no HTTP and no caller.

What a list is narrowed by lies under the record's seal or beside the keystore, so records are read and judged one by
one; a page that had to look at many ends early, with a cursor to go on.
"""

import base64
import binascii
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from keystore.access_key import ACCESS_KEY_ID, AccessKey, Status, access_key_json, shown_status
from keystore.errors import InvalidInput, KeystoreUnavailable, NotFound
from keystore.keystore import Keystore
from keystore.scope import AllBuckets
from keystore.usage import NEVER, Usage, usage_json

LOG: Final = logging.getLogger("nqgate")
MAX_PAGE: Final = 200  # keys
LOOKED_AT: Final = 5000  # records of one page at most, about 0.2 s
_ROWS: Final = 500  # in one statement, about 15 ms
EXPIRING: Final = 7 * 86_400  # seconds
STATUSES: Final = ("active", "revoked", "expiring")
_CURSOR: Final = re.compile(r"(\d{1,12}):([A-Za-z0-9_-]{3,128})\Z", re.ASCII)

Shown = dict[str, Any]  # access_key_json with usage_json: the one JSON object for a key


class WantedKeys(NamedTuple):
    """Which keys to list; every field narrows. `status`: "active", "revoked" (expired ones too), "expiring" (within 7
    days) or None. `bucket`: its scope names it, or is All Buckets. `q`: part of the label, or a whole id.
    `unused_days`: not used for so long, never used counts from its making. `all_buckets`: scope All Buckets."""

    account: str | None = None
    status: str | None = None
    bucket: str | None = None
    q: str | None = None
    unused_days: int | None = None
    older_than_days: int | None = None
    all_buckets: bool = False

    @property
    def narrow(self) -> bool:
        """Whether more than the account is asked."""
        return self._replace(account=None) != WantedKeys()


class KeyPage(NamedTuple):
    """Newest first. `following`: an opaque cursor for the next page, None = there is none."""

    keys: list[Shown]
    following: str | None


async def page_of_keys(keystore: Keystore, wanted: WantedKeys, cursor: str | None, limit: int, now: float) -> KeyPage:
    """InvalidInput for a cursor that is none, a status that is none, and a limit outside 1 to MAX_PAGE."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} keys")
    if wanted.status is not None and wanted.status not in STATUSES:
        raise InvalidInput(f"status is one of {', '.join(STATUSES)}")
    after = None if cursor is None else _read_cursor(cursor)
    named = await _named(keystore, wanted, now)
    if named is not None and cursor is None:
        return KeyPage(await shown_keys(keystore, [named], now), None)
    found: list[AccessKey] = []
    looked_at = 0
    while True:
        rows = min(_ROWS, limit + 1 - len(found)) if not wanted.narrow else _ROWS
        batch = await keystore.store.page_keys(wanted.account, after, rows)
        usage = await _usage(keystore, wanted, batch)
        for one in batch:
            if len(found) == limit:
                return KeyPage(await shown_keys(keystore, found, now), _cursor(found[-1]))
            if _matches(one, wanted, usage.get(one.access_key_id, NEVER), now):
                found.append(one)
        if len(batch) < rows:
            return KeyPage(await shown_keys(keystore, found, now), None)
        looked_at += len(batch)
        after = batch[-1].created_at, batch[-1].access_key_id
        if looked_at >= LOOKED_AT:
            return KeyPage(await shown_keys(keystore, found, now), _cursor(batch[-1]))


async def shown_keys(keystore: Keystore, access_keys: Iterable[AccessKey], now: float) -> list[Shown]:
    """The one JSON object for a key, of many: of one moment."""
    many = list(access_keys)
    named = dict.fromkeys(name for one in many for name in one.grants or ())
    claims = await keystore.store.claims(named)
    usage = await _dates(keystore, many)
    return [{**access_key_json(one, now, claims), **usage_json(usage.get(one.access_key_id, NEVER))} for one in many]


async def _named(keystore: Keystore, wanted: WantedKeys, now: float) -> AccessKey | None:
    """The one whose whole id was asked for."""
    if wanted.q is None or not ACCESS_KEY_ID.match(wanted.q):
        return None
    try:
        found = await keystore.store.get_key(wanted.q)
    except NotFound:
        return None
    usage = await _usage(keystore, wanted, [found])
    fits = wanted.account in (None, found.account)
    rest = wanted._replace(q=None)
    return found if fits and _matches(found, rest, usage.get(found.access_key_id, NEVER), now) else None


async def _dates(keystore: Keystore, many: Sequence[AccessKey]) -> dict[str, Usage]:
    """Nothing decides by them: an act that is done, a secret that is told once must not be lost for want of them."""
    try:
        return await keystore.usage([one.access_key_id for one in many])
    except KeystoreUnavailable as error:
        LOG.warning("when keys were last used is not known: %s", error)
        return {}


async def _usage(keystore: Keystore, wanted: WantedKeys, batch: Sequence[AccessKey]) -> dict[str, Usage]:
    """Only where it is asked for."""
    if wanted.unused_days is None or not batch:
        return {}
    return await keystore.usage([one.access_key_id for one in batch])


def _matches(one: AccessKey, wanted: WantedKeys, usage: Usage, now: float) -> bool:
    used = max(one.created_at, usage.used.at if usage.used is not None else 0)
    return (
        (wanted.status is None or _in_status(one, wanted.status, now))
        and (wanted.bucket is None or bool(one.granted(wanted.bucket)))
        and (wanted.q is None or wanted.q.casefold() in one.label.casefold())
        and (wanted.unused_days is None or used <= now - wanted.unused_days * 86_400)
        and (wanted.older_than_days is None or one.created_at <= now - wanted.older_than_days * 86_400)
        and (not wanted.all_buckets or isinstance(one.scope, AllBuckets))
    )


def _in_status(one: AccessKey, status: str, now: float) -> bool:
    active = shown_status(one, now) == Status.ACTIVE.value
    if status == "expiring":
        return active and one.expires_at is not None and one.expires_at - now <= EXPIRING
    return active is (status == "active")


def _cursor(last: AccessKey) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at}:{last.access_key_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str]:
    try:
        plain = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        plain = ""
    parts = _CURSOR.match(plain)
    if parts is None:
        raise InvalidInput("the cursor is none that a page ended with")
    return int(parts[1]), parts[2]

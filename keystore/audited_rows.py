"""What an audit makes of rows that a database hands out, whichever it is: pages judged, the mark held against them, the
log listed.

Knows no database. Whoever reads one hands in all of its tables of one moment, the log first, and each to its end.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from keystore.access_key import LATEST, rfc3339
from keystore.audit import Audit, Means, Report, printable
from keystore.chain import Change, Position, StoreRow
from keystore.errors import KeystoreError, KeystoreUnavailable, MarkUnreadable, RecordRefused, WrongKek
from keystore.found_rows import read_listed_change, read_paged, read_store
from keystore.mark import Mark, why_back
from keystore.mark_file import read_mark
from keystore.record import AccessKeyRow, AccountRow, AdminTokenRow, BucketRow
from keystore.sealed_rows import PROTOCOL, SealedRows
from keystore.sealing import KekRing, MacKeys, check_canary

Row = TypeVar("Row", Change, AccessKeyRow, AccountRow, BucketRow, AdminTokenRow)
Progress = Callable[[int, int], None]  # rows read so far, and in all


def known_mark(path: Path, report: Report) -> Mark | None:
    """To be read before the database is. None where there is none, or, which is a finding, none that can be read."""
    try:
        return read_mark(path)
    except MarkUnreadable as unreadable:
        report.note("state", "", unreadable)
        return None


def judged_store(found: list[tuple[object, ...]], report: Report) -> StoreRow | None:
    """Of the store row. None, and a finding, where there is none: then nothing else can be judged."""
    try:
        store = read_store(found)
        store.store_id.encode()
    except (RecordRefused, UnicodeError) as refused:
        report.note("store", "", refused)
        return None
    return store


def judge_time(store: StoreRow, mark: Mark | None, mac_there: object, report: Report) -> None:
    """`mac_there`: of the keystore's change `mark.seq`."""
    why = "" if mark is None else why_back(mark, store, mac_there)
    if why:
        report.note("store", store.store_id, f"the keystore went back in time: {why}")


def entered(ring: KekRing, store: StoreRow, report: Report) -> Means:
    """As `enter_store`, except that what fails becomes a finding, and the rest is judged all the same."""
    ring.named(store.kek_id)
    try:
        check_canary(ring, store.kek_id, store.store_id, store.canary)
    except WrongKek as wrong:
        report.note("store", store.store_id, wrong)
    rows = SealedRows(ring, store.store_id)
    try:
        rows.check_store_row(store)
    except (KeystoreError, UnicodeError) as refused:
        report.note("store", store.store_id, refused)
    else:
        if store.protocol > PROTOCOL:
            raise KeystoreUnavailable(f"the keystore speaks protocol {store.protocol}, here {PROTOCOL}: upgrade it")
        ring = ring.since(store.min_kek)
        rows = SealedRows(ring, store.store_id)
    macs = MacKeys(ring, store.store_id)
    return Means(store.store_id, macs.chain, macs.record, rows.open_secret, rows.open_upstream)


def change_page(audit: Audit, page: Sequence[Sequence[object]]) -> None:
    """The next rows of the log, each behind the value that a database pages by. The others likewise."""
    _judge_page("change", Change, audit.change, audit.report, page)


def access_key_page(audit: Audit, page: Sequence[Sequence[object]]) -> None:
    _judge_page("access_key", AccessKeyRow, audit.access_key, audit.report, page)


def account_page(audit: Audit, page: Sequence[Sequence[object]]) -> None:
    _judge_page("account", AccountRow, audit.account, audit.report, page)


def bucket_page(audit: Audit, page: Sequence[Sequence[object]]) -> None:
    _judge_page("bucket", BucketRow, audit.bucket, audit.report, page)


def admin_token_page(audit: Audit, page: Sequence[Sequence[object]]) -> None:
    _judge_page("admin_token", AdminTokenRow, audit.admin_token, audit.report, page)


def _judge_page(
    table: str, row_type: type[Row], judge: Callable[[Row], None], report: Report, page: Sequence[Sequence[object]]
) -> None:
    for values in page:
        try:
            row = read_paged(row_type, values)
        except RecordRefused as refused:
            report.note(table, values[1], refused)
            continue
        judge(row)


# ---- the log, listed ----


class Wanted(NamedTuple):
    """Which changes to list; None = any. `limit`: the newest so many."""

    access_key_id: str | None
    bucket: str | None
    account: str | None
    limit: int


class Listed(NamedTuple):
    """`verified`: whether its link to the row before it holds."""

    change: Change
    verified: bool


def listed_changes(rows: SealedRows, found: list[tuple[object, ...]]) -> list[Listed]:
    """Of LIST_CHANGES. The newest last."""
    return [_listed(rows, *read_listed_change(row)) for row in reversed(found)]


def _listed(rows: SealedRows, change: Change, previous: bytes | None) -> Listed:
    if previous is None:
        return Listed(change, False)
    try:
        rows.follow(Position(change.seq - 1, previous), [change])
    except KeystoreError:
        return Listed(change, False)
    return Listed(change, True)


def listed_json(listed: Listed) -> dict[str, Any]:
    """The one JSON object for a change, everywhere. What it tells, as it was written; of a row that is not the
    keystore's own, its bytes."""
    change = listed.change
    return {
        "seq": change.seq,
        "at": rfc3339(change.at) if 0 <= change.at <= LATEST else str(change.at),
        "kind": printable(change.kind),
        "actor": printable(change.actor),
        "account": printable(change.account) or None,
        "access_key_id": change.access_key_id and printable(change.access_key_id),
        "bucket": change.bucket and printable(change.bucket),
        "token_id": change.token and printable(change.token),
        "body": _told(listed),
        "verified": listed.verified,
    }


def _told(listed: Listed) -> dict[str, Any]:
    if not listed.verified:
        return {"unverified": printable(listed.change.body.decode(errors="backslashreplace"))}
    told: dict[str, Any] = json.loads(listed.change.body)
    return told

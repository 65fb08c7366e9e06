"""A whole keystore held against its own change log: every finding, not only the first.

Pure: rows come in, findings go out; MAC keys and the opening of seals are handed in. First the log, from its first row
to its last, then every record, in any order, then `end`: what the log names and no record answered to was taken out.
Memory: some 250 bytes for each id that was ever named.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from keystore.chain import NO_RECORD, OF_A_SIGN_IN, START, Change, Position, StoreRow, link, record_digest
from keystore.errors import KeystoreError
from keystore.record import (
    AccessKeyRow,
    AccountRow,
    AdminTokenRow,
    BucketRow,
    read_access_key,
    read_account,
    read_admin_token,
    read_bucket,
)

MAX_FINDINGS: Final = 1000  # that are kept; more are counted only
MAX_SHOWN: Final = 300  # characters of stored text in one finding


class Finding(NamedTuple):
    """`table`: where. `id`: the access key id, name, or number of the row there. `what`: for people."""

    table: str
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Means:
    """What verifies one keystore. The keys: kek_id → MAC key. All four raise KeystoreError for what is refused."""

    store_id: str
    chain_key: Callable[[str], bytes]
    record_key: Callable[[str], bytes]
    open_secret: Callable[[AccessKeyRow], object]
    open_upstream: Callable[[AccountRow], object]


@dataclass(slots=True)
class Report:
    """`found` counts all findings, `findings` are the first MAX_FINDINGS of them."""

    changes: int = 0
    access_keys: int = 0
    accounts: int = 0
    buckets: int = 0
    admin_tokens: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    def note(self, table: str, row_id: object, what: object) -> None:
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(table, printable(str(row_id)), printable(str(what))))

    def json(self) -> dict[str, object]:
        return {
            "ok": not self.found,
            "changes": self.changes,
            "access_keys": self.access_keys,
            "accounts": self.accounts,
            "buckets": self.buckets,
            "admin_tokens": self.admin_tokens,
            "found": self.found,
            "findings": [finding._asdict() for finding in self.findings],
        }


def printable(text: str) -> str:
    """Stored text as one line that no terminal obeys and every encoding carries: at most MAX_SHOWN characters."""
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown)


class Audit:
    """One pass over one keystore. `report` grows as rows come."""

    def __init__(self, means: Means, report: Report) -> None:
        self.report = report
        self._means = means
        self._position = START
        tables = ("access_key", "account", "bucket", "admin_token")
        self._unanswered: dict[str, dict[str, bytes]] = {table: {} for table in tables}

    def change(self, change: Change) -> None:
        """The next row of the log. After a gap the link of one row cannot be told; those behind it can."""
        seq, head = self._position
        self.report.changes += 1
        if change.seq < 1:
            self.report.note("change", change.seq, "stands before the first row of the log")
            return
        if change.seq > seq + 1:
            rows = f"row {seq + 1} was" if change.seq == seq + 2 else f"rows {seq + 1} to {change.seq - 1} were"
            self.report.note("change", seq + 1, f"{rows} taken out of the log")
        else:
            self._judge("change", change.seq, lambda: self._check_link(head, change))
        self._position = Position(change.seq, change.mac)
        self._remember(change)

    def _check_link(self, head: bytes, change: Change) -> None:
        expected = link(self._means.chain_key(change.kek_id), self._means.store_id, head, change)
        if not hmac.compare_digest(expected, change.mac):
            self.report.note("change", change.seq, "was not written by this keystore, or not behind the row before it")

    def _remember(self, change: Change) -> None:
        if change.access_key_id is not None:
            self._unanswered["access_key"][change.access_key_id] = change.record_sha256
        if change.bucket is not None:
            self._unanswered["bucket"][change.bucket] = change.record_sha256
        if change.token is not None:
            self._unanswered["admin_token"][change.token] = change.record_sha256
        names = (change.access_key_id, change.bucket, change.token)
        if change.account and names == (None, None, None) and change.kind not in OF_A_SIGN_IN:
            self._unanswered["account"][change.account] = change.record_sha256

    def access_key(self, row: AccessKeyRow) -> None:
        means = self._means
        self.report.access_keys += 1
        self._hold_against_log("access_key", row.access_key_id, row.record)
        self._judge(
            "access_key", row.access_key_id, lambda: read_access_key(means.record_key(row.kek_id), means.store_id, row)
        )
        self._judge("access_key", row.access_key_id, lambda: means.open_secret(row))

    def account(self, row: AccountRow) -> None:
        means = self._means
        self.report.accounts += 1
        self._hold_against_log("account", row.name, row.record)
        self._judge("account", row.name, lambda: read_account(means.record_key(row.kek_id), means.store_id, row))
        if row.upstream_sealed is not None:
            self._judge("account", row.name, lambda: means.open_upstream(row))

    def bucket(self, row: BucketRow) -> None:
        means = self._means
        self.report.buckets += 1
        self._hold_against_log("bucket", row.name, row.record)
        self._judge("bucket", row.name, lambda: read_bucket(means.record_key(row.kek_id), means.store_id, row))

    def admin_token(self, row: AdminTokenRow) -> None:
        means = self._means
        self.report.admin_tokens += 1
        self._hold_against_log("admin_token", row.token_id, row.record)
        self._judge(
            "admin_token", row.token_id, lambda: read_admin_token(means.record_key(row.kek_id), means.store_id, row)
        )

    def end(self, store: StoreRow) -> None:
        """When all rows were handed in. `store`: the store row of the same snapshot."""
        at = self._position
        if at != (store.seq, store.head):
            says = (
                f", the store row says {store.seq}"
                if at.seq != store.seq
                else " with another MAC than the store row says"
            )
            self.report.note("change", at.seq, f"the log ends at row {at.seq}{says}")
        for table, unanswered in self._unanswered.items():
            for row_id, digest in unanswered.items():
                if digest != NO_RECORD:
                    self.report.note(table, row_id, "its record was taken out")

    def _hold_against_log(self, table: str, row_id: str, record: bytes) -> None:
        digest = self._unanswered[table].pop(row_id, None)
        if digest is None:
            self.report.note(table, row_id, "no change wrote this record")
        elif digest == NO_RECORD:
            self.report.note(table, row_id, "was deleted, and its record is back")
        elif not hmac.compare_digest(digest, record_digest(record)):
            self.report.note(
                table, row_id, "the record is not the one last written; an older one may have been put back"
            )

    def _judge(self, table: str, row_id: object, check: Callable[[], object]) -> None:
        """What a check refuses is a finding. Text that no UTF-8 could carry fails its MAC as UnicodeError."""
        try:
            check()
        except (KeystoreError, UnicodeError) as refused:
            self.report.note(table, row_id, refused)

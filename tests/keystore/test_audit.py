"""The judging alone, on rows made here: what each finding says, and where it stops."""

import pytest

from keystore.access_key import AccessKey, RevokeReason, Status, revoked
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken, Role
from keystore.admin_tokens import revoked as token_revoked
from keystore.audit import MAX_FINDINGS, MAX_SHOWN, Audit, Means, Report, printable
from keystore.bucket_claims import BucketClaim, ClaimState
from keystore.chain import Change, Kind, Position, StoreRow, record_digest
from keystore.record import AccessKeyRow, AdminTokenRow, BucketRow
from keystore.scope import AllBuckets
from keystore.sealed_rows import SealedRows, found_store
from keystore.sealing import Kek, KekRing, MacKeys, Secret

RING = KekRing((Kek(b"k" * 32),))
ROWS, FOUNDED = found_store(RING, "store-1")
KEY = AccessKey("NQAKone", "team", "backup", AllBuckets(), Status.ACTIVE, 5, "ann")
CREATED = ROWS.access_key(KEY, Secret("s" * 40))
ENDED = ROWS.rewritten(CREATED, revoked(KEY, 9, "bob", RevokeReason.OTHER))
TEAM = ROWS.account(Account("team", "123456789012", 5, "ann", 2, "AKIAOWN"), Secret("u" * 40))
CLAIM = ROWS.bucket(BucketClaim("photos", "team", 1, ClaimState.HELD, 5, "ann"))


def log(*told: tuple[Kind, str | None, str | None, bytes | None]) -> tuple[list[Change], StoreRow]:
    """(kind, access key id, bucket, record) → the log of them, and the store row at its end."""
    changes: list[Change] = []
    at = Position(0, bytes(32))
    for kind, access_key_id, bucket, record in told:
        draft = Change(
            0, f"r{at.seq}", kind.value, "team", access_key_id, "ann", 1, b"{}", record_digest(record), "", b"", bucket
        )
        changes.append(ROWS.change(at, draft))
        at = Position(changes[-1].seq, changes[-1].mac)
    return changes, ROWS.store_row(FOUNDED, at)


WHOLE = (
    (Kind.ACCOUNT_CREATE, None, None, TEAM.record),
    (Kind.KEY_CREATE, "NQAKone", None, CREATED.record),
    (Kind.BUCKET_CLAIM, None, "photos", CLAIM.record),
    (Kind.KEY_REVOKE, "NQAKone", None, ENDED.record),
)
CHANGES, STORE = log(*WHOLE)


TOKEN = AdminToken("abc123def456", "ci", Role.OWNER, "team", 5, "ann", bytes(32))
ISSUED = ROWS.admin_token(TOKEN)
OVER = ROWS.admin_token(token_revoked(TOKEN, 9, "bob"))


def means(rows: SealedRows = ROWS) -> Means:
    macs = MacKeys(RING, "store-1")
    return Means("store-1", macs.chain, macs.record, rows.open_secret, rows.open_upstream)


def judged(
    changes: list[Change] = CHANGES,
    keys: tuple[AccessKeyRow, ...] = (ENDED,),
    claims: tuple[BucketRow, ...] = (CLAIM,),
    store: StoreRow = STORE,
) -> list[tuple[str, str, str]]:
    report = Report()
    audit = Audit(means(), report)
    for change in changes:
        audit.change(change)
    for key in keys:
        audit.access_key(key)
    audit.account(TEAM)
    for claim in claims:
        audit.bucket(claim)
    audit.end(store)
    assert report.found == len(report.findings)
    return [tuple(finding) for finding in report.findings]


def test_what_belongs_together_has_no_finding() -> None:
    assert judged() == []


def test_a_row_taken_out_of_the_middle_is_told_by_its_number_and_the_rest_is_still_judged() -> None:
    findings = judged([*CHANGES[:1], *CHANGES[3:]], claims=())
    assert findings == [("change", "2", "rows 2 to 3 were taken out of the log")]
    assert judged([*CHANGES[:1], *CHANGES[2:]]) == [("change", "2", "row 2 was taken out of the log")]


def test_the_end_of_the_log_cut_off_is_told() -> None:
    found = judged(CHANGES[:3], keys=(CREATED,))
    assert found == [("change", "3", "the log ends at row 3, the store row says 4")]


def test_an_end_with_another_mac_than_the_store_row_says_is_told() -> None:
    other, _ = log(*WHOLE[:3], (Kind.KEY_REVOKE, "NQAKone", None, ENDED.record))
    assert judged([*other[:3], ROWS.change(Position(3, other[2].mac), other[3]._replace(actor="eve"))]) == [
        ("change", "4", "the log ends at row 4 with another MAC than the store row says")
    ]


def test_an_edited_row_of_the_log_is_one_finding_and_not_one_for_each_behind_it() -> None:
    edited = [*CHANGES[:2], CHANGES[2]._replace(actor="eve"), CHANGES[3]]
    [(table, row_id, what)] = judged(edited)
    assert (table, row_id) == ("change", "3")
    assert "not written by this keystore" in what


def test_a_row_before_the_first_is_told() -> None:
    assert judged([CHANGES[0]._replace(seq=-7), *CHANGES]) == [
        ("change", "-7", "stands before the first row of the log")
    ]


def test_a_change_under_a_kek_that_is_not_loaded_is_told() -> None:
    [(table, _, what)] = judged([*CHANGES[:2], CHANGES[2]._replace(kek_id="other"), CHANGES[3]])
    assert (table, "wrong key" in what) == ("change", True)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ((CREATED,), ["older one"]),
        ((), ["taken out"]),
        ((ENDED, ENDED._replace(access_key_id="NQAKtwo")), ["no change wrote", "MAC", "seal does not open"]),
        ((ENDED._replace(secret_sealed=b"\x01" + bytes(60)),), ["MAC", "seal does not open"]),
        ((ENDED._replace(account="other"),), ["MAC", "seal does not open"]),
        ((ENDED._replace(version=9),), ["MAC"]),
        ((ENDED._replace(record=b"{}"),), ["older one", "MAC"]),
        ((ENDED._replace(kek_id="other"),), ["wrong key", "wrong key"]),
        ((ENDED._replace(account="\udcff"),), ["encode", "encode"]),
    ],
)
def test_each_way_a_key_does_not_hold_is_told(keys: tuple[AccessKeyRow, ...], says: list[str]) -> None:
    findings = judged(keys=keys)
    assert [table for table, _, _ in findings] == ["access_key"] * len(says)
    assert all(part in what for part, (_, _, what) in zip(says, findings, strict=True)), findings


def test_a_deleted_key_that_is_back_is_told_and_one_that_is_gone_is_not() -> None:
    changes, store = log(*WHOLE, (Kind.KEY_DELETE, "NQAKone", None, None))
    assert judged(changes, keys=(), store=store) == []
    assert judged(changes, store=store) == [("access_key", "NQAKone", "was deleted, and its record is back")]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ((OVER,), []),
        ((ISSUED,), ["older one"]),
        ((), ["taken out"]),
        ((OVER, OVER._replace(token_id="abc123def457")), ["no change wrote", "MAC"]),
        ((OVER._replace(account=""),), ["MAC"]),
        ((OVER._replace(kek_id="other"),), ["wrong key"]),
    ],
)
def test_each_way_a_token_does_not_hold_is_told_and_its_account_is_as_before(
    rows: tuple[AdminTokenRow, ...], says: list[str]
) -> None:
    changes, _ = log(*WHOLE)
    for kind, row in ((Kind.TOKEN_CREATE, ISSUED), (Kind.TOKEN_REVOKE, OVER)):
        at = Position(changes[-1].seq, changes[-1].mac)
        draft = changes[0]._replace(kind=kind.value, record_sha256=record_digest(row.record), token=TOKEN.token_id)
        changes.append(ROWS.change(at, draft))
    report = Report()
    audit = Audit(means(), report)
    for change in changes:
        audit.change(change)
    audit.access_key(ENDED)
    audit.account(TEAM)
    audit.bucket(CLAIM)
    for row in rows:
        audit.admin_token(row)
    audit.end(ROWS.store_row(FOUNDED, Position(changes[-1].seq, changes[-1].mac)))
    assert report.admin_tokens == len(rows)
    assert [finding.table for finding in report.findings] == ["admin_token"] * len(says)
    assert all(part in finding.what for part, finding in zip(says, report.findings, strict=True))


def test_a_change_that_names_nothing_demands_no_record() -> None:
    changes, _ = log(*WHOLE)
    draft = changes[-1]._replace(access_key_id=None, account="", record_sha256=b"", kind="keystore.adopt")
    last = ROWS.change(Position(4, changes[-1].mac), draft)
    assert judged([*changes, last], store=ROWS.store_row(FOUNDED, Position(5, last.mac))) == []


def test_an_upstream_credential_that_does_not_open_is_told() -> None:
    report = Report()
    audit = Audit(means(), report)
    audit.change(CHANGES[0])
    audit.account(TEAM._replace(upstream_sealed=b"\x01" + bytes(60)))
    assert [finding.what.split(":")[0] for finding in report.findings] == ["account team", "upstream of team"]


def test_findings_are_counted_beyond_those_that_are_kept() -> None:
    report = Report()
    for number in range(MAX_FINDINGS + 5):
        report.note("change", number, "x")
    assert (report.found, len(report.findings)) == (MAX_FINDINGS + 5, MAX_FINDINGS)
    assert report.json()["ok"] is False


def test_stored_text_is_shown_without_what_terminals_obey_and_at_a_bounded_length() -> None:
    assert printable("a\x1b[31m\n\u202eb\udcff") == "a\\x1b[31m\\n\\u202eb\\udcff"
    assert len(printable("x" * 10_000)) == MAX_SHOWN + 1
    assert printable("für Ärzte") == "für Ärzte"

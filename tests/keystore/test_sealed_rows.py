import pytest

from keystore.access_key import AccessKey, RevokeReason, Status, revoked
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim, ClaimState, released
from keystore.chain import START, Change, Kind, Position, record_digest
from keystore.errors import KeystoreUnavailable, RecordRefused, WrongKek
from keystore.record import AccessKeyRow, BucketRow
from keystore.scope import AllBuckets
from keystore.sealed_rows import LastChange, SealedRows, enter_store, found_store
from keystore.sealing import Kek, KekRing, Secret

OLD, NEW = Kek(b"o" * 32), Kek(b"n" * 32)
KEY = AccessKey("NQAKone", "default", "backup", AllBuckets(), Status.ACTIVE, 1_700_000_000, "ann")
REVOKED = revoked(KEY, 5, "bob", RevokeReason.UNUSED)


def rows_of(*keks: Kek) -> SealedRows:
    return SealedRows(KekRing(keks), "store-1")


ROWS = rows_of(NEW)


def written(rows: SealedRows, at: Position, kind: Kind, record: bytes | None) -> LastChange:
    draft = Change(0, "r", kind.value, "default", "NQAKone", "ann", 1, b"{}", record_digest(record), "", b"")
    return LastChange(rows.change(at, draft), at.head)


CREATED = ROWS.access_key(KEY, Secret("s" * 40))
CREATE = written(ROWS, START, Kind.KEY_CREATE, CREATED.record)
AFTER = ROWS.rewritten(CREATED, REVOKED)
REVOKE = written(ROWS, Position(1, CREATE.change.mac), Kind.KEY_REVOKE, AFTER.record)
DELETE = written(ROWS, Position(2, REVOKE.change.mac), Kind.KEY_DELETE, None)


def test_the_record_last_written_is_read() -> None:
    assert ROWS.read_access_key(CREATED, CREATE) == KEY
    assert ROWS.read_access_key(AFTER, REVOKE) == REVOKED


def test_an_id_that_never_was_and_a_deleted_one_are_none() -> None:
    assert ROWS.read_access_key(None, None) is None
    assert ROWS.read_access_key(None, DELETE) is None


@pytest.mark.parametrize(
    ("row", "last", "says"),
    [
        (CREATED, REVOKE, "older one"),
        (CREATED, DELETE, "deleted"),
        (CREATED, None, "no change"),
        (None, REVOKE, "taken out"),
        (AFTER, CREATE, "not the one last written"),
        (AFTER, LastChange(REVOKE.change._replace(at=9), REVOKE.previous_mac), "broken"),
        (AFTER, LastChange(REVOKE.change, bytes(32)), "broken"),
        (AFTER._replace(secret_sealed=b"x"), REVOKE, "MAC"),
    ],
)
def test_a_record_and_a_log_that_disagree_are_refused(row: AccessKeyRow | None, last: LastChange, says: str) -> None:
    with pytest.raises(RecordRefused, match=says):
        ROWS.read_access_key(row, last)


def test_the_secret_opens_from_the_row_and_survives_a_revoke() -> None:
    assert ROWS.open_secret(CREATED).expose() == ROWS.open_secret(AFTER).expose() == "s" * 40
    assert AFTER.secret_sealed == CREATED.secret_sealed


def test_a_blob_swapped_between_ids_does_not_open() -> None:
    other = ROWS.access_key(
        AccessKey("NQAKtwo", "default", "b", AllBuckets(), Status.ACTIVE, 1, "ann"), Secret("t" * 40)
    )
    with pytest.raises(RecordRefused):
        ROWS.open_secret(CREATED._replace(secret_sealed=other.secret_sealed))


def test_rows_under_an_older_kek_still_read_and_new_ones_take_the_newest() -> None:
    old = rows_of(OLD).access_key(KEY, Secret("s" * 40))
    last = written(rows_of(OLD), START, Kind.KEY_CREATE, old.record)
    both = rows_of(OLD, NEW)
    assert both.read_access_key(old, last) == KEY
    assert both.access_key(KEY, Secret("s" * 40)).kek_id == NEW.kek_id
    with pytest.raises(WrongKek):
        ROWS.read_access_key(old, last)


def test_a_keystore_founded_is_entered_with_its_kek_only() -> None:
    _, store = found_store(KekRing((NEW,)), "store-1")
    assert enter_store(KekRing((OLD, NEW)), store).store_id == "store-1"
    with pytest.raises(WrongKek, match="wrong key"):
        enter_store(KekRing((OLD,)), store)


@pytest.mark.parametrize("edit", [{"seq": 5}, {"head": b"x"}, {"lease_ms": 10**6}, {"generation": 2}])
def test_an_edited_store_row_is_refused(edit: dict[str, object]) -> None:
    _, store = found_store(KekRing((NEW,)), "store-1")
    with pytest.raises(RecordRefused, match="store row"):
        enter_store(KekRing((NEW,)), store._replace(**edit))  # type: ignore[arg-type]  # names and values above


def test_a_newer_protocol_is_not_guessed_at() -> None:
    _, store = found_store(KekRing((NEW,)), "store-1")
    with pytest.raises(KeystoreUnavailable, match="protocol 5"):
        enter_store(KekRing((NEW,)), store._replace(protocol=5))


def test_the_store_row_moves_to_the_newest_kek_with_its_canary() -> None:
    _, store = found_store(KekRing((OLD,)), "store-1")
    moved = rows_of(OLD, NEW).store_row(store, Position(1, b"head"))
    assert moved.kek_id == NEW.kek_id
    enter_store(KekRing((OLD, NEW)), moved)


def test_an_entered_keystore_seals_under_the_kek_of_its_store_row_until_that_moves() -> None:
    """A KEK that was only added to the file is one that other processes may not have yet."""
    _, store = found_store(KekRing((OLD,)), "store-1")
    entered = enter_store(KekRing((OLD, NEW)), store)
    at = Position(1, b"head")
    assert entered.access_key(KEY, Secret("s" * 40)).kek_id == OLD.kek_id
    assert entered.account(Account("team", "123456789012", 1, "ann"), Secret("x")).kek_id == OLD.kek_id
    assert entered.store_row(store, at).kek_id == entered.kek_id == OLD.kek_id
    assert entered.change(at, CREATE.change).kek_id == OLD.kek_id
    moved = entered.under_newest().store_row(store, at)
    assert enter_store(KekRing((OLD, NEW)), moved).access_key(KEY, Secret("s" * 40)).kek_id == NEW.kek_id


def test_a_resealed_row_is_the_same_record_and_secret_under_the_newest_kek() -> None:
    old, both = rows_of(OLD), rows_of(OLD, NEW)
    row = old.access_key(KEY, Secret("s" * 40))
    resealed = both.resealed_access_key(row)
    assert (resealed.record, resealed.kek_id) == (row.record, NEW.kek_id)
    last = written(old, START, Kind.KEY_CREATE, row.record)
    assert both.read_access_key(resealed, last) == KEY
    assert ROWS.open_secret(resealed).expose() == "s" * 40
    for mixed in (row._replace(kek_id=NEW.kek_id), resealed._replace(secret_sealed=row.secret_sealed)):
        with pytest.raises(RecordRefused):
            both.read_access_key(mixed, last)


def test_a_resealed_account_keeps_its_credential_and_one_without_gets_none() -> None:
    old, both = rows_of(OLD), rows_of(OLD, NEW)
    plain = old.account(Account("team", "123456789012", 1, "ann"))
    assert both.resealed_account(plain).upstream_sealed is None
    row = old.account(Account("team", "123456789012", 1, "ann", 1, "STOREKEY"), Secret("theirs"))
    resealed = both.resealed_account(row)
    assert (resealed.record, resealed.kek_id) == (row.record, NEW.kek_id)
    assert ROWS.open_upstream(resealed).expose() == "theirs"


def test_a_retired_kek_reads_the_log_and_no_row() -> None:
    row = rows_of(OLD).access_key(KEY, Secret("s" * 40))
    last = written(rows_of(OLD), START, Kind.KEY_CREATE, row.record)
    rows = SealedRows(KekRing((NEW,), (OLD,)), "store-1")
    assert rows.follow(START, [last.change]) == (1, last.change.mac)
    with pytest.raises(WrongKek, match="retired"):
        rows.read_access_key(row, last)
    with pytest.raises(WrongKek, match="retired"):
        rows.open_secret(row)
    _, store = found_store(KekRing((OLD,)), "store-1")
    with pytest.raises(WrongKek, match="retired"):
        enter_store(KekRing((NEW,), (OLD,)), store)
    with pytest.raises(WrongKek, match="change log"):
        rows_of(NEW).follow(START, [last.change])


def test_after_min_kek_was_raised_rows_of_the_retired_kek_are_refused() -> None:
    rows, store = found_store(KekRing((OLD, NEW)), "store-1")
    assert store.min_kek == NEW.kek_id
    retired = rows_of(OLD).access_key(KEY, Secret("s" * 40))
    with pytest.raises(WrongKek):
        enter_store(KekRing((OLD, NEW)), store).open_secret(retired)
    assert rows.store_id == "store-1"


# ---- buckets, and an account's credential ----

CLAIM = BucketClaim("photos", "team", 1, ClaimState.HELD, 5, "ann")
CLAIMED, FREED = ROWS.bucket(CLAIM), ROWS.bucket(released(CLAIM, "photos", 6, "ann"))


def of_the_bucket(at: Position, kind: Kind, record: bytes) -> LastChange:
    draft = Change(0, "r", kind.value, "team", None, "ann", 1, b"{}", record_digest(record), "", b"", "photos")
    return LastChange(ROWS.change(at, draft), at.head)


CLAIMING = of_the_bucket(START, Kind.BUCKET_CLAIM, CLAIMED.record)
FREEING = of_the_bucket(Position(1, CLAIMING.change.mac), Kind.BUCKET_RELEASE, FREED.record)


def test_the_claim_last_written_is_read() -> None:
    assert ROWS.read_bucket(CLAIMED, CLAIMING) == CLAIM
    assert ROWS.read_bucket(FREED, FREEING) == released(CLAIM, "photos", 6, "ann")
    assert ROWS.read_bucket(None, None) is None


@pytest.mark.parametrize(
    ("row", "last", "says"),
    [
        (CLAIMED, FREEING, "older one"),
        (CLAIMED, None, "no change"),
        (None, FREEING, "taken out"),
        (FREED, CLAIMING, "not the one last written"),
        (FREED, LastChange(FREEING.change._replace(bucket="logs"), FREEING.previous_mac), "broken"),
        (FREED, LastChange(FREEING.change._replace(bucket=None), FREEING.previous_mac), "broken"),
        (FREED, LastChange(FREEING.change, bytes(32)), "broken"),
        (FREED._replace(account="default"), FREEING, "MAC"),
    ],
)
def test_a_claim_and_a_log_that_disagree_are_refused(row: BucketRow | None, last: LastChange, says: str) -> None:
    with pytest.raises(RecordRefused, match=says):
        ROWS.read_bucket(row, last)


def test_the_credential_of_an_account_opens_under_its_name_only() -> None:
    team = ROWS.account(Account("team", "123456789012", 5, "ann", 2, "AKIAOWN"), Secret("s" * 40))
    other = ROWS.account(Account("other", "223456789012", 5, "ann", 2, "AKIAOWN"), Secret("t" * 40))
    assert ROWS.open_upstream(team).expose() == "s" * 40
    with pytest.raises(RecordRefused):
        ROWS.open_upstream(team._replace(upstream_sealed=other.upstream_sealed))

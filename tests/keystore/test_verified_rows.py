"""Who holds no key-encryption key judges rows as who holds them does, and can neither open nor make one."""

import pytest

from keystore.chain import START, Kind
from keystore.errors import KeystoreUnavailable, RecordRefused, WrongKek
from keystore.sealed_rows import SealedRows, found_store
from keystore.sealing import Kek, KekRing, MacKeys, Secret
from keystore.verified_rows import HandedMacs, VerifiedRows, enter_verified
from tests.keystore.test_sealed_rows import (
    AFTER,
    CREATE,
    CREATED,
    DELETE,
    KEY,
    NEW,
    OLD,
    REVOKE,
    REVOKED,
    rows_of,
    written,
)


def handed(*keks: Kek, retired: tuple[Kek, ...] = ()) -> HandedMacs:
    return HandedMacs("store-1", MacKeys(KekRing(keks, retired), "store-1").handed())


ROWS = VerifiedRows(handed(OLD, NEW), "store-1")


def test_what_was_sealed_is_read_and_no_seal_is_opened() -> None:
    assert ROWS.read_access_key(CREATED, CREATE) == KEY
    assert ROWS.read_access_key(AFTER, REVOKE) == REVOKED
    assert ROWS.read_access_key(None, DELETE) is None
    assert ROWS.follow(START, [CREATE.change, REVOKE.change, DELETE.change]).seq == 3
    assert not hasattr(ROWS, "open_secret")


def test_an_older_record_put_back_is_refused() -> None:
    with pytest.raises(RecordRefused, match="older one"):
        ROWS.read_access_key(CREATED, REVOKE)


def test_the_keystore_is_entered_by_the_mac_of_its_store_row() -> None:
    _, store = found_store(KekRing((OLD,)), "store-1")
    assert enter_verified(handed(OLD, NEW), store).store_id == "store-1"
    with pytest.raises(RecordRefused):
        enter_verified(handed(OLD, NEW), store._replace(seq=5))
    with pytest.raises(WrongKek):
        enter_verified(handed(NEW), store)
    with pytest.raises(KeystoreUnavailable, match="protocol"):
        enter_verified(handed(OLD), store._replace(protocol=9))
    _, another = found_store(KekRing((OLD,)), "store-2")
    with pytest.raises(KeystoreUnavailable, match="another keystore"):
        enter_verified(handed(OLD), another)


def test_what_stands_under_a_kek_older_than_the_oldest_that_counts_is_refused() -> None:
    old = SealedRows(KekRing((OLD,)), "store-1")
    row = old.access_key(KEY, Secret("s" * 40))
    last = written(old, START, Kind.KEY_CREATE, row.record)
    assert ROWS.read_access_key(row, last) == KEY
    since = VerifiedRows(handed(OLD, NEW).since(NEW.kek_id), "store-1")
    retired = VerifiedRows(handed(NEW, retired=(OLD,)), "store-1")
    for rows in (since, retired):
        assert rows.follow(START, [last.change]).seq == 1
        with pytest.raises(WrongKek, match="retired"):
            rows.read_access_key(row, last)
        with pytest.raises(WrongKek, match="retired"):
            rows.check_store_row(found_store(KekRing((OLD,)), "store-1")[1])


def test_a_ring_that_lacks_the_oldest_kek_that_counts_is_refused() -> None:
    with pytest.raises(WrongKek):
        handed(OLD).since(NEW.kek_id)
    with pytest.raises(WrongKek):
        handed(NEW, retired=(OLD,)).since(OLD.kek_id)


def test_what_can_be_used_is_named_the_newest_last() -> None:
    assert handed(OLD, NEW).usable == [OLD.kek_id, NEW.kek_id]
    assert handed(NEW, retired=(OLD,)).usable == [NEW.kek_id]


def test_no_mac_key_is_printed() -> None:
    [mac] = MacKeys(KekRing((NEW,)), "store-1").handed()
    assert "hidden" in repr(mac)
    for octets in mac[1:]:
        assert repr(octets)[2:10] not in repr(mac)
    assert rows_of(NEW).kek_id in repr(mac)

import hashlib
import hmac

import pytest

from keystore.accounts import Account
from keystore.errors import RecordRefused, WrongKek
from keystore.means import RingMeans
from keystore.sealed_rows import found_store
from keystore.sealing import KekRing, Secret
from tests.keystore.test_sealed_rows import CREATED, KEY, NEW, OLD, ROWS

SECRET = b"s" * 40
ACCOUNT = Account("team", "123456789012", 1, "ann", 1, "STOREKEY")


def entered() -> RingMeans:
    means = RingMeans(KekRing((NEW,)))
    means.enter(found_store(KekRing((NEW,)), "store-1")[1])
    return means


def test_what_is_derived_comes_from_the_sealed_secret() -> None:
    means = entered()
    assert means.date_key(CREATED, KEY, b"20250101") == hmac.digest(b"AWS4" + SECRET, b"20250101", "sha256")
    assert means.hmac_sha1(CREATED, KEY)(b"text") == hmac.new(SECRET, b"text", hashlib.sha1).digest()


def test_a_credential_is_the_same_object_while_its_row_is() -> None:
    means = entered()
    row, later = ROWS.account(ACCOUNT, Secret("theirs")), ROWS.account(ACCOUNT, Secret("others"))
    first = means.credential(row, ACCOUNT)
    assert means.credential(row, ACCOUNT) is first
    changed = means.credential(later, ACCOUNT)
    assert changed.signing_key(b"20250101", b"eu") != first.signing_key(b"20250101", b"eu")
    assert changed.access_key_id == "STOREKEY"


def test_a_blob_that_does_not_open_is_refused() -> None:
    with pytest.raises(RecordRefused):
        entered().date_key(CREATED._replace(secret_sealed=b"\x01" + bytes(80)), KEY, b"20250101")


def test_a_keystore_of_another_kek_is_not_entered() -> None:
    with pytest.raises(WrongKek):
        RingMeans(KekRing((OLD,))).enter(found_store(KekRing((NEW,)), "store-1")[1])

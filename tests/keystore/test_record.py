from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.access_key import AccessKey, RevokeReason, Status, revoked
from keystore.accounts import Account
from keystore.admin_tokens import AdminToken, Role
from keystore.admin_tokens import revoked as token_revoked
from keystore.bucket_claims import BucketClaim, ClaimState
from keystore.errors import RecordRefused
from keystore.record import (
    AccessKeyRow,
    AccountRow,
    AdminTokenRow,
    BucketRow,
    access_key_mac,
    access_key_record,
    account_mac,
    account_record,
    admin_token_mac,
    admin_token_record,
    bucket_mac,
    bucket_record,
    length_prefixed,
    read_access_key,
    read_account,
    read_admin_token,
    read_bucket,
)
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, SpecificBuckets

MAC_KEY = bytes(range(32))
STORE = "store-1"
KEY = AccessKey(
    "NQAKone", "default", "Büro", AllBuckets(), Status.ACTIVE, 1_700_000_000, "ann", expires_at=1_800_000_000
)


def key_row(access_key: AccessKey) -> AccessKeyRow:
    index = (access_key.access_key_id, access_key.account, access_key.version, access_key.created_at)
    row = AccessKeyRow(*index, access_key_record(access_key), b"sealed", "kek", b"")
    return row._replace(mac=access_key_mac(MAC_KEY, STORE, row))


def account_row(account: Account) -> AccountRow:
    index = (account.name, account.number, account.version, account.created_at)
    row = AccountRow(*index, account_record(account), "kek", b"")
    return row._replace(mac=account_mac(MAC_KEY, STORE, row))


@pytest.mark.parametrize(
    "access_key",
    [
        KEY,
        revoked(KEY, 5, "bob", RevokeReason.COMPROMISED),
        replace(KEY, scope=SpecificBuckets((BucketGrant("photos"), BucketGrant("logs"))), not_before=7),
    ],
)
def test_a_record_reads_back_as_it_was_written(access_key: AccessKey) -> None:
    assert read_access_key(MAC_KEY, STORE, key_row(access_key)) == access_key


def test_an_account_reads_back_as_it_was_written() -> None:
    account = Account("team", "123456789012", 5, "ann")
    assert read_account(MAC_KEY, STORE, account_row(account)) == account


def test_the_bytes_of_a_record_are_one_and_the_same_for_one_value() -> None:
    assert access_key_record(replace(KEY)) == access_key_record(KEY)
    assert "Büro".encode() in access_key_record(KEY)


@pytest.mark.parametrize(
    "edit",
    [
        {"access_key_id": "NQAKtwo"},
        {"account": "tenant"},
        {"version": 2},
        {"created_at": 1},
        {"record": access_key_record(KEY).replace(b'"active"', b'"revoked"')},
        {"record": access_key_record(KEY) + b" "},
        {"secret_sealed": b"another"},
        {"kek_id": "older"},
        {"mac": bytes(32)},
        {"mac": b""},
    ],
)
def test_any_edited_column_is_refused(edit: dict[str, object]) -> None:
    with pytest.raises(RecordRefused, match="MAC"):
        read_access_key(MAC_KEY, STORE, key_row(KEY)._replace(**edit))  # type: ignore[arg-type]  # names and values above


@pytest.mark.parametrize("edit", [{"name": "other"}, {"number": "999999999999"}, {"version": 2}, {"record": b"{}"}])
def test_any_edited_column_of_an_account_is_refused(edit: dict[str, object]) -> None:
    row = account_row(Account("team", "123456789012", 5, "ann"))
    with pytest.raises(RecordRefused):
        read_account(MAC_KEY, STORE, row._replace(**edit))  # type: ignore[arg-type]  # names and values above


def test_a_row_of_another_keystore_is_refused() -> None:
    with pytest.raises(RecordRefused):
        read_access_key(MAC_KEY, "store-2", key_row(KEY))


def test_index_columns_that_say_something_else_are_refused_under_a_right_mac() -> None:
    row = key_row(KEY)._replace(account="tenant")
    with pytest.raises(RecordRefused, match="index columns"):
        read_access_key(MAC_KEY, STORE, row._replace(mac=access_key_mac(MAC_KEY, STORE, row)))


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b"\xff",
        access_key_record(KEY).replace(b'"format":1', b'"format":2'),
        access_key_record(KEY)[:-1] + b',"source_cidrs":[]}',
        access_key_record(KEY).replace(b'"type":"all"', b'"type":"any"'),
        access_key_record(KEY).replace(b'"status":"active"', b'"status":"open"'),
    ],
)
def test_a_record_with_more_or_other_fields_is_refused_not_half_read(record: bytes) -> None:
    row = key_row(KEY)._replace(record=record)
    with pytest.raises(RecordRefused):
        read_access_key(MAC_KEY, STORE, row._replace(mac=access_key_mac(MAC_KEY, STORE, row)))


fields = st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=6), st.integers(0, 10**6)), max_size=5)


@given(fields, fields)
def test_two_lists_of_fields_never_read_the_same(one: list[bytes | str | int], two: list[bytes | str | int]) -> None:
    def spelled(values: list[bytes | str | int]) -> list[bytes]:
        return [value if isinstance(value, bytes) else str(value).encode() for value in values]

    assert (length_prefixed(*one) == length_prefixed(*two)) == (spelled(one) == spelled(two))


def test_source_networks_are_kept_and_a_record_without_them_is_written_as_ever() -> None:
    limited = replace(KEY, source_cidrs=("10.0.0.0/8", "::1/128"))
    assert read_access_key(MAC_KEY, STORE, key_row(limited)) == limited
    assert b"source_cidrs" not in access_key_record(KEY)


@pytest.mark.parametrize("cidrs", [b'"10.0.0.0/8"', b'["x"]', b"[1]", b"null"])
def test_source_networks_that_are_none_are_refused(cidrs: bytes) -> None:
    record = access_key_record(KEY)[:-1] + b',"source_cidrs":' + cidrs + b"}"
    row = key_row(KEY)._replace(record=record)
    with pytest.raises(RecordRefused):
        read_access_key(MAC_KEY, STORE, row._replace(mac=access_key_mac(MAC_KEY, STORE, row)))


@pytest.mark.parametrize("side", ["replaces", "replaced_by"])
def test_what_a_roll_says_is_kept_under_the_mac(side: str) -> None:
    linked = replace(KEY, **{side: "NQAKtwo"})  # type: ignore[arg-type]  # names above
    row = key_row(linked)
    assert read_access_key(MAC_KEY, STORE, row) == linked
    for record in (row.record.replace(b"NQAKtwo", b"NQAKsix"), access_key_record(KEY)):
        with pytest.raises(RecordRefused, match="MAC"):
            read_access_key(MAC_KEY, STORE, row._replace(record=record))


@pytest.mark.parametrize("side", [b"replaces", b"replaced_by"])
@pytest.mark.parametrize("access_key_id", [b"null", b"5", b'""', b'"a b"', b'["NQAKtwo"]'])
def test_what_a_roll_says_is_an_access_key_id(side: bytes, access_key_id: bytes) -> None:
    record = access_key_record(KEY)[:-1] + b',"' + side + b'":' + access_key_id + b"}"
    row = key_row(KEY)._replace(record=record)
    with pytest.raises(RecordRefused, match="not understood"):
        read_access_key(MAC_KEY, STORE, row._replace(mac=access_key_mac(MAC_KEY, STORE, row)))


def test_that_a_key_drains_is_kept_under_the_mac_and_is_only_ever_true() -> None:
    row = key_row(replace(KEY, drains=True))
    assert read_access_key(MAC_KEY, STORE, row).drains
    with pytest.raises(RecordRefused, match="MAC"):
        read_access_key(MAC_KEY, STORE, row._replace(record=access_key_record(KEY)))
    other = row._replace(record=row.record.replace(b'"drains":true', b'"drains":1'))
    with pytest.raises(RecordRefused, match="not understood"):
        read_access_key(MAC_KEY, STORE, other._replace(mac=access_key_mac(MAC_KEY, STORE, other)))


def test_that_a_key_manages_keys_is_kept_under_the_mac_and_is_only_ever_true() -> None:
    row = key_row(replace(KEY, manage_keys=True, scope=NoBuckets()))
    assert read_access_key(MAC_KEY, STORE, row) == replace(KEY, manage_keys=True, scope=NoBuckets())
    assert not read_access_key(MAC_KEY, STORE, key_row(KEY)).manage_keys
    for instead in (b'"manage_keys":1', b'"manage_keys":false', b'"manage_keys":"true"'):
        other = row._replace(record=row.record.replace(b'"manage_keys":true', instead))
        with pytest.raises(RecordRefused, match="MAC"):
            read_access_key(MAC_KEY, STORE, other)
        with pytest.raises(RecordRefused, match="not understood"):
            read_access_key(MAC_KEY, STORE, other._replace(mac=access_key_mac(MAC_KEY, STORE, other)))


AS_BEFORE_THERE_WERE_ROLLS = [
    (
        KEY,
        '{"access_key_id":"NQAKone","account":"default","created_at":1700000000,"created_by":"ann",'
        '"expires_at":1800000000,"format":1,"label":"Büro","not_before":null,"revoked_at":null,"revoked_by":null,'
        '"revoked_reason":null,"scope":{"rights":"full","type":"all"},"secret_version":1,"status":"active","version":1}',
        "3ce90ff985f404bfb6eea77e5bfc34d97593a573d04884e4bff6d060aadc51df",
    ),
    (
        revoked(KEY, 5, "bob", RevokeReason.ROTATION),
        '{"access_key_id":"NQAKone","account":"default","created_at":1700000000,"created_by":"ann",'
        '"expires_at":1800000000,"format":1,"label":"Büro","not_before":null,"revoked_at":5,"revoked_by":"bob",'
        '"revoked_reason":"rotation","scope":{"rights":"full","type":"all"},"secret_version":1,"status":"revoked",'
        '"version":2}',
        "29412248efb72ffdb93e09aead864c625d9da47d1c70a664ac7be1178f73de2e",
    ),
]


@pytest.mark.parametrize(("access_key", "record", "mac"), AS_BEFORE_THERE_WERE_ROLLS)
def test_a_record_of_before_verifies_and_is_written_as_it_was(access_key: AccessKey, record: str, mac: str) -> None:
    index = (access_key.access_key_id, access_key.account, access_key.version, access_key.created_at)
    stored = AccessKeyRow(*index, record.encode(), b"sealed", "kek", bytes.fromhex(mac))
    assert read_access_key(MAC_KEY, STORE, stored) == access_key
    assert key_row(access_key) == stored


# ---- buckets ----

CLAIM = BucketClaim("photos", "team", 3, ClaimState.HELD, 5, "ann", 7)


def bucket_row(claim: BucketClaim) -> BucketRow:
    row = BucketRow(claim.name, claim.account, claim.version, bucket_record(claim), "kek", b"")
    return row._replace(mac=bucket_mac(MAC_KEY, STORE, row))


@pytest.mark.parametrize("claim", [CLAIM, replace(CLAIM, state=ClaimState.RELEASED), replace(CLAIM, generation=0)])
def test_a_claim_reads_back_as_it_was_written(claim: BucketClaim) -> None:
    assert read_bucket(MAC_KEY, STORE, bucket_row(claim)) == claim
    with pytest.raises(RecordRefused, match="MAC"):
        read_bucket(MAC_KEY, "store-2", bucket_row(claim))


@pytest.mark.parametrize(
    "edit",
    [
        {"name": "logs"},
        {"account": "default"},
        {"version": 8},
        {"record": bucket_record(replace(CLAIM, generation=4))},
        {"kek_id": "older"},
        {"mac": bytes(32)},
        {"mac": b""},
    ],
)
def test_any_edited_column_of_a_claim_is_refused(edit: dict[str, object]) -> None:
    with pytest.raises(RecordRefused, match="MAC"):
        read_bucket(MAC_KEY, STORE, bucket_row(CLAIM)._replace(**edit))  # type: ignore[arg-type]  # names and values above


@pytest.mark.parametrize("edit", [{"name": "logs"}, {"account": "default"}, {"version": 8}])
def test_index_columns_of_a_claim_that_say_something_else_are_refused(edit: dict[str, object]) -> None:
    row = bucket_row(CLAIM)._replace(**edit)  # type: ignore[arg-type]  # names and values above
    with pytest.raises(RecordRefused, match="index columns"):
        read_bucket(MAC_KEY, STORE, row._replace(mac=bucket_mac(MAC_KEY, STORE, row)))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b'"format":1', b'"format":2'),
        (b'"state":"held"', b'"state":"lent"'),
        (b'"generation":3', b'"generation":-1'),
        (b'"generation":3', b'"generation":"3"'),
        (b'"generation":3', b'"generation":null'),
        (b'"generation":3,', b""),
        (b'"generation":3', b'"generation":3,"until":9'),
    ],
)
def test_a_claim_with_more_or_other_fields_is_refused(written: bytes, instead: bytes) -> None:
    row = bucket_row(CLAIM)._replace(record=bucket_record(CLAIM).replace(written, instead))
    assert row.record != bucket_record(CLAIM)
    with pytest.raises(RecordRefused):
        read_bucket(MAC_KEY, STORE, row._replace(mac=bucket_mac(MAC_KEY, STORE, row)))


# ---- the credential of an account, and what was written before there were any ----

OWN = Account("team", "123456789012", 5, "ann", 2, "AKIAOWN")


def own_row(sealed: bytes | None, account: Account = OWN) -> AccountRow:
    row = account_row(account)._replace(upstream_sealed=sealed)
    return row._replace(mac=account_mac(MAC_KEY, STORE, row))


@pytest.mark.parametrize("sealed", [None, b"", b"another"])
def test_the_sealed_secret_of_an_account_is_under_its_mac(sealed: bytes | None) -> None:
    assert read_account(MAC_KEY, STORE, own_row(b"sealed")) == OWN
    with pytest.raises(RecordRefused, match="MAC"):
        read_account(MAC_KEY, STORE, own_row(b"sealed")._replace(upstream_sealed=sealed))


@pytest.mark.parametrize("row", [own_row(None), own_row(b"sealed", replace(OWN, upstream=None))])
def test_half_a_credential_is_refused_under_a_right_mac(row: AccountRow) -> None:
    with pytest.raises(RecordRefused, match="half"):
        read_account(MAC_KEY, STORE, row)


def test_an_account_and_a_key_without_what_is_new_are_written_as_before() -> None:
    row = account_row(Account("team", "123456789012", 5, "ann"))
    assert (
        row.record
        == b'{"created_at":5,"created_by":"ann","format":1,"name":"team","number":"123456789012","version":1}'
    )
    assert row.mac.hex() == "dff6a9b8e2fa11df8015a0f1723f0625d79c05bf44f667e3f1e2ab0543ea4c5e"
    granted = replace(KEY, scope=SpecificBuckets((BucketGrant("photos"),)))
    assert b'"buckets":[{"name":"photos","rights":"read_write"}]' in access_key_record(granted)


def test_the_generation_of_a_grant_is_kept() -> None:
    granted = replace(KEY, scope=SpecificBuckets((BucketGrant("photos", generation=3), BucketGrant("logs"))))
    assert read_access_key(MAC_KEY, STORE, key_row(granted)).generations == {"photos": 3}


# ---- admin tokens ----

TOKEN = AdminToken("abc123def456", "Büro", Role.OWNER, "team", 5, "ann", bytes(range(32)), expires_at=99)


def token_row(token: AdminToken) -> AdminTokenRow:
    index = (token.token_id, token.account or "", token.version, token.created_at)
    row = AdminTokenRow(*index, admin_token_record(token), "kek", b"")
    return row._replace(mac=admin_token_mac(MAC_KEY, STORE, row))


@pytest.mark.parametrize(
    "token", [TOKEN, token_revoked(TOKEN, 7, "bob"), replace(TOKEN, role=Role.OPERATOR, account=None, expires_at=None)]
)
def test_a_token_reads_back_as_it_was_written(token: AdminToken) -> None:
    assert read_admin_token(MAC_KEY, STORE, token_row(token)) == token
    for mac_key, store_id in ((MAC_KEY, "store-2"), (bytes(32), STORE)):
        with pytest.raises(RecordRefused, match="fails its MAC"):
            read_admin_token(mac_key, store_id, token_row(token))


@pytest.mark.parametrize(
    "edit",
    [
        {"token_id": "abc123def457"},
        {"account": ""},
        {"version": 2},
        {"created_at": 6},
        {"record": admin_token_record(replace(TOKEN, expires_at=None))},
        {"kek_id": "older"},
        {"mac": bytes(32)},
    ],
)
def test_everything_in_a_row_of_a_token_is_under_its_mac(edit: dict[str, object]) -> None:
    with pytest.raises(RecordRefused, match="fails its MAC"):
        read_admin_token(MAC_KEY, STORE, token_row(TOKEN)._replace(**edit))  # type: ignore[arg-type]  # names above


@pytest.mark.parametrize(
    "edit", [{"token_id": "abc123def457"}, {"account": ""}, {"account": "other"}, {"version": 2}, {"created_at": 6}]
)
def test_an_index_column_of_a_token_that_differs_is_refused_under_a_true_mac(edit: dict[str, object]) -> None:
    row = token_row(TOKEN)._replace(**edit)  # type: ignore[arg-type]  # names and values above
    with pytest.raises(RecordRefused, match="index columns differ"):
        read_admin_token(MAC_KEY, STORE, row._replace(mac=admin_token_mac(MAC_KEY, STORE, row)))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b'"format":1', b'"format":2'),
        (b'"role":"owner"', b'"role":"root"'),
        (b'"role":"owner"', b'"role":"operator"'),
        (b'"account":"team"', b'"account":null'),
        (b'"account":"team"', b'"account":7'),
        (b'"revoked_at":null', b'"revoked_at":7'),
        (b'"version":1', b'"version":0'),
        (b'"secret_sha256":"00', b'"secret_sha256":"'),
        (b'"secret_sha256":"00', b'"secret_sha256":"xx'),
        (b'"label":', b'"more":1,"label":'),
        (b'"expires_at":99,', b""),
    ],
)
def test_a_record_of_a_token_that_this_version_does_not_know_is_refused(written: bytes, instead: bytes) -> None:
    row = token_row(TOKEN)._replace(record=admin_token_record(TOKEN).replace(written, instead))
    assert row.record != admin_token_record(TOKEN)
    with pytest.raises(RecordRefused, match=r"another format|not understood"):
        read_admin_token(MAC_KEY, STORE, row._replace(mac=admin_token_mac(MAC_KEY, STORE, row)))

import pytest

from keystore.chain import (
    GENESIS,
    START,
    Change,
    Kind,
    Position,
    StoreRow,
    follow,
    link,
    linked,
    record_digest,
    store_mac,
)
from keystore.errors import RecordRefused

MAC_KEY = bytes(range(32))
STORE = "store-1"


def log(length: int) -> list[Change]:
    changes: list[Change] = []
    head = START.head
    for seq in range(1, length + 1):
        digest = record_digest(b"record")
        draft = Change(
            seq, f"r{seq}", Kind.KEY_REVOKE.value, "default", f"key-{seq}", "ann", seq, b"{}", digest, "kek", b""
        )
        changes.append(linked(MAC_KEY, STORE, head, draft))
        head = changes[-1].mac
    return changes


def of_a_bucket(bucket: str | None) -> Change:
    digest = record_digest(b"record")
    draft = Change(1, "r1", Kind.BUCKET_CLAIM.value, "team", None, "ann", 1, b"{}", digest, "kek", b"", bucket)
    return linked(MAC_KEY, STORE, START.head, draft)


def read(changes: list[Change], store_id: str = STORE) -> Position:
    return follow(START, changes, store_id, lambda _: MAC_KEY)


def test_a_whole_log_holds_and_ends_at_its_last_row() -> None:
    changes = log(5)
    assert read(changes) == (5, changes[-1].mac)


def test_reading_in_two_parts_ends_where_reading_at_once_does() -> None:
    changes = log(6)
    assert follow(read(changes[:2]), changes[2:], STORE, lambda _: MAC_KEY) == read(changes)


@pytest.mark.parametrize(
    "edit",
    [
        {"request_id": "x"},
        {"kind": Kind.KEY_CREATE.value},
        {"account": "tenant"},
        {"access_key_id": "other"},
        {"access_key_id": None},
        {"access_key_id": ""},
        {"actor": "eve"},
        {"at": 9},
        {"body": b"{ }"},
        {"record_sha256": b""},
        {"kek_id": "older"},
        {"mac": bytes(32)},
    ],
)
def test_an_edited_row_breaks_the_chain_there(edit: dict[str, object]) -> None:
    changes = log(4)
    changes[1] = changes[1]._replace(**edit)  # type: ignore[arg-type]  # names and values above
    with pytest.raises(RecordRefused, match="row 2"):
        read(changes)


def test_a_row_taken_out_of_the_middle_is_a_gap() -> None:
    changes = log(4)
    with pytest.raises(RecordRefused, match="no row 2"):
        read([changes[0], *changes[2:]])


def test_a_renumbered_log_does_not_hold() -> None:
    changes = log(4)
    with pytest.raises(RecordRefused):
        read([changes[0], *(change._replace(seq=change.seq - 1) for change in changes[2:])])


def test_swapped_rows_do_not_hold() -> None:
    one, two = log(2)
    with pytest.raises(RecordRefused):
        read([two._replace(seq=1), one._replace(seq=2)])


def test_a_log_of_another_keystore_does_not_hold() -> None:
    with pytest.raises(RecordRefused):
        read(log(2), "store-2")


def test_every_column_of_the_store_row_is_under_its_mac() -> None:
    row = StoreRow("store-1", 1, 7, b"head", 4000, "kek", 1, "kek", b"canary", b"")
    others = ["store-2", 2, 6, b"other", 1, "older", 2, "older", b"other"]
    macs = {store_mac(MAC_KEY, row)}
    for name, other in zip(StoreRow._fields, others, strict=False):
        macs.add(store_mac(MAC_KEY, row._replace(**{name: other})))  # type: ignore[arg-type]  # one column at a time
    assert len(macs) == 1 + len(others)


@pytest.mark.parametrize(
    ("written", "edited"), [("photos", None), ("photos", ""), ("photos", "logs"), (None, "photos")]
)
def test_the_bucket_of_a_change_is_under_the_chain(written: str | None, edited: str | None) -> None:
    change = of_a_bucket(written)
    assert read([change]) == (1, change.mac)
    with pytest.raises(RecordRefused, match="row 1"):
        read([change._replace(bucket=edited)])


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ({"token": "abc"}, {"token": None}),
        ({"token": "abc"}, {"token": ""}),
        ({"token": "abc"}, {"token": "abd"}),
        ({"token": "abc"}, {"token": None, "bucket": "abc"}),
        ({"bucket": "abc"}, {"token": "abc", "bucket": None}),
        ({"bucket": "abc", "token": "abd"}, {"bucket": "abd", "token": "abc"}),
        ({}, {"token": "abc"}),
    ],
)
def test_the_token_of_a_change_is_under_the_chain(written: dict[str, str], edited: dict[str, str]) -> None:
    change = linked(MAC_KEY, STORE, START.head, of_a_bucket(None)._replace(**written))  # type: ignore[arg-type]  # above
    assert read([change]) == (1, change.mac)
    with pytest.raises(RecordRefused, match="row 1"):
        read([change._replace(**edited)])  # type: ignore[arg-type]  # names and values above


def test_a_change_of_a_bucket_carries_the_mac_it_had_before_there_were_tokens() -> None:
    mac = "8e455cf3fb80246b1a1b894f8481758acfe77b2ad098da259fa01cdc3e300877"
    assert of_a_bucket("photos").mac.hex() == mac


@pytest.mark.parametrize(
    ("access_key_id", "mac"),
    [
        ("NQAKone", "b3a8980645ce106659eb2084b4ba0efec988cfd4783d29996e2cb6aa6a0eca58"),
        (None, "f8da35a3c7c82b5ff1d450d61ed69b916476e9fe0c5b320fded4eaa61dbe72e4"),
    ],
)
def test_a_change_of_no_bucket_carries_the_mac_it_had_before_there_were_any(
    access_key_id: str | None, mac: str
) -> None:
    digest = record_digest(b"record")
    change = Change(1, "r1", "key.create", "default", access_key_id, "ann", 5, b"{}", digest, "kek", b"")
    assert link(MAC_KEY, STORE, GENESIS, change).hex() == mac

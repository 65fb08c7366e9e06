import pytest

from keystore.chain import START, Change, Kind, Position, StoreRow, follow, linked, record_digest, store_mac
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

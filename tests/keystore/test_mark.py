"""What is remembered of ended keys, and the text it is kept in."""

import json
from typing import Any

import pytest

from keystore.access_key import RevokeReason
from keystore.chain import START, Change, Position, StoreRow
from keystore.errors import RecordRefused
from keystore.mark import (
    MAX_REMEMBERED,
    MAX_STATE_FILE,
    Ended,
    Mark,
    Rising,
    mark_text,
    parse_mark,
    remember,
    remember_tokens,
    together,
    why_back,
)

MARK = Mark("store-1", 2, 7, b"head", ())


@pytest.mark.parametrize(
    ("changed", "mac_there", "says"),
    [
        ({}, b"head", ""),
        ({"seq": 9, "generation": 3}, b"head", ""),
        ({"store_id": "store-2"}, b"head", "keystore store-1 was here, now it is store-2"),
        ({"generation": 1}, b"head", "generation 2 was known, it is of generation 1"),
        ({"seq": 6}, None, "change 7 was known, it ends at 6"),
        ({"seq": 9, "generation": 3}, b"other", "change 7 was known, another one stands there"),
        ({"seq": 9}, None, "change 7 was known, another one stands there"),
    ],
)
def test_a_keystore_is_behind_or_beside_what_was_known(changed: dict[str, Any], mac_there: object, says: str) -> None:
    store = StoreRow("store-1", 2, 7, b"", 4000, "kek", 2, "kek", b"", b"")._replace(**changed)
    assert why_back(MARK, store, mac_there) == says


# ---- what is remembered ----


def change(seq: int, kind: str, access_key_id: str | None, body: str = "{}") -> Change:
    return Change(seq, f"r{seq}", kind, "default", access_key_id, "ann", seq, body.encode(), b"", "kek", b"")


def reasons(*changes: Change) -> dict[str, str]:
    return {one.access_key_id: one.reason.value for one in remember((), changes)}


def test_what_ends_a_key_is_remembered_with_its_reason() -> None:
    assert reasons(
        change(1, "key.create", "NQAKa"),
        change(2, "key.revoke", "NQAKa", '{"reason":"unused"}'),
        change(3, "key.delete", "NQAKb"),
        change(4, "key.roll", "NQAKc", '{"overlap":0}'),
        change(5, "key.roll", "NQAKd", '{"overlap":3600}'),
        change(6, "key.update", "NQAKe"),
        change(7, "key.revoke", "NQAKf", "[]"),
        change(8, "keystore.adopt", None),
    ) == {"NQAKa": "unused", "NQAKb": "other", "NQAKc": "rotation", "NQAKf": "other"}


def test_a_key_that_was_restored_is_not_ended_again() -> None:
    revoke = change(2, "key.revoke", "NQAKa", '{"reason":"unused"}')
    assert reasons(revoke, change(3, "key.restore", "NQAKa")) == {}
    assert reasons(revoke, change(3, "key.restore", "NQAKa"), revoke) == {"NQAKa": "unused"}


def test_compromised_is_final_and_a_deleted_key_keeps_its_reason() -> None:
    compromised = change(2, "key.revoke", "NQAKa", '{"reason":"compromised"}')
    assert reasons(compromised, change(3, "key.revoke", "NQAKa", '{"reason":"other"}')) == {"NQAKa": "compromised"}
    assert reasons(compromised, change(3, "key.delete", "NQAKa")) == {"NQAKa": "compromised"}


def test_the_last_so_many_are_remembered_the_last_ended_last() -> None:
    told = [change(n, "key.revoke", f"NQAK{n}") for n in range(MAX_REMEMBERED + 10)]
    ended = remember((), [*told, change(5000, "key.revoke", "NQAK20")])
    assert len(ended) == MAX_REMEMBERED
    assert ended[0].access_key_id == "NQAK10"
    assert (ended[-1].access_key_id, ended[-1].seq) == ("NQAK20", 5000)


def of_a_token(seq: int, kind: str, token: str) -> Change:
    return change(seq, kind, None)._replace(token=token)


def test_revoked_tokens_are_remembered_the_last_last_and_not_all() -> None:
    made, *revokes = [
        of_a_token(1, "token.create", "a" * 12),
        of_a_token(2, "token.revoke", "b" * 12),
        of_a_token(3, "token.revoke", "c" * 12),
        of_a_token(4, "token.revoke", "b" * 12),
    ]
    assert remember_tokens((), [made, *revokes]) == ("c" * 12, "b" * 12)
    assert remember(("x" for _ in ()), [made, *revokes]) == ()
    many = [of_a_token(n, "token.revoke", f"{n:012}") for n in range(MAX_REMEMBERED + 5)]
    remembered = remember_tokens(["z" * 12], many)
    assert (len(remembered), remembered[0], remembered[-1]) == (MAX_REMEMBERED, f"{5:012}", f"{MAX_REMEMBERED + 4:012}")


# ---- as text ----

GOOD: dict[str, Any] = {"format": 1, "store_id": "s", "generation": 1, "seq": 1, "head": "00", "ended": []}
ONE: dict[str, Any] = {"access_key_id": "NQAKa", "at": 1, "reason": "other", "seq": 2, "request_id": "r"}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "\udcff", json.dumps({**GOOD, "format": 2}), json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "seq": "1"}), json.dumps({**GOOD, "seq": True}), json.dumps({**GOOD, "head": "xx"}),
        json.dumps({**GOOD, "head": 5}), json.dumps({**GOOD, "ended": 1}), json.dumps({**GOOD, "ended": [1]}),
        json.dumps({**GOOD, "ended": [{**ONE, "reason": "mood"}]}), json.dumps({**GOOD, "ended": [{**ONE, "at": "1"}]}),
        json.dumps({**GOOD, "ended": [{"reason": "other"}]}), json.dumps(GOOD) + " " * MAX_STATE_FILE,
        "[" * 100_000,
        json.dumps({**GOOD, "tokens": 1}), json.dumps({**GOOD, "tokens": [1]}), json.dumps({**GOOD, "tokens": ["x"]}),
        json.dumps({**GOOD, "tokens": "a" * 12}),
    ],
    ids=range(22),
)  # fmt: skip
def test_what_is_no_mark_is_one_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_mark(text.encode(errors="surrogateescape"))


def test_a_mark_reads_back() -> None:
    ended = Ended("NQAKa", 1, RevokeReason.OTHER, 2, "r")
    assert parse_mark(json.dumps({**GOOD, "ended": [ONE]}).encode()) == Mark("s", 1, 1, b"\x00", (ended,))
    mark = MARK._replace(ended=(ended,))
    assert parse_mark(mark_text(mark)) == mark
    assert b"tokens" not in mark_text(mark), "as before there were any"
    mark = mark._replace(tokens=("a" * 12, "b" * 12))
    assert parse_mark(mark_text(mark)) == mark


# ---- on its way ----


def test_a_mark_rises_to_where_the_store_row_says_and_nowhere_else() -> None:
    asked: list[Position] = []

    def follow(at: Position, changes: list[Change]) -> Position:
        asked.append(at)
        return Position(at.seq + len(changes), b"head")

    rising = Rising(follow, None)
    rising.take([change(1, "x", None), change(2, "key.revoke", "NQAKa", '{"reason": "unused"}')])
    rising.take([of_a_token(3, "token.revoke", "a" * 12)])
    assert asked == [START, Position(2, b"head")]
    store = StoreRow("store-1", 4, 3, b"head", 4000, "kek", 2, "kek", b"", b"")
    risen = rising.risen(store)
    assert risen[:4] == ("store-1", 4, 3, b"head")
    assert risen.tokens == ("a" * 12,)
    assert [one.access_key_id for one in risen.ended] == ["NQAKa"]
    assert Rising(follow, risen).risen(store) == risen
    for elsewhere in (store._replace(seq=4), store._replace(head=b"other")):
        with pytest.raises(RecordRefused, match="the change log ends at row 3"):
            rising.risen(elsewhere)


def test_what_was_remembered_before_stands_before_what_the_keystore_says_itself() -> None:
    old, own = Ended("NQAKa", 1, RevokeReason.OTHER, 2, "r"), Ended("NQAKb", 5, RevokeReason.UNUSED, 3, "r")
    again = Ended("NQAKb", 9, RevokeReason.COMPROMISED, 9, "r")
    assert together(MARK._replace(ended=(own,)), MARK._replace(ended=(old, again))).ended == (old, own)
    many = tuple(old._replace(access_key_id=f"NQAK{number}") for number in range(MAX_REMEMBERED))
    assert together(MARK._replace(ended=(own,)), MARK._replace(ended=many)).ended == (*many[1:], own)
    assert together(MARK, None) == MARK
    known, both = MARK._replace(tokens=("a" * 12, "b" * 12)), ("a" * 12, "c" * 12, "b" * 12)
    assert together(MARK._replace(tokens=("c" * 12, "b" * 12)), known) == MARK._replace(tokens=both)

"""What a worker asks of the keeper: once for all who wait, answered or not in bounded time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.workers import asking as asking_module
from gateway.workers.asking import (
    Answers,
    Asking,
    AskingKeys,
    AskingMeans,
    AskingWriter,
    claimed_message,
    days_keys,
    error_message,
    handed_macs,
    read_claimed,
    read_error,
)
from gateway.workers.link import Message
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim, ClaimState
from keystore.derived import UpstreamCredential
from keystore.errors import Conflict, KeystoreError, KeystoreUnavailable, NotFound, NotKnownYet, RecordRefused
from keystore.record import AccessKeyRow, AccountRow
from keystore.scope import AllBuckets
from keystore.store import Claimed
from keystore.verified_rows import HandedMac
from tests.support.admitted import access_key

KEY = access_key(AllBuckets())
ROW = AccessKeyRow(KEY.access_key_id, "default", 1, 0, b"", b"", "", b"")
TODAY = b"20260921"
NOON = 1_790_000_000.0


class Sent:
    """The keeper's end: what was sent to it."""

    def __init__(self) -> None:
        self.questions: list[Message] = []
        self.asking = Asking(self.questions.append, asyncio.get_running_loop())

    def answer(self, number: int = 0, **answer: Any) -> None:
        self.asking.take({"number": self.questions[number]["number"], **answer})


@pytest.fixture
async def sent() -> Sent:
    return Sent()


def means(sent: Sent, now: float = NOON) -> AskingMeans:
    return AskingMeans(handed_macs({"store_id": "s", "macs": []}), AskingKeys(sent.asking, b"eu", lambda: now))


def unknown(ask: Any) -> list[KeystoreError | None]:
    """What is told to who waits for it."""
    told: list[KeystoreError | None] = []
    with pytest.raises(NotKnownYet) as caught:
        ask()
    caught.value.when_told(told.append)
    return told


async def test_a_date_key_is_asked_for_once_however_many_wait(sent: Sent) -> None:
    own = means(sent)
    first = unknown(lambda: own.date_key(ROW, KEY, TODAY))
    second = unknown(lambda: own.date_key(ROW, KEY, TODAY))
    other = unknown(lambda: own.date_key(ROW, KEY, b"20260922"))
    assert [(one["ask"], one["date"]) for one in sent.questions] == [("date_key", "20260921"), ("date_key", "20260922")]
    sent.answer(octets="6b" * 32)
    assert (first, second, other) == ([None], [None], [])
    assert own.date_key(ROW, KEY, TODAY) == b"k" * 32
    unknown(lambda: own.date_key(ROW, KEY, TODAY))  # the directory keeps it; here it is gone


async def test_a_key_with_another_secret_is_another_question(sent: Sent) -> None:
    own = means(sent)
    unknown(lambda: own.date_key(ROW, KEY, TODAY))
    sent.answer(octets="6b" * 32)
    unknown(lambda: own.date_key(ROW, replace(KEY, secret_version=2), TODAY))
    assert [one["secret_version"] for one in sent.questions] == [1, 2]


async def test_everyone_who_waits_for_a_sigv2_signature_may_use_it_once(sent: Sent) -> None:
    own = means(sent)
    used: list[bytes] = []
    for _ in range(3):
        with pytest.raises(NotKnownYet) as caught:
            own.hmac_sha1(ROW, KEY)(b"text")
        caught.value.when_told(lambda error: used.append(own.hmac_sha1(ROW, KEY)(b"text")))
    sent.answer(octets="aa" * 20)
    assert used == [b"\xaa" * 20] * 3
    assert len(sent.questions) == 1
    unknown(lambda: own.hmac_sha1(ROW, KEY)(b"text"))


async def test_what_went_wrong_is_told_and_may_be_asked_again(sent: Sent) -> None:
    own = means(sent)
    told = unknown(lambda: own.date_key(ROW, KEY, TODAY))
    sent.answer(**error_message(RecordRefused("tampered")))
    assert [type(error) for error in told] == [KeystoreUnavailable]
    unknown(lambda: own.date_key(ROW, KEY, TODAY))
    assert len(sent.questions) == 2


async def test_a_keeper_that_does_not_answer_is_not_waited_for_for_ever(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_module, "ANSWER_SECONDS", 0.01)
    own = means(sent)
    told = unknown(lambda: own.date_key(ROW, KEY, TODAY))
    await asyncio.sleep(0.1)
    assert [type(error) for error in told] == [KeystoreUnavailable]
    sent.answer(octets="6b" * 32)  # too late: nobody waits
    assert len(told) == 1
    unknown(lambda: own.date_key(ROW, KEY, TODAY))


async def test_questions_and_unused_answers_are_bounded(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "MAX_ASKED", 3)
    answers = Answers(sent.asking)
    told = [unknown(lambda n=n: answers.get(("kDate", n), {})) for n in range(5)]
    await asyncio.sleep(0)
    assert len(sent.questions) == 3
    assert [bool(one) for one in told] == [False, False, False, True, True]
    for number in range(3):
        sent.answer(number, octets="00")
    for number in (5, 6):
        unknown(lambda n=number: answers.get(("kDate", n), {}))
        sent.answer(len(sent.questions) - 1, octets="00")
    assert len(answers._told) == 3


async def test_a_credential_is_good_for_a_day_and_the_same_object(sent: Sent) -> None:
    own = means(sent)
    row, account = AccountRow("team", "1", 1, 0, b"", "", b"", None), Account("team", "123456789012", 0, "ann", 1, "S")
    unknown(lambda: own.credential(row, account))
    secret = UpstreamCredential("S", "theirs")
    keys = {"20260921": secret.signing_key(TODAY, b"eu").hex()}
    sent.answer(credential={"access_key_id": "S", "signing_keys": keys})
    first = own.credential(row, account)
    assert first is own.credential(row, account)
    assert first.signing_key(TODAY, b"eu") == secret.signing_key(TODAY, b"eu")
    unknown(lambda: own.credential(row._replace(mac=b"another"), account))


async def test_what_runs_over_midnight_signs_on_while_another_credential_is_asked_for_once(sent: Sent) -> None:
    own = means(sent)
    row, account = AccountRow("team", "1", 1, 0, b"", "", b"", None), Account("team", "123456789012", 0, "ann", 1, "S")
    unknown(lambda: own.credential(row, account))
    sent.answer(credential={"access_key_id": "S", "signing_keys": {"20260921": "05", "20260922": "06"}})
    first = own.credential(row, account)
    own._keys._clock = lambda: NOON + 86_400
    assert own.credential(row, account) is first is own.credential(row, account)
    assert first.signing_key(b"20260922", b"eu") == b"\6"
    assert len(sent.questions) == 2
    sent.answer(1, credential={"access_key_id": "S", "signing_keys": {"20260922": "06", "20260923": "07"}})
    assert own.credential(row, account) is not first
    own._keys._clock = lambda: NOON + 3 * 86_400
    unknown(lambda: own.credential(row, account))


# ---- claims ----

HELD = BucketClaim("photos", "team", 2, ClaimState.HELD, 5, "ann", 3)


@pytest.mark.parametrize("before", [None, BucketClaim("photos", "other", 1, ClaimState.RELEASED, 4, "bob", 2)])
def test_a_claim_travels_whole(before: BucketClaim | None) -> None:
    assert read_claimed(claimed_message(Claimed(HELD, before))) == Claimed(HELD, before)


async def test_the_writer_asks_and_raises_what_the_keeper_raised(sent: Sent) -> None:
    writer = AskingWriter(sent.asking)
    claiming = asyncio.ensure_future(writer.claim_bucket("photos", "team", "key:k"))
    await asyncio.sleep(0)
    assert sent.questions[0] | {"number": 0} == {
        "ask": "claim_bucket", "name": "photos", "account": "team", "actor": "key:k", "number": 0
    }  # fmt: skip
    sent.answer(**claimed_message(Claimed(HELD, None)))
    assert await claiming == Claimed(HELD, None)
    releasing = asyncio.ensure_future(writer.release_bucket("photos", 3, "key:k"))
    await asyncio.sleep(0)
    sent.answer(1, **error_message(Conflict("claimed anew")))
    with pytest.raises(Conflict, match="claimed anew"):
        await releasing
    undoing = asyncio.ensure_future(writer.undo_claim(Claimed(HELD, None), "key:k"))
    await asyncio.sleep(0)
    assert read_claimed(sent.questions[2]) == Claimed(HELD, None)
    sent.answer(2)
    await undoing


@pytest.mark.parametrize(
    ("error", "kind"), [(Conflict("a"), Conflict), (NotFound("b"), NotFound), (RecordRefused("c"), KeystoreUnavailable)]
)
def test_an_error_keeps_its_kind_where_somebody_acts_on_it(error: KeystoreError, kind: type[KeystoreError]) -> None:
    assert (type(read_error(error_message(error))), str(read_error(error_message(error)))) == (kind, str(error))


def test_mac_keys_and_days_keys_travel_as_hex() -> None:
    macs = handed_macs({"store_id": "s", "macs": [["old", "", "01", ""], ["new", "02", "03", "04"]]})
    assert macs.usable == ["new"]
    assert macs._macs == (HandedMac("old", b"", b"\1", b""), HandedMac("new", b"\2", b"\3", b"\4"))
    assert (
        days_keys({"access_key_id": "S", "signing_keys": {"20260921": "05"}}, b"eu").signing_key(TODAY, b"eu") == b"\5"
    )

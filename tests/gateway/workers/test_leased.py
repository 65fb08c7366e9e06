"""A worker that is told: fresh only while the word says so, and never by more than it was told."""

import asyncio
import mmap
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.workers.asking import Asking, AskingKeys
from gateway.workers.feeds import WORD, Feeds
from gateway.workers.leased import LeasedDirectory
from gateway.workers.link import Message
from keystore.access_key import AccessKey, RevokeReason, Status, revoked
from keystore.bucket_claims import UNCLAIMED, BucketClaim, ClaimState
from keystore.errors import KeystoreError, KeystoreUnavailable, NotKnownYet
from keystore.lease import NEVER, pack
from keystore.postgres_keeper import ToldChange
from keystore.record import access_key_record, bucket_record
from keystore.scope import AllBuckets
from tests.support.admitted import access_key

TODAY = b"20260921"
KEY = access_key(AllBuckets())
ID = KEY.access_key_id
REVOKED = revoked(KEY, 5, "bob", RevokeReason.UNUSED)
NOON = 1_790_000_000.0


class House:
    """A directory, its feed and word, and the keeper's end of its questions. Time stands still at 1,000 ms."""

    def __init__(self) -> None:
        self.now = 1_000
        self.questions: list[Message] = []
        self.told: list[tuple[int, str | None]] = []
        self.applied: list[int] = []
        self.feeds = Feeds(lambda number: None)
        self.asking = Asking(self.questions.append, asyncio.get_running_loop())
        self._mapped = mmap.mmap(self.feeds.word_file, WORD, prot=mmap.PROT_READ)
        keys = AskingKeys(self.asking, b"eu", lambda: NOON)
        word = memoryview(self._mapped).cast("Q")
        self.directory = LeasedDirectory(word, self.feeds.open(0), keys, 0, lambda: self.now / 1000)
        self.directory.on_change = lambda seq, access_key_id: self.told.append((seq, access_key_id))
        self.directory.on_applied = self.applied.append
        self.feeds.word(pack(4_000, 0))

    def change(self, *changes: ToldChange, word: bool = True) -> None:
        self.feeds.ring(changes)
        if word:
            self.feeds.word(pack(4_000, self.feeds.applied))

    def answer(self, number: int = -1, **answer: Any) -> None:
        self.asking.take({"number": self.questions[number]["number"], **answer})

    def ask(self, question: Any) -> list[KeystoreError | None]:
        """What is told to who waits."""
        told: list[KeystoreError | None] = []
        with pytest.raises(NotKnownYet) as caught:
            question()
        caught.value.when_told(told.append)
        return told

    def know(self, record: AccessKey = KEY) -> None:
        told = self.ask(lambda: self.directory.find(ID, TODAY))
        self.answer(record=access_key_record(record).decode(), date_key="6b" * 32)
        assert told == [None]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    opened = House()
    yield opened
    opened.directory.close()
    opened.feeds.end()


def told(seq: int, record: AccessKey | None) -> ToldChange:
    return ToldChange(seq, "key", ID, None if record is None else access_key_record(record))


# ---- keys ----


def test_a_key_is_asked_for_once_and_then_known(house: House) -> None:
    house.know()
    known = house.directory.find(ID, TODAY)
    assert known is not None
    assert (known.access_key, known.date_keys) == (KEY, {TODAY: b"k" * 32})
    assert house.directory.find(ID, TODAY) is known
    assert house.directory.record(ID) is known.access_key
    assert len(house.questions) == 1


def test_an_id_that_does_not_exist_is_none_until_it_is_made(house: House) -> None:
    house.ask(lambda: house.directory.find(ID, TODAY))
    house.answer(record=None, date_key=None)
    assert house.directory.find(ID, TODAY) is None
    assert house.directory.record(ID) is None
    house.change(told(1, KEY))
    house.ask(lambda: house.directory.find(ID, TODAY))


def test_an_id_that_no_key_can_have_is_never_asked_for(house: House) -> None:
    assert house.directory.find("ab", TODAY) is None
    assert house.questions == []


def test_another_day_is_asked_for_alone(house: House) -> None:
    house.know()
    house.ask(lambda: house.directory.find(ID, b"20260922"))
    assert house.questions[-1]["ask"] == "date_key"
    house.answer(octets="6c" * 32)
    known = house.directory.find(ID, b"20260922")
    assert known is not None
    assert known.date_keys[b"20260922"] == b"l" * 32


# ---- changes ----


def test_a_revoke_is_seen_by_the_very_next_find_after_the_word_speaks_of_it(house: House) -> None:
    house.know()
    house.change(told(1, REVOKED))
    record = house.directory.record(ID)
    assert record is not None
    assert record.status is Status.REVOKED
    assert (house.told, house.applied) == ([(1, ID)], [1])
    assert len(house.questions) == 1, "a release point must not have to ask"


def test_what_is_in_the_feed_is_taken_before_the_word_speaks_of_it_too(house: House) -> None:
    house.know()
    house.change(told(1, REVOKED), word=False)
    assert house.directory.fresh()  # nobody knows yet
    house.feeds.word(pack(4_000, 1))
    assert not house.directory.fresh()
    house.directory.tick()
    assert house.directory.fresh()


def test_a_deleted_key_is_gone_and_stays_gone(house: House) -> None:
    house.know()
    house.change(told(1, None))
    assert house.directory.find(ID, TODAY) is None
    assert house.directory.record(ID) is None


def test_a_change_of_an_unknown_kind_forgets_everything_and_is_told_for_all(house: House) -> None:
    house.know()
    house.change(ToldChange(1, "everything", "", None))
    house.ask(lambda: house.directory.record(ID))
    assert house.told == [(1, None)]


def test_re_sealing_changes_nothing(house: House) -> None:
    house.know()
    house.change(ToldChange(1, "nothing", "", None))
    assert house.directory.record(ID) == KEY
    assert (house.told, house.applied) == ([], [1])


def test_a_gap_in_the_feed_forgets_everything(house: House) -> None:
    house.know()
    house.change(told(2, KEY))
    house.ask(lambda: house.directory.record(ID))
    assert house.told == [(2, None), (2, ID)]


def test_an_answer_that_a_change_has_overtaken_is_not_used(house: House) -> None:
    waiting = house.ask(lambda: house.directory.find(ID, TODAY))
    house.change(told(1, REVOKED))
    house.directory.tick()
    house.answer(record=access_key_record(KEY).decode(), date_key="6b" * 32)
    assert waiting == [None]
    house.ask(lambda: house.directory.find(ID, TODAY))
    house.answer(record=access_key_record(REVOKED).decode(), date_key="6b" * 32)
    known = house.directory.find(ID, TODAY)
    assert known is not None
    assert known.access_key.status is Status.REVOKED


def test_who_is_told_may_look_up_and_finds_memory_up_to_date(house: House) -> None:
    house.know()
    seen: list[Status] = []

    def on_change(seq: int, access_key_id: str | None) -> None:
        record = house.directory.record(ID)
        assert record is not None
        seen.append(record.status)

    house.directory.on_change = on_change
    house.change(told(1, REVOKED), told(2, replace(KEY, version=3)))
    house.directory.tick()
    assert seen == [Status.ACTIVE, Status.ACTIVE]  # both are applied before anybody hears of one
    assert house.applied == [2]


# ---- the lease ----


def test_when_the_lease_has_run_out_nothing_is_answered_however_well_known(house: House) -> None:
    house.know()
    house.now = 3_999
    assert house.directory.find(ID, TODAY) is not None
    house.now = 4_000
    directory = house.directory
    with pytest.raises(KeystoreUnavailable, match="proven"):
        directory.find(ID, TODAY)
    for ask, name in ((directory.record, ID), (directory.claim, "photos"), (directory.store_credential, "default")):
        with pytest.raises(KeystoreUnavailable, match="proven"):
            ask(name)
    assert not house.directory.fresh_or_refreshed()
    house.feeds.word(pack(8_000, 0))
    assert house.directory.find(ID, TODAY) is not None


def test_a_lapse_is_known_a_moment_before(house: House) -> None:
    """What runs is ended by then, and not a tick later."""
    house.directory.tick()
    assert not house.directory.lapsed()
    house.now = 4_000 - 41
    assert not house.directory.lapsed()
    house.now = 4_000 - 40
    assert house.directory.lapsed()
    assert house.directory.fresh()


def test_before_the_first_proof_nothing_is_answered(house: House) -> None:
    house.know()
    house.feeds.word(NEVER)
    with pytest.raises(KeystoreUnavailable):
        house.directory.find(ID, TODAY)


def test_a_word_that_speaks_of_more_than_has_come_is_503_and_never_open(house: House) -> None:
    house.know()
    house.feeds.word(pack(4_000, 1))
    with pytest.raises(KeystoreUnavailable, match="announced"):
        house.directory.find(ID, TODAY)


def test_a_change_that_comes_when_the_lease_ran_out_is_told_when_it_can_be_judged(house: House) -> None:
    house.know()
    house.change(told(1, REVOKED))
    house.now = 9_000
    with pytest.raises(KeystoreUnavailable):
        house.directory.find(ID, TODAY)
    house.directory.tick()
    assert (house.told, house.applied) == ([], [])
    house.feeds.word(pack(12_000, 1))
    house.directory.tick()
    assert (house.told, house.applied) == ([(1, ID)], [1])


def test_a_feed_that_is_ahead_of_the_word_is_served_from_and_told(house: House) -> None:
    """Two changes, one after the other, and the word speaks of the first when both are taken."""
    house.know()
    house.feeds.ring([told(1, REVOKED)])
    house.feeds.ring([told(2, replace(REVOKED, version=3))])
    house.feeds.word(pack(4_000, 1))
    record = house.directory.record(ID)
    assert record is not None
    assert record.version == 3
    assert (house.told, house.applied) == ([(1, ID), (2, ID)], [2])
    house.feeds.word(pack(4_000, 2))
    assert house.directory.record(ID) is record
    assert house.directory.fresh()


def test_numbers_of_changes_are_compared_where_they_wrap(house: House) -> None:
    house.know()
    house.directory._applied = (1 << 20) - 1
    house.feeds.word(pack(4_001, 1 << 20))
    with pytest.raises(KeystoreUnavailable, match="announced"):
        house.directory.find(ID, TODAY)
    house.feeds.word(pack(4_001, (1 << 20) - 2))
    assert house.directory.find(ID, TODAY) is not None


def test_the_end_of_the_feed_is_said_once_so_that_nobody_reads_it_for_ever(house: House) -> None:
    house.know()
    house.change(told(1, REVOKED))
    assert house.directory.read_on()
    assert house.applied == [1]
    house.feeds.close(0)
    assert not house.directory.read_on()


def test_a_supervisor_that_is_gone_is_503(house: House) -> None:
    house.know()
    house.feeds.close(0)
    house.feeds.word(pack(4_000, 1))
    with pytest.raises(KeystoreUnavailable, match="supervisor"):
        house.directory.find(ID, TODAY)


# ---- buckets and accounts ----

CLAIM = BucketClaim("photos", "team", 2, ClaimState.HELD, 5, "ann", 3)


def test_a_claim_is_asked_for_once_and_replaced_when_it_changes(house: House) -> None:
    house.ask(lambda: house.directory.tenure("photos"))
    house.answer(claims={})
    assert house.directory.tenure("photos") == UNCLAIMED
    house.change(ToldChange(1, "bucket", "photos", bucket_record(CLAIM)))
    assert house.directory.tenure("photos") == ("team", 2)
    assert house.directory.claim("photos") == CLAIM
    assert house.told == [(1, None)]
    assert len(house.questions) == 1


def test_many_names_are_asked_for_at_once(house: House) -> None:
    house.ask(lambda: house.directory.learn_tenures(["photos", "logs"]))
    assert house.questions[-1]["buckets"] == ["photos", "logs"]
    house.answer(claims={"photos": bucket_record(CLAIM).decode()})
    house.directory.learn_tenures(["photos", "logs"])
    assert (house.directory.tenure("photos"), house.directory.tenure("logs")) == (("team", 2), UNCLAIMED)


def test_an_account_without_a_credential_uses_the_gateways_until_it_has_one(house: House) -> None:
    house.ask(lambda: house.directory.store_credential("team"))
    house.answer(own=False)
    assert house.directory.store_credential("team") is None
    house.change(ToldChange(1, "account", "team", None))
    house.ask(lambda: house.directory.store_credential("team"))
    house.answer(own=True)
    house.ask(lambda: house.directory.store_credential("team"))
    house.answer(credential={"access_key_id": "S", "signing_keys": {"20260921": "05"}})
    credential = house.directory.store_credential("team")
    assert credential is not None
    assert credential is house.directory.store_credential("team")
    assert credential.signing_key(TODAY, b"eu") == b"\5"


def test_after_it_was_closed_nothing_is_answered(house: House) -> None:
    house.know()
    house.directory.close()
    with pytest.raises((KeystoreUnavailable, OSError)):
        house.directory.find(ID, TODAY)

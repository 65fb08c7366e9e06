"""The directory of a worker whose keystore is on another machine: what it was told, while the supervisor's lease lasts.

The supervisor follows the change log, verifies it, and hands every change to each worker through a socket, the feed,
with the record it left; only then it stores the word (`keystore.lease`) in memory that both have mapped. So whoever
reads the word finds all it speaks of in the feed. What was never told is asked for, and the request waits.

Law: everything here belongs to one thread. An awaited answer is used only if no change was applied since the question.
"""

import functools
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gateway.workers.asking import AskingKeys, Told
from gateway.workers.link import Message, MessageReader
from keystore.access_key import ACCESS_KEY_ID, NO_DATE, AccessKey, KnownKey
from keystore.bucket_claims import BucketClaim, Tenure, tenure
from keystore.derived import StoreCredential
from keystore.directory import MAX_DATES, OnChange
from keystore.errors import KeystoreError, KeystoreUnavailable, NotKnownYet
from keystore.lease import NEVER, SEQ_BITS, SEQ_MASK, expiry_of, seq_of
from keystore.record import access_key_of, bucket_claim_of
from keystore.remembered import Kept, Remembered

READ_SIZE: Final = 262_144
MAX_CLAIMS: Final = 50_000  # names of buckets of which it is remembered whether they are claimed: about 20 MB when full
MAX_ACCOUNTS: Final = 10_000
LOOK_EVERY: Final = 0.02  # seconds between two looks whether the lease has run out
FAR_BEHIND: Final = 1 << (SEQ_BITS - 1)  # numbers of changes are compared modulo 2**20: further away is ahead
EARLY_MS: Final = 40  # two of these looks


# Seconds; it goes on while the machine sleeps. 0.06 µs: a function of our own around it would double that.
BOOTTIME: Final = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class LeasedDirectory:
    """As `keystore.directory.Directory`. `word`: of 8 bytes, as one number. `feed`: non-blocking. `applied`: the last
    change before the feed begins.
    """

    def __init__(
        self,
        word: memoryview,
        feed: socket.socket,
        keys: AskingKeys,
        applied: int,
        clock: Callable[[], float] = BOOTTIME,
    ) -> None:
        self.on_change: OnChange | None = None
        self.on_applied: Callable[[int], None] | None = None
        self._word = word
        self._feed = feed
        self._reader = MessageReader()
        self._keys = keys
        self._asking = keys.asking
        self._applied = applied
        self._clock = clock
        self._good_word = NEVER  # the word under which the last refresh held, and until when that does: seconds
        self._good_until = 0.0
        self._remembered: Remembered[Kept] = Remembered()
        self._known = self._remembered.known
        self._claims: dict[str, BucketClaim | None] = {}
        self._accounts: dict[str, object | None] = {}
        self._telling = False
        self._told = applied
        self._untold: deque[tuple[int, str | None]] = deque()

    def remember(self, max_known: int) -> None:
        """Bytes of records, from now on."""
        self._remembered.max_known = max_known

    # ---- the hot path ----

    def fresh(self) -> bool:
        """Whether memory is still the truth. 0.25 µs; 0.12 where it is written out, as in `find`."""
        return self._word[0] == self._good_word and self._clock() < self._good_until

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        """As `Directory.find`; NotKnownYet for a key that was never told."""
        if self._word[0] != self._good_word or self._clock() >= self._good_until:
            self._refresh()
        held = self._known.get(access_key_id)
        if held is None:
            held = self._absent_or_ask(access_key_id, date)
            if held is None:
                return None
        if date not in held.date_keys:
            self._derive(held, date)
        return held

    def record(self, access_key_id: str) -> AccessKey | None:
        self._prove()
        held = self._known.get(access_key_id) or self._absent_or_ask(access_key_id, NO_DATE)
        return None if held is None else held.access_key

    def tenure(self, bucket: str) -> Tenure:
        return tenure(self.claim(bucket))

    def claim(self, bucket: str) -> BucketClaim | None:
        self._prove()
        if bucket not in self._claims:
            raise NotKnownYet("whose a bucket is", lambda told: self._ask_claims([bucket], told))
        return self._claims[bucket]

    def learn_tenures(self, buckets: list[str]) -> None:
        self._prove()
        unknown = [bucket for bucket in buckets if bucket not in self._claims]
        if unknown:
            raise NotKnownYet("whose buckets are", lambda told: self._ask_claims(unknown, told))

    def store_credential(self, account: str) -> StoreCredential | None:
        self._prove()
        if account not in self._accounts:
            raise NotKnownYet("the account", lambda told: self._ask_account(account, told))
        known_by = self._accounts[account]
        return None if known_by is None else self._keys.credential(account, known_by)

    def _prove(self) -> None:
        if self._word[0] != self._good_word or self._clock() >= self._good_until:
            self._refresh()

    # ---- staying fresh ----

    def lapsed(self) -> bool:
        """Whether the lease has run out, or does so before somebody looks again: nothing may be released then."""
        return self._clock() >= (expiry_of(self._word[0]) - EARLY_MS) / 1000

    def read_on(self) -> bool:
        """The feed has something: False when that is its end, and nothing will come any more."""
        try:
            self._take_feed()
        except KeystoreUnavailable:
            return False
        self.tick()
        return True

    def tick(self) -> None:
        """Every 20 ms. Raises nothing of the keystore's."""
        if self.fresh_or_refreshed() and self._told != self._applied:  # it was known before it could be told
            self._tell()

    def fresh_or_refreshed(self) -> bool:
        """Whether a find could be answered now."""
        try:
            self._prove()
        except KeystoreError:
            return False
        return True

    def _refresh(self) -> None:
        """Take what is in the feed. KeystoreUnavailable when the lease has run out, or the word speaks of more.

        The feed may be ahead of the word: a change lies there before the word speaks of it, and to know it is no less
        fresh. Nobody is told of a change while nothing can be answered: who runs could not be judged.
        """
        self._take_feed()
        word = self._word[0]
        good_until = expiry_of(word) / 1000
        if self._clock() >= good_until:
            raise KeystoreUnavailable("the keystore's database has not proven in time that nothing was changed")
        if 0 < (seq_of(word) - self._applied) & SEQ_MASK < FAR_BEHIND:
            raise KeystoreUnavailable("a change was announced and has not come yet")
        self._good_word, self._good_until = word, good_until
        if self._told != self._applied:
            self._tell()

    def _take_feed(self) -> None:
        while True:
            try:
                block = self._feed.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            if not block:
                raise KeystoreUnavailable("the supervisor is gone")
            for change in self._reader.feed(block):
                self._apply(change)

    def _apply(self, change: Message) -> None:
        seq = change["seq"]
        if seq != self._applied + 1:
            self._forget_all()  # never: the supervisor numbers them without a gap
            self._note(seq, None)
        self._applied = seq
        match change["of"]:
            case "key":
                self._replace_key(change["access_key_id"], change["record"])
                self._note(seq, change["access_key_id"])
            case "bucket":
                name, record = change["bucket"], change["record"]
                if name in self._claims:
                    self._claims[name] = None if record is None else bucket_claim_of(record.encode(), name)
                self._note(seq, None)
            case "account":
                self._accounts.pop(change["account"], None)
            case "nothing":
                pass
            case _:
                self._forget_all()
                self._note(seq, None)

    def _replace_key(self, access_key_id: str, record: str | None) -> None:
        """A key that runs must be judged at once, so what is known is replaced and not dropped."""
        was_known = access_key_id in self._known
        self._remembered.forget_key(access_key_id)
        if was_known and record is None:
            self._remembered.keep_absent(access_key_id)
        elif was_known and record is not None:
            self._keep(access_key_of(record.encode(), access_key_id))

    def _keep(self, access_key: AccessKey) -> Kept:
        return self._remembered.keep(Kept(access_key, self._keys.hmac_sha1(access_key)))

    def _forget_all(self) -> None:
        self._remembered.forget_all()
        self._claims.clear()
        self._accounts.clear()

    def _note(self, seq: int, access_key_id: str | None) -> None:
        if self.on_change is not None:
            self._untold.append((seq, access_key_id))

    def _tell(self) -> None:
        """Whoever is told may look keys up, and so find news: those are told, and applied, after this is done."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold and self.on_change is not None:
                self.on_change(*self._untold.popleft())
            self._told = self._applied
            if self.on_applied is not None:
                self.on_applied(self._applied)
        finally:
            self._telling = False

    # ---- what has to be asked for ----

    def _absent_or_ask(self, access_key_id: str, date: bytes) -> Kept | None:
        if access_key_id in self._remembered.absent or not ACCESS_KEY_ID.match(access_key_id):
            return None
        raise NotKnownYet("an access key", lambda told: self._ask_key(access_key_id, date, told))

    def _ask_key(self, access_key_id: str, date: bytes, told: Told) -> None:
        def use(answer: Message) -> None:
            if answer["record"] is None:
                self._remembered.keep_absent(access_key_id)
                return
            kept = self._keep(access_key_of(answer["record"].encode(), access_key_id))
            if answer["date_key"] is not None:
                kept.date_keys[date] = bytes.fromhex(answer["date_key"])

        day = date.decode("ascii")
        self._ask({"ask": "record", "access_key_id": access_key_id, "date": day}, use, told)

    def _ask_claims(self, buckets: list[str], told: Told) -> None:
        def use(answer: Message) -> None:
            found: dict[str, Any] = answer["claims"]
            for bucket in buckets:
                record = found.get(bucket)
                if len(self._claims) >= MAX_CLAIMS:
                    del self._claims[next(iter(self._claims))]
                self._claims[bucket] = None if record is None else bucket_claim_of(record.encode(), bucket)

        self._ask({"ask": "claims", "buckets": buckets}, use, told)

    def _ask_account(self, account: str, told: Told) -> None:
        def use(answer: Message) -> None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
            self._accounts[account] = object() if answer["own"] else None

        self._ask({"ask": "account", "account": account}, use, told)

    def _ask(self, question: Message, use: Callable[[Message], None], told: Told) -> None:
        asked_at = self._applied

        def done(answer: Message | None, error: KeystoreError | None) -> None:
            if answer is not None and self._applied == asked_at:
                use(answer)
            told(error)  # not used: who waits asks again

        self._asking.ask(question, done)

    def _derive(self, held: Kept, date: bytes) -> None:
        date_key = b"" if date == NO_DATE else self._keys.date_key(held.access_key, date)
        while len(held.date_keys) >= MAX_DATES:
            del held.date_keys[next(iter(held.date_keys))]
        held.date_keys[date] = date_key

    def where(self) -> tuple[None, int]:
        """The last change that was applied; there are no files."""
        return None, self._applied

    def close(self) -> None:
        """Every later find raises."""
        self._word = memoryview(bytes(8)).cast("Q")
        self._good_until = 0.0
        self._forget_all()
        self._feed.close()

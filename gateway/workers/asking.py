"""A worker's side: what it asks the keeper, which holds the key-encryption keys, the secrets and the writing side.

A worker reads the keystore by itself and verifies what it reads; it knows MAC keys, and keys derived for a day.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from gateway.workers.link import Message
from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim
from keystore.chain import StoreRow
from keystore.derived import DaysKeys, StoreCredential
from keystore.errors import Conflict, InvalidInput, KeystoreError, KeystoreUnavailable, NotFound, NotKnownYet
from keystore.record import AccessKeyRow, AccountRow, bucket_claim_of, bucket_record
from keystore.sealing import KekRing, MacKeys
from keystore.store import Claimed
from keystore.verified_rows import HandedMac, HandedMacs, VerifiedRows, enter_verified

ANSWER_SECONDS: Final = 2.0  # an answer takes 0.2 ms; one that takes longer is 503, and is asked for again
MAX_ASKED: Final = 10_000  # questions under way, and answers that wait to be used; then 503
DAY: Final = 86_400

Done = Callable[[Message | None, KeystoreError | None], None]
Told = Callable[[KeystoreError | None], None]

_ERRORS: Final = {error.__name__: error for error in (Conflict, InvalidInput, NotFound)}


def error_message(error: KeystoreError) -> Message:
    return {"error": type(error).__name__, "text": str(error)}


def read_error(message: Message) -> KeystoreError:
    """A kind that the asker cannot act on is KeystoreUnavailable."""
    return _ERRORS.get(str(message.get("error")), KeystoreUnavailable)(str(message.get("text")))


class Asking:
    """Questions and their answers, by number. `send`: to the keeper."""

    def __init__(self, send: Callable[[Message], None], loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self._number = 0
        self._waiting: dict[int, tuple[Done, asyncio.TimerHandle]] = {}

    def ask(self, question: Message, done: Done) -> None:
        """`done` is called once, later: with the answer, or with why there is none."""
        if len(self._waiting) >= MAX_ASKED:
            self._loop.call_soon(done, None, KeystoreUnavailable("too much is asked of the keeper at once"))
            return
        self._number += 1
        number = self._number
        self._waiting[number] = done, self._loop.call_later(ANSWER_SECONDS, self._too_late, number)
        self._send({**question, "number": number})

    def take(self, answer: Message) -> None:
        """An answer has come. One that nobody waits for any more is dropped."""
        done, timer = self._waiting.pop(answer["number"], (None, None))
        if done is None or timer is None:
            return
        timer.cancel()
        if "error" in answer:
            done(None, read_error(answer))
        else:
            done(answer, None)

    def _too_late(self, number: int) -> None:
        done, _ = self._waiting.pop(number)
        done(None, KeystoreUnavailable("the keeper did not answer in time"))

    async def answer_to(self, question: Message) -> Message:
        """As `ask`; raises what went wrong."""
        future: asyncio.Future[Message] = self._loop.create_future()

        def done(answer: Message | None, error: KeystoreError | None) -> None:
            if future.done():
                return
            if answer is None:
                future.set_exception(error or KeystoreUnavailable("the keeper gave no answer"))
            else:
                future.set_result(answer)

        self.ask(question, done)
        return await future


class Answers:
    """What was told and not used yet, and who waits for what: each question is asked once, however many wait."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._told: dict[tuple[Any, ...], bytes] = {}
        self._waiting: dict[tuple[Any, ...], list[Told]] = {}

    def get(self, what: tuple[Any, ...], question: Message) -> bytes:
        """The answer to `what`, which it is then forgotten here; NotKnownYet where it has to be asked for."""
        found = self._told.pop(what, None)
        if found is not None:
            return found
        raise NotKnownYet(str(what[0]), lambda told: self._wait(what, question, told))

    def _wait(self, what: tuple[Any, ...], question: Message, told: Told) -> None:
        waiting = self._waiting.get(what)
        if waiting is not None:
            waiting.append(told)
            return
        self._waiting[what] = [told]
        self._asking.ask(question, lambda answer, error: self._come(what, answer, error))

    def _come(self, what: tuple[Any, ...], answer: Message | None, error: KeystoreError | None) -> None:
        waiting = self._waiting.pop(what)
        for told in waiting:
            if answer is not None:  # for each anew: who comes first may use it up
                self._keep(what, bytes.fromhex(answer["octets"]))
            told(error)

    def _keep(self, what: tuple[Any, ...], octets: bytes) -> None:
        if len(self._told) >= MAX_ASKED:
            del self._told[next(iter(self._told))]
        self._told[what] = octets


class AskingKeys:
    """Keys that only the keeper can derive. `region`: in which requests to the store are signed."""

    def __init__(self, asking: Asking, region: bytes, clock: Callable[[], float] = time.time) -> None:
        self.asking = asking
        self._answers = Answers(asking)
        self.region = region
        self._clock = clock
        self._credentials: dict[str, tuple[object, int, StoreCredential]] = {}
        self._renewing: set[str] = set()

    def date_key(self, access_key: AccessKey, date: bytes) -> bytes:
        access_key_id, secret_version = access_key.access_key_id, access_key.secret_version
        day = date.decode("ascii")
        question = {"ask": "date_key", "access_key_id": access_key_id, "secret_version": secret_version, "date": day}
        return self._answers.get(("kDate", access_key_id, secret_version, day), question)

    def hmac_sha1(self, access_key: AccessKey) -> Callable[[bytes], bytes]:
        access_key_id, secret_version = access_key.access_key_id, access_key.secret_version

        def hmac_sha1(string_to_sign: bytes) -> bytes:
            text = string_to_sign.hex()
            question = {"ask": "sha1", "access_key_id": access_key_id, "secret_version": secret_version, "text": text}
            return self._answers.get(("a SigV2 signature", access_key_id, secret_version, text), question)

        return hmac_sha1

    def credential(self, account: str, known_by: object) -> StoreCredential:
        """The same object for a day, and while `known_by` is the same. On the next day it still signs, for its keys
        reach into it: what runs over midnight must not have to wait, and another is asked for meanwhile."""
        day = int(self._clock()) // DAY
        kept = self._credentials.get(account)
        if kept is not None and kept[0] is known_by and 0 <= day - kept[1] <= 1:
            if kept[1] != day and account not in self._renewing:
                self._renewing.add(account)
                self._ask_credential(account, known_by, day, lambda error: self._renewing.discard(account))
            return kept[2]
        raise NotKnownYet("a credential at the store", lambda told: self._ask_credential(account, known_by, day, told))

    def _ask_credential(self, account: str, known_by: object, day: int, told: Told) -> None:
        def done(answer: Message | None, error: KeystoreError | None) -> None:
            if answer is not None:
                if len(self._credentials) >= MAX_ASKED:
                    self._credentials.clear()
                self._credentials[account] = known_by, day, days_keys(answer["credential"], self.region)
            told(error)

        self.asking.ask({"ask": "credential", "account": account}, done)


class AskingMeans:
    """The means of a worker that reads the keystore by itself."""

    def __init__(self, macs: HandedMacs, keys: AskingKeys) -> None:
        self._macs = macs
        self._keys = keys

    def enter(self, row: StoreRow) -> VerifiedRows:
        return enter_verified(self._macs, row)

    def date_key(self, row: AccessKeyRow, access_key: AccessKey, date: bytes) -> bytes:
        return self._keys.date_key(access_key, date)

    def hmac_sha1(self, row: AccessKeyRow, access_key: AccessKey) -> Callable[[bytes], bytes]:
        return self._keys.hmac_sha1(access_key)

    def credential(self, row: AccountRow, account: Account) -> StoreCredential:
        return self._keys.credential(account.name, row)


def days_keys(credential: Message, region: bytes) -> DaysKeys:
    """`credential`: access_key_id, and signing_keys by day."""
    signing_keys = {day.encode(): bytes.fromhex(octets) for day, octets in credential["signing_keys"].items()}
    return DaysKeys(credential["access_key_id"], region, signing_keys)


def handed_macs(message: Message) -> HandedMacs:
    """From `store_id` and `macs` of a message."""
    macs = [HandedMac(kek_id, *(bytes.fromhex(octets) for octets in keys)) for kek_id, *keys in message["macs"]]
    return HandedMacs(message["store_id"], tuple(macs))


def macs_message(ring: KekRing, store_id: str) -> Message:
    """What `handed_macs` reads."""
    macs = MacKeys(ring, store_id).handed()
    return {"store_id": store_id, "macs": [[kek_id, *(mac.hex() for mac in keys)] for kek_id, *keys in macs]}


class AskingWriter:
    """The writing side of the keystore, as far as requests change it."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def claim_bucket(self, name: str, account: str, actor: str) -> Claimed:
        question = {"ask": "claim_bucket", "name": name, "account": account, "actor": actor}
        return read_claimed(await self._asking.answer_to(question))

    async def undo_claim(self, made: Claimed, actor: str) -> None:
        await self._asking.answer_to({"ask": "undo_claim", **claimed_message(made), "actor": actor})

    async def release_bucket(self, name: str, version: int, actor: str) -> None:
        question = {"ask": "release_bucket", "name": name, "version": version, "actor": actor}
        await self._asking.answer_to(question)


def claimed_message(made: Claimed) -> Message:
    return {"claim": _written(made.claim), "before": None if made.before is None else _written(made.before)}


def read_claimed(message: Message) -> Claimed:
    before = message["before"]
    return Claimed(_read(message["claim"]), None if before is None else _read(before))


def _written(claim: BucketClaim) -> str:
    return bucket_record(claim).decode()


def _read(text: str) -> BucketClaim:
    return bucket_claim_of(text.encode())

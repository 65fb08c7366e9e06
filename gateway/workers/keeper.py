"""The supervisor's side: what workers ask of it. It alone holds key-encryption keys, secrets and the writing side.

It hands out keys derived for a day, and answers nothing else: no secret, no KEK, no record. Freshness is proven for
each answer as for each request: the directory that is asked here is one like any worker's.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.workers.asking import claimed_message, error_message, read_claimed
from gateway.workers.link import Message
from keystore.access_key import NO_DATE
from keystore.derived import StoreCredential
from keystore.directory import Directory
from keystore.errors import InvalidInput, KeystoreError, NotFound
from keystore.sealing import KekRing, MacKeys
from keystore.store import Store

DAYS_BACK: Final = 8  # a presigned URL lives for seven days, and clocks may differ
DAYS_AHEAD: Final = 1
STORE_DAYS: Final = 3  # yesterday, today, tomorrow: of keys that sign towards the store

Answered = Callable[[Message], None]


def _day(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


class Keeper:
    """`region`: in which requests to the store are signed. `clock`: Unix seconds."""

    def __init__(
        self,
        directory: Directory,
        writer: Store,
        gateways: StoreCredential,
        region: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._gateways = gateways
        self._region = region
        self._clock = clock

    # ---- what every worker is told ----

    def store_keys(self) -> Message:
        """The gateway's own credential, as keys of these days."""
        return self._days(self._gateways)

    def macs(self, ring: KekRing) -> Message:
        store_id = self._directory.store_row.store_id
        macs = MacKeys(ring, store_id).handed()
        return {"store_id": store_id, "macs": [[kek_id, *(key.hex() for key in keys)] for kek_id, *keys in macs]}

    # ---- what one worker asks ----

    def derived(self, question: Message) -> Message:
        """The answer to a question that needs no writing. Raises KeystoreError."""
        match question["ask"]:
            case "date_key":
                return self._date_key(question)
            case "sha1":
                return self._sha1(question)
            case "credential":
                return self._credential(str(question["account"]))
        raise InvalidInput("a question that no worker asks")

    def written(self, question: Message) -> Awaitable[Message] | None:
        """The answer to a question that writes; None for one that does not."""
        match question["ask"]:
            case "claim_bucket":
                return self._claim(question)
            case "undo_claim":
                return self._undo(question)
            case "release_bucket":
                return self._release(question)
        return None

    def _date_key(self, question: Message) -> Message:
        day = str(question["date"])
        if not self._within(day):
            raise InvalidInput(f"{day!r} is no day that a request may be signed for now")
        known = self._directory.find(str(question["access_key_id"]), day.encode())
        if known is None or known.access_key.secret_version != question["secret_version"]:
            raise NotFound("there is no such access key any more")
        return {"octets": known.date_keys[day.encode()].hex()}

    def _sha1(self, question: Message) -> Message:
        known = self._directory.find(str(question["access_key_id"]), NO_DATE)
        if known is None or known.access_key.secret_version != question["secret_version"]:
            raise NotFound("there is no such access key any more")
        return {"octets": known.hmac_sha1(bytes.fromhex(question["text"])).hex()}

    def _credential(self, account: str) -> Message:
        credential = self._directory.store_credential(account)
        if credential is None:
            raise NotFound(f"the account {account} has no credential at the store any more")
        return {"credential": self._days(credential)}

    async def _claim(self, question: Message) -> Message:
        made = await self._writer.claim_bucket(question["name"], question["account"], question["actor"])
        return claimed_message(made)

    async def _undo(self, question: Message) -> Message:
        await self._writer.undo_claim(read_claimed(question), question["actor"])
        return {}

    async def _release(self, question: Message) -> Message:
        await self._writer.release_bucket(question["name"], question["version"], question["actor"])
        return {}

    # ---- days ----

    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _within(self, day: str) -> bool:
        """Whether a request may be signed for that day now."""
        today = self._today()
        return day in {_day(today + timedelta(days=off)) for off in range(-DAYS_BACK, DAYS_AHEAD + 1)}

    def _days(self, credential: StoreCredential) -> Message:
        days = [_day(self._today() + timedelta(days=off)) for off in range(-1, STORE_DAYS - 1)]
        keys = {day: credential.signing_key(day.encode(), self._region).hex() for day in days}
        return {"access_key_id": credential.access_key_id, "signing_keys": keys}


async def answer(keeper: Keeper, question: Message, answered: Answered) -> None:
    """One question of one worker; a bug is the asker's 503, and raised for the log."""
    number = question["number"]
    try:
        writing = keeper.written(question)
        told = keeper.derived(question) if writing is None else await writing
    except KeystoreError as error:
        answered({"number": number, **error_message(error)})
    except Exception:
        answered({"number": number, "error": "bug", "text": "the keeper failed"})
        raise
    else:
        answered({"number": number, **told})

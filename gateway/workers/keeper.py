"""The supervisor's side: what workers ask of it. It alone holds key-encryption keys, secrets and the writing side.

It hands out keys derived for a day, and verified records to workers that cannot read the keystore by themselves; never
a secret, never a KEK. Where it looks is its source, which proves or reads anew for every answer.
"""

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from gateway.workers.asking import claimed_message, error_message, read_claimed
from gateway.workers.link import Message
from keystore.access_key import NO_DATE, AccessKey, KnownKey
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim
from keystore.derived import StoreCredential, UpstreamCredential, derive_date_key
from keystore.directory import Directory
from keystore.errors import InvalidInput, KeystoreError, KeystoreUnavailable, NotFound
from keystore.record import access_key_record, bucket_record
from keystore.sealing import Secret
from keystore.store import Store

DAYS_BACK: Final = 8  # a presigned URL lives for seven days, and clocks may differ
DAYS_AHEAD: Final = 1
STORE_DAYS: Final = 3  # yesterday, today, tomorrow: of keys that sign towards the store

Answered = Callable[[Message], None]


def _day(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


class Source(Protocol):
    """Where the keeper looks. Raises KeystoreError."""

    async def known(self, access_key_id: str, date: bytes) -> KnownKey | None: ...
    async def credential(self, account: str) -> StoreCredential | None: ...
    async def claims(self, buckets: list[str]) -> dict[str, BucketClaim]: ...


class DirectorySource:
    """A directory like any worker's, on this machine."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def known(self, access_key_id: str, date: bytes) -> KnownKey | None:
        return self._directory.find(access_key_id, date)

    async def credential(self, account: str) -> StoreCredential | None:
        return self._directory.store_credential(account)

    async def claims(self, buckets: list[str]) -> dict[str, BucketClaim]:
        raise KeystoreUnavailable("workers on this machine read claims by themselves")


class RemoteLookups(Protocol):
    """`keystore.postgres_keeper.PostgresKeeper`, as far as it is asked here: what it says is verified."""

    async def known_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None: ...
    async def find_account(self, name: str) -> tuple[Account, Secret | None]: ...
    async def find_claims(self, names: list[str]) -> dict[str, BucketClaim]: ...


class RemoteSource:
    """A database on another machine."""

    def __init__(self, lookups: RemoteLookups) -> None:
        self._lookups = lookups

    async def known(self, access_key_id: str, date: bytes) -> KnownKey | None:
        found = await self._lookups.known_key(access_key_id)
        if found is None:
            return None
        access_key, secret = found[0], found[1].expose().encode()
        date_key = b"" if date == NO_DATE else derive_date_key(secret, date)
        return KnownKey(access_key, {date: date_key}, lambda text: hmac.digest(secret, text, "sha1"))

    async def credential(self, account: str) -> StoreCredential | None:
        found, secret = await self._lookups.find_account(account)
        if found.upstream is None or secret is None:
            return None
        return UpstreamCredential(found.upstream, secret.expose())

    async def claims(self, buckets: list[str]) -> dict[str, BucketClaim]:
        return await self._lookups.find_claims(buckets)


class Keeper:
    """`gateways`: the gateway's own credential at the store. `region`: in which requests to it are signed.

    `clock`: Unix seconds.
    """

    def __init__(
        self,
        source: Source,
        writer: Store,
        gateways: StoreCredential,
        region: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._writer = writer
        self._gateways = gateways
        self._region = region
        self._clock = clock

    # ---- what every worker is told ----

    def store_keys(self) -> Message:
        """The gateway's own credential, as keys of these days."""
        return self._days(self._gateways)

    # ---- what one worker asks ----

    async def answer(self, question: Message) -> Message:
        """Raises KeystoreError."""
        answering = {
            "date_key": self._date_key,
            "sha1": self._sha1,
            "credential": self._credential,
            "record": self._record,
            "claims": self._claims,
            "account": self._account,
            "claim_bucket": self._claim,
            "undo_claim": self._undo,
            "release_bucket": self._release,
        }.get(str(question["ask"]))
        if answering is None:
            raise InvalidInput("a question that no worker asks")
        return await answering(question)

    async def _date_key(self, question: Message) -> Message:
        day = self._day_of(question)
        known = await self._source.known(str(question["access_key_id"]), day)
        if known is None or known.access_key.secret_version != question["secret_version"]:
            raise NotFound("there is no such access key any more")
        return {"octets": known.date_keys[day].hex()}

    def _day_of(self, question: Message) -> bytes:
        day = str(question["date"])
        if not self._within(day):
            raise InvalidInput(f"{day!r} is no day that a request may be signed for now")
        return day.encode()

    async def _record(self, question: Message) -> Message:
        """With kDate, where a day is named."""
        day = self._day_of(question) if question["date"] else NO_DATE
        known = await self._source.known(str(question["access_key_id"]), day)
        if known is None:
            return {"record": None, "date_key": None}
        date_key = known.date_keys[day].hex() if day else None
        return {"record": access_key_record(known.access_key).decode(), "date_key": date_key}

    async def _claims(self, question: Message) -> Message:
        found = await self._source.claims([str(name) for name in question["buckets"]])
        return {"claims": {name: bucket_record(claim).decode() for name, claim in found.items()}}

    async def _account(self, question: Message) -> Message:
        return {"own": await self._source.credential(str(question["account"])) is not None}

    async def _sha1(self, question: Message) -> Message:
        known = await self._source.known(str(question["access_key_id"]), NO_DATE)
        if known is None or known.access_key.secret_version != question["secret_version"]:
            raise NotFound("there is no such access key any more")
        return {"octets": known.hmac_sha1(bytes.fromhex(question["text"])).hex()}

    async def _credential(self, question: Message) -> Message:
        account = str(question["account"])
        credential = await self._source.credential(account)
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
        told = await keeper.answer(question)
    except KeystoreError as error:
        answered({"number": number, **error_message(error)})
    except Exception:
        answered({"number": number, "error": "bug", "text": "the keeper failed"})
        raise
    else:
        answered({"number": number, **told})

"""Requests to the query API, signed by botocore, and a house that answers them: a real store, and acts over it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.console.acts import Acted, Acts, Caller, Made, Shown
from gateway.iam.answer import answer
from gateway.iam.request import IamAnswer, IamRequest
from keystore.access_key import AccessKey, RevokeReason, access_key_json
from keystore.confirmation import Confirmation
from keystore.errors import NotFound, Repeated
from keystore.key_acts import Edit
from keystore.scope import Scope
from keystore.sealing import create_kek_file, load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey, Once, Store
from keystore.usage import NEVER, Usage, Used, usage_json

HOST = "gw.example:9001"
SOURCE = "192.0.2.7"
NOW = 1_790_000_000  # 2026-09-21
VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}
PROVEN = Confirmation(1, 1, 0, (), 0, 0, (), 1)


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs, and how. `now`: Unix seconds on the client's clock."""

    access_key_id: str
    secret: str
    service: str = "iam"
    region: str = "eu-test-9"
    now: float = NOW

    def request(self, body: bytes, headers: Mapping[str, str] | None = None) -> IamRequest:
        """As botocore signs a query: content-type, host and x-amz-date, and the hash of the body."""
        asked = AWSRequest("POST", f"http://{HOST}/", data=body)
        for name, value in (headers or {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}).items():
            asked.headers[name] = value
        moment = datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None)
        with patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment):
            SigV4Auth(Credentials(self.access_key_id, self.secret), self.service, self.region).add_auth(asked)
        sent = [(b"Host", HOST.encode())]
        for name, value in asked.headers.items():
            sent.append((name.encode(), value if isinstance(value, bytes) else value.encode()))
        return IamRequest(b"POST", b"/", b"", sent, body, SOURCE)


def form(action: str, service: str = "iam", tags: Mapping[str, str] | None = None, **parameters: str) -> bytes:
    fields = {"Action": action, "Version": VERSIONS[service], **parameters}
    for number, (name, value) in enumerate((tags or {}).items(), 1):
        fields |= {f"Tags.member.{number}.Key": name, f"Tags.member.{number}.Value": value}
    return urlencode(fields).encode()


@dataclass(frozen=True, slots=True)
class Read:
    """An answer as a client reads it: without namespaces."""

    status: int
    code: str
    message: str
    document: ElementTree.Element
    headers: dict[bytes, bytes]

    def text(self, name: str) -> str | None:
        found = self.document.find(f".//{name}")
        return None if found is None else found.text or ""

    def texts(self, name: str) -> list[str]:
        return [found.text or "" for found in self.document.iter(name)]


def read(answered: IamAnswer) -> Read:
    document = ElementTree.fromstring(answered.body)
    for one in document.iter():
        one.tag = one.tag.rpartition("}")[2]
    code, message = document.findtext("Error/Code", ""), document.findtext("Error/Message", "")
    return Read(answered.status, code, message, document, dict(answered.headers))


class QuietActs(Acts):
    """The acts on a store that no gateway reads. `confirmation`: what they would say. `usage`: of keys, by id.
    `done`: what was done, in order; `meanwhile`: run before the next act, once."""

    def __init__(self, store: Store) -> None:
        self._longest = None
        self.store = store
        self.confirmation = PROVEN
        self.usage: dict[str, Usage] = {}
        self.done: list[tuple[str, str]] = []
        self.meanwhile: Any = None

    def live_at_most(self, longest: int) -> None:
        self._longest = longest

    async def _begin(self, caller: Caller, act: str, access_key_id: str) -> None:
        self.done.append((act, caller.actor))
        if self.meanwhile is not None:
            pending, self.meanwhile = self.meanwhile, None
            await pending()
        if act != "create" and not caller.sees((await self.store.get_key(access_key_id)).account):
            raise NotFound("nothing is there")

    def _shown(self, access_key: AccessKey) -> Shown:
        used = self.usage.get(access_key.access_key_id, NEVER)
        return {**access_key_json(access_key, NOW, {}), **usage_json(used)}

    async def create(self, caller: Caller, new: NewKey, once: Once | None = None) -> Made:
        await self._begin(caller, "create", "")
        try:
            access_key, secret = await self.store.create_key(new, caller.actor, once)
        except Repeated as repeated:
            return Made(self._shown(await self.store.get_key(repeated.access_key_id)), None)
        return Made(self._shown(access_key), secret)

    async def note_use(self, access_key_id: str, used: Used) -> None:
        self.usage[access_key_id] = Usage(used, None)

    async def key(self, caller: Caller, access_key_id: str) -> Shown:
        return self._shown(await self.store.get_key(access_key_id))

    async def update(self, caller: Caller, access_key_id: str, edit: Edit, version: int | None = None) -> Acted:
        await self._begin(caller, "update", access_key_id)
        after = await self.store.update_key(access_key_id, edit, caller.actor, version)
        return Acted(self._shown(after), self.confirmation)

    async def revoke(self, caller: Caller, access_key_id: str, reason: RevokeReason, *, drain: bool = False) -> Acted:
        await self._begin(caller, "revoke", access_key_id)
        after = await self.store.revoke_key(access_key_id, reason, caller.actor, drain=drain)
        return Acted(self._shown(after), self.confirmation)

    async def restore(self, caller: Caller, access_key_id: str) -> Acted:
        await self._begin(caller, "restore", access_key_id)
        return Acted(self._shown(await self.store.restore_key(access_key_id, caller.actor)), self.confirmation)

    async def delete(self, caller: Caller, access_key_id: str) -> Confirmation:
        await self._begin(caller, "delete", access_key_id)
        await self.store.delete_key(access_key_id, caller.actor)
        return self.confirmation


@dataclass(frozen=True, slots=True)
class IamHouse:
    store: Store
    acts: QuietActs

    async def issue(self, label: str, scope: Scope, *, account: str = "default", **limits: Any) -> Signing:
        """A new key, that signs."""
        access_key, secret = await self.store.create_key(NewKey(account, label, scope, **limits), "ann")
        return Signing(access_key.access_key_id, secret.expose())

    async def ask(
        self, signing: Signing, action: str, tags: Mapping[str, str] | None = None, **parameters: str
    ) -> Read:
        return await self.send(signing.request(form(action, signing.service, tags, **parameters)))

    async def send(self, request: IamRequest, now: float = NOW) -> Read:
        return read(await answer(request, self.acts, self.store, now))


@asynccontextmanager
async def iam_house(folder: Path) -> AsyncIterator[IamHouse]:
    """On SQLite, its clock at NOW."""
    create_kek_file(folder / "kek")
    async with open_sqlite_store(
        folder / "keys.db", load_kek_ring(folder / "kek"), create=True, clock=lambda: NOW + 0.5
    ) as store:
        yield IamHouse(store, QuietActs(store))

"""The control plane in this process, on a real keystore in a folder: acts, tokens, and the application over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from gateway.config import Config
from gateway.console.acts import Acts, Caller
from gateway.console.app import Door, build_app
from gateway.s3.listing import ListedBucket
from gateway.wiring import configured_policy
from keystore.admin_tokens import Role
from keystore.local_keystore import LocalKeystore, open_local_keystore
from keystore.scope import AllBuckets
from keystore.sealing import KekRing, create_kek_file, load_kek_ring
from keystore.store import NewKey, NewToken

OPERATOR = Caller("token:operator@192.0.2.1", None)
ACME = Caller("token:acme@192.0.2.2", "acme")


def config_in(folder: Path, **console: Any) -> Config:
    return Config.model_validate(
        {
            "upstream": {"endpoint": "http://127.0.0.1:1", "access_key_id": "store", "secret_access_key": "x"},
            "keystore": {"url": f"sqlite:///{folder}/keys.db", "kek_file": str(folder / "kek")},
            "console": console,
        }
    )


@dataclass
class Plane:
    """`buckets`: what the store is said to have. `now`: Unix seconds, moved by tests."""

    folder: Path
    config: Config
    ring: KekRing
    keystore: LocalKeystore
    buckets: list[ListedBucket] = field(default_factory=list)
    now: float = 1_800_000_000.0
    acts: Acts = field(init=False)

    def __post_init__(self) -> None:
        self.acts = self.acts_for(None)

    def acts_for(self, longest: int | None) -> Acts:
        """With a `keys.max_lifetime` of so many seconds."""
        return Acts(self.keystore, configured_policy(self.config), self._listed, longest, lambda: self.now)

    async def _listed(self) -> list[ListedBucket]:
        return self.buckets

    async def key(self, label: str = "a key", account: str = "default", **more: Any) -> str:
        """The id of a new key for All Buckets."""
        new = NewKey(account, label, more.pop("scope", AllBuckets()), **more)
        access_key, _ = await self.keystore.store.create_key(new, "test")
        return access_key.access_key_id

    async def token(self, account: str | None = None) -> str:
        """An operator's, or an owner's of the account, as text."""
        role = Role.OPERATOR if account is None else Role.OWNER
        _, text = await self.keystore.store.create_token(NewToken(role, "test", account), "test")
        return text.expose()

    async def ready(self) -> dict[str, Any] | None:
        return {"ready": True}

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Rest"]:
        app = build_app(Door(self.config, self.acts, self.keystore.store, self.ready, lambda: self.ring))
        async with TestClient(TestServer(app)) as client:
            yield Rest(client, await self.token(), await self.token("acme"))


@dataclass(frozen=True)
class Rest:
    """A client of /api/v1. `operator`, `acme`: tokens; `asked` uses the operator's unless another is given."""

    client: TestClient[Any, Any]
    operator: str
    acme: str

    async def asked(
        self, method: str, path: str, told: Any = None, *, token: str | None = None, **headers: str
    ) -> tuple[ClientResponse, dict[str, Any]]:
        """`headers` with _ for -. A token of "" sends none."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        token = self.operator if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        reply = await self.client.request(method, f"/api/v1{path}", json=told, headers=sent)
        answer: dict[str, Any] = await reply.json(content_type=None)
        return reply, answer

    async def raw(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> ClientResponse:
        authorized = {"Authorization": f"Bearer {self.operator}", **headers}
        return await self.client.request(method, f"/api/v1{path}", data=BytesIO(body), headers=authorized)


@asynccontextmanager
async def plane_in(folder: Path) -> AsyncIterator[Plane]:
    """With an account `acme` beside the default one."""
    create_kek_file(folder / "kek")
    ring = load_kek_ring(folder / "kek")
    known: list[Plane] = []

    def clock() -> float:
        return known[0].now if known else Plane.now

    async with open_local_keystore(folder / "keys.db", ring, create=True, clock=clock) as keystore:
        known.append(Plane(folder, config_in(folder), ring, keystore))
        await keystore.store.create_account("acme", "test")
        yield known[0]

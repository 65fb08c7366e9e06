"""Stub until merged."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.board import Cut
from keystore.bucket_claims import BucketClaim
from keystore.sealing import KekRing, Secret


class ToldChange(NamedTuple):
    seq: int
    of: str
    name: str
    record: bytes | None


class Acknowledgement(NamedTuple):
    taken: int
    cuts: dict[int, Cut]
    in_store: list[tuple[int, str]]


class Workers(Protocol):
    def ring(self, changes: Sequence[ToldChange]) -> None: ...
    def word(self, word: int) -> None: ...
    def acknowledgement(self) -> Acknowledgement: ...


class PostgresKeeper:
    applied = 0

    def __init__(self, url: Secret, ring: KekRing, workers: Workers, *, name: str) -> None: ...
    def fresh(self) -> bool:
        raise NotImplementedError

    async def run(self) -> None: ...
    async def ready(self) -> None: ...
    def acknowledge_soon(self) -> None: ...
    def use(self, ring: KekRing) -> None: ...
    async def find_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        raise NotImplementedError

    async def find_claims(self, names: list[str]) -> dict[str, BucketClaim]:
        raise NotImplementedError

    async def find_account(self, name: str) -> tuple[Account, Secret | None]:
        raise NotImplementedError

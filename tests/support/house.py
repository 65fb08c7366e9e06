"""Stores, and gateways in front of them, each started when first asked for and kept for the whole session."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from tests.support.certificates import make_certificate
from tests.support.clients import s3_client
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.raw_client import RawConnection, RawReply, Signer
from tests.support.recording_upstream import RecordingUpstream
from tests.support.stores import STORES, Store

# They log all that can be logged: what must stand in no log is looked for in theirs.
LOUD: Final = {"log": {"level": "debug", "format": "json", "access": "all", "object_keys": True}}


def on_stores(*names: str) -> pytest.MarkDecorator:
    """Run the test once per named store; `--dist loadgroup` keeps all tests of a store on one worker."""
    marks = {name: [pytest.mark.server, pytest.mark.xdist_group(name)] for name in names}
    return pytest.mark.parametrize("store_name", [pytest.param(name, marks=marks[name]) for name in names])


def recorded_store(upstream: RecordingUpstream) -> Store:
    """A recording upstream, as the gateway's configuration sees it."""
    return Store("aws", upstream.endpoint, "UPSTREAMKEYID", "upstream-secret")


def strict_gateway(folder: Path, upstream: RecordingUpstream) -> Gateway:
    """Over https, in front of a store that takes neither chunks nor trailers and has no profile of its own."""
    store = Store("generic", upstream.endpoint, "UPSTREAMKEYID", "upstream-secret")
    return Gateway(folder, store, tls=make_certificate(folder))


@dataclass(slots=True)
class Fronted:
    """A gateway, what stands behind it, a key for all of its buckets and boto3 with that key."""

    gateway: Gateway
    store: Store
    access_key: IssuedKey
    s3: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """A gateway in front of a recording upstream. `signer` may use every bucket, `scoped` only the bucket `aaa`."""

    gateway: Gateway
    upstream: RecordingUpstream
    signer: Signer
    scoped: Signer

    def connect(self, **settings: Any) -> RawConnection:
        return self.gateway.connect(**settings)

    def ask(self, sent: bytes, *, head_request: bool = False) -> RawReply:
        """Send these bytes on a connection of their own and read one reply."""
        with self.connect() as connection:
            connection.send(sent)
            return connection.reply(head_request=head_request)


@dataclass(slots=True)
class House:
    """`folder` holds what the servers leave behind; it is removed at the end."""

    folder: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _stores: dict[str, Store] = field(default_factory=dict)
    _fronted: dict[str, Fronted] = field(default_factory=dict)
    _direct: dict[str, Any] = field(default_factory=dict)

    def store(self, name: str) -> Store:
        if name not in self._stores:
            self._stores[name] = self._stack.enter_context(STORES[name](self._new_folder(name)))
        return self._stores[name]

    def fronted(self, name: str) -> Fronted:
        if name not in self._fronted:
            self._fronted[name] = self.front(self.store(name), name)
        return self._fronted[name]

    def secured(self, name: str) -> Fronted:
        """As `fronted`, with clients on https."""
        kept = f"{name}-tls"
        if kept not in self._fronted:
            self._fronted[kept] = self.front(self.store(name), kept, tls=True)
        return self._fronted[kept]

    def front(self, store: Store, name: str, *, tls: bool = False) -> Fronted:
        folder = self._new_folder(f"gateway-{name}")
        certificate = make_certificate(folder) if tls else None
        gateway = self._stack.enter_context(Gateway(folder, store, LOUD, tls=certificate))
        access_key = gateway.create_key()
        return Fronted(gateway, store, access_key, self._stack.enter_context(gateway.boto3(access_key)))

    def direct(self, name: str) -> Any:
        """boto3 at the store itself, to see what it really holds, checksums that lie included."""
        if name not in self._direct:
            store = self.store(name)
            credential = (store.access_key_id, store.secret_access_key)
            client = s3_client(store.endpoint, *credential, response_checksum_validation="when_required")
            self._direct[name] = self._stack.enter_context(client)
        return self._direct[name]

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        finally:
            shutil.rmtree(self.folder)

"""Fixtures of the end-to-end tests. A test names its stores with `@on_stores(...)`; `recorded` needs no store."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Fronted, House, Recorded, recorded_store
from tests.support.recording_upstream import RecordingUpstream

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.fixture
def fronted(house: House, store_name: str) -> Fronted:
    return house.fronted(store_name)


@pytest.fixture
def gateway(fronted: Fronted) -> Gateway:
    return fronted.gateway


@pytest.fixture
def access_key(fronted: Fronted) -> IssuedKey:
    """A key for all buckets."""
    return fronted.access_key


@pytest.fixture
def s3(fronted: Fronted) -> Any:
    """boto3 through the gateway."""
    return fronted.s3


@pytest.fixture
def direct(house: House, store_name: str) -> Any:
    """boto3 at the store itself, to see what it really holds."""
    return house.direct(store_name)


@pytest.fixture
def bucket(direct: Any) -> str:
    """A new, empty bucket."""
    name = f"bucket-{next(_numbers)}-{secrets.token_hex(4)}"
    direct.create_bucket(Bucket=name)
    return name


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home for aws-cli."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def _recorded(house: House) -> Iterator[Recorded]:
    with RecordingUpstream() as upstream:
        fronted = house.front(recorded_store(upstream), "recorded")
        gateway = fronted.gateway
        scoped = gateway.signer(gateway.create_key("aaa"))
        yield Recorded(gateway, upstream, gateway.signer(fronted.access_key), scoped)


@pytest.fixture
def recorded(_recorded: Recorded) -> Recorded:
    """Fresh records, an upstream that answers 200 to everything."""
    _recorded.upstream.reset()
    return _recorded

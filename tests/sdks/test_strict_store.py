"""Every client's uploads over https, with its defaults, in front of a store that knows neither chunks nor trailers.

Directly most of them could not upload to it at all: the gateway lends old stores what they lack.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdks.access import Access, Unsupported
from tests.sdks.clients import CLIENTS
from tests.sdks.operations import LARGE, SMALL
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import strict_gateway
from tests.support.recording_upstream import RecordingUpstream
from tests.support.strict_store import StrictStore


@pytest.fixture(scope="module")
def strict() -> StrictStore:
    return StrictStore()


@pytest.fixture(scope="module")
def upstream(strict: StrictStore) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(strict) as opened:
        yield opened


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream) -> Iterator[Gateway]:
    with strict_gateway(tmp_path_factory.mktemp("strict"), upstream) as opened:
        yield opened


@pytest.fixture(scope="module")
def access_key(gateway: Gateway) -> IssuedKey:
    return gateway.create_key()


@pytest.mark.server
@pytest.mark.xdist_group("matrix-strict")
@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_uploads_over_https_arrives(
    gateway: Gateway, access_key: IssuedKey, strict: StrictStore, tmp_path: Path, client: str
) -> None:
    assert gateway.tls is not None
    access = Access(
        gateway.endpoint, access_key.access_key_id, access_key.secret_access_key, tmp_path, gateway.tls.authority
    )
    file = tmp_path / "sent"
    strict.objects.clear()
    with CLIENTS[client](access) as opened:
        for call, body in (("put", SMALL), ("put_stream", SMALL), ("multipart", LARGE)):
            file.write_bytes(body)
            try:
                opened.call(call, bucket="bucket", object_key=call, file=str(file))
            except Unsupported:
                continue
            assert strict.objects[f"/bucket/{call}".encode()] == body, call

"""A key that is good from some networks only, over sockets."""

from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.recording_upstream import RecordingUpstream

pytestmark = pytest.mark.server  # gateways of its own


def create(gateway: Gateway, *cidrs: str) -> IssuedKey:
    sources = tuple(word for cidr in cidrs for word in ("--source-cidr", cidr))
    return gateway.create_key(extra=sources)


def status(gateway: Gateway, issued: IssuedKey, forwarded: str | None = None) -> int:
    unsigned = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head("GET", "/aaa/k", unsigned=unsigned))
        return connection.reply().status


@pytest.mark.parametrize("trusted", [False, True])
def test_b36_a_key_is_good_from_its_networks_and_only_trusted_proxies_speak_for_others(
    tmp_path: Path, trusted: bool
) -> None:
    settings = {"s3": {"trusted_proxies": ["127.0.0.0/8"]}} if trusted else {}
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream), settings) as gateway:
        here, elsewhere = create(gateway, "127.0.0.0/8", "::1"), create(gateway, "192.0.2.0/24")
        assert status(gateway, here) == 200
        assert status(gateway, elsewhere) == 403
        assert len(upstream.requests) == 1
        assert status(gateway, elsewhere, "192.0.2.7") == (200 if trusted else 403)
        assert status(gateway, here, "192.0.2.7") == (403 if trusted else 200)
        assert status(gateway, elsewhere, "192.0.2.7, 198.51.100.1") == 403
        assert all(not request.values(b"x-forwarded-for") for request in upstream.requests)
        shown = gateway.command("keys", "get", elsewhere.access_key_id, "--json")
        assert '"192.0.2.0/24"' in shown

import random
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.wire.tls import listener_context, upstream_context
from tests.support.certificates import Certificate, make_certificate
from tests.support.raw_client import RawConnection
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine

LARGE = random.Random(5).randbytes(6 * 1024 * 1024 + 3)


def test_the_store_is_verified_by_chain_and_name() -> None:
    context = upstream_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_missing_authority_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        upstream_context(tmp_path / "none.pem")


@pytest.fixture
def files(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def secure_store(files: Certificate) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello")), tls=listener_context(files.certificate, files.private_key)) as running:
        yield running


def test_connections_to_a_store_over_tls_are_reused(secure_store: RecordingUpstream, files: Certificate) -> None:
    trusted = upstream_context(files.authority)
    with RunningEngine(secure_store.port, upstream_tls=trusted) as gateway, gateway.connect() as client:
        for _ in range(5):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().body == b"hello"
    assert secure_store.connections == 1


def test_large_bodies_reach_a_store_over_tls_and_come_back_to_a_slow_reader(
    secure_store: RecordingUpstream, files: Certificate
) -> None:
    secure_store.script = canned(ok(LARGE))
    trusted = upstream_context(files.authority)
    with (
        RunningEngine(secure_store.port, upstream_tls=trusted) as gateway,
        gateway.connect(receive_buffer=4096) as slow,
    ):
        slow.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE) + LARGE)
        assert slow.reply().body == LARGE
        slow.send(gateway.signer.head("GET", "/bucket/k"))
        time.sleep(0.2)
        assert slow.reply().body == LARGE
    assert bytes(secure_store.requests[0].body) == LARGE


def test_a_store_that_is_not_trusted_hears_nothing(secure_store: RecordingUpstream) -> None:
    with RunningEngine(secure_store.port, upstream_tls=upstream_context(None)) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 503
    assert secure_store.requests == []


# ---- the listener ----


@pytest.fixture
def secure(upstream: RecordingUpstream, files: Certificate) -> Iterator[RunningEngine]:
    with RunningEngine(upstream.port, tls=listener_context(files.certificate, files.private_key)) as running:
        yield running


@pytest.fixture
def trusting(files: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.authority))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def connected(gateway: RunningEngine, context: ssl.SSLContext, **settings: int) -> RawConnection:
    client = gateway.connect(**settings)
    client.begin_tls(context)
    return client


def test_a_request_over_tls_is_a_request(
    secure: RunningEngine, upstream: RecordingUpstream, trusting: ssl.SSLContext
) -> None:
    with connected(secure, trusting) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == "TLSv1.3"
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        for _ in range(2):
            client.send(secure.signer.head("GET", "/bucket/k"))
            assert client.reply().body == b"hello"
    assert upstream.connections == 1


def test_large_bodies_pass_whole_both_ways(
    secure: RunningEngine, upstream: RecordingUpstream, trusting: ssl.SSLContext
) -> None:
    upstream.script = canned(ok(LARGE))
    with connected(secure, trusting) as client:
        client.send(secure.signer.head("PUT", "/bucket/k", body=LARGE) + LARGE)
        assert client.reply().status == 200
        client.send(secure.signer.head("GET", "/bucket/k"))
        assert client.reply().body == LARGE
    assert bytes(upstream.requests[0].body) == LARGE


def test_a_slow_reader_over_tls_gets_every_byte(
    secure: RunningEngine, upstream: RecordingUpstream, trusting: ssl.SSLContext
) -> None:
    upstream.script = canned(ok(LARGE))
    with connected(secure, trusting, receive_buffer=4096) as slow, connected(secure, trusting) as other:
        slow.send(secure.signer.head("GET", "/bucket/k"))
        time.sleep(0.2)
        other.send(secure.signer.head("GET", "/bucket/other"))
        assert other.reply().body == LARGE
        assert slow.reply().body == LARGE


def test_older_versions_are_refused(secure: RunningEngine, trusting: ssl.SSLContext) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with secure.connect() as client, pytest.raises((ssl.SSLError, ConnectionResetError)):
        client.begin_tls(trusting)


def test_plain_http_on_a_tls_listener_gets_no_answer(secure: RunningEngine, upstream: RecordingUpstream) -> None:
    with secure.connect() as client:
        client.send(secure.signer.head("GET", "/bucket/k"))
        assert b"200" not in client.read_to_end()
    upstream.assert_untouched()

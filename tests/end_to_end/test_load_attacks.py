"""What whoever attacks with load gets, what an honest client sees meanwhile, and what is left of it afterwards."""

import contextlib
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.certificates import make_certificate
from tests.support.gateway_process import Gateway
from tests.support.house import recorded_store
from tests.support.load import ATTACKER, HONEST, FromAddress, Honest, assert_served, descriptors, many, settles
from tests.support.raw_client import UNSIGNED_PAYLOAD, Signer
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, ok
from tests.support.server_process import LOOPBACK
from tests.support.wire import wait_until

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("load")]

MIB = 1 << 20
LIMITS = {"head_timeout": 3, "upstream_idle": 2, "connections": 600, "refusals_per_address": 100}


@pytest.fixture(scope="module")
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    settings = {"limits": LIMITS, "workers": {"count": 2}, "log": {"level": "warning"}}
    with Gateway(folder, recorded_store(upstream), settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def signer(gateway: Gateway) -> Signer:
    return gateway.signer(gateway.create_key())


@pytest.fixture(autouse=True)
def _calm(upstream: RecordingUpstream) -> None:
    upstream.reset(canned(ok(b"hello")))


@contextlib.contextmanager
def undisturbed(gateway: Gateway, signer: Signer, *, kept: bool = False) -> Iterator[Honest]:
    """Around an attack: an honest client is served throughout, and descriptors are as before when it is over."""
    with Honest(gateway.port, signer, kept).asking() as honest:
        time.sleep(0.3)
        before = descriptors(gateway)
        yield honest
    assert_served(honest)
    settles(gateway, before)


# ---- before a request is whole ----


def test_slow_heads_are_ended_and_an_honest_client_is_served(gateway: Gateway, signer: Signer) -> None:
    with undisturbed(gateway, signer), many(gateway.port, 200) as attackers:
        for _ in range(6):
            time.sleep(1.0)
            for attacker in attackers:
                with contextlib.suppress(OSError):
                    attacker.send(b"G")
        told = [attacker.read_to_end() for attacker in attackers]
    assert all(b"<Code>RequestTimeout</Code>" in words for words in told)


def test_heads_without_an_end_are_ended_at_their_limit(gateway: Gateway, signer: Signer) -> None:
    told = []

    def endless() -> None:
        with FromAddress(gateway.port, ATTACKER) as attacker:
            with contextlib.suppress(OSError):
                attacker.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
                for number in range(1 << 20):
                    attacker.send(b"x-amz-meta-%d: %b\r\n" % (number, b"v" * 1000))
            with contextlib.suppress(OSError):
                told.append(attacker.read_to_end())

    with undisturbed(gateway, signer), gateway.memory_watch() as memory:
        threads = [threading.Thread(target=endless) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert memory.growth < 16 * MIB
    assert any(b"RequestHeaderSectionTooLarge" in words for words in told)
    assert not any(words.startswith(b"HTTP/1.1 2") for words in told)


def test_more_idle_connections_than_may_be_keep_nobody_out(gateway: Gateway, signer: Signer) -> None:
    with undisturbed(gateway, signer), many(gateway.port, 500) as first:
        time.sleep(2.0)
        with many(gateway.port, 500) as second:
            time.sleep(2.0)
            closed = [one for one in (*first, *second) if not one.nothing_arrives(0.001)]
    assert 300 < len(closed) < 1000


def test_a_storm_that_fills_the_accept_queues_passes_and_leaves_nothing(gateway: Gateway, signer: Signer) -> None:
    """Both workers are stopped, as if they were busy, and more come than the kernel keeps for them: the rest of these
    are not answered by it. While all of them stay, an honest client is served, and when they have left nothing is."""
    before, workers = descriptors(gateway), gateway.workers()
    with contextlib.ExitStack() as opened:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(2600):
                client = opened.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex((LOOPBACK, gateway.port))
                if number % 100 == 0:
                    time.sleep(0.01)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        status = 0
        until = time.monotonic() + 30
        while status != 200 and time.monotonic() < until:
            with FromAddress(gateway.port, HONEST) as honest:
                honest.send(signer.head("GET", "/aaa/k"))
                status = honest.reply().status
                assert status in (200, 503)
        assert status == 200
        with Honest(gateway.port, signer, kept=True).asking() as kept:
            time.sleep(1.0)
        assert_served(kept)
    settles(gateway, before)
    assert gateway.workers() == workers


# ---- in a body ----


def test_bodies_that_come_a_byte_at_a_time_hold_no_connection_to_the_store(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream
) -> None:
    head = signer.head("PUT", "/aaa/k", [("Content-Length", "100000")], sha256=UNSIGNED_PAYLOAD)
    with undisturbed(gateway, signer), gateway.memory_watch() as memory, many(gateway.port, 150) as attackers:
        for attacker in attackers:
            attacker.send(head)
        for _ in range(3):
            time.sleep(0.5)
            for attacker in attackers:
                attacker.send(b"x")
        assert upstream.connections < 10
    assert memory.growth < 64 * MIB
    assert not [request for request in upstream.requests if request.line.startswith(b"PUT")]


@pytest.mark.parametrize(
    ("begun", "endless"),
    [(b"5;", b"extension=" + b"e" * 1000), (b"5\r\nhello\r\n0\r\n", b"x-trailer: %b\r\n" % (b"t" * 1000))],
    ids=["extension", "trailer"],
)
def test_chunk_extensions_and_trailers_without_an_end_are_refused(
    gateway: Gateway, signer: Signer, upstream: RecordingUpstream, begun: bytes, endless: bytes
) -> None:
    head = signer.head("PUT", "/aaa/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Transfer-Encoding", "chunked")])
    with (
        undisturbed(gateway, signer),
        gateway.memory_watch() as memory,
        FromAddress(gateway.port, ATTACKER) as attacker,
    ):
        attacker.send(head + begun)
        with contextlib.suppress(OSError):
            for _ in range(20_000):
                attacker.send(endless)
        told = attacker.read_to_end()
    assert told == b"" or told.startswith(b"HTTP/1.1 400"), told[:100]  # a reset where it sent on and on
    assert memory.growth < 16 * MIB
    assert not [request for request in upstream.requests if request.line.startswith(b"PUT")]


# ---- whole requests ----


def test_bad_signatures_by_the_thousand_starve_nobody_and_grow_nothing(gateway: Gateway, signer: Signer) -> None:
    number = 3000
    forged = replace(signer, secret_access_key="s" * 40).head("GET", "/aaa/k")
    with undisturbed(gateway, signer), gateway.memory_watch() as memory, many(gateway.port, 20) as attackers:
        told: dict[str, int] = {}
        for attacker in attackers:
            attacker.send(forged * (number // 20))
        until = time.monotonic() + 6
        for attacker in attackers:
            for _ in range(number // 20):
                attacker.socket.settimeout(max(0.1, until - time.monotonic()))
                try:
                    code = attacker.reply().code
                except TimeoutError:
                    break
                told[code] = told.get(code, 0) + 1
    assert told.keys() == {"SignatureDoesNotMatch", "SlowDown"}
    assert told["SignatureDoesNotMatch"] <= 100 * 10  # of each second its hundred, and no more is computed
    assert memory.growth < 16 * MIB


def test_a_flood_of_pipelined_requests_is_one_request_at_a_time(gateway: Gateway, signer: Signer) -> None:
    head = signer.head("GET", "/aaa/k")
    with undisturbed(gateway, signer), gateway.memory_watch() as memory, many(gateway.port, 10) as attackers:
        for attacker in attackers:
            attacker.socket.setblocking(False)
        until = time.monotonic() + 3
        while time.monotonic() < until:  # and never reads
            for attacker in attackers:
                with contextlib.suppress(BlockingIOError):
                    attacker.socket.send(head * 20)
            time.sleep(0.01)
    assert memory.growth < 32 * MIB


def test_a_key_with_hundreds_of_clients_does_not_starve_another(tmp_path: Path, upstream: RecordingUpstream) -> None:
    def slow(exchange: Exchange) -> None:
        exchange.read_body()
        time.sleep(0.05)
        exchange.send(ok(b"hello"))

    settings = {
        "limits": {"requests": 60, "upstream_connections": 20},
        "workers": {"count": 2},
        "log": {"level": "warning"},
    }
    with RecordingUpstream(slow) as store, Gateway(tmp_path, recorded_store(store), settings) as gateway:
        greedy, modest = (gateway.signer(gateway.create_key()) for _ in range(2))
        head = greedy.head("GET", "/aaa/k")
        told: dict[int, int] = {}
        over = threading.Event()

        def crowd(connections: list[FromAddress]) -> None:
            while not over.is_set():
                for connection in connections:
                    connection.send(head)
                for connection in connections:
                    status = connection.reply().status
                    told[status] = told.get(status, 0) + 1

        with many(gateway.port, 300) as attackers, Honest(gateway.port, modest, kept=True).asking() as honest:
            thread = threading.Thread(target=crowd, args=(attackers,))
            thread.start()
            time.sleep(6.0)
            over.set()
            thread.join(60)
    assert_served(honest)
    assert told.keys() == {200, 503}


# ---- TLS, descriptors ----


def test_handshakes_without_an_end_keep_nobody_out(tmp_path: Path, upstream: RecordingUpstream) -> None:
    certificate = make_certificate(tmp_path)
    settings = {"limits": {"handshakes": 40, "head_timeout": 5}, "workers": {"count": 2}}
    with Gateway(tmp_path, recorded_store(upstream), settings, tls=certificate) as gateway:
        signer = gateway.signer(gateway.create_key())
        trusting = ssl.create_default_context(cafile=str(certificate.authority))

        def served() -> int:
            with FromAddress(gateway.port, HONEST) as client:
                client.begin_tls(trusting)
                client.send(signer.head("GET", "/aaa/k"))
                return client.reply().status

        assert served() == 200
        before = descriptors(gateway)
        with many(gateway.port, 400) as attackers:
            for attacker in attackers[::2]:
                with contextlib.suppress(OSError):
                    attacker.send(b"\x16\x03\x01")
            wait_until(lambda: descriptors(gateway) < before + 60)  # and not 400
            assert [served() for _ in range(5)] == [200] * 5
        settles(gateway, before, more=4)


def test_more_connections_to_the_control_plane_than_may_be_keep_nobody_out(
    tmp_path: Path, upstream: RecordingUpstream
) -> None:
    with Gateway(tmp_path, recorded_store(upstream), {"console": {"connections": 16}}) as gateway:
        before = descriptors(gateway)
        with many(gateway.console_port, 200) as attackers:
            for number, attacker in enumerate(attackers):
                with contextlib.suppress(OSError):  # it has given way
                    attacker.send(b"GET /readyz HT" if number % 2 else b"POST /api/v1/keys HTTP/1.1\r\nhost: x\r\n")
            for _ in range(20):
                assert gateway.readyz() == 200
            assert descriptors(gateway) <= before + 16
        settles(gateway, before)


def test_without_descriptors_nothing_spins_or_dies_and_it_is_said(tmp_path: Path, upstream: RecordingUpstream) -> None:
    with Gateway(tmp_path, recorded_store(upstream), {"workers": {"count": 1}}) as gateway:
        signer = gateway.signer(gateway.create_key())
        [worker] = gateway.workers()
        with FromAddress(gateway.port, HONEST) as honest:
            honest.send(signer.head("GET", "/aaa/k"))
            assert honest.reply().status == 200
            soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
            open_files = len(os.listdir(f"/proc/{worker}/fd"))
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (open_files + 10, hard))
            with many(gateway.port, 50) as attackers:
                wait_until(lambda: "no file descriptor is left" in gateway.log_text())
                before = _ticks(worker)
                time.sleep(1.0)
                assert _ticks(worker) - before < 50  # of 100 a second: it does not spin
                honest.send(signer.head("GET", "/aaa/k"))
                assert honest.reply().status == 200
                refused = [attacker for attacker in attackers if not attacker.nothing_arrives(0.01)]
                assert len(refused) >= 30
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
            wait_until(lambda: "can be opened again" in gateway.log_text())
            with FromAddress(gateway.port, HONEST) as again:
                again.send(signer.head("GET", "/aaa/k"))
                assert again.reply().status == 200
        assert gateway.workers() == [worker]
        assert gateway.log_text().count("no file descriptor is left") == 1


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])

"""The numbers of a real gateway of two workers: what was asked is counted, once, also over a worker's death."""

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.raw_client import Signer
from tests.support.recording_upstream import RecordingUpstream, canned, close_without_answer, ok
from tests.support.wire import wait_until

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("metrics")]
WORKERS = 2


class Numbers:
    """What /metrics says now."""

    def __init__(self, gateway: Gateway) -> None:
        self._url = f"http://127.0.0.1:{gateway.console_port}/metrics"

    def read(self, headers: Mapping[str, str] | None = None) -> str:
        asked = urllib.request.Request(self._url, headers=dict(headers or {}))
        with urllib.request.urlopen(asked, timeout=10) as reply:
            return str(reply.read().decode())

    def all(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        families = text_string_to_metric_families(self.read())
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    def value(self, name: str, /, **labels: str) -> float:
        """0 for a series that is not there yet."""
        return self.all().get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str) -> float:
        return sum(value for (of, _), value in self.all().items() if of == name)


@pytest.fixture(scope="module")
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("metrics")
    settings = {"workers": {"count": WORKERS}}
    with Gateway(folder, recorded_store(upstream), settings) as running:
        yield running


@pytest.fixture(scope="module")
def access_key(gateway: Gateway) -> IssuedKey:
    return gateway.create_key("bucket")


@pytest.fixture
def signer(gateway: Gateway, access_key: IssuedKey, upstream: RecordingUpstream) -> Signer:
    upstream.reset(canned(ok(b"hello")))
    return gateway.signer(access_key)


@pytest.fixture
def numbers(gateway: Gateway) -> Numbers:
    return Numbers(gateway)


def ask(gateway: Gateway, message: bytes, times: int = 1) -> None:
    """Each on a connection of its own, so that both workers are asked."""
    for _ in range(times):
        with gateway.connect() as client:
            client.send(message)
            client.reply()


def rises(numbers: Numbers, more: float, name: str, /, **labels: str) -> Callable[[], None]:
    """Call what is returned after what should raise it."""
    before = numbers.value(name, **labels)

    def check() -> None:
        wait_until(lambda: numbers.value(name, **labels) >= before + more)
        assert numbers.value(name, **labels) == before + more

    return check


def test_requests_of_several_kinds_are_counted_over_both_workers(
    gateway: Gateway, signer: Signer, numbers: Numbers, upstream: RecordingUpstream
) -> None:
    checks = [
        rises(numbers, 20, "nqgate_requests_total", operation="GetObject", answer="2xx"),
        rises(numbers, 5, "nqgate_requests_total", operation="PutObject", answer="2xx"),
        rises(numbers, 3, "nqgate_requests_total", operation="GetObject", answer="4xx"),
        rises(numbers, 4, "nqgate_requests_total", operation="none", answer="4xx"),
        rises(numbers, 5 * 1000, "nqgate_received_bytes_total", group="upload"),
        rises(numbers, 3, "nqgate_refusals_total", reason="scope"),
        rises(numbers, 3, "nqgate_refusals_total", reason="signature"),
        rises(numbers, 3, "nqgate_errors_total", code="SignatureDoesNotMatch", by="gateway"),
        rises(numbers, 1, "nqgate_errors_total", code="BadRequest", by="gateway"),
        rises(numbers, 20, "nqgate_store_reply_seconds_count", group="download"),
        rises(numbers, 23, "nqgate_request_seconds_count", group="download"),
    ]
    ask(gateway, signer.head("GET", "/bucket/k"), 20)
    ask(gateway, signer.head("PUT", "/bucket/k", body=b"x" * 1000) + b"x" * 1000, 5)
    ask(gateway, signer.head("GET", "/another/k"), 3)
    ask(gateway, signer.head("GET", "/bucket/k").replace(b"/bucket/k", b"/bucket/x"), 3)
    ask(gateway, b"nonsense\r\n\r\n")
    for check in checks:
        check()


def test_what_the_store_refuses_and_how_it_fails_can_be_told_apart(
    gateway: Gateway, signer: Signer, numbers: Numbers, upstream: RecordingUpstream
) -> None:
    refused = rises(numbers, 2, "nqgate_errors_total", code="NoSuchKey", by="store")
    failed = rises(numbers, 2, "nqgate_refusals_total", reason="store")
    answered = rises(numbers, 2, "nqgate_requests_total", operation="PutObject", answer="5xx")
    document = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>"
    upstream.reset(canned(ok(document, status=b"404 Not Found")))
    ask(gateway, signer.head("GET", "/bucket/k"), 2)
    upstream.reset(close_without_answer)
    ask(gateway, signer.head("PUT", "/bucket/k", body=b"x") + b"x", 2)
    for check in (refused, failed, answered):
        check()


def test_a_worker_that_is_killed_takes_no_number_with_it(gateway: Gateway, signer: Signer, numbers: Numbers) -> None:
    ask(gateway, signer.head("GET", "/bucket/k"), 30)
    time.sleep(0.5)  # what was counted in the last tenth of a second is lost with it
    before = numbers.value("nqgate_requests_total", operation="GetObject", answer="2xx")
    restarts = rises(numbers, WORKERS, "nqgate_worker_restarts_total")
    seconds = numbers.value("nqgate_request_seconds_count", group="download")
    for _ in range(WORKERS):
        pids = set(gateway.workers())
        os.kill(min(pids), signal.SIGKILL)
        wait_until(lambda gone=pids: len(set(gateway.workers()) - gone) == 1, 20)
        assert numbers.value("nqgate_requests_total", operation="GetObject", answer="2xx") == before
    wait_until(lambda: numbers.value("nqgate_workers", state="ready") == WORKERS, 30)
    wait_until(lambda: numbers.value("nqgate_processes", process="worker") == WORKERS, 10)
    restarts()
    after = rises(numbers, 30, "nqgate_requests_total", operation="GetObject", answer="2xx")
    ask(gateway, signer.head("GET", "/bucket/k"), 30)
    after()
    assert numbers.value("nqgate_requests_total", operation="GetObject", answer="2xx") == before + 30
    assert numbers.value("nqgate_request_seconds_count", group="download") == seconds + 30


def test_gauges_end_with_their_process(gateway: Gateway, numbers: Numbers) -> None:
    with gateway.connect(), gateway.connect(), gateway.connect():
        wait_until(lambda: numbers.value("nqgate_connections") == 3)
        for pid in gateway.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: numbers.value("nqgate_connections") == 0)
    wait_until(lambda: numbers.value("nqgate_workers", state="ready") == WORKERS, 30)


def test_the_state_of_gateway_and_keystore_is_told(gateway: Gateway, numbers: Numbers) -> None:
    wait_until(lambda: numbers.value("nqgate_keystore_fresh") == 1)
    assert numbers.value("nqgate_keystore_leased") == 0
    assert numbers.value("nqgate_processes", process="supervisor") == 1
    assert numbers.value("nqgate_processes", process="control") == 1
    gateway.create_key("other")
    wait_until(lambda: numbers.value("nqgate_worker_change") == numbers.value("nqgate_keystore_change") > 0)
    for process in ("worker", "supervisor", "control"):
        wait_until(lambda of=process: numbers.value("nqgate_cpu_seconds_total", process=of) > 0)
        assert numbers.value("nqgate_resident_bytes", process=process) > 10_000_000
        assert 0 < numbers.value("nqgate_open_files", process=process) < 500
    assert abs(numbers.value("nqgate_measured_at_seconds") - time.time()) < 5


def test_a_revocation_over_rest_is_counted_with_its_confirmation(
    gateway: Gateway, numbers: Numbers, signer: Signer
) -> None:
    confirmed = rises(numbers, 1, "nqgate_confirmations_total", proven="yes")
    timed = rises(numbers, 1, "nqgate_confirmation_seconds_count")
    created = gateway.create_key("bucket")
    asked = urllib.request.Request(
        f"http://127.0.0.1:{gateway.console_port}/api/v1/keys/{created.access_key_id}/revoke",
        data=b'{"reason": "unused"}',
        headers={"Authorization": f"Bearer {operators_token(gateway)}", "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(asked, timeout=20) as reply:
        assert reply.status == 200
    confirmed()
    timed()


def operators_token(gateway: Gateway) -> str:
    told = gateway.command("admin", "token", "create", "--role", "operator", "--label", "test")
    return told.splitlines()[-1].split("\t")[1]


def test_no_number_names_a_key_a_bucket_or_an_address(
    gateway: Gateway, numbers: Numbers, access_key: IssuedKey
) -> None:
    values = {value for _, labels in numbers.all() for _, value in labels}
    secrets = {access_key.access_key_id, access_key.secret_access_key, "bucket", "/bucket/k", "127.0.0.1"}
    assert not values & secrets
    assert access_key.access_key_id not in numbers.read()


def test_whoever_a_proxy_speaks_for_needs_a_token(gateway: Gateway, numbers: Numbers) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        numbers.read({"X-Forwarded-For": "192.0.2.1"})
    assert refused.value.code == 401
    refused.value.close()


def test_it_answers_while_the_keystore_is_gone(tmp_path: Path, upstream: RecordingUpstream) -> None:
    with Gateway(tmp_path, recorded_store(upstream), {"workers": {"count": 1}}) as gateway:
        numbers = Numbers(gateway)
        gateway.create_key("bucket")
        wait_until(lambda: numbers.value("nqgate_keystore_fresh") == 1, 30)
        gateway.keystore.rename(tmp_path / "away.db")
        wait_until(lambda: numbers.value("nqgate_keystore_fresh") == 0, 30)
        assert gateway.readyz() == 503
        assert numbers.value("nqgate_processes", process="worker") == 1

"""The rules of config/prometheus in a real Prometheus: silent while all is well, and heard in each fault.

What must be heard of stands in docs/reference/faults.md.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.gateway.test_reloading import Served, reload, rewritten, served, upstream  # the same gateway
from tests.support.prometheus import Prometheus, prometheus
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, never_answers, ok
from tests.support.sockets import workers_of
from tests.support.wire import wait_until

__all__ = ["served", "upstream"]  # fixtures
pytestmark = pytest.mark.server

# Each is heard below; the others are in `test_rules`.
HEARD = {
    "NqgateDescriptorsShort",
    "NqgateDown",
    "NqgateKeystoreNotFresh",
    "NqgateLimitsReached",
    "NqgateReloadRefused",
    "NqgateRepliesCut",
    "NqgateServerErrors",
    "NqgateStoreAddressAside",
    "NqgateStoreFails",
    "NqgateStoreUnreachable",
    "NqgateSupervisorSilent",
    "NqgateWorkersRestarting",
}
DASHBOARD = Path(__file__).resolve().parents[2] / "config" / "grafana" / "nqgate.json"
WITH_POSTGRESQL = {"Fresh, and what is left of the lease: lease {{instance}}"}
OF_THE_MACHINE = {"NqgateLoopLate"}  # two cores that have other work at the same time are late indeed


@pytest.fixture
def watching(served: Served, tmp_path: Path) -> Iterator[Prometheus]:
    with prometheus(tmp_path, served.console) as running:
        yield running


def asked(served: Served, times: int = 5) -> None:
    """Requests, whatever becomes of them."""
    with suppress(OSError, EOFError), served.connect() as connection:
        for _ in range(times):
            served.get(connection)


def unsigned(served: Served, times: int = 5) -> None:
    with served.connect() as connection:
        for _ in range(times):
            connection.send(b"GET /bucket/k HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            connection.reply()


def changed(served: Served, old: str, new: str, *, refused: bool = False) -> None:
    """And reloaded, or refused: then it is to be said."""
    rewritten(served, old, new)
    code, answer = reload(served)
    assert (code != 0) == refused, answer


def test_nothing_is_heard_while_all_is_well(served: Served, watching: Prometheus) -> None:
    """And every rule can be worked out."""
    until = time.monotonic() + 12
    heard: set[str] = set()
    while time.monotonic() < until:
        asked(served, 20)
        unsigned(served, 1)  # somebody makes a mistake now and then: every rule has something to work out
        heard |= watching.firing().keys()
        time.sleep(0.2)
    assert heard <= OF_THE_MACHINE
    assert {rule["health"] for rule in watching.rules()} == {"ok"}, watching.rules()
    assert len(watching.rules()) > 20


def test_every_panel_of_the_dashboard_has_something_to_show(served: Served, watching: Prometheus) -> None:
    for _ in range(8):
        asked(served, 20)
        unsigned(served, 1)
        time.sleep(0.3)
    empty = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "4s")
            if not watching.values(expression):
                empty.append(f"{panel['title']}: {target['legendFormat']}")
    assert set(empty) == WITH_POSTGRESQL


def test_a_dead_store_is_heard_of_and_as_nothing_else(
    served: Served, watching: Prometheus, upstream: RecordingUpstream
) -> None:
    asked(served)
    upstream.__exit__(None, None, None)
    alert = watching.heard("NqgateStoreUnreachable", lambda: asked(served))
    assert alert["annotations"]["summary"].endswith("cannot connect to its store")
    assert alert["labels"]["severity"] == "page"
    watching.heard("NqgateServerErrors", lambda: asked(served))
    assert watching.firing().keys() - OF_THE_MACHINE == {"NqgateStoreUnreachable", "NqgateServerErrors"}


def test_a_store_that_never_answers_is_heard_of(
    served: Served, watching: Prometheus, upstream: RecordingUpstream
) -> None:
    changed(served, "[limits]\n", "[limits]\nupstream_reply_timeout = 2\n")
    upstream.script = never_answers
    watching.heard("NqgateStoreFails", lambda: asked(served, 1))


def test_a_store_that_fails_now_and_then_is_heard_of_and_not_as_dead(
    served: Served, watching: Prometheus, upstream: RecordingUpstream
) -> None:
    def no_uploads(exchange: Exchange) -> None:
        if exchange.request.line.startswith(b"PUT"):
            exchange.close()
        else:
            canned(ok(b"hello"))(exchange)

    def both() -> None:
        with served.connect() as connection:
            connection.send(served.head("/bucket/k", "PUT", body=b"x") + b"x")
            assert connection.reply().status == 503
        asked(served, 3)

    upstream.script = no_uploads
    watching.heard("NqgateStoreFails", both)
    assert "NqgateStoreUnreachable" not in watching.firing()


def test_one_of_two_addresses_that_fails_is_heard_of(
    served: Served, watching: Prometheus, upstream: RecordingUpstream
) -> None:
    here = f'"http://127.0.0.1:{upstream.port}"'
    changed(served, f"endpoint = {here}", f'endpoints = ["http://127.0.0.1:1", {here}]')
    alert = watching.heard("NqgateStoreAddressAside", lambda: asked(served))
    assert alert["annotations"]["summary"].startswith("1 addresses of the store fail")
    assert watching.firing().keys() - OF_THE_MACHINE == {"NqgateStoreAddressAside"}


def test_replies_that_break_off_are_heard_of(served: Served, watching: Prometheus, upstream: RecordingUpstream) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
        exchange.close()

    upstream.script = half
    watching.heard("NqgateRepliesCut", lambda: asked(served, 1))


def test_a_keystore_that_cannot_answer_is_heard_of(served: Served, watching: Prometheus) -> None:
    asked(served)
    (served.folder / "keys.db").rename(served.folder / "elsewhere.db")
    alert = watching.heard("NqgateKeystoreNotFresh", lambda: asked(served))
    assert "cannot prove its keystore" in alert["annotations"]["summary"]


def test_a_reload_that_was_refused_is_heard_of_until_one_is_not(served: Served, watching: Prometheus) -> None:
    changed(served, "count = 1", "count = 0", refused=True)
    watching.heard("NqgateReloadRefused")
    changed(served, "count = 0", "count = 1")
    wait_until(lambda: not watching.firing().keys() - OF_THE_MACHINE, 30)


def test_a_limit_that_is_reached_is_heard_of_by_its_name(served: Served, watching: Prometheus) -> None:
    changed(served, "[limits]\n", "[limits]\nrefusals_per_address = 1\n")
    alert = watching.heard("NqgateLimitsReached", lambda: unsigned(served))
    assert alert["labels"]["limit"] == "refusals_per_address"
    assert alert["annotations"]["summary"].endswith("tells clients to slow down: refusals_per_address")


def test_workers_that_end_unasked_are_heard_of(served: Served, watching: Prometheus) -> None:
    for _ in range(4):
        [worker] = workers_of(served.process.pid)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda gone=worker: worker_beside(served, gone), 30)  # type: ignore[misc]
    watching.heard("NqgateWorkersRestarting")


def worker_beside(served: Served, gone: int) -> bool:
    return bool(set(workers_of(served.process.pid)) - {gone}) and served.ready()


def test_a_supervisor_that_stands_still_is_heard_of(served: Served, watching: Prometheus) -> None:
    wait_until(served.ready, 10)
    time.sleep(2)
    served.process.send_signal(signal.SIGSTOP)
    try:
        watching.heard("NqgateSupervisorSilent", lambda: time.sleep(0.5))
    finally:
        served.process.send_signal(signal.SIGCONT)


def test_descriptors_that_run_short_are_heard_of(served: Served, watching: Prometheus) -> None:
    [worker] = served.workers
    open_now = len(os.listdir(f"/proc/{worker}/fd"))
    subprocess.run(["prlimit", f"--pid={worker}", f"--nofile={open_now + 3}:{open_now + 3}"], check=True)
    alert = watching.heard("NqgateDescriptorsShort")
    assert "% of their descriptors" in alert["annotations"]["summary"]


def test_a_gateway_that_is_gone_is_heard_of(served: Served, watching: Prometheus) -> None:
    time.sleep(1)
    served.end()
    watching.heard("NqgateDown")

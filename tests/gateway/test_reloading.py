"""A real gateway whose configuration, certificate, secret and workers change while it serves."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.workers.test_supervisor import COMMAND, STORE_SECRET, Served  # the same gateway
from tests.support.certificates import make_certificate
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, ok
from tests.support.wire import wait_until

pytestmark = pytest.mark.server


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello"))) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, upstream: RecordingUpstream) -> Iterator[Served]:
    running = Served(tmp_path, upstream.port, workers=1)
    try:
        yield running
    finally:
        running.end()


def rewritten(served: Served, old: str, new: str) -> None:
    config = served.folder / "gateway.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def reload(served: Served, *words: str) -> tuple[int, dict[str, Any]]:
    environment = {"NQGATE_UPSTREAM__SECRET_ACCESS_KEY": STORE_SECRET, "PATH": "/usr/bin:/bin"}
    command = [COMMAND, "reload", "--json", *words]
    done = subprocess.run(command, cwd=served.folder, env=environment, capture_output=True, text=True, timeout=90)
    return done.returncode, json.loads(done.stdout)


def metrics(served: Served) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.console}/metrics", timeout=10) as reply:
        return str(reply.read().decode())


def status(served: Served) -> int:
    with served.connect() as connection:
        return served.get(connection)


def test_a_setting_is_applied_by_other_workers_and_what_needs_a_restart_is_named(served: Served) -> None:
    workers = served.workers
    rewritten(served, "[s3]\n", '[s3]\nregions = ["eu-north-9"]\n')
    rewritten(served, "[console]\nlisten = ", '[console]\npublic_url = "https://c.example"\nlisten = ')
    rewritten(served, '"sqlite:///keys.db"', '"sqlite:///other.db"')
    code, answer = reload(served)
    assert code == 0
    assert answer["applied"] == ["s3.regions", "console.public_url"]
    assert (answer["need_restart"], answer["workers_replaced"]) == (["keystore.url"], 1)
    assert status(served) == 400, "us-east-1 is no region any more"
    wait_until(lambda: len(served.workers) == 1, 20)
    assert not set(workers) & set(served.workers)
    assert "reloaded: s3.regions, console.public_url; needs a restart: keystore.url" in served.log.read_text()
    assert served.ready()


def test_a_configuration_with_errors_changes_nothing_and_tells_all_of_them(served: Served) -> None:
    workers = served.workers
    rewritten(served, "count = 1", "count = 0\n[log]\nlevel = 7\nsecretive = 1")
    code, answer = reload(served)
    assert (code, answer["reloaded"]) == (1, False)
    for path in ("workers.count", "log.level", "log.secretive: no such setting"):
        assert path in answer["error"]
        assert path in served.log.read_text()
    assert (served.workers, status(served)) == (workers, 200)
    wait_until(lambda: "nqgate_reload_refused 1" in metrics(served), 20)
    rewritten(served, "count = 0\n[log]\nlevel = 7\nsecretive = 1", "count = 1")
    assert reload(served)[0] == 0
    wait_until(lambda: "nqgate_reload_refused 0" in metrics(served), 20)
    assert 'nqgate_reloads_total{outcome="refused"} 1' in metrics(served)


def test_workers_that_cannot_serve_with_it_leave_those_that_do(served: Served, tmp_path: Path) -> None:
    """What no look at the settings shows: here that the process may not open so many files."""
    workers = served.workers
    rewritten(served, "drain_timeout = 5", "drain_timeout = 5\nupstream_connections = 65535")
    subprocess.run(["prlimit", f"--pid={served.process.pid}", "--nofile=4096:4096"], check=True)
    code, answer = reload(served)
    assert (code, answer["reloaded"]) == (1, False)
    assert "limits.upstream_connections" in answer["error"]
    wait_until(lambda: served.workers == workers, 20)
    assert status(served) == 200
    rewritten(served, "\nupstream_connections = 65535", "")
    assert reload(served, "--restart-workers")[0] == 0


def test_sighup_reloads_too_and_a_reload_without_changes_replaces_nobody(served: Served) -> None:
    workers = served.workers
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: nothing has changed; 0 workers replaced" in served.log.read_text(), 20)
    assert served.workers == workers
    rewritten(served, "drain_timeout = 5", "drain_timeout = 6")
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: limits.drain_timeout; 1 workers replaced" in served.log.read_text(), 20)


def test_more_and_fewer_workers_are_a_matter_of_a_reload(served: Served) -> None:
    for count in (3, 2):
        rewritten(served, f"count = {({3: 1, 2: 3})[count]}", f"count = {count}")
        assert reload(served)[1]["workers_replaced"] in (1, 3)
        wait_until(lambda count=count: len(served.workers) == count, 20)  # type: ignore[misc]
        assert [status(served) for _ in range(30)] == [200] * 30, "some socket has nobody who accepts from it"


def test_the_stores_credential_is_another_from_the_next_request_on(served: Served, upstream: RecordingUpstream) -> None:
    rewritten(served, 'access_key_id = "store"', 'access_key_id = "another"')
    assert reload(served)[1]["applied"] == ["upstream.access_key_id"]
    upstream.reset(canned(ok(b"hello")))
    assert status(served) == 200
    assert b"Credential=another/" in upstream.only_request().header(b"authorization")


def test_a_request_of_an_old_worker_is_finished_as_long_as_it_takes(
    served: Served, upstream: RecordingUpstream
) -> None:
    """Longer than a stop would wait: drain_timeout is 5."""

    def slow(exchange: Exchange) -> None:
        if b"slow" in exchange.request.line:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for _ in range(8):
                time.sleep(1)
                exchange.send(b"x")
        else:
            exchange.send(ok(b"quick"))

    upstream.script = slow
    with served.connect() as connection:
        connection.send(served.head("/bucket/slow"))
        upstream.wait_for_requests(1)
        assert reload(served, "--restart-workers")[1]["workers_replaced"] == 1
        assert status(served) == 200
        assert connection.reply().body == b"x" * 8


def shown(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        found = secure.getpeercert(binary_form=True)
        assert found is not None
        return found


def test_a_renewed_certificate_is_shown_at_the_next_handshake_of_both_listeners(
    tmp_path: Path, upstream: RecordingUpstream
) -> None:
    certificate, private_key, _ = make_certificate(tmp_path)
    files = f'tls_certificate = "{certificate}"\ntls_key = "{private_key}"\n'
    served = Served(tmp_path, upstream.port, workers=1)
    try:
        for section in ("[s3]\n", "[console]\n"):
            rewritten(served, section, section + files)
        assert len(reload(served)[1]["applied"]) == 4
        before = shown(served.port)
        assert shown(served.console) == before
        kept = certificate.read_text()
        make_certificate(tmp_path)
        new = certificate.read_text()
        certificate.write_text(kept)  # the key is another already
        code, answer = reload(served)
        assert (code, answer["reloaded"]) == (1, False)
        assert "does not belong to the certificate" in answer["error"]
        assert (shown(served.port), shown(served.console)) == (before, before)
        certificate.write_text(new)
        assert reload(served)[0] == 0
        assert shown(served.port) == shown(served.console) != before
    finally:
        served.end()


# ---- the end ----


def test_a_stop_with_a_delay_goes_on_serving_while_it_is_not_ready(served: Served) -> None:
    rewritten(served, "drain_timeout = 5", "drain_timeout = 5\ndrain_delay = 6")
    assert reload(served)[1]["applied"] == ["limits.drain_delay"]
    with served.connect() as kept:
        assert served.get(kept) == 200
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not served.ready(), 4)
        kept.send(served.head("/bucket/k"))
        reply = kept.reply()
        assert (reply.status, reply.header(b"connection")) == (200, b"close")
        assert status(served) == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{served.console}/healthz", timeout=5) as alive:
            assert alive.status == 200
    assert served.process.wait(20) == 0


def test_a_stop_says_what_still_runs_and_what_it_cut_and_names_no_object(
    served: Served, upstream: RecordingUpstream
) -> None:
    rewritten(served, "drain_timeout = 5", "drain_timeout = 2")
    assert reload(served)[0] == 0

    def never(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(10))
        exchange.wait_for_end()

    upstream.reset(never)
    with served.connect() as one, served.connect() as other:
        for connection in (one, other):
            connection.send(served.head("/bucket/very-secret-name"))
        upstream.wait_for_requests(2)
        time.sleep(0.3)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(20) == 0
    log = served.log.read_text()
    assert "draining; still running: 2 GetObject (the oldest for " in log
    assert "3.8 MiB to go)" in log
    assert "cut after 2 s: 2 GetObject" in log
    assert "stopped; 2 requests were cut" in log
    assert "very-secret-name" not in log


def test_orphans_of_a_killed_supervisor_finish_what_runs_and_another_can_begin_at_once(
    served: Served, upstream: RecordingUpstream
) -> None:
    def slow(exchange: Exchange) -> None:
        time.sleep(1.5)
        exchange.send(ok(b"slow"))

    upstream.script = slow
    workers = served.workers
    with served.connect() as connection:
        connection.send(served.head("/bucket/k"))
        upstream.wait_for_requests(1)
        served.process.kill()
        served.process.wait()
        environment = {"NQGATE_UPSTREAM__SECRET_ACCESS_KEY": STORE_SECRET, "PATH": "/usr/bin:/bin"}
        with (served.folder / "again").open("w") as log:
            served.process = subprocess.Popen([COMMAND, "serve"], cwd=served.folder, stderr=log, env=environment)
        assert connection.reply().body == b"slow"
        wait_until(lambda: served.ready() or served.process.poll() is not None, 30)
        assert served.process.poll() is None, (served.folder / "again").read_text()
    assert status(served) == 200
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 20)

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from keystore.sealing import create_kek_file
from tests.support.server_process import free_port

COMMAND = str(Path(sys.executable).parent / "nqgate")


@contextmanager
def started(
    folder: Path, environment: dict[str, str], handed: Sequence[socket.socket] = (), console_port: int = 0
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A gateway of its own process in front of nothing; (process, console URL). `handed`: its sockets for S3 and the
    console, as systemd hands them over."""
    if not (folder / "kek").exists():
        create_kek_file(folder / "kek")
    ports = [one.getsockname()[1] for one in handed] or [free_port(), free_port()]
    console = f"127.0.0.1:{console_port or ports[1]}"
    (folder / "gateway.toml").write_text(
        f'[s3]\nlisten = "127.0.0.1:{ports[0]}"\n[console]\nlisten = "{console}"\n'
        '[upstream]\nendpoint = "http://127.0.0.1:1"\naccess_key_id = "store"\nsecret_access_key = "x"\n'
        '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n[limits]\ndrain_timeout = 2\n'
    )
    command, files = [COMMAND, "serve"], [one.fileno() for one in handed]
    if handed:  # first out of the way, then to the numbers from 3 on
        moved = " ".join(f"{90 + number}<&{file} {file}<&-" for number, file in enumerate(files))
        placed = " ".join(f"{3 + number}<&{90 + number} {90 + number}<&-" for number in range(len(files)))
        told = f"LISTEN_PID=$$ LISTEN_FDS={len(files)}"
        command = ["/bin/bash", "-c", f'exec {moved}; exec {placed}; export {told}; exec "$0" serve', COMMAND]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment, pass_fds=files)
    try:
        yield process, f"http://{console}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str, Path]]:
    """(process, console URL, folder)"""
    with started(tmp_path, {}) as (process, console):
        yield process, console, tmp_path


def readiness(console: str) -> tuple[int, dict[str, object]]:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{console}/readyz", timeout=5) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                state = json.load(error)
            if state["listeners"] == "serving":
                return error.code, state
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_keystore_is_migrated_and_the_gateway_becomes_ready(
    served: tuple["subprocess.Popen[str]", str, Path],
) -> None:
    _, console, folder = served
    status, state = readiness(console)
    assert (status, state["keystore"]) == (200, "fresh")
    assert (folder / "keys.db").exists()


def test_sigterm_ends_it_with_0(served: tuple["subprocess.Popen[str]", str, Path]) -> None:
    process, console, _ = served
    readiness(console)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_keystore_that_disappears_makes_it_not_ready(served: tuple["subprocess.Popen[str]", str, Path]) -> None:
    _, console, folder = served
    readiness(console)
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (folder / name).unlink(missing_ok=True)
    deadline = time.monotonic() + 10
    while readiness(console)[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    status, state = readiness(console)
    assert (status, state["keystore"]) == (503, "not answering")


def test_a_service_manager_hears_of_every_state(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        heard: list[str] = []

        def hear(wanted: str) -> None:
            while not (heard and wanted in heard[-1]):
                heard.append(manager.recv(9999).decode())

        with started(tmp_path, environment) as (process, console):
            hear("READY=1\nSTATUS=serving S3 on http://127.0.0.1:")
            assert readiness(console)[0] == 200
            process.send_signal(signal.SIGHUP)
            hear("RELOADING=1\nMONOTONIC_USEC=")
            hear("READY=1")
            hear("WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert process.wait(15) == 0


def test_sockets_of_systemd_are_served_and_outlive_the_gateway(tmp_path: Path) -> None:
    """What systemd would hold: a connection that comes while nobody serves waits for the next gateway."""
    with socket.create_server(("127.0.0.1", 0)) as s3, socket.create_server(("127.0.0.1", 0)) as console:
        ports = s3.getsockname()[1], console.getsockname()[1]
        for _ in range(2):
            waiting = socket.create_connection(("127.0.0.1", ports[0]))
            with waiting, started(tmp_path, {}, (s3, console)) as (process, url):
                assert readiness(url)[0] == 200
                waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                waiting.settimeout(20)
                assert waiting.recv(12) == b"HTTP/1.1 403"
                process.send_signal(signal.SIGTERM)
                assert process.wait(15) == 0


def test_a_socket_of_systemd_that_is_elsewhere_than_configured_stops_the_start(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as s3,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        started(tmp_path, {}, (s3, elsewhere), console_port=free_port()) as (process, _),
    ):
        _, said = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "was handed over, but s3.listen is" in said

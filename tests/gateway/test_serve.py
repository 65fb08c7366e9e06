import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.serve import listen
from keystore.sealing import create_kek_file
from tests.support.server_process import free_port

COMMAND = str(Path(sys.executable).parent / "nqgate")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str, Path]]:
    """A gateway of its own process in front of nothing; (process, console URL, folder)."""
    create_kek_file(tmp_path / "kek")
    console = f"127.0.0.1:{free_port()}"
    (tmp_path / "gateway.toml").write_text(
        f'[s3]\nlisten = "127.0.0.1:{free_port()}"\n[console]\nlisten = "{console}"\n'
        '[upstream]\nendpoint = "http://127.0.0.1:1"\naccess_key_id = "store"\nsecret_access_key = "x"\n'
        '[keystore]\nurl = "sqlite:///keys.db"\nkek_file = "kek"\n[limits]\ndrain_timeout = 2\n'
    )
    process = subprocess.Popen([COMMAND, "serve"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={})
    try:
        yield process, f"http://{console}", tmp_path
    finally:
        process.kill()
        process.communicate()


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


# ---- the sockets ----


def test_every_address_of_a_name_is_listened_on() -> None:
    listeners = listen("localhost", 0)
    try:
        assert {listener.getsockname()[0] for listener in listeners} <= {"127.0.0.1", "::1"}
        assert len(listeners) >= 1
    finally:
        for listener in listeners:
            listener.close()


def test_an_address_that_is_taken_leaves_no_socket_open() -> None:
    [taken] = listen("127.0.0.1", 0)
    with taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import Result

from tests.support.server_process import LOOPBACK, free_port

Run = Callable[..., Result]


class ControlPlane(http.server.BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[int, Any]]] = {}

    def do_GET(self) -> None:
        status, told = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(told if isinstance(told, bytes) else json.dumps(told).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Into no test's output."""


@pytest.fixture
def plane(folder: Path) -> Iterator[type[ControlPlane]]:
    """Where the configuration says."""
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), ControlPlane) as server:
        with (folder / "gateway.toml").open("a") as config:
            config.write(f'\n[console]\nlisten = "{LOOPBACK}:{server.server_port}"\n')
        ControlPlane.answers = {
            "/readyz": (200, {"ready": True, "keystore": "fresh", "upstream": "ok"}),
            "/healthz": (200, {"alive": True}),
        }
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield ControlPlane
        server.shutdown()


def test_a_gateway_that_serves_ends_it_with_0(run: Run, plane: type[ControlPlane]) -> None:
    done = run("ready")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "Ready: keystore: fresh, upstream: ok.\n"


def test_what_is_not_ready_is_named(run: Run, plane: type[ControlPlane]) -> None:
    plane.answers["/readyz"] = (503, {"ready": False, "keystore": "not answering"})
    done = run("ready")
    assert (done.exit_code, done.stderr) == (1, "Not ready: keystore: not answering.\n")


def test_the_gateways_own_sentences_are_said_where_it_has_some(run: Run, plane: type[ControlPlane]) -> None:
    reasons = ["keystore: its lease has run out.", "listeners: the gateway is stopping."]
    told = {"ready": False, "not_ready": reasons, "keystore": "not answering", "workers": {"serving": 0, "of": 2}}
    plane.answers["/readyz"] = (503, told)
    assert run("ready").stderr == f"Not ready: {' '.join(reasons)}\n"
    plane.answers["/readyz"] = (200, {**told, "ready": True, "not_ready": [], "keystore": "fresh"})
    assert run("ready").stderr == "Ready: keystore: fresh.\n"


def test_a_process_that_answers_is_alive_whatever_is_not_ready(run: Run, plane: type[ControlPlane]) -> None:
    plane.answers["/readyz"] = (503, {"ready": False})
    assert run("ready", "--alive").exit_code == 0
    plane.answers["/healthz"] = (500, {})
    assert run("ready", "--alive").exit_code == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_an_answer_that_is_nobodys_of_ours_counts_by_its_status(
    run: Run, plane: type[ControlPlane], body: bytes
) -> None:
    plane.answers["/readyz"] = (502, body)
    done = run("ready")
    assert (done.exit_code, done.stderr) == (1, "Not ready: it answers 502.\n")


def test_nobody_is_not_ready(run: Run, folder: Path) -> None:
    port = free_port()
    with (folder / "gateway.toml").open("a") as config:
        config.write(f'\n[console]\nlisten = "{LOOPBACK}:{port}"\n')
    done = run("ready")
    assert done.exit_code == 1
    assert done.stderr == f"Not ready: nobody answers on {LOOPBACK}:{port}: [Errno 111] Connection refused.\n"


def test_a_configuration_that_cannot_be_read_is_not_ready(run: Run, folder: Path) -> None:
    (folder / "gateway.toml").write_text("[upstream]\nendpont = 1\n")
    assert run("ready").exit_code == 1

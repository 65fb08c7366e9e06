"""`make audit`, which asks a service of our own in place of the one on the internet."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.server_process import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "supply" / "bin" / "python"
pytestmark = pytest.mark.server
FOUND = {
    "vulns": [
        {
            "id": "PYSEC-2026-1",
            "details": "reads too much",
            "affected": [
                {
                    "package": {"name": "uvloop", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
                }
            ],
        }
    ]
}


class Osv(http.server.BaseHTTPRequestHandler):
    """The service's one question: what is known of this version of this package."""

    known: ClassVar[dict[str, Any]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.known.get(asked["package"]["name"], {})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Into no test's output."""


@pytest.fixture
def osv() -> Iterator[str]:
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Osv) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        Osv.known = {}
        yield f"http://{LOOPBACK}:{server.server_port}/v1/query"
        server.shutdown()


def audit(address: str) -> tuple[int, str]:
    words = ["-s", "osv", "--osv-url", address]
    done = subprocess.run([PYTHON, ROOT / "tools" / "audit", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_known_vulnerability_fails_the_build(osv: str) -> None:
    Osv.known = {"uvloop": FOUND}
    code, said = audit(osv)
    assert code == 1
    assert ": PYSEC-2026-1, mended in 99.1\n" in said


def test_where_none_is_known_it_says_how_many_it_asked_about(osv: str) -> None:
    code, said = audit(osv)
    assert code == 0
    assert said.endswith("packages, none with a known vulnerability.\n")


def test_a_service_that_cannot_be_reached_is_one_sentence(osv: str) -> None:
    code, said = audit(f"http://{LOOPBACK}:{free_port()}/")
    assert (code, said) == (0, "Not audited: the vulnerability service cannot be reached from here.\n")

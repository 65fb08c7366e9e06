"""REST of a running gateway, asked as the holder of an admin token; and schemathesis, which asks everything else."""

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.gateway_process import Gateway
from tests.support.server_process import LOOPBACK

ROOT = "/api/v1"
SPECIFICATION = f"{ROOT}/openapi.json"


class Answer(NamedTuple):
    """`text`: the body as it came."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Rest:
    """`token` "": asks without one."""

    port: int
    token: str = field(repr=False)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`path`: below /api/v1, with its query. `body`: as JSON, None = there is none."""
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        try:
            connection.request(method, ROOT + path, content, sent)
            reply = connection.getresponse()
            return Answer(
                reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read().decode()
            )
        finally:
            connection.close()

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """`ask` for what must succeed: the body."""
        answer = self.ask(method, path, body)
        assert answer.status < 300, f"{method} {path} → {answer.status} {answer.text}"
        return answer.body


def admin_token(gateway: Gateway, role: str, account: str | None = None) -> str:
    whose = [] if account is None else ["--account", account]
    made = json.loads(gateway.command("admin", "token", "create", "--role", role, *whose, "--json"))
    return str(made["token"])


def rest(gateway: Gateway, role: str, account: str | None = None) -> Rest:
    return Rest(gateway.console_port, admin_token(gateway, role, account))


# A label, a bucket or a cursor may fit its type and still be none: that is said with 400. And the address of one key
# takes other methods than /keys/test, which lies below the same path; what was done to a deleted key can still be read.
CONFIGURATION = """
[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-path = "/keys/test"
checks.allow_header_conformance.enabled = false

[[operations]]
include-path = "/keys/{access_key_id}/events"
checks.use_after_free.enabled = false
"""


def generated_requests(asked: Rest, folder: Path, known: Mapping[str, Sequence[str]], examples: int) -> str:
    """Send what schemathesis makes of the specification, always the same: "" if all was kept, else its report.

    `known`: parameter → values there are, of which it takes some. `examples`: for each operation. `folder`: what it
    leaves behind. Its report has no token.
    """
    (folder / "schemathesis.toml").write_text(CONFIGURATION + "".join(_known(*one) for one in known.items()))
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"http://{LOOPBACK}:{asked.port}{SPECIFICATION}"),
        *("--header", f"Authorization: Bearer {asked.token}", "--generation-deterministic", "--no-color"),
        *("--warnings", "off", "--request-timeout", "30", "--max-examples", str(examples)),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _known(parameter: str, values: Sequence[str]) -> str:
    return (
        f"\n[dictionaries.{parameter}]\nvalues = {json.dumps(list(values))}\n"
        f"\n[parameters.{parameter}]\ndictionary = {json.dumps(parameter)}\nprobability = 0.7\n"
    )

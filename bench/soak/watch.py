"""What the processes of a gateway hold, from /proc (proc(5)): memory, descriptors, threads, spool, connections to the
store, files. It judges nothing."""

import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.errors import BenchError
from bench.proc import PROC
from bench.scale.memory import memory
from tests.support.sockets import family, workers_of

SUPERVISOR: Final = "supervisor"
CONTROL: Final = "control plane"
WORKER: Final = "worker"


class Held(NamedTuple):
    """By one process. Sizes in bytes; `spool`: files without a name that it has open."""

    pid: int
    role: str
    rss: int
    pss: int
    descriptors: int
    threads: int
    spool: int
    store_connections: int


class Sample(NamedTuple):
    """`at`: seconds since the load began. `keystore`: bytes of its files; `beside`: of those beside it."""

    at: float
    held: tuple[Held, ...]
    keystore: int
    beside: int

    def of(self, role: str) -> list[Held]:
        return [one for one in self.held if one.role == role]

    def json(self) -> dict[str, Any]:
        return {**self._asdict(), "held": [one._asdict() for one in self.held]}


def look(root: int, folder: Path, store_port: int, at: float) -> Sample:
    """At the gateway whose supervisor is `root` and whose keystore lies in `folder`. Who ends meanwhile is left out."""
    workers = workers_of(root)
    towards_store = _sockets_to(store_port)
    held = []
    for pid in family(root):
        role = SUPERVISOR if pid == root else WORKER if pid in workers else _role(pid)
        if role:
            try:
                held.append(_held(pid, role, towards_store))
            except (OSError, BenchError):
                continue
    files = {file: file.stat().st_size for file in folder.glob("keystore.db*") if file.is_file()}
    keystore = sum(size for file, size in files.items() if file.name.split("-")[0] == "keystore.db")
    return Sample(at, tuple(held), keystore, sum(files.values()) - keystore)


def _held(pid: int, role: str, towards_store: set[str]) -> Held:
    used = memory(pid)
    links = _links(pid)
    return Held(
        pid,
        role,
        used.rss,
        used.pss,
        len(links),
        len(os.listdir(PROC / str(pid) / "task")),
        sum(link.endswith("(deleted)") and not link.startswith(("/memfd:", "/dev/shm")) for link in links),
        sum(link in towards_store for link in links),
    )


def _links(pid: int) -> list[str]:
    found = []
    for descriptor in (PROC / str(pid) / "fd").iterdir():
        try:
            found.append(os.readlink(descriptor))
        except FileNotFoundError:
            continue
    return found


def _sockets_to(port: int) -> set[str]:
    """As /proc/PID/fd calls them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    words = (line.split() for line in lines)
    return {f"socket:[{word[9]}]" for word in words if int(word[2].rpartition(":")[2], 16) == port}


def _role(pid: int) -> str:
    """ "" for what comes and goes."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return CONTROL if b"gateway.control_plane" in words else ""

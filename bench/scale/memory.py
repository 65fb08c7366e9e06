"""Memory of a process and of the kernel beside it, from /proc (proc(5))."""

from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import BenchError

KIB: Final = 1024
MIB: Final = 1 << 20


class Memory(NamedTuple):
    """Bytes of /proc/PID/smaps_rollup. `rss` counts what is shared in each process, `pss` in proportion."""

    rss: int
    pss: int


def read_rollup(text: str) -> Memory:
    sizes = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Memory(*(int(sizes[name].split()[0]) * KIB for name in ("Rss", "Pss")))


def memory(pid: int) -> Memory:
    """Raises BenchError if the process is gone."""
    try:
        return read_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (OSError, KeyError) as error:
        raise BenchError(f"the memory of process {pid} cannot be read: {error!r}") from error


def read_slab(meminfo: str) -> int:
    """Bytes that the kernel keeps in slabs, sockets among them; of the whole machine."""
    [size] = [line.split()[1] for line in meminfo.splitlines() if line.startswith("Slab:")]
    return int(size) * KIB


def kernel_slabs() -> int:
    return read_slab(Path("/proc/meminfo").read_text())

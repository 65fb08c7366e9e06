"""What this process takes of the machine: memory, descriptors, processor time. Linux alone, from /proc."""

import os
import resource
import time
from typing import Final

from gateway.telemetry.metrics import BY_NAME, place_of
from gateway.telemetry.slots import Slot

_STATM: Final = "/proc/self/statm"  # in pages: size, resident, …
_FILES: Final = "/proc/self/fd"
_PAGE: Final = os.sysconf("SC_PAGESIZE")


class OwnUsage:
    """Puts it into a slot as one `process` of metrics.PROCESS, for as long as that process lives."""

    def __init__(self, slot: Slot, process: str) -> None:
        self._slot = slot
        self._cpu = place_of("nqgate_cpu_seconds", process)
        self._resident = place_of("nqgate_resident_bytes", process)
        self._files = place_of("nqgate_open_files", process)
        self._files_limit = place_of("nqgate_open_files_limit", process)
        self._told = 0
        slot.put(place_of("nqgate_processes", process), 1)

    def measure(self) -> None:
        """30 µs. What /proc does not say stays as it was: measuring may not fail where descriptors have run out."""
        used = round(time.process_time() / BY_NAME["nqgate_cpu_seconds"].unit)
        self._slot.add(self._cpu, used - self._told)
        self._told = used
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # each time: prlimit(1) changes it while we run
        self._slot.put(self._files_limit, 0 if soft == resource.RLIM_INFINITY else soft)
        try:
            with open(_STATM, "rb") as statm:
                self._slot.put(self._resident, int(statm.read().split()[1]) * _PAGE)
            self._slot.put(self._files, open_files())
        except OSError:
            pass


def open_files() -> int:
    """Since Linux 6.2 their number is the folder's size; before, they are counted.
    https://git.kernel.org/torvalds/c/f1f1f2569901ec5b9d425f2e91c09a0e320768f3"""
    return os.stat(_FILES).st_size or len(os.listdir(_FILES))

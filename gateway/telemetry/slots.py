"""Numbers of several processes in memory they share: a slot for each, read together by whoever shows them.

The supervisor makes the memory, gives each process it starts a slot and takes it back when that has ended. A slot
keeps its counters and histograms, and whoever gets it next counts on: the sum over all slots never falls. What is a
gauge ends with its process.

Each number is a cell of 8 aligned bytes, and is written and read by one store and one load (native `Q`: a copy of 8
bytes of known size, which compilers make one instruction on the 64-bit machines that we run on), so none is ever seen
torn. Cells of one slot may be seen of different moments.
"""

import contextlib
import mmap
import os
import struct
from collections.abc import Iterable
from typing import Final

from gateway.telemetry.metrics import CELLS, GAUGES_AT

SLOTS: Final = 512  # processes at once: more workers than processors, each twice while one takes another's place
SUPERVISOR: Final = 0
_FIRST: Final = 1  # of workers and control planes: one that ends and its successor have two
_WIDTH: Final = 8
_SLOT: Final = struct.Struct(f"{CELLS}Q")
_MASK: Final = (1 << 64) - 1
SIZE: Final = SLOTS * _SLOT.size  # bytes; of the slots that nobody used no memory is


class Slot:
    """The numbers of one process, in a list that it counts in, and that is written to its slot when it says so."""

    def __init__(self, file: int, number: int) -> None:
        self._map = mmap.mmap(file, SIZE)
        self._at = number * _SLOT.size
        self.cells: list[int] = list(_SLOT.unpack_from(self._map, self._at))

    def put(self, place: int, value: int) -> None:
        """Of a gauge; never below 0."""
        self.cells[place] = max(value, 0)

    def add(self, place: int, value: int) -> None:
        self.cells[place] += value

    def write(self) -> None:
        """Some 20 µs, so not after every request: what a process that is killed counted since is lost."""
        try:
            _SLOT.pack_into(self._map, self._at, *self.cells)
        except struct.error:  # one has outgrown 64 bits
            self.cells[:] = [cell & _MASK for cell in self.cells]
            _SLOT.pack_into(self._map, self._at, *self.cells)

    def close(self) -> None:
        self._map.close()


class Slots:
    """The supervisor's: who has which."""

    def __init__(self) -> None:
        self.file = os.memfd_create("nqgate-metrics", os.MFD_CLOEXEC)
        os.ftruncate(self.file, SIZE)
        self._map = mmap.mmap(self.file, SIZE)
        self._taken: set[int] = set()

    def take(self) -> int:
        """One that nobody has: the lowest, so that few are in use at all. When all are, the last is shared, and what is
        counted there is wrong; nobody is refused for that."""
        number = next((one for one in range(_FIRST, SLOTS) if one not in self._taken), SLOTS - 1)
        self._taken.add(number)
        return number

    def give_back(self, number: int) -> None:
        """Its process has ended."""
        self._taken.discard(number)
        start = number * _SLOT.size
        with contextlib.suppress(ValueError):  # closed already
            self._map[start + GAUGES_AT * _WIDTH : start + _SLOT.size] = bytes((CELLS - GAUGES_AT) * _WIDTH)

    def close(self) -> None:
        self._map.close()
        with contextlib.suppress(OSError):
            os.close(self.file)


class SlotReader:
    """All slots as whoever shows them sees them. It can change nothing."""

    def __init__(self, file: int) -> None:
        self._map = mmap.mmap(file, SIZE, access=mmap.ACCESS_READ)

    def used(self) -> Iterable[tuple[int, ...]]:
        """The cells of each slot that anybody ever wrote to. The lowest are given away first, so behind an unused one
        of a worker there is none; looking at all of them would make the kernel find memory for them."""
        for number in range(SLOTS):
            cells = _SLOT.unpack_from(self._map, number * _SLOT.size)
            if any(cells):
                yield cells
            elif number >= _FIRST:
                return

    def close(self) -> None:
        self._map.close()

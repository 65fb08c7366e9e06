"""Bytes that wait for their verification: in memory while they are few, in a file without a name beyond.

Reads and writes are of the page cache and do not leave the event loop; docs/decisions/spool.md has the figures.
"""

import os
import tempfile
from pathlib import Path
from typing import IO

from gateway.s3.errors import Code, S3Error


class Budget:
    """`total` bytes for all requests together. `taken`: what is in use. `spent`: what is said when no more is left."""

    __slots__ = ("_spent", "_total", "taken")

    def __init__(self, total: int, spent: str) -> None:
        self._total = total
        self._spent = spent
        self.taken = 0

    def take(self, size: int) -> None:
        """S3Error SLOW_DOWN when that is more than is left."""
        if self.taken + size > self._total:
            raise S3Error(Code.SLOW_DOWN, self._spent, retry_after=1)
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


class SpoolRoom:
    """What all spools share: the two budgets, and the folder of the files (None: the system's for temporary files)."""

    __slots__ = ("directory", "files", "memory")

    def __init__(self, memory: Budget, files: Budget, directory: Path | None) -> None:
        self.memory = memory
        self.files = files
        self.directory = directory


class Spool:
    """First in, first out. `size`: bytes that wait. Up to `in_memory` of them stay in memory.

    Every call may raise S3Error SLOW_DOWN: a budget is spent, or the file system is full or out of files.
    """

    __slots__ = ("_buffer", "_file", "_in_memory", "_read_at", "_room", "_spilled", "_written", "size")

    def __init__(self, room: SpoolRoom, in_memory: int) -> None:
        self._room = room
        self._in_memory = in_memory
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._spilled = False  # what waits is in the file
        self._written = 0  # bytes in the buffer or the file, and taken of its budget
        self._read_at = 0
        self.size = 0

    @property
    def spilled(self) -> bool:
        return self._spilled

    def append(self, block: bytes | bytearray | memoryview) -> None:
        if not self._spilled:
            if self.size + len(block) <= self._in_memory:
                self._room.memory.take(len(block))
                self._written += len(block)
                self.size += len(block)
                self._buffer += block
                return
            self._spill()
        self._write(block)

    def read(self, limit: int) -> bytes:
        """The next bytes, at most `limit`; they wait no longer."""
        taken = min(limit, self.size)
        if self._spilled:
            assert self._file is not None
            try:
                piece = os.pread(self._file.fileno(), taken, self._read_at)
            except OSError as error:
                raise _failed(error) from error
            taken = len(piece)
        else:
            piece = bytes(memoryview(self._buffer)[self._read_at : self._read_at + taken])
        self._read_at += taken
        self.size -= taken
        if not self.size:
            self._empty()
        return piece

    def take_memory(self) -> bytearray:
        """All of it at once, where nothing was spilled; the budget stays taken until `close`."""
        assert not self._spilled
        buffer, self._buffer = self._buffer, bytearray()
        self.size = 0
        return buffer

    def close(self) -> None:
        """Forget what waits and give everything back; harmless when called again."""
        self._empty()
        self.size = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _empty(self) -> None:
        budget = self._room.files if self._spilled else self._room.memory
        if self._written:
            budget.give_back(self._written)
        self._written = self._read_at = 0
        self._spilled = False
        self._buffer = bytearray()

    def _spill(self) -> None:
        """From memory to the file; what was read already stays behind."""
        waiting = bytes(memoryview(self._buffer)[self._read_at :])
        size = self.size
        self._empty()
        self._spilled = True
        self.size = size - len(waiting)
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 – closed by `close`; 0600, unlinked
                    dir=self._room.directory, buffering=0
                )
            except OSError as error:
                raise _failed(error) from error
        self._write(waiting)

    def _write(self, block: bytes | bytearray | memoryview) -> None:
        assert self._file is not None
        self._room.files.take(len(block))
        at = self._written
        self._written += len(block)
        left = memoryview(block)
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, at)
                at += written
                left = left[written:]
        except OSError as error:
            raise _failed(error) from error
        self.size += len(block)


def _failed(error: OSError) -> S3Error:
    return S3Error(Code.SLOW_DOWN, f"the spool: {error.strerror}", retry_after=1)

"""The first 96 bytes of a SQLite wal-index: the epoch that SQLite itself keeps, and whether it is still the live one.

The header stands twice, 48 bytes each (https://www.sqlite.org/walformat.html, 2.1). Writing it is what makes a commit
visible, so comparing it costs no system call and leaves no gap between commit and epoch.

Law: the descriptor and the mapping (which holds a duplicate of it) are closed only after the last connection of the
process to this database, for closing either drops the locks that keep other processes from throwing the file away.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

from keystore.errors import KeystoreUnavailable
from keystore.sqlite_file import shm_path

HEADER: Final = 96
COPY: Final = 48
VERSION: Final = struct.pack("=I", 3_007_000)  # iVersion, in the byte order of the machine; the only one there is


class FileIdentity(NamedTuple):
    device: int
    inode: int


def identity_of(path: Path) -> FileIdentity:
    """OSError when there is none."""
    state = os.stat(path)
    return FileIdentity(state.st_dev, state.st_ino)


class WalIndex:
    """`header[:96]` is the epoch now. Open it after the connection has read once: before, SQLite has made no -shm.

    Raises KeystoreUnavailable when the header has another layout, OSError when there is no file; then the descriptor
    stays open, by the law above.
    """

    __slots__ = ("_database", "_database_identity", "_descriptor", "_shm", "_shm_identity", "header")

    def __init__(self, database: Path) -> None:
        self._database = database
        self._shm = shm_path(database)
        self._descriptor = os.open(self._shm, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        state = os.fstat(self._descriptor)
        self._shm_identity = FileIdentity(state.st_dev, state.st_ino)
        self._database_identity = identity_of(database)
        if state.st_size < HEADER:
            raise KeystoreUnavailable(f"{self._shm} has no header: SQLite does not keep its wal-index in this file")
        self.header = mmap.mmap(self._descriptor, HEADER, prot=mmap.PROT_READ)
        if self.header[:4] != VERSION:
            raise KeystoreUnavailable(f"{self._shm} has another layout than this gateway knows (iVersion)")

    def epoch(self) -> bytes:
        """The 96 bytes to compare with later; b"", which equals nothing, while a writer is between the copies."""
        header = self.header[:HEADER]
        return header if header[:COPY] == header[COPY:] and header[:4] == VERSION else b""

    def lost(self) -> str:
        """Why the mapped file is no longer the one other processes use; "" while it is. About 4 µs."""
        if os.fstat(self._descriptor).st_nlink == 0:
            return f"{self._shm} was deleted under the gateway"
        try:
            if identity_of(self._shm) != self._shm_identity:
                return f"another file was put in the place of {self._shm}"
            if identity_of(self._database) != self._database_identity:
                return f"another file was put in the place of {self._database}"
        except OSError as error:
            return f"the keystore was moved or deleted: {error.filename}: {error.strerror}"
        return ""

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Device and inode of the database and of the mapped file, as they were when it was opened."""
        return (*self._database_identity, *self._shm_identity)

    def close(self) -> None:
        """Only after the last connection of this process to the database was closed."""
        self.header.close()
        os.close(self._descriptor)

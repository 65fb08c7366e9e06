"""Where the workers of one machine say how far they have read the log, and what they cut: a file beside the keystore.

One slot for each. Its lock byte is held while the process lives, stopped or not, and free within a millisecond
of its death, so a slot is never believed after its owner. The lock is one of the open file description
(https://man7.org/linux/man-pages/man2/fcntl_locking.2.html): closing another descriptor of the file does not drop it.
"""

import contextlib
import fcntl
import json
import mmap
import os
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from keystore.errors import KeystoreUnavailable
from keystore.sqlite_file import answering

SLOTS: Final = 128  # workers of all gateways of one keystore on one machine, and those that they replace
SLOT_SIZE: Final = 4096
RING: Final = 32  # changes that cut something and are still remembered; who revokes reads his within seconds
IDENTITY_PERIOD: Final = 1.0  # seconds between two looks whether the file is still the one others open
MAX_NAMED: Final = 24  # transfers with the store that are named; more are counted only
MAX_NAME: Final = 100  # characters of one of them
MAX_KEKS: Final = 8  # kek_ids that are shown, the newest; more are loaded only while rotations are left unfinished

_MAGIC: Final = 0x4E514232  # "NQB2"
_OWNER: Final = struct.Struct("=II4Q")  # magic, pid, then the identity
_APPLIED: Final = struct.Struct("=Q")
_ENTRY: Final = struct.Struct("=QIII4x")  # seq, cut, in store, settled
_TEXT: Final = struct.Struct("=II")  # length, crc32
_APPLIED_AT: Final = 40
_GATEWAY_AT: Final = 48
_GATEWAY: Final = struct.Struct("=I")
_RING_AT: Final = 64
_KEKS_AT: Final = 840
_TEXT_AT: Final = 1024
_ROOM: Final = SLOT_SIZE - _TEXT_AT - _TEXT.size
_FLOCK: Final = struct.Struct("hhlli4x")


class Identity(NamedTuple):
    """Which files a process has open, as device and inode of the database and of its -shm."""

    database_device: int
    database_inode: int
    shm_device: int
    shm_inode: int


def make_board(database: Path) -> None:
    """Of a keystore that is being founded: nobody can have had a board of it."""
    _File(database).close()


class Cut(NamedTuple):
    """What one change ended on one gateway. `settled`: of those in the store, how many it has answered since."""

    cut: int
    in_store: int
    settled: int


NOTHING_CUT: Final = Cut(0, 0, 0)


class Slot(NamedTuple):
    """A worker as its slot shows it. `gateway`: the process whose workers together are one gateway.

    `in_store`: (seq, what) of requests that could not be cut and are unanswered.

    `keks`: the kek_ids it can use, the newest last; () while that is being written.
    """

    pid: int
    gateway: int
    identity: Identity
    applied: int
    cuts: dict[int, Cut]
    in_store: list[tuple[int, str]]
    keks: tuple[str, ...] = ()


def board_path(database: Path) -> Path:
    return database.with_name(database.name + ".board")


def _lock(descriptor: int, command: int, kind: int, slot: int) -> int:
    """→ the kind of lock that stands there, for F_OFD_GETLK. BlockingIOError when another holds it."""
    asked = _FLOCK.pack(kind, os.SEEK_SET, slot, 1, 0)
    return int(_FLOCK.unpack(fcntl.fcntl(descriptor, command, asked))[0])


class _File:
    """The board, opened and mapped. `made`: it was not there."""

    def __init__(self, database: Path) -> None:
        self.path = board_path(database)
        with answering(self.path):
            try:
                self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                self.made = True
            except FileExistsError:
                self.descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                self.made = False
            if os.fstat(self.descriptor).st_size < SLOTS * SLOT_SIZE:
                os.ftruncate(self.descriptor, SLOTS * SLOT_SIZE)
            self.map = mmap.mmap(self.descriptor, SLOTS * SLOT_SIZE)
            self.inode = os.fstat(self.descriptor).st_ino

    def replaced(self) -> bool:
        """Whether who opens the path now would open another file."""
        try:
            return os.stat(self.path).st_ino != self.inode
        except OSError:
            return True

    def close(self) -> None:
        self.map.close()
        os.close(self.descriptor)


class Seat:
    """A worker's own slot. Belongs to the thread that reads the log. `gateway`: as in `Slot`; 0 = this process."""

    def __init__(self, database: Path, identity: Identity, applied: int, gateway: int = 0) -> None:
        self._database = database
        self._identity = identity
        self._applied = applied
        self._gateway = gateway or os.getpid()
        self._in_store: list[tuple[int, str]] = []
        self._keks: tuple[str, ...] = ()
        self._looked = time.monotonic()
        self._sit()

    def _sit(self) -> None:
        file = _File(self._database)
        for slot in range(SLOTS):
            with contextlib.suppress(BlockingIOError, PermissionError):
                _lock(file.descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, slot)
                break
        else:
            file.close()
            raise KeystoreUnavailable(f"{file.path}: {SLOTS} workers have this keystore open already")
        self._file = file
        self._at = slot * SLOT_SIZE
        self._file.map[self._at : self._at + SLOT_SIZE] = bytes(SLOT_SIZE)
        self._write(_APPLIED_AT, _APPLIED.pack(self._applied))
        self._write(_GATEWAY_AT, _GATEWAY.pack(self._gateway))
        self.loaded(self._keks)
        self._write(0, _OWNER.pack(_MAGIC, os.getpid(), *self._identity))

    def _write(self, where: int, octets: bytes) -> None:
        start = self._at + where
        self._file.map[start : start + len(octets)] = octets

    def applied(self, seq: int) -> None:
        """Every change up to `seq` is in memory, and what it ended has been ended."""
        self._applied = seq
        self._write(_APPLIED_AT, _APPLIED.pack(seq))

    def loaded(self, keks: Sequence[str]) -> None:
        """Everything here can use these KEKs, the newest last."""
        self._keks = tuple(keks[-MAX_KEKS:])
        text = " ".join(self._keks).encode()
        self._write(_KEKS_AT, _TEXT.pack(len(text), zlib.crc32(text)) + text)

    def tell(self, seq: int, cut: int, in_store: list[str]) -> None:
        """What the change `seq` cut, and the requests it came too late for; before `applied(seq)`."""
        self._in_store += [(seq, what[:MAX_NAME]) for what in in_store]
        self._tell(seq, Cut(cut, len(in_store), 0))

    def settled(self, seq: int, what: str) -> None:
        """The store answered one of the requests that `seq` came too late for."""
        with contextlib.suppress(ValueError):
            self._in_store.remove((seq, what[:MAX_NAME]))
        told = _read_ring(self._file.map, self._at).get(seq)
        if told is not None:
            self._tell(seq, told._replace(settled=told.settled + 1))

    def _tell(self, seq: int, cut: Cut) -> None:
        named = self._in_store = self._in_store[-MAX_NAMED:]
        text = json.dumps(named, ensure_ascii=False).encode("utf-8", "replace")
        while len(text) > _ROOM:
            named = named[1:]
            text = json.dumps(named, ensure_ascii=False).encode("utf-8", "replace")
        self._write(_TEXT_AT, _TEXT.pack(len(text), zlib.crc32(text)) + text)
        self._write(_RING_AT + seq % RING * _ENTRY.size, _ENTRY.pack(seq, *cut))

    def tick(self) -> None:
        """Often. Whoever deleted the board gets a new one, and this gateway a slot in it. KeystoreUnavailable when that
        cannot be had: then it is tried again, and the old slot, which nobody sees, is written on."""
        now = time.monotonic()
        if now - self._looked >= IDENTITY_PERIOD:
            self._looked = now
            if self._file.replaced():
                before = self._file
                self._sit()
                before.close()

    def leave(self) -> None:
        self._file.close()


class Watcher:
    """The board as somebody sees it who waits for the gateways. `made`: nobody had one before."""

    def __init__(self, database: Path) -> None:
        self._file = _File(database)
        self.made = self._file.made

    def alive(self, slot: int) -> bool:
        """Whether its owner lives, stopped or not."""
        return _lock(self._file.descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, slot) != fcntl.F_UNLCK

    def taken(self) -> list[int]:
        """The slots whose owners live. One that was locked and says nothing yet has read the log since."""
        return [slot for slot in range(SLOTS) if self.alive(slot) and self.read(slot) is not None]

    def read(self, slot: int) -> Slot | None:
        at = slot * SLOT_SIZE
        magic, pid, *identity = _OWNER.unpack_from(self._file.map, at)
        if magic != _MAGIC:
            return None
        [applied] = _APPLIED.unpack_from(self._file.map, at + _APPLIED_AT)
        [gateway] = _GATEWAY.unpack_from(self._file.map, at + _GATEWAY_AT)
        return Slot(
            pid,
            gateway,
            Identity(*identity),
            applied,
            _read_ring(self._file.map, at),
            _read_in_store(self._file.map, at),
            _read_keks(self._file.map, at),
        )

    def close(self) -> None:
        self._file.close()


def _read_ring(board: mmap.mmap, at: int) -> dict[int, Cut]:
    entries = (_ENTRY.unpack_from(board, at + _RING_AT + place * _ENTRY.size) for place in range(RING))
    return {seq: Cut(*counts) for seq, *counts in entries if seq}


def _read_in_store(board: mmap.mmap, at: int) -> list[tuple[int, str]]:
    text = _read_text(board, at + _TEXT_AT, at + SLOT_SIZE)
    return [(seq, what) for seq, what in json.loads(text)] if text else []


def _read_keks(board: mmap.mmap, at: int) -> tuple[str, ...]:
    return tuple(_read_text(board, at + _KEKS_AT, at + _TEXT_AT).decode().split())


def _read_text(board: mmap.mmap, at: int, end: int) -> bytes:
    """b"" while it is being written."""
    length, checksum = _TEXT.unpack_from(board, at)
    start = at + _TEXT.size
    text = board[start : min(start + length, end)]
    return text if zlib.crc32(text) == checksum else b""

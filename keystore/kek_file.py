"""The KEK file as it changes: a line more, a line retired, and a gateway that notices without a restart.

The file is replaced whole, under a lock on its folder, with the mode and the owner it had. Nothing here decides which
KEK seals: the keystore says that, so a line more changes nothing until `kek rotate` begins.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from keystore.errors import Conflict, KeystoreError, KeystoreUnavailable
from keystore.sealing import (
    KEK_LINE,
    MAX_KEK_FILE,
    RETIRED_LINE,
    KekRing,
    is_retired,
    load_kek_ring,
    new_kek_line,
    read_kek_file,
    read_kek_line,
    read_kek_ring,
    sync_folder,
)

LOOK_EVERY: Final = 1.0  # seconds between two looks of a gateway whether the file is another one

Use = Callable[[KekRing], None]


# ---- changing it ----


def add_kek(path: Path) -> str:
    """A new KEK as the last line of the file; its kek_id. Conflict when the file is full, else as `load_kek_ring`."""
    kek, line = new_kek_line()

    def added(text: bytes) -> bytes:
        read_kek_ring(path, text)
        text += line.encode() if text.endswith(b"\n") else f"\n{line}".encode()
        if len(text) > MAX_KEK_FILE:
            raise Conflict(f"{path} would be longer than {MAX_KEK_FILE} bytes: take out lines that nothing needs")
        return text

    _rewrite(path, added)
    return kek.kek_id


def retire_lines(path: Path, min_kek: str) -> tuple[str, ...]:
    """Mark every KEK before `min_kek` in the file as retired; their kek_ids, none when all of them were so before.

    Raises as `load_kek_ring`; WrongKek when `min_kek` is not in the file.
    """
    ring = read_kek_ring(path, read_kek_file(path))
    older = {kek.kek_id for kek in ring.keks} - {kek.kek_id for kek in ring.since(min_kek).keks}

    def retired(text: bytes) -> bytes:
        return b"".join(_retired(path, line, older) for line in text.splitlines(keepends=True))

    if older:
        _rewrite(path, retired)
    return tuple(kek.kek_id for kek in ring.keks if kek.kek_id in older)


def _retired(path: Path, line: bytes, older: set[str]) -> bytes:
    kek = read_kek_line(path, line)
    if kek is None or kek.kek_id not in older or is_retired(line):
        return line
    return line.replace(KEK_LINE.encode(), RETIRED_LINE.encode())


def _rewrite(path: Path, edited: Callable[[bytes], bytes]) -> None:
    """Whole or not at all, and durable: a power cut leaves the old file or the new one."""
    path = Path(os.path.realpath(path))
    with _answering(path), _locked(path.parent):
        text = edited(read_kek_file(path))
        state = os.stat(path)
        draft = path.with_name(path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)  # of one that died here
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchown(descriptor, state.st_uid, state.st_gid)  # the gateway must be able to read it still
                os.fchmod(descriptor, state.st_mode & 0o700)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def _answering(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeystoreUnavailable(f"the KEK file {path} cannot be replaced: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: a line that another one added must not be lost. Held for milliseconds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# ---- watching it ----


class _Stamp(NamedTuple):
    """What tells one state of the file from another; a chmod shows in `changed` only."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def _stamp(path: Path) -> _Stamp:
    state = os.stat(path)
    return _Stamp(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


class KekWatch:
    """Hands a changed ring to everyone in `users`, in order; the first may refuse it by raising. `ring`: in use so far.

    What cannot be used leaves the ring as it is; it is told to `warn` once, and tried again at every look.
    """

    def __init__(self, path: Path, ring: KekRing, users: Sequence[Use], warn: Callable[..., None]) -> None:
        self._path = path
        self._ring = ring
        self._users = users
        self._warn = warn
        self._seen: _Stamp | None = None
        self._told = ""

    def look(self) -> None:
        """A stat; more only when the file is not what it was. Raises nothing of the keystore's."""
        try:
            stamp = _stamp(self._path)  # before it is read: a change in between shows at the next look
            if stamp == self._seen:
                return
            self._take(load_kek_ring(self._path))
            self._seen = stamp
            self._told = ""
        except (KeystoreError, OSError) as error:
            if str(error) != self._told:
                self._told = str(error)
                self._warn("the KEK file was changed and is not used as it is now: %s", error)

    def _take(self, ring: KekRing) -> None:
        gone = _ids(self._ring) - _ids(ring)
        if gone:
            raise KeystoreUnavailable(
                f"{self._path} no longer holds key-encryption key {', '.join(sorted(gone))}, which stays in use until"
                " the gateway is restarted"
            )
        for use in self._users:
            use(ring)
        self._ring = ring


def _ids(ring: KekRing) -> set[str]:
    return {kek.kek_id for kek in (*ring.keks, *ring.retired)}


@contextlib.asynccontextmanager
async def kek_watched(watch: KekWatch) -> AsyncIterator[None]:
    """One look at once, so that a KEK added while the gateway started is known, then one every second, on this loop."""
    watch.look()
    looking = asyncio.create_task(_look_on(watch))
    try:
        yield
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def _look_on(watch: KekWatch) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY)
        watch.look()

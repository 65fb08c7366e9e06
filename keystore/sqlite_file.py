"""The file of a SQLite keystore: where it lies, how a writer opens it, its schema, and what its errors mean.

Law: a process that has the keystore open never opens or closes the database, its -wal or its -shm by itself: closing
any descriptor of a file drops all POSIX locks of the process on it (https://www.sqlite.org/howtocorrupt.html, 2.2),
and other processes then throw the wal-index away under a reader that never learns of it. Hence who holds a lock is
read from /proc/locks.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

import aiosqlite

from keystore.errors import KeystoreUnavailable

URL_PREFIX: Final = "sqlite:///"
APPLICATION_ID: Final = 0x4E514B53  # "NQKS"
OLDEST_SQLITE: Final = (3, 37, 0)  # STRICT tables
BUSY_SECONDS: Final = 5.0  # a mutation takes milliseconds: whoever holds the lock longer is stopped or stuck
WRITE_LOCK_BYTE: Final = 120  # https://www.sqlite.org/walformat.html, 2.3.2: WAL_WRITE_LOCK in the -shm file
SYNCHRONOUS_FULL: Final = 2

# File systems on which mmap or POSIX locks do not reach the other machine (https://www.sqlite.org/wal.html).
REMOTE_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs",
     "fuse.rclone", "lustre", "gfs2", "ocfs2", "vboxsf", "virtiofs"}
)  # fmt: skip


def keystore_path(url_or_path: str | Path) -> Path:
    """The database file, absolute and without symbolic links: SQLite puts -wal and -shm beside the real file."""
    return Path(os.path.realpath(str(url_or_path).removeprefix(URL_PREFIX)))


def shm_path(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def uri(path: Path, mode: str) -> str:
    return f"{path.as_uri()}?mode={mode}"


@contextlib.contextmanager
def answering(path: Path) -> Iterator[None]:
    """Foreign exceptions become KeystoreUnavailable here and nowhere else."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise KeystoreUnavailable(f"the keystore {path} is locked{_by_whom(path)}: try again") from error
        raise KeystoreUnavailable(f"the keystore {path} cannot be used: {error}") from error
    except OSError as error:
        raise KeystoreUnavailable(f"the keystore {path} cannot be used: {error.strerror or error}") from error


def _by_whom(path: Path) -> str:
    pid = write_lock_holder(path)
    return "" if pid is None else f" by process {pid}"


def write_lock_holder(path: Path) -> int | None:
    """The process that is inside a write transaction, None when nobody is or it cannot be seen."""
    try:
        state = os.stat(shm_path(path))
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    file = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    for line in lines:
        match line.split():
            case [_, "POSIX", _, "WRITE", pid, where, first, _] if where == file and first == str(WRITE_LOCK_BYTE):
                return int(pid)
    return None


def refuse_remote(path: Path) -> None:
    """KeystoreUnavailable when nothing is there, and on a network file system.

    A commit made on another machine would never show in the mapped header.
    """
    try:
        device = os.stat(path).st_dev
    except FileNotFoundError:
        raise KeystoreUnavailable(f"there is no keystore at {path}: `nqgate serve` or `nqgate up` makes one") from None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        mount, _, source = line.partition(" - ")
        kind = source.split(" ", 1)[0]
        if mount.split(" ", 3)[2] == wanted and kind in REMOTE_FILE_SYSTEMS:
            raise KeystoreUnavailable(f"{path} lies on a {kind} file system: a SQLite keystore needs a local one")


@contextlib.asynccontextmanager
async def open_writer(path: Path, *, create: bool) -> AsyncIterator[aiosqlite.Connection]:
    """A connection in WAL mode with synchronous=FULL, both read back. KeystoreUnavailable when it cannot be had."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise KeystoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer")
    with answering(path):
        if create:
            _create(path)
        refuse_remote(path)
    async with contextlib.AsyncExitStack() as stack:
        with answering(path):
            opening = aiosqlite.connect(uri(path, "rw"), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
            connection = await stack.enter_async_context(opening)
            await _configure(connection, path)
        yield connection


@contextlib.contextmanager
def open_snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read, within one transaction: all it reads is of one moment. Nothing is created.

    While it is open a checkpoint cannot pass that moment. KeystoreUnavailable when it cannot be had, and for another
    schema than this version's: what cannot be read is not judged.
    """
    with answering(path):
        refuse_remote(path)
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("BEGIN")
            [[version]] = connection.execute("PRAGMA user_version").fetchall()
            if version != len(migrations()):
                known = f"schema {version}, here {len(migrations())}"
                raise KeystoreUnavailable(
                    f"{path} is no keystore of this version ({known}): `nqgate serve` upgrades it"
                )
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def _create(path: Path) -> None:
    """An empty file, readable by its owner only; SQLite gives -wal and -shm the same mode.

    Only a file that this call made is opened and closed here: nobody can hold a lock on it yet.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


async def _configure(connection: aiosqlite.Connection, path: Path) -> None:
    await connection.execute("PRAGMA trusted_schema = OFF")
    await connection.execute("PRAGMA synchronous = FULL")
    if await scalar(connection, "PRAGMA synchronous") != SYNCHRONOUS_FULL:
        raise KeystoreUnavailable(f"{path}: SQLite would not set synchronous=FULL")
    if await _in_wal_mode(connection) != "wal":
        raise KeystoreUnavailable(f"{path}: SQLite would not use WAL mode here")


async def _in_wal_mode(connection: aiosqlite.Connection) -> object:
    """Switching to WAL does not wait for a lock as other statements do: two first starts at once meet here."""
    if await scalar(connection, "PRAGMA journal_mode") == "wal":
        return "wal"
    deadline = asyncio.get_running_loop().time() + BUSY_SECONDS
    while True:
        try:
            return await scalar(connection, "PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)


async def fetch(connection: aiosqlite.Connection, statement: str, *values: object) -> list[tuple[object, ...]]:
    """All rows at once: an unfinished cursor pins the snapshot."""
    return [tuple(row) for row in await connection.execute_fetchall(statement, values)]


async def scalar(connection: aiosqlite.Connection, statement: str, *values: object) -> object:
    rows = await fetch(connection, statement, *values)
    return rows[0][0] if rows else None


def migrations() -> list[str]:
    """The texts of migrations/*.sql by number, from 1 without a gap."""
    folder = files("keystore") / "migrations"
    texts = sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if _is_sql(entry.name))
    return [text for _, text in texts]


def _is_sql(name: str) -> bool:
    return name.endswith(".sql")


async def bring_schema_up(connection: aiosqlite.Connection, path: Path) -> bool:
    """Run the migrations that are missing, inside the caller's transaction. True when the file was empty before.

    KeystoreUnavailable for a newer schema and for a database that is something else.
    """
    known = migrations()
    version = await scalar(connection, "PRAGMA user_version")
    assert isinstance(version, int)
    if version > len(known):
        raise KeystoreUnavailable(f"{path} was made by a newer gateway (schema {version}, here {len(known)})")
    if await scalar(connection, "PRAGMA application_id") != APPLICATION_ID and (
        version or await scalar(connection, "SELECT count(*) FROM sqlite_master")
    ):
        raise KeystoreUnavailable(f"{path} is a SQLite database, but no keystore")
    for text in known[version:]:
        for statement in statements(text):
            await connection.execute(statement)
    if version < len(known):
        await connection.execute(f"PRAGMA user_version = {len(known)}")
    return version == 0


def statements(text: str) -> Iterator[str]:
    """One by one: executescript would end the transaction that holds the lock."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends with a complete statement"

"""The Unix socket on which clients connect: bound at its path, one for all workers, removed at the end.

What binds a path leaves it behind when it is killed, so what is there is looked at before: a socket on which nobody
answers is replaced, anything else stays. The folder is locked meanwhile, for of two gateways that begin at once one
would take the other's new socket for a dead one.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from enum import Enum
from typing import Final

BACKLOG: Final = 1024  # connections the kernel may hold while the workers are busy; of more, connect(2) is EAGAIN


class Found(Enum):
    """What is at a path."""

    NOTHING = "nothing"
    DEAD = "a socket on which nobody answers"
    LIVE = "a socket on which somebody answers"
    OTHER = "no socket"


def look_at(path: str) -> Found:
    """OSError when it cannot be seen, or not be asked."""
    try:
        mode = os.lstat(path).st_mode  # a link is no socket, wherever it leads
    except FileNotFoundError:
        return Found.NOTHING
    if not stat.S_ISSOCK(mode):
        return Found.OTHER
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return Found.DEAD
        except BlockingIOError:  # its backlog is full
            return Found.LIVE
    return Found.LIVE


class UnixListener:
    """`socket`: inherited by every worker, who all accept from it."""

    def __init__(self, path: str, listener: socket.socket) -> None:
        self.socket = listener
        self._path = path
        self._mine: os.stat_result | None = os.lstat(path)

    def keep(self) -> None:
        """The path is another gateway's from here on."""
        self._mine = None

    def remove(self) -> None:
        """From here on nobody finds it. Only if it is the one that was bound, and harmless when called again. Before
        the socket is closed: until then its inode is no other file's."""
        mine, self._mine = self._mine, None
        if mine is None:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(mine, os.lstat(self._path)):
                os.unlink(self._path)


@contextlib.contextmanager
def unix_listener(path: str, mode: int) -> Iterator[UnixListener]:
    """Bound and listened on until the context ends. OSError with one sentence when that cannot be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, contextlib.ExitStack() as undo:
        try:
            with _locked(os.path.dirname(path)):
                _clear(path)
                listener.bind(path)
                bound = UnixListener(path, listener)
                undo.callback(bound.remove)
                os.chmod(path, mode)  # before listen(2): what the umask left is nobody's way in
                listener.listen(BACKLOG)
        except OSError as error:
            raise OSError(error.errno, f"{path} cannot be listened on: {error.strerror}") from error
        yield bound


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, f"the folder {folder} does not exist; make it, writable by the gateway") from None
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EADDRINUSE, "another gateway is just beginning to listen in that folder") from None
        yield
    finally:
        os.close(opened)


def _clear(path: str) -> None:
    found = look_at(path)
    if found is Found.LIVE:
        raise OSError(errno.EADDRINUSE, "it is already in use, somebody answers there")
    if found is Found.OTHER:
        raise OSError(errno.EEXIST, "something is there that is no socket, and stays untouched")
    if found is Found.DEAD:
        os.unlink(path)

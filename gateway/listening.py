"""The sockets on which the gateway listens: made here, or handed over by systemd or by the gateway that ran before.

The supervisor keeps all of them open and accepts from none, so a connection that waits in one is served by whoever
accepts from it next. What is handed over must be what the configuration says, for it says what may be in the clear.
"""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.config import Config, SettingsError
from gateway.unix_address import unix_path
from gateway.unix_listener import UnixListener, unix_listener

BACKLOG: Final = 1024  # connections the kernel may hold while the workers are busy
FIRST_FILE: Final = 3  # of those that systemd hands over: sd_listen_fds(3)
MAX_HANDED: Final = 64


class Handed(NamedTuple):
    """Sockets that somebody else made. `s3`: in groups, one for each worker that shared the port; `shared`: there is
    one group, from which all accept. `console`: of the control plane. `ours`: the path of a Unix socket goes with the
    gateway that has it last."""

    s3: tuple[tuple[socket.socket, ...], ...] = ()
    shared: bool = False
    console: tuple[socket.socket, ...] = ()
    ours: bool = False


NOTHING: Final = Handed()


class Listening:
    """Where clients connect, until `close`. `groups`, `shared`: as in `Handed`. `bound`: the path to remove at the
    end."""

    def __init__(
        self, groups: Iterable[Iterable[socket.socket]], *, shared: bool, bound: UnixListener | None = None
    ) -> None:
        self.groups = [list(group) for group in groups]
        self.shared = shared
        self.bound = bound

    def places(self, workers: int) -> list[list[socket.socket]]:
        """The sockets of each of so many workers: every socket has somebody who accepts from it. OSError when more are
        needed and cannot be had."""
        if self.shared:
            return [self.groups[0] for _ in range(workers)]
        while len(self.groups) < workers:
            self.groups.append(_beside(self.groups[0]))
        places: list[list[socket.socket]] = [[] for _ in range(workers)]
        for number, group in enumerate(self.groups):
            places[number % workers] += group
        return places

    @property
    def port(self) -> int:
        return int(self.groups[0][0].getsockname()[1])

    def forget(self, groups: int) -> None:
        """Those that were added for workers who do not come."""
        for group in self.groups[groups:]:
            for listener in group:
                listener.close()
        del self.groups[groups:]

    def own(self, path: str | None) -> None:
        """The path of its Unix socket is removed at the end."""
        if path is not None:
            self.bound = UnixListener(path, self.groups[0][0])

    def leave(self) -> None:
        """Nobody new finds it."""
        if self.bound is not None:
            self.bound.remove()

    def close(self) -> None:
        for group in self.groups:
            for listener in group:
                listener.close()


# ---- made here ----


def split(listen_on: str) -> tuple[str, int]:
    host, _, port = listen_on.rpartition(":")
    return host.strip("[]"), int(port)


def url(port: int, host: str, scheme: str = "http") -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def listen(host: str, port: int, workers: int) -> list[list[socket.socket]]:
    """For each worker its own sockets on every address of `host`: the kernel deals connections out to them evenly.

    OSError for an address that is taken, also by another gateway, or a name that is none.
    """
    with contextlib.ExitStack() as undo:
        listeners: list[list[socket.socket]] = [[] for _ in range(workers)]
        for family, address in _addresses(host, port):
            try:
                with _bound(family, address) as alone:  # a socket that shares would be let in beside another gateway's
                    address = alone.getsockname()
                for own in listeners:
                    own.append(undo.enter_context(_bound(family, address, shared=True)))
                    own[-1].listen(BACKLOG)
            except OSError as error:
                raise OSError(error.errno, f"{host}:{port} cannot be listened on: {error.strerror}") from error
        undo.pop_all()
    return listeners


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _beside(group: Sequence[socket.socket]) -> list[socket.socket]:
    """One more on the same addresses. Who accepts from it listens first: until then no connection comes to it."""
    with contextlib.ExitStack() as undo:
        made = [undo.enter_context(_bound(one.family, one.getsockname(), shared=True)) for one in group]
        undo.pop_all()
    return made


def _bound(family: int, address: Any, *, shared: bool = False) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


# ---- opened for a gateway ----


@contextlib.contextmanager
def s3_listening(config: Config, handed: Handed, workers: int) -> Iterator[Listening]:
    """Until the context ends. OSError for an address that is taken."""
    with contextlib.ExitStack() as stack:
        path = config.s3.socket
        if handed.s3:
            opened = Listening(handed.s3, shared=handed.shared)
        elif path is not None:
            made = stack.enter_context(unix_listener(path, int(config.s3.socket_mode, 8)))
            opened = Listening([[made.socket]], shared=True, bound=made)
        else:
            opened = Listening(listen(*split(config.s3.listen), workers), shared=False)
        stack.callback(opened.close)
        stack.callback(opened.leave)
        yield opened


@contextlib.contextmanager
def console_listening(config: Config, handed: Handed) -> Iterator[Listening]:
    """As `s3_listening`, of the control plane, which is one process."""
    groups = [handed.console] if handed.console else listen(*split(config.console.listen), 1)
    opened = Listening(groups, shared=True)
    try:
        yield opened
    finally:
        opened.close()


# ---- handed over by systemd ----


def activated(config: Config, environment: Mapping[str, str]) -> Handed:
    """What sd_listen_fds(3) hands to this process; NOTHING when it hands nothing. SettingsError for a socket that is
    not where the configuration says."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return NOTHING
    files = range(FIRST_FILE, FIRST_FILE + min(int(count), MAX_HANDED))
    sockets = [socket.socket(fileno=os.dup(file)) for file in files]  # dup: kept from whoever is started
    for file in files:
        os.close(file)
    return matched(config, sockets)


def matched(config: Config, sockets: list[socket.socket]) -> Handed:
    s3, console = _names(config.s3.listen), _names(config.console.listen)
    of_s3: list[socket.socket] = []
    of_console: list[socket.socket] = []
    for one in sockets:
        name = _name(one)
        if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise SettingsError(f"the socket that was handed over on {name} accepts no connections: use ListenStream=")
        if name not in s3 and name not in console:
            raise SettingsError(
                f"a socket on {name} was handed over, but s3.listen is {config.s3.listen} and console.listen is"
                f" {config.console.listen}: make ListenStream= the same as one of them"
            )
        (of_s3 if name in s3 else of_console).append(one)
    return Handed((tuple(of_s3),) if of_s3 else (), shared=True, console=tuple(of_console))


def listens_at(listen_on: str, sockets: Sequence[socket.socket]) -> bool:
    """Whether all of them, and there are some, are where a setting says."""
    return bool(sockets) and {_name(one) for one in sockets} <= _names(listen_on)


def _names(listen_on: str) -> set[str]:
    path = unix_path(listen_on)
    if path is not None:
        return {path}
    return {url(address[1], address[0]) for _, address in _addresses(*split(listen_on))}


def _name(one: socket.socket) -> str:
    address = one.getsockname()
    return str(address) if one.family == socket.AF_UNIX else url(address[1], address[0])

"""A gateway between two Unix sockets, and cables from TCP to a Unix socket for clients that know none."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.clients import s3_client
from tests.support.gateway_process import Gateway, IssuedKey, Settings
from tests.support.raw_client import UnixConnection
from tests.support.server_process import LOOPBACK
from tests.support.stores import Store

HOST = "localhost"  # what the tests' clients call it


class UnixGateway(Gateway):
    """As `Gateway`, but that it listens at `path`, and asks the store over the store's own socket where it has one."""

    def __init__(self, folder: Path, store: Store, settings: Settings | None = None) -> None:
        self.path = folder / "s3.sock"
        listen: Mapping[str, Any] = {"listen": f"unix:{self.path}", **(settings or {}).get("s3", {})}
        here = replace(store, endpoint=f"unix:{store.socket}") if store.socket else store
        super().__init__(folder, here, {**(settings or {}), "s3": listen})
        self.host = HOST

    @property
    def as_store(self) -> Store:
        """For another gateway behind which this one stands; the credential is to be replaced."""
        return Store("generic", f"unix:{self.path}", "", "")

    def connect_here(self) -> UnixConnection:
        return UnixConnection(self.path)

    @contextmanager
    def boto3_here(self, access_key: IssuedKey, **settings: Any) -> Iterator[Any]:
        with cable(self.path) as port:
            origin = f"http://{LOOPBACK}:{port}"
            with s3_client(origin, access_key.access_key_id, access_key.secret_access_key, **settings) as client:
                yield client


@contextmanager
def cable(path: Path) -> Iterator[int]:
    """The TCP port from which everything goes to the Unix socket at `path`, and back."""
    ends: list[threading.Thread] = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, path, ends))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *ends):
                thread.join(20)


def _accept(listener: socket.socket, path: Path, ends: list[threading.Thread]) -> None:
    with contextlib.suppress(OSError):  # the listener was shut down
        while True:
            near, _ = listener.accept()
            ends.append(threading.Thread(target=_relay, args=(near, path)))
            ends[-1].start()


def _relay(near: socket.socket, path: Path) -> None:
    with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
        far.connect(str(path))
        back = threading.Thread(target=_pour, args=(far, near))
        back.start()
        _pour(near, far)
        back.join()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(1 << 18):
            sink.sendall(block)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

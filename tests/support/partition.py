"""A TCP proxy in threads that a test can cut: what arrives is passed on, held back, or the connections are reset."""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

from tests.support.server_process import LOOPBACK

RESET: Final = struct.pack("ii", 1, 0)


class Partition:
    """Between its clients and `port`. While it is cut nothing passes in either direction, and nobody is told. Use as a
    context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._open: set[socket.socket] = set()
        self._ended = False

    def cut(self) -> None:
        self._whole.clear()

    def heal(self) -> None:
        """What was held back arrives now, late."""
        self._whole.set()

    def reset(self) -> None:
        """Every connection is reset; new ones are served."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._whole.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._whole.wait()
        try:
            far = socket.create_connection((LOOPBACK, self._target))
        except OSError:
            near.close()
            return
        self._open |= {near, far}
        back = threading.Thread(target=self._pour, args=(far, near), daemon=True)
        back.start()
        self._pour(near, far)
        back.join()
        for one in (near, far):
            self._open.discard(one)
            one.close()

    def _pour(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                self._whole.wait()
                sink.sendall(block)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
